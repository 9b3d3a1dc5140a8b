-- SPDX-License-Identifier: MIT
-- The whole build, for Premake 5 and for the Premake 4.3 that Debian ships
-- (`premake4 --file=premake5.lua gmake`); the Makefile calls it each time.
-- It writes only what differs, so that running it again rebuilds nothing.

local CONFIGURATIONS = {
  release = "-O2",
  debug = "-O0 -DNEAP_FAULTS",
  asan = "-O1 -fsanitize=address,undefined -fno-omit-frame-pointer"
    .. " -fno-sanitize-recover=undefined -DNEAP_FAULTS",
  tsan = "-O1 -fsanitize=thread -fno-omit-frame-pointer -DNEAP_FAULTS",
  fuzz = "-O1 -Wno-unknown-pragmas -fsanitize=address,undefined,fuzzer-no-link"
    .. " -fno-omit-frame-pointer -fno-sanitize-recover=undefined", -- by clang
}
local FLAGS = "-std=c11 -fPIC -fvisibility=hidden -pthread"
  .. " -iquote ../../runtime -I ../../runtime/include -D_GNU_SOURCE"
  .. " -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef"
  .. " -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla -Werror"
local LIBRARIES = { "ffi", "z", "m", "dl", "pthread" }
local LIBNEAP = { "runtime/**.c", "build/gen/cdef.c" }

local function read(path)
  local file = io.open(path, "rb")
  return file and file:read("*a")
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

local function pkg_config(words)
  local answer = io.popen("pkg-config " .. words):read("*l")
  return answer or error("cannot build: pkg-config does not know " .. words)
end

local version = dofile("lua/neap/base/version.lua")
local header = read("runtime/include/neap.h")
local SONAME = "libneap.so." .. header:match("NEAP_ABI = (%d+)")

os.execute("mkdir -p build/gen build/include build/lib/pkgconfig"
  .. " && ln -sfn lib/pkgconfig build/pkgconfig"
  .. " && ln -sfn libneap.so build/lib/" .. SONAME)

update("build/include/neap.h", header)
update("build/gen/cdef.c", dofile("runtime/cdef.lua")(header,
  read("runtime/include/neap_lua.h"), version))
update("build/lib/pkgconfig/neap.pc", ([[
prefix=%s/build
libdir=${prefix}/lib
includedir=${prefix}/include

Name: neap
Description: Data loading with worker processes
Version: %s
Cflags: -I${includedir}
Libs: -L${libdir} -lneap
Libs.private: -l%s
]]):format(os.getcwd(), version, table.concat(LIBRARIES, " -l")))

-- Make does not see that flags have changed or that a source has gone.
if update("build/gen/premake5.lua", read("premake5.lua")) then
  os.execute("rm -rf build/obj")
end
if update("build/gen/sources", table.concat(os.matchfiles("runtime/**.c"))) then
  os.execute("rm -f build/lib/libneap.a build/*/lib/libneap.a")
end

-- Calls set(folder, flags) for each configuration, in its scope.
local function configure(set)
  local scope = filter or configuration
  for name, flags in pairs(CONFIGURATIONS) do
    scope({ filter and "configurations:" .. name or name })
    set(name == "release" and "build" or "build/" .. name, flags)
  end
  scope({})
end

local function make(name, of_kind, folder, sources)
  project(name)
  kind(of_kind)
  language("C")
  files(sources)
  buildoptions({ FLAGS })
  objdir("build/obj/" .. name)
  configure(function(build, flags)
    buildoptions({ flags })
    linkoptions({ flags })
    targetdir(build .. "/" .. folder)
  end)
end

-- A program with libneap inside. Premake 4 says -lneap, which would find the
-- shared one: it is the archive, named first, that leaves it unneeded.
local function make_program(name, folder, source, options)
  make(name, "ConsoleApp", folder, { source })
  links({ "libneap" })
  links(LIBRARIES)
  configure(function(build)
    linkoptions({ "-Wl,--as-needed " .. options:format("../../" .. build
      .. "/lib/libneap.a") })
  end)
end

solution("neap")
configurations({ "release", "debug", "asan", "tsan", "fuzz" })
location("build/make")
if symbols then symbols("On") else flags({ "Symbols" }) end

make("libneap", "StaticLib", "lib", LIBNEAP)
targetname("neap")
make("libneap-shared", "SharedLib", "lib", LIBNEAP)
targetname("neap")
linkoptions({ "-Wl,-z,defs -Wl,-soname," .. SONAME })
links(LIBRARIES)

-- A host carries LuaJIT and all of libneap, for its scripts' FFI. The first is
-- started for each worker: a libgcc of its own saves a tenth of that.
local luajit = pkg_config("--variable=libdir luajit") .. "/libluajit-5.1.a"
local function make_host(name, folder, source, options)
  make_program(name, folder, source, options
    .. " -Wl,-E -Wl,--whole-archive %s -Wl,--no-whole-archive")
  buildoptions({ pkg_config("--cflags luajit") })
  linkoptions({ read(luajit) and luajit or pkg_config("--libs luajit") })
end
make_host("neap", "bin", "bindings/*.c", "-static-libgcc -Wl,-z,lazy")
make_program("neap-native", "bin", "bindings/native/*.c",
  "%s -static-libgcc -Wl,-z,lazy")
for _, path in ipairs(os.matchfiles("tests/c/**/test_*.c")) do
  local own = path:gsub("c$", "link") -- what it alone tells the linker
  make_program(path:match("([^/]+)%.c$"), "tests", path,
    read(own) and "%s @../../" .. own or "%s")
  buildoptions({ "-iquote ../../tests/c" })
  links({ "cmocka" })
end
make("signatures", "SharedLib", "tests", { "tests/native/signatures.c" })
links({ "m" })
for _, path in ipairs(os.matchfiles("tests/fuzz/*.c")) do
  make_host(path:match("([^/]+)%.c$"), "tests", path, "-fsanitize=fuzzer")
end
for _, path in ipairs(os.matchfiles("tests/bench/*.c")) do
  make_program(path:match("([^/]+)%.c$"), "bench", path, "%s")
  if path:match("limit_operate") then -- what one compiles for this machine
    buildoptions({ "-march=native" })
  end
end
