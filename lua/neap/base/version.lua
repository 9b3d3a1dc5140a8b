-- SPDX-License-Identifier: MIT
--- neap's version: the one place that says it, for the build too.
-- @module neap.base.version

return "0.1.0"
