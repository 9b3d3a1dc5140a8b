-- SPDX-License-Identifier: MIT
--- A resource per process: opened once where it is first used, closed when the
-- process ends. What is opened and closed is seen in a file, to which each adds
-- a line.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local FILE = "tests/spec/prefetch/per_worker_spec.lua"

local folder, log

-- Returns a resource that notes when it is opened and closed. Its value is a
-- table, which only its process has.
local function noted(name)
  local path = log
  local function note(what)
    local file = io.open(path, "a")
    if file then -- else the test is over
      file:write(what, " ", name, "\n")
      file:close()
    end
  end
  return neap.per_worker(function()
    note("open")
    return { uses = 0 }
  end, function(value)
    note("close")
    value.uses = -1
  end)
end

local function notes()
  local file = io.open(log)
  local text = file and file:read("*a"):gsub("\n$", ""):gsub("\n", ", ") or ""
  if file then
    file:close()
  end
  return text
end

local function use(resource)
  return function()
    local value = resource()
    value.uses = value.uses + 1
    return value.uses
  end
end

local function prefetch(s, options)
  return support.close_later(neap.prefetch(s, options))
end

describe("neap.per_worker", function()
  before_each(function()
    support.remember()
    folder = support.folder()
    log = folder .. "/log"
  end)

  after_each(function()
    support.check_leaks()
    os.execute("rm -r " .. folder)
  end)

  it("opens at the first use, once, and closes with the worker", function()
    local p = prefetch(neap.range(50):map(use(noted("db"))), { workers = 1 })
    assert.equal("", notes())
    for i, x in p:each() do
      assert.equal(i, x)
    end
    assert.equal("open db", notes())
    p:close()
    assert.equal("open db, close db", notes())
  end)

  it("opens one in each worker that uses it", function()
    local db = noted("db")
    local p = prefetch(neap.range(3), { workers = 3, on_start = db })
    assert.equal(1, p[1])
    assert.truthy(support.await(5, function()
      return notes() == "open db, open db, open db"
    end))
    p:close()
    assert.equal("open db, open db, open db, close db, close db, close db",
      notes())
  end)

  it("is one resource for all stages and tables that it is in", function()
    local db = noted("db")
    local tools = { nested = { db = db } }
    local p = prefetch(neap.range(3):map(use(db)):map(function(x)
      local value = tools.nested.db()
      value.uses = value.uses + 10
      return x
    end), { workers = 1 })
    assert.same({ 1, 12, 23 }, p:totable())
    p:close()
    assert.equal("open db, close db", notes())
  end)

  it("is one resource where a module has it, too", function()
    support.write(folder .. "/resource_module.lua", [[
      local neap = require("neap")
      local M = {}
      M.db = neap.per_worker(function() return { uses = 0 } end)
      function M.use()
        local value = M.db()
        value.uses = value.uses + 1
        return value.uses
      end
      return M
    ]])
    local path = package.path
    package.path = folder .. "/?.lua;" .. path
    finally(function()
      package.path = path
      package.loaded.resource_module = nil
    end)
    local M = require("resource_module")
    local db, use_it = M.db, M.use
    assert.equal(1, use_it())
    local p = prefetch(neap.range(3):map(function()
      return use_it() + 10 * db().uses + 100 * M.db().uses
    end), { workers = 1 })
    assert.same({ 111, 222, 333 }, p:totable())
  end)

  it("opens anew in the worker that replaces a dead one", function()
    local db = noted("db")
    local p = prefetch(neap.range(6):map(function(i)
      local value = db()
      value.uses = value.uses + 1
      if i == 4 and value.uses > 1 then
        local libc = require("ffi")
        libc.cdef("int kill(int, int); int getpid(void);")
        libc.C.kill(libc.C.getpid(), 9)
      end
      return value.uses
    end), { workers = 1, chunk = 1 })
    assert.same({ 1, 2, 3, 1, 2, 3 }, p:totable())
    p:close()
    assert.equal("open db, open db, close db", notes())
  end)

  it("opens in the script where items are computed there", function()
    local db = noted("db")
    local s = neap.range(3):map(use(db))
    assert.equal(1, s[1])
    assert.equal(2, prefetch(s, { workers = 0 })[1])
    assert.equal(3, db().uses + 1)
    assert.equal(1, prefetch(s, { workers = 1 })[1])
    assert.equal("open db, open db", notes())
  end)

  it("is closed when nothing refers to it any more", function()
    do
      local db = noted("db")
      db()
    end
    collectgarbage()
    collectgarbage()
    assert.equal("open db, close db", notes())
  end)

  it("may hold nil or false, and need not be closed", function()
    local p = prefetch(neap.range(2):map(function()
      return 1
    end):map((function()
      local calls = 0
      local nothing = neap.per_worker(function() calls = calls + 1 end)
      local no = neap.per_worker(function() calls = calls + 1 return false end)
      return function()
        return { tostring(nothing()), no(), calls }
      end
    end)()), { workers = 1 })
    assert.same({ { "nil", false, 2 }, { "nil", false, 2 } }, p:totable())
  end)

  it("fails the item where opening raises, and tries again for the next",
    function()
      local tries = 0
      local db = neap.per_worker(function()
        tries = tries + 1
        return tries > 1 and tries or error("not yet")
      end)
      local line = debug.getinfo(1, "l").currentline - 2
      for _, workers in ipairs({ 1, 0 }) do
        tries = 0
        local p = prefetch(neap.range(3):map(function() return db() end),
          { workers = workers })
        local e = support.raised(function() return p[1] end)
        assert.equal(("%s:%d: not yet"):format(FILE, line), e.message)
        assert.truthy(e.traceback:find(("%s:%d: in"):format(FILE, line), 1,
          true))
        assert.equal(1, e.index)
        assert.same({ 2, 2 }, { p[2], p[3] })
      end
    end)

  it("fails the item where opening returns nil and a reason", function()
    local db = neap.per_worker(function()
      return io.open("/nonexistent/file")
    end)
    local line = debug.getinfo(1, "l").currentline - 3
    local p = prefetch(neap.range(3):map(function() return db() end),
      { workers = 1 })
    assert.equal(("cannot open: the function at %s:%d returned nil: "
      .. "/nonexistent/file: No such file or directory"):format(FILE, line),
      support.raised(function() return p[1] end).message)
  end)

  it("has arguments that are checked", function()
    assert.equal("bad argument #1 to 'per_worker' (function expected, got 3)",
      support.message(neap.per_worker, 3))
    assert.equal("bad argument #2 to 'per_worker' (function expected, got 3)",
      support.message(neap.per_worker, print, 3))
  end)

  it("refuses what cannot travel in its functions", function()
    local file = io.tmpfile()
    local db = neap.per_worker(function() return file end)
    local line = debug.getinfo(1, "l").currentline - 1
    local message = support.message(function()
      local _ = neap.range(1):map(function() return db() end)
        :prefetch({ workers = 1 })
    end)
    file:close()
    assert.truthy(message:find(("^cannot send the function at %s:%d to a "
      .. "worker: its upvalue 'file' is a file; "):format(FILE, line)), message)
  end)
end)

