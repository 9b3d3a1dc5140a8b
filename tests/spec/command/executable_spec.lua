-- SPDX-License-Identifier: MIT
--- The neap executable: what it runs, where it finds neap, how it fails.

local support = dofile("tests/spec/support.lua")

local quote, shell = support.quote, support.shell
local NEAP = support.QUOTED_NEAP

local function neap(...)
  local words = { ... }
  for i, word in ipairs(words) do
    words[i] = quote(word)
  end
  return shell(NEAP .. " " .. table.concat(words, " "))
end

describe("the neap executable", function()
  local folder

  local function write(name, text)
    return support.write(folder .. "/" .. name, text)
  end

  setup(function()
    folder = support.folder()
  end)

  teardown(function()
    shell("rm -r " .. folder)
  end)

  -- A neap whose workers find the first bytes of a control segment of another
  -- version: a shell script that puts them in its place.
  local function foreign(version)
    local header = write("header", "nep-ring" .. ("\1"):rep(8) .. version
      .. ("\0"):rep(1008 - #version))
    return write("foreign.sh", ('#!/bin/sh\nexec %s "$@" 3<%s\n'):format(
      NEAP, quote(header)))
  end

  describe("does not work with another version", function()
    local version = dofile("lua/neap/base/version.lua")
    local real = shell("realpath " .. NEAP):match("%S+")

    local function refused(by)
      return ("cannot start workers: the executable and the host's library are "
        .. "of different versions\n  the executable: neap %s, %s\n"
        .. "  the library: %s\nhelp: set NEAP_WORKER to the executable that "
        .. "came with that library, or install both again\n"):format(version,
          real, by)
    end

    it("of its host, and both say so", function()
      for told, by in pairs({
        ["neap 9.9.9, /opt/libneap.so"] = "neap 9.9.9, /opt/libneap.so",
        ["\2\0\0\0\17"] = "unknown",
      }) do
        local worker = foreign(told)
        shell("chmod +x " .. worker)
        local run = support.run([[
          local p = require("neap").range(3):prefetch({ workers = 1 })
          local ok, e = pcall(p.totable, p)
          print((tostring(e):gsub("^[^\n:]+:%d+: ", "")))
          p:close()
        ]], { env = "env NEAP_WORKER=" .. quote(worker) })
        assert.equal(refused(by), run.out)
        assert.equal("neap: " .. refused(by), run.err)
        assert.equal(0, run.status)
      end
    end)

    it("of its Lua modules", function()
      local lua = folder .. "/other"
      shell(("cp -r lua %s && sed -i 's/^local ABI = .*/local ABI = 99/' "
        .. "%s/neap/base/lib.lua "
        .. "&& echo 'return \"9.9.9\"' >%s/neap/base/version.lua")
        :format(lua, lua, lua))
      local said, status = shell(("NEAP_LUA=%s %s -e 'require(\"neap\")'")
        :format(lua, NEAP))
      assert.equal(1, status)
      assert.truthy(said:find(("neap: cannot use libneap: it has ABI 1, these "
        .. "Lua modules want 99\n  the library: neap %s, %s\n"
        .. "  the Lua modules: neap 9.9.9, %s\nhelp: use the neap executable, "
        .. "or libneap.so (NEAP_LIBRARY), that came with these modules\n")
        :format(version, real, lua), 1, true), said)
    end)
  end)

  describe("runs", function()
    it("a script with its arguments, as lua does", function()
      local path = write("words.lua", "#!/usr/bin/env neap\n"
        .. "print(arg[0], #arg, arg[2], arg[-1] ~= nil, ...)")
      local said, status = neap(path, "a", "b c")
      assert.equal(path .. "\t2\tb c\ttrue\ta\tb c\n", said)
      assert.equal(0, status)
    end)

    it("a script from standard input", function()
      local said = shell("echo 'print(arg[0], ...)' | " .. NEAP .. " - x")
      assert.equal("-\tx\n", said)
    end)

    it("a piece of code with its arguments", function()
      local said, status = neap("-e", "print(arg[1], ...)", "x", "y")
      assert.equal("x\tx\ty\n", said)
      assert.equal(0, status)
    end)

    it("nothing that a setuid program's caller names", function()
      if support.is_asan or shell("id -u") ~= "0\n" then
        pending("no program can be setuid root")
        return
      end
      local place = support.folder()
      local run = ("setpriv --reuid=65534 --clear-groups env LUA_PATH='%s' "
        .. "LUA_CPATH='%s' NEAP_LUA='%s' %s/bin/neap - <<'END'\n"
        .. "print(package.path, package.cpath, require('neap')._VERSION)\nEND")
        :format("/evil/?.lua", "/evil/?.so", "/evil", place)
      local _, status = shell(("cd %s && chmod 755 . && mkdir bin "
        .. "&& cp -r %s/lua . && cp %s bin/neap && chmod 4755 bin/neap")
        :format(place, quote(support.current_folder()), NEAP))
      local said = shell(run)
      shell("rm -r " .. place)
      assert.equal(0, status)
      assert.truthy(said:find(place .. "/lua/?.lua;", 1, true), said)
      assert.falsy(said:find("evil", 1, true), said)
    end)

    it("nothing more after os.exit", function()
      local said, status = neap("-e", "io.write('x') os.exit(3)")
      assert.equal("x", said)
      assert.equal(3, status)
    end)

    it("help and --version", function()
      local said, status = neap("help")
      assert.truthy(said:find("neap SCRIPT.lua", 1, true))
      assert.equal(0, status)
      assert.equal(said, (neap("--help")))
      assert.equal(said, (neap("-h")))
      assert.truthy(neap("--version"):find("^neap %d+%.%d+%.%d+\nLuaJIT 2"))
    end)
  end)

  describe("finds", function()
    local print_folder = "print(require('neap.base.lib').lua_dir)"

    it("libneap inside itself", function()
      assert.equal("true\n", (neap("-e",
        "print(require('neap.base.lib').C == require('ffi').C)")))
    end)

    it("its modules from any folder", function()
      local path = shell("readlink -f " .. NEAP):match("[^\n]+")
      local said, status = shell("cd / && " .. quote(path) .. " -e "
        .. quote(print_folder))
      assert.truthy(said:find("^/.*lua\n$"))
      assert.equal(0, status)
    end)

    it("its modules where it is installed", function()
      shell(("mkdir -p %s/bin %s/share/lua/5.1"):format(folder, folder))
      shell(("cp %s %s/bin"):format(NEAP, folder))
      shell(("cp -r lua/neap %s/share/lua/5.1"):format(folder))
      assert.equal(folder .. "/share/lua/5.1\n", (shell(
        folder .. "/bin/neap -e " .. quote(print_folder))))
    end)

    it("its modules where NEAP_LUA says", function()
      shell(("cp -r lua/neap %s"):format(folder))
      assert.equal(folder .. "\n", (shell(("NEAP_LUA=%s %s -e %s"):format(
        folder, NEAP, quote(print_folder)))))
    end)

    it("no modules, and says so", function()
      shell(("mkdir -p %s/a/b/c/d && cp %s %s/a/b/c/d"):format(
        folder, NEAP, folder))
      local said, status = shell(folder .. "/a/b/c/d/neap -e ''")
      assert.truthy(said:find("^neap: cannot find neap's Lua modules near"
        .. " /.*/neap: set NEAP_LUA\n"))
      assert.equal(1, status)
    end)
  end)

  describe("fails", function()
    it("with the user's traceback", function()
      local path = write("boom.lua",
        "local function deep()\n  error('boom')\nend\ndeep()\n")
      local said, status = neap(path)
      assert.equal(("neap: %s:2: boom\nstack traceback:\n"
        .. "\t[C]: in function 'error'\n\t%s:2: in function 'deep'\n"
        .. "\t%s:4: in main chunk\n"):format(path, path, path), said)
      assert.equal(1, status)
    end)

    it("without neap's own lines in the traceback", function()
      local path = write("ours.lua", "local neap = require('neap')\n"
        .. "local function f(x)\n  error('no ' .. x)\nend\n"
        .. "for _ in neap.map(f, {1}):each() do end\n")
      local said, status = neap(path)
      assert.truthy(said:find("map (" .. path .. ":5)", 1, true))
      assert.truthy(said:find(path .. ":5: in main chunk\n", 1, true))
      assert.falsy(said:find("lua/neap/", 1, true))
      assert.falsy(said:find("\tneap:", 1, true))
      assert.equal(1, status)
    end)

    it("with one stack, of the worker, for an item's error", function()
      local path = write("worker.lua", "local neap = require('neap')\n"
        .. "local function f(x)\n  error('no ' .. x)\nend\n"
        .. "local p = neap.map(f, {1}):prefetch({ workers = 1 })\n"
        .. "for _ in p:each() do end\n")
      assert.equal((("neap: PATH:3: no 1\n  item 1 of map (PATH:5)\n"
        .. "  in worker 1\nstack traceback:\n\tPATH:3: in function <PATH:2>\n")
        :gsub("PATH", path)), (neap(path)))
    end)

    it("with no function of neap, and none of C that it calls", function()
      local path = write("argument.lua", "local s = require('neap').range(3)\n"
        .. "local function f()\n  local _ = s:batch(0)\nend\nf()\n")
      assert.equal((("neap: PATH:3: bad argument #1 to 'batch' (positive "
        .. "integer expected, got 0)\nstack traceback:\n"
        .. "\tPATH:3: in function 'f'\n\tPATH:5: in main chunk\n")
        :gsub("PATH", path)), (neap(path)))
    end)

    it("with an error object's own words", function()
      local said, status = neap("-e", [[
        error(setmetatable({}, { __tostring = function() return "oh" end }))
      ]])
      assert.truthy(said:find("^neap: oh\nstack traceback:\n"))
      assert.equal(1, status)
    end)

    it("without a word at error()", function()
      local said, status = neap("-e", "error()")
      assert.equal("", said)
      assert.equal(1, status)
    end)

    it("at an error of syntax", function()
      local said, status = neap(write("syntax.lua", "x = = 1"))
      assert.truthy(said:find("^neap: /.*/syntax%.lua:1: [^\n]+\n$"))
      assert.equal(1, status)
    end)

    it("with one line and status 2 when misused", function()
      local said, status = neap(folder .. "/none.lua")
      assert.equal(("neap: cannot open %s/none.lua: No such file or"
        .. " directory\n"):format(folder), said)
      assert.equal(2, status)
      for _, words in ipairs({ {}, { "-e" }, { "--bad" }, { folder } }) do
        said, status = neap(unpack(words))
        assert.truthy(said:find("^neap: [^\n]+\n$"))
        assert.equal(2, status)
      end
    end)
  end)

  describe("as a worker", function()
    it("calls neap.worker of the folder it is told", function()
      shell(("mkdir -p %s/w/neap"):format(folder))
      write("w/neap/worker.lua",
        "return function() print('hi') return 7 end")
      local said, status = neap("--worker", folder .. "/w")
      assert.equal("hi\n", said)
      assert.equal(7, status)
    end)
  end)
end)

-- What a script sees of Ctrl-C: SIGINT to it and its workers, which `press`
-- sends, in the script or in a worker.
local PRESS = [[
  local ffi, neap = require("ffi"), require("neap")
  local function press()
    local ffi = require("ffi")
    pcall(ffi.cdef, "int kill(int pid, int signal);")
    ffi.C.kill(0, 2)
  end
  local function press_in_worker() -- once the script waits
    require("ffi").cdef("int getppid(void);")
    local path = ("/proc/%d/stat"):format(require("ffi").C.getppid())
    repeat
      local file = io.open(path)
      local is_asleep = file:read("*a"):find(") S ", 1, true)
      file:close()
    until is_asleep
    press()
  end
]]

describe("Ctrl-C", function()
  local folder

  -- A group of its own; SIGINT may be ignored where the tests run.
  local function run(code)
    local path = support.write(folder .. "/script.lua", PRESS .. code)
    local said, status = shell("timeout -s KILL 20 setsid -w env "
      .. "--default-signal=INT " .. NEAP .. " " .. path)
    return said:gsub(path:gsub("%p", "%%%0"), "script.lua"), status
  end

  setup(function()
    folder = support.folder()
  end)

  teardown(function()
    shell("rm -r " .. folder)
  end)

  it("ends a wait for workers, and the script can save its position", function()
    local said, status = run([[
      local p = neap.range(9):map(function(x)
        return x == 4 and press_in_worker() or x
      end):prefetch({ workers = 1, chunk = 1, buffered = 1 })
      local ok, e = pcall(function()
        for i in p:each() do print(i) end
      end)
      print(ok, e.kind, e.message, e.index, p:position())
    ]])
    assert.equal("1\n2\n3\nfalse\tinterrupted\tscript.lua:21: interrupted!\t"
      .. "nil\t4\n", said)
    assert.equal(0, status)
  end)

  it("ends a script by the signal, with one line", function()
    local said, status = run([[
      local p = neap.range(9):map(function(x)
        return x == 4 and press_in_worker() or x
      end):prefetch({ workers = 1 })
      for _ in p:each() do end
    ]])
    assert.equal("neap: script.lua:20: interrupted!\n", said)
    assert.equal(130, status)
  end)

  it("ends compiled loops over workers and in place", function()
    for _, s in ipairs({
      "neap.range(2^40):prefetch({ workers = 1 })", "neap.range(2^40)",
      "neap.range(2^40):map(function(x) return x end)",
      "neap.range(2^40):map(function(x) return { x } end)",
      "neap.range(2^40):batch(2)",
    }) do
      local said = run(([[
        local s = %s
        print(select(2, pcall(function()
          for i in s:each() do
            if i == 1e6 then press() end
          end
        end)))
      ]]):format(s))
      assert.equal("script.lua:6: interrupted!\n", said, s)
    end
  end)

  it("is no item's error, which could be skipped", function()
    local said = run([[
      local function f(x)
        if x == 3 then press() end
        for _ = 1, 10 do x = x + 1 end
        return x
      end
      local s = neap.range(9):map(f):rescue(print):retry(2)
      print(select(2, pcall(function()
        for i in s:each({ on_error = "skip" }) do print(i) end
      end)))
    ]])
    assert.equal("1\n2\nscript.lua:6: interrupted!\n", said)
  end)

  it("kills at the second time", function()
    local said, status = run([[
      io.stdout:setvbuf("no")
      print(pcall(press))
      press()
      print("never")
    ]])
    assert.equal("false\tscript.lua:6: interrupted!\n", said)
    assert.equal(130, status)
  end)

  it("stays ignored in the background", function()
    local path = support.write(folder .. "/script.lua", PRESS
      .. "press() print('on')")
    assert.equal("on\n", (shell("setsid -w env --ignore-signal=INT " .. NEAP
      .. " " .. path)))
  end)
end)
