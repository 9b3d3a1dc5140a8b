/* SPDX-License-Identifier: MIT */
/* How many cores this process may use (Linux: affinity and cgroup v2). */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "neap_lua.h"

enum { PATH_BYTES = 512 };

/* The folder of this process's cgroup; "" if there is no cgroup v2. */
static void find_cgroup(char *folder, size_t size) {
  char line[PATH_BYTES];
  FILE *file = fopen("/proc/self/cgroup", "re");
  folder[0] = '\0';
  if (file == NULL) return;
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "0::/", 4) == 0)
      snprintf(folder, size, "/sys/fs/cgroup%.400s", line + 3);
  }
  fclose(file);
}

/* The quota in cores, or INFINITY. */
static double read_quota(void) {
  char folder[PATH_BYTES];
  char path[PATH_BYTES + 16];
  double quota, period;
  find_cgroup(folder, sizeof folder);
  snprintf(path, sizeof path, "%s/cpu.max", folder);
  FILE *file = folder[0] == '\0' ? NULL : fopen(path, "re");
  if (file == NULL) return INFINITY;
  const int found = fscanf(file, "%lf %lf", &quota, &period);
  fclose(file);
  return found == 2 && period > 0 ? quota / period : INFINITY;
}

int neap_cores(void) {
  cpu_set_t set;
  const int mine =
      sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const double quota = ceil(read_quota());
  return quota < mine ? (int)fmax(quota, 1) : mine;
}