describe("a process that ends closes what per_worker opened", function()
  local SCRIPT = [[
    local neap = require("neap")
    local first = neap.per_worker(function() return io.tmpfile() end,
      function(file)
        file:write("x")
        file:close()
        io.stderr:write("first ")
      end)
    local second = neap.per_worker(function()
      first()
      return 2
    end, function(x) io.stderr:write("second ", x, " ") end)
    second()
  ]]
  local WORKER = [[
    local p = neap.range(3):map(function() return second() end)
      :prefetch({ workers = 1 })
    print(p[1])
  ]]

  for name, code in pairs({
    ["a script at its end"] = "",
    ["a script at an error"] = "error()",
    ["a script at os.exit with close"] = "os.exit(0, true)",
    ["a script at the end of its Lua state, in plain luajit"] = "luajit",
  }) do
    it("the last one first: " .. name, function()
      local path = support.write(os.tmpname(), SCRIPT .. (code == "luajit"
        and "" or code))
      finally(function() os.remove(path) end)
      local said = support.shell(("%s %s"):format(code == "luajit"
        and ("LUA_PATH='%s' luajit"):format(package.path)
        or support.QUOTED_NEAP, path))
      assert.equal("second 2 first ", said)
    end)
  end

  it("a worker, when the script ends without close()", function()
    local run = support.run(SCRIPT:gsub("second%(%)\n[^\n]*$", "") .. WORKER)
    assert.equal("2\n", run.out)
    assert.equal("second 2 first ", run.err)
  end)

  it("not at os.exit, nor where a signal ends it", function()
    assert.equal("", support.run(SCRIPT .. "os.exit(0)").err)
    assert.equal("", support.run(SCRIPT .. [[
      local ffi = require("ffi")
      ffi.cdef("int kill(int, int); int getpid(void);")
      ffi.C.kill(ffi.C.getpid(), 15)
    ]]).err)
  end)

  it("and tells of a close that raises, and goes on", function()
    local run = support.run(SCRIPT .. [[
      local third = neap.per_worker(first, function() error("stuck", 0) end)
      third()
    ]])
    assert.equal(("neap: cannot close what per_worker opened (%s:13): stuck\n"
      .. "second 2 first "):format(run.path), run.err)
    assert.equal(0, run.status)
  end)
end)
