-- SPDX-License-Identifier: MIT
--- `neap run`: what it reads, prints and refuses.

local support = dofile("tests/spec/support.lua")

local LOADER = [[
local neap = require("neap")
return neap.loader{
  params = { count = 40, batch = 4, name = "digits", fails_at = 0 },
  build = function(p)
    print("building " .. p.name)
    return neap.range(p.count):map(function(i)
      if i == p.fails_at then
        error("no item " .. i)
      end
      return neap.tensor("f32", { 2 }, { i, i })
    end):batch(p.batch, { collate = neap.stack })
  end,
  prefetch = { workers = 1 },
}
]]

describe("neap run", function()
  local folder, path

  local function write(text)
    return support.write(folder .. "/other.lua", text)
  end

  local function run(...)
    return support.command({ "run", ... })
  end

  local function refused(status, message, ...)
    local r = run(...)
    assert.equal(message, r.err)
    assert.equal("", r.out)
    assert.equal(status, r.status)
  end

  setup(function()
    folder = support.folder()
    path = support.write(folder .. "/loader.lua", LOADER)
  end)

  teardown(function()
    support.shell("rm -r " .. folder)
  end)

  it("reads all items, and sums up on stdout", function()
    local r = run(path)
    assert.matches("^10 items of 1 epoch in %S+ m?s: %S+/s, %S+ k?B, "
      .. "%S+ %S+/s\nfirst item after %S+ m?s\n"
      .. "1 worker; waited %d+ %% of the time %(%S+ %S+%)\n$", r.out)
    assert.equal("building digits\n", r.err)
    assert.equal(0, r.status)
  end)

  it("reads chains without Lua, in workers or on threads", function()
    local native = write("return require('neap').loader{ build = function() "
      .. "return require('neap').range(20):shuffle() end,\n"
      .. "prefetch = { threads = 2 } }")
    assert.matches("\n2 threads; waited ", run(native).out)
    assert.matches("\n1 thread; waited ", run(native, "--threads", "1").out)
    assert.matches("\n1 worker; waited ", run(native, "--workers", "1").out)
    assert.matches("in place\n$", run(native, "--workers", "0").out)
    refused(2, ("neap: cannot open the loader %s: cannot prefetch on threads: "
      .. "map (%s:6) is not native: its function is one of Lua\n"
      .. "help: neap.native and neap.operation make functions that need no Lua"
      .. "\nbuilding digits\n"):format(path, path), path, "--threads", "2",
      "--quiet")
  end)

  it("takes parameters, workers, epochs and a limit", function()
    local r = run(path, "batch=8", "name=x = y", "--workers", "0",
      "--epochs", "3", "--limit", "2")
    assert.matches("^6 items of 3 epochs in ", r.out)
    assert.matches("\nno workers: computed in place\n$", r.out)
    assert.equal("building x = y\n", r.err)
  end)

  it("prints JSON", function()
    local r = run(path, "--json", "--epochs=2", "count=8")
    assert.equal(1, select(2, r.out:gsub("\n", "")))
    assert.matches('"epochs":2,', r.out)
    assert.matches('"items":4,', r.out)
    assert.matches('"parameters":{"batch":4,"count":8,"fails_at":0,'
      .. '"name":"digits"},', r.out, 1, true)
    assert.matches('"workers":1}\n$', r.out)
    assert.matches('"waited_share":[%d.e-]+,', r.out)
  end)

  it("is quiet", function()
    assert.equal("", run(path, "--quiet").out)
    assert.matches('"items":10', run(path, "--quiet", "--json").out)
  end)

  it("reads an endless sequence to a limit only", function()
    local endless = write("return require('neap').from(math.abs)")
    refused(2, ("neap: cannot read all items of %s: it is endless\n"
      .. "help: add --limit N\n"):format(endless), endless)
    assert.matches("^7 items", run(endless, "--limit", "7").out)
  end)

  it("reads an iterator to its end", function()
    local lines = write("return require('neap').from_iter(function() "
      .. "return ('a b c'):gmatch('%S') end)")
    assert.matches("^3 items", run(lines, "--workers", "0").out)
    assert.matches("^3 items", run(lines, "--workers", "1").out)
  end)

  it("ends with status 1 at an item's error", function()
    for workers = 0, 1 do
      local r = run(path, "fails_at=6", "--workers=" .. workers)
      assert.matches("no item 6", r.err)
      assert.matches("map %(" .. path:gsub("%p", "%%%0") .. ":6%)", r.err)
      assert.equal("", r.out)
      assert.equal(1, r.status)
    end
  end)

  it("says no more than that at Ctrl-C", function()
    local r = run(write("return require('neap').range(2):map(function() "
      .. "error('interrupted!') end)"), "--workers=0")
    assert.equal("neap: interrupted\n", r.err)
    assert.equal(130, r.status)
  end)

  it("refuses what the loader does not know", function()
    local start = ("neap: cannot open the loader %s: %s:2: "):format(path, path)
    refused(2, start .. "unknown parameter 'cuont'; known are batch, count, "
      .. "fails_at, name\nhelp: did you mean 'count'?\n", path, "cuont=1")
    refused(2, start .. "parameter 'count': integer expected, got \"x\"\n",
      path, "count=x")
    refused(2, ("neap: cannot open the loader %s: parameter 'count' is given "
      .. "twice\n"):format(path), path, "count=1", "count=2")
  end)

  it("refuses what it does not know itself", function()
    local start = "neap: cannot run neap run: "
    refused(2, start .. "unknown option '--wrokers'\n"
      .. "help: did you mean '--workers'?\n", path, "--wrokers", "1")
    refused(2, start .. "unknown option '--batch'\nhelp: a parameter of the "
      .. "loader is written without dashes: batch=64\n", path, "--batch=8")
    refused(2, start .. "--workers: whole number expected, got 'many'\n"
      .. "help: see `neap help run`\n", path, "--workers", "many")
    refused(2, start .. "--limit: whole number, 1 or more, expected, got '0'\n"
      .. "help: see `neap help run`\n", path, "--limit", "0")
    refused(2, start .. "name=value expected, got 'batch'\n"
      .. "help: see `neap help run`\n", path, "batch")
    refused(2, start .. "missing argument 'file'\n"
      .. "help: see `neap help run`\n")
  end)

  it("refuses files that are no loaders", function()
    local none = folder .. "/none.lua"
    refused(2, ("neap: cannot open the loader %s: No such file or directory\n")
      :format(none), none)
    for text, why in pairs({
      ["return 7"] = "it returned 7, not a loader\n"
        .. "help: return what neap.loader{...} makes, or a sequence",
      ["x = = 1"] = "%s:1: unexpected symbol near '='",
      ["os.exit(0)"] = "%s:1: it called os.exit",
      ["error({ code = 7 })"] = "%s: it raised a table {code = 7}",
    }) do
      local other = write(text)
      local r = run(other)
      assert.equal(2, r.status)
      assert.equal(("neap: cannot open the loader %s: "):format(other)
        .. why:gsub("%%s", other), (r.err:gsub("\n$", ""):gsub("\n.*stack.*",
          "")))
    end
  end)

  it("ends a child that the loader file forks", function()
    local r = run(write("require('ffi').cdef('int fork(void);')\n"
      .. "require('ffi').C.fork()\nreturn { 1, 2 }"), "--workers", "0")
    assert.equal(1, select(2, r.out:gsub("2 items", "")))
    assert.equal(0, r.status)
  end)

  it("does not take a closed pipe for an error", function()
    local said = support.shell(("{ %s run %s --workers=0; echo status $? >&2; "
      .. "} | :"):format(support.QUOTED_NEAP, path))
    assert.equal("building digits\nstatus 0\n", said)
  end)

  it("takes a full disk for one", function()
    local said, status = support.shell(("%s run %s >/dev/full"):format(
      support.QUOTED_NEAP, path))
    assert.matches("neap: cannot write to stdout: No space left on device\n",
      said)
    assert.equal(1, status)
  end)

  it("shows a bar on a terminal, unless it is to be quiet", function()
    if support.shell("command -v script") == "" then
      pending("there is no script(1)")
      return
    end
    local command = ("script -qec %s /dev/null"):format(support.quote(
      ("stty cols 100; %s run %s --epochs 2"):format(support.QUOTED_NEAP,
        path)))
    local said = support.shell(command)
    assert.matches("\repoch 1/2   0%% %[%.+%]  0/10 ", said)
    assert.matches("\repoch 2/2 100%% %[#+%] 10/10 +%S+/s, %S+ %S+/s, waited "
      .. "%d+ %%, 0:00, 0:00 left\r\r?\n", said)
    assert.falsy(support.shell(command:gsub("%-%-epochs 2", "--quiet"))
      :find("[#", 1, true))
    assert.falsy(run(path).err:find("[#", 1, true))
  end)

  it("names the package of argparse, if it is not there", function()
    for _, words in ipairs({ { "run", path }, { "help", "run" } }) do
      local r = support.command(words, { env = "env LUA_PATH='/none/?.lua'" })
      assert.equal("neap: cannot read the command line: there is no Lua module "
        .. "argparse\nhelp: install it: apt-get install lua-argparse, or "
        .. "luarocks install argparse\n", r.err)
      assert.equal(1, r.status)
    end
  end)

  it("shows what --help does", function()
    local r = run("--help")
    assert.matches("^Usage: neap run ", r.out)
    assert.matches("%-%-epochs N", r.out)
    assert.equal(r.out, support.command({ "help", "run" }).out)
  end)
end)
