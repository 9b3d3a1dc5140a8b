-- SPDX-License-Identifier: MIT
--- The cache of compiled files. A compiler that notes its calls tells when one
-- is compiled.

local support = dofile("tests/spec/support.lua")

local folder

-- Prints the path of the library of kernel.c, or what is raised.
local SCRIPT = [[
local compiled = require("neap.native.compiled")
local ok, path = pcall(compiled, "%s/kernel.c", { %s })
print(path)
]]

-- Runs the script in a process of its own; returns what it printed.
local function compile(how)
  how = how or {}
  local ran = support.run(SCRIPT:format(folder, how.flags or ""), {
    env = how.env or ("env XDG_CACHE_HOME=%s/cache CC=%s/cc"):format(folder,
      folder),
  })
  return (ran.out:gsub("\n$", ""):gsub("^[^\n:]+:%d+: ", "")), ran
end

local function write(name, text)
  support.write(folder .. "/" .. name, text)
end

-- How often the compiler was asked for a library.
local function count()
  local text = support.read(folder .. "/calls")
  return select(2, text:gsub("%-shared", ""))
end

local function write_compiler(version)
  write("cc", ("#!/bin/sh\n[ \"$1\" = --version ] && echo %s && exit\n"
    .. "echo \"$@\" >>%s/calls\nexec cc \"$@\"\n"):format(version, folder))
  support.shell("chmod +x " .. folder .. "/cc")
end

describe("the cache of compiled files", function()
  before_each(function()
    folder = support.folder()
    write("calls", "")
    write_compiler("1")
    write("kernel.c", '#include "two.h"\nint f(void) { return TWO; }\n')
    write("two.h", "#define TWO 2\n")
  end)

  after_each(function()
    os.execute("rm -r " .. folder)
  end)

  it("compiles a file once", function()
    local path = compile()
    assert.matches("^" .. folder .. "/cache/neap/kernel%-%x+%.so$", path)
    assert.equal(path, compile())
    assert.equal(1, count())
  end)

  it("compiles it again when the file, a header or the flags differ", function()
    local first = compile()
    write("two.h", "#define TWO (1 + 1)\n")
    local second = compile()
    assert.not_equal(first, second)
    write("kernel.c", '#include "two.h"\nint f(void) { return 1 + TWO; }\n')
    local third = compile()
    assert.not_equal(second, third)
    assert.not_equal(third, compile({ flags = '"-O3"' }))
    assert.equal(4, count())
  end)

  it("compiles it again when the compiler is another one", function()
    local first = compile()
    write_compiler("2")
    assert.not_equal(first, compile())
  end)

  it("finds what was compiled before", function()
    local first = compile()
    write("two.h", "#define TWO 3\n")
    assert.not_equal(first, compile())
    write("two.h", "#define TWO 2\n")
    assert.equal(first, compile())
    assert.equal(2, count())
  end)

  it("takes names with blanks and quotes", function()
    folder = folder .. "/it's"
    support.shell("mkdir " .. support.quote(folder))
    write("kernel.c", '#include "a b.h"\nint f(void) { return B; }\n')
    write("a b.h", "#define B 1\n")
    local path = compile({
      env = "env XDG_CACHE_HOME=" .. support.quote(folder .. "/c d"),
    })
    assert.matches("/it's/c d/neap/kernel%-%x+%.so$", path)
    folder = folder:match("^(.*)/")
  end)

  it("is safe where several processes compile at once", function()
    local commands = {}
    for k = 1, 4 do
      commands[k] = ("XDG_CACHE_HOME=%s/cache CC=%s/cc %s %s & "):format(folder,
        folder, support.QUOTED_NEAP, support.write(folder .. "/s.lua",
        SCRIPT:format(folder, "")))
    end
    local said = support.shell(table.concat(commands) .. "wait")
    local first = said:match("^(%S+)\n")
    assert.equal((first .. "\n"):rep(4), said)
    local left = support.shell(("cd %s/cache/neap && ls *.h && ls *.so && ls")
      :format(folder))
    assert.matches("^kernel%-%x+%.h\nkernel%-%x+%.so\n", left)
    assert.equal(4, select(2, left:gsub("\n", "")))
  end)

  it("compiles it again when a disk was full", function()
    compile()
    support.shell(("for f in %s/cache/neap/*.so; do : > $f; done"):format(
      folder))
    assert.truthy(#support.read((compile())) > 0)
    assert.equal(2, count())
  end)

  it("shows what the compiler says", function()
    write("kernel.c", "int f(void) { return x; }\n")
    local said = compile()
    assert.matches("^cannot compile " .. folder .. "/kernel.c: " .. folder
      .. "/cc failed\n", said)
    assert.matches("kernel.c:1:22: error: .*x.* undeclared", said)
    assert.truthy(said:find("1 | int f(void) { return x; }\n", 1, true))
    assert.matches("^\n?$", (support.shell("ls " .. folder .. "/cache/neap")))
  end)

  it("says what is missing", function()
    assert.matches("cannot compile .*: the compiler 'none' does not run\n"
      .. "help: install Debian's package: apt%-get install gcc, or set CC",
      compile({ env = "env CC=none" }))
    assert.matches("cannot compile .*: there is no folder for the library\n"
      .. "help: set HOME, or XDG_CACHE_HOME",
      compile({ env = "env -u HOME -u XDG_CACHE_HOME" }))
    assert.matches("cannot compile .*: mkdir: .*\n"
      .. "help: set XDG_CACHE_HOME to a folder that can be written",
      compile({ env = "env XDG_CACHE_HOME=/proc/none" }))
    os.remove(folder .. "/kernel.c")
    assert.matches("cannot compile .*/kernel.c: there is no such file, or it "
      .. "cannot be read", compile())
  end)
end)
