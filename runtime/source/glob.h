/* SPDX-License-Identifier: MIT */
/* Patterns of paths: * ? [set] within a component, ** for any folders. */
#ifndef NEAP_SOURCE_GLOB_H
#define NEAP_SOURCE_GLOB_H

/* Whether a path fits a pattern. */
int neap__glob_fits(const char *pattern, const char *path);

/* Components of the longest path that fits; -1: any number. */
int neap__glob_depth(const char *pattern);

#endif
