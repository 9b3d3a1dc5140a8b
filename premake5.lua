-- SPDX-License-Identifier: MIT
-- The whole build, for Premake 5 and for the Premake 4.3 that Debian ships
-- (`premake4 --file=premake5.lua gmake`); the Makefile calls it each time.
-- It uses what both know, and compares contents where it writes, so that
-- running it again rebuilds nothing.

local CONFIGURATIONS = {
  release = "-O2 -g",
  debug = "-O0 -g",
  asan = "-O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer"
    .. " -fno-sanitize-recover=undefined",
  tsan = "-O1 -g -fsanitize=thread -fno-omit-frame-pointer",
}
local WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef"
  .. " -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla -Werror"
local FLAGS = "-std=c11 -fPIC -fvisibility=hidden -pthread"
local SYSTEM = { "z", "m", "dl", "pthread" }
local VERSION = dofile("lua/neap/version.lua")

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  return text
end

-- Writes a file that differs; answers whether it did.
local function update(path, text)
  if read(path) == text then
    return false
  end
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return true
end

local function output(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

-- What is generated -------------------------------------------------------

local SOURCES = os.matchfiles("runtime/*.c")
for _, folder in ipairs({ "gen", "include", "lib/pkgconfig" }) do
  os.mkdir("build/" .. folder)
end

local header = read("runtime/include/neap.h")
local cdef = header:match("/%* cdef: begin %*/\n(.-)/%* cdef: end %*/")
local lines = cdef:gsub("[\\\"]", "\\%0"):gsub("([^\n]*)\n", '  "%1\\n"\n')
update("build/include/neap.h", header)
update("build/gen/cdef.c", [[
/* Made by premake5.lua: the declarations of neap.h, for the FFI. */
#include "neap.h"

/* One string, longer than C11 makes every compiler take. */
#pragma GCC diagnostic ignored "-Woverlength-strings"

const char *neap_cdef(void) {
  return
]] .. lines:gsub("%s+$", "") .. ";\n}\n")
update("build/lib/pkgconfig/neap.pc", "prefix=" .. os.getcwd() .. [[/build
libdir=${prefix}/lib
includedir=${prefix}/include

Name: neap
Description: Data loading with worker processes
Version: ]] .. VERSION .. [[

Cflags: -I${includedir}
Libs: -L${libdir} -lneap
Libs.private: -l]] .. table.concat(SYSTEM, " -l") .. "\n")

-- Make does not see that a flag has changed or a source has gone.
if update("build/gen/premake5.lua", read("premake5.lua")) then
  os.execute("rm -rf build/obj")
end
if update("build/gen/sources", table.concat(SOURCES, "\n")) then
  os.execute("rm -f build/lib/libneap.* build/*/lib/libneap.*")
end

-- Projects ----------------------------------------------------------------

-- Where a configuration's output goes, seen from here and from build/make.
local function folder(config)
  return config == "release" and "build" or "build/" .. config
end

local function when(config)
  if filter then
    filter(config and { "configurations:" .. config } or {})
  else
    configuration(config and { config } or {})
  end
end

local function each_configuration(set)
  for config in pairs(CONFIGURATIONS) do
    when(config)
    set(folder(config), "../../" .. folder(config))
  end
  when(nil)
end

-- A program or library `name`, made from `sources` in OUTPUT/`to`.
local function make(name, of_kind, to, sources)
  project(name)
  kind(of_kind)
  language("C")
  files(sources)
  includedirs({ "runtime/include", "runtime" })
  defines({ "_GNU_SOURCE" })
  buildoptions({ FLAGS, WARNINGS })
  objdir("build/obj/" .. name)
  each_configuration(function(here)
    targetdir(here .. "/" .. to)
  end)
end

local function make_test(path, to, libraries)
  make(path:match("([^/]+)%.c$"), "ConsoleApp", to, { path })
  links({ "libneap" })
  links(libraries)
  links(SYSTEM)
end

solution("neap")
configurations({ "release", "debug", "asan", "tsan" })
location("build/make")
for config, flags in pairs(CONFIGURATIONS) do
  when(config)
  buildoptions({ flags })
  linkoptions({ flags })
end
when(nil)

make("libneap", "StaticLib", "lib", { "runtime/*.c", "build/gen/cdef.c" })
targetname("neap")

make("libneap-shared", "SharedLib", "lib",
  { "runtime/*.c", "build/gen/cdef.c" })
targetname("neap")
linkoptions({ "-Wl,-soname,libneap.so -Wl,-z,defs" })
links(SYSTEM)

-- The executable carries LuaJIT and all of libneap, for its scripts' FFI.
local LUAJIT = output("pkg-config --variable=libdir luajit")
  .. "/libluajit-5.1.a"
make("neap", "ConsoleApp", "bin", { "bindings/*.c" })
buildoptions({ output("pkg-config --cflags luajit") })
links({ "libneap" })
each_configuration(function(_, there)
  linkoptions({ "-Wl,-E -Wl,-z,lazy -Wl,--whole-archive " .. there
    .. "/lib/libneap.a -Wl,--no-whole-archive" })
end)
linkoptions({ read(LUAJIT) and LUAJIT or output("pkg-config --libs luajit") })
links(SYSTEM)

for _, path in ipairs(os.matchfiles("tests/c/test_*.c")) do
  make_test(path, "tests", { "cmocka" })
end
for _, path in ipairs(os.matchfiles("tests/bench/*.c")) do
  make_test(path, "bench", {})
end
