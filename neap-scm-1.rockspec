-- SPDX-License-Identifier: MIT
-- For `luarocks make` in this folder. LuaRocks moves what install-rock places.
rockspec_format = "3.0"
package = "neap"
version = "scm-1"
source = { url = "." }
description = {
  summary = "Data loading with worker processes",
  license = "MIT",
}
dependencies = { "lua == 5.1", "argparse >= 0.7" }
supported_platforms = { "linux" }
build = {
  type = "make",
  install_target = "install-rock",
  install_variables = {
    PREFIX = "$(PREFIX)",
    BINDIR = "$(BINDIR)",
    LIBDIR = "$(LIBDIR)",
    LUADIR = "$(LUADIR)",
  },
}
