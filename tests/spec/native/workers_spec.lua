-- SPDX-License-Identifier: MIT
--- Chains without Lua in worker processes, which map no LuaJIT, and on threads:
-- items, errors, and all that a prefetch offers are those of Lua's workers.

local ffi = require("ffi")
local neap = require("neap")
local evaluate = dofile("tests/spec/native/chain_support.lua")
local support = dofile("tests/spec/support.lua")

local KERNEL = "tests/spec/native/kernel.c"
local FILE = "tests/spec/native/workers_spec.lua"
local STACK = { collate = neap.stack }

ffi.cdef("int setenv(const char *name, const char *value, int overwrites);")
assert(ffi.C.setenv("XDG_CACHE_HOME", support.folder(), 1) == 0)

local function kernel(decl, args, more)
  local options = { source = KERNEL, decl = decl, args = args }
  for key, value in pairs(more or {}) do
    options[key] = value
  end
  return neap.native(options)
end

local half = kernel("double half(double x)")
local check = kernel("int check_below(double x, double limit, double *out)",
  { x = "item", limit = 5, out = { out = "f64", shape = {} } },
  { error = "const char *reason(int status)" })
local crash = kernel("double crash_at(double x, double at)",
  { x = "item", at = 4 })

local function prefetch(s, options)
  return support.close_later(neap.prefetch(s, options))
end

local function images(count)
  local t = neap.tensor("u8", { count, 20, 20 })
  for k = 0, t.nbytes - 1 do
    t:ptr()[k] = k * 7 % 251
  end
  return t
end

local function batches()
  local t = images(300) -- which lies in the heap
  return neap.zip({
    image = neap.from(t):map(neap.operation("to", "f32", 1 / 255)),
    label = neap.range(300):map(half),
  }):shuffle(3):batch(32, STACK)
end

-- Ways to compute without Lua.
local WAYS = {
  { workers = 1 }, { workers = 2, chunk = 3 }, { threads = 1 },
  { threads = 3, chunk = 2 }, { workers = 2, slot_bytes = 2 ^ 20 },
}

local function each_way(f)
  for _, options in ipairs(WAYS) do
    local copy = {}
    for name, value in pairs(options) do
      copy[name] = value
    end
    f(copy)
  end
end

-- The text of an error but for its worker.
local function text_of(e)
  return (tostring(e):gsub("\n  in worker %d", ""))
end

-- The processes of a prefetch are not neap, and map no LuaJIT.
local function map_no_lua(p)
  local count = 0
  for _, worker in ipairs(p:stats().workers) do
    if worker.pid > 0 then -- else it has not started yet
      local maps = support.read(("/proc/%d/maps"):format(worker.pid))
      assert.falsy(maps:find("luajit", 1, true))
      assert.truthy(maps:find("bin/neap-native\n", 1, true))
      count = count + 1
    end
  end
  return count
end

describe("workers without Lua", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("map no LuaJIT", function()
    local p = prefetch(batches(), { workers = 2 })
    assert.equal(10, #support.items(p))
    assert.truthy(map_no_lua(p) >= 1)
    local program = support.NEAP .. "-native"
    assert.falsy(support.read(program):find("LuaJIT 2", 1, true))
    assert.truthy(support.read(support.NEAP):find("LuaJIT 2", 1, true))
    local lua = prefetch(neap.range(4), { workers = 1,
      on_start = function() end })
    assert.equal(4, #support.items(lua))
    assert.truthy(support.read(("/proc/%d/maps"):format(
      lua:stats().workers[1].pid)):find("bin/neap\n", 1, true))
  end)

  it("compute the items of Lua's workers", function()
    local chains = {
      batches(), neap.range(40), neap.range(7):map(half):shuffle(),
      neap.from(images(50)[4]), neap.from({}), neap.zip({ a = { 1, 2 } }),
      neap.from(images(50)):slice(7, 40, 3),
    }
    for _, s in ipairs(chains) do
      for epoch = 1, 2 do
        local wanted = evaluate.by_lua_workers(s, epoch)
        each_way(function(options)
          local p = prefetch(s, options)
          assert.same(wanted, evaluate.by_index(p:epoch(epoch)))
          p:close()
        end)
      end
    end
  end)

  it("have the items as they were", function()
    local large, small = images(300), images(1)
    local s = neap.zip(neap.from(large), neap.rep(small[1]))
    each_way(function(options)
      large:fill(1)
      small:fill(1)
      local p = prefetch(s, options)
      large:fill(2)
      small:fill(2)
      for _, x in p:each() do
        assert.equal(1, x[1]:get(3, 3))
        assert.equal(1, x[2]:get(3, 3))
      end
      p:close()
    end)
  end)

  it("are read in any order, moved, and closed", function()
    each_way(function(options)
      local p = prefetch(neap.range(1000):map(half), options)
      p:seek(500)
      for i, x in p:each() do
        assert.equal(i / 2, x)
        if i == 700 then
          break
        end
      end
      assert.equal(701, p:position())
      assert.equal(4.5, p[9])
      assert.equal(500, p[-1])
      local seen = 0
      for i, x in p:epoch(2):each() do
        assert.equal(i / 2, x)
        seen = seen + 1
        if i == 30 then
          p:seek(990)
          break
        end
      end
      for i in p:each() do
        assert.truthy(i >= 990)
        seen = seen + 1
      end
      assert.equal(41, seen)
      local kept
      for _, x in prefetch(batches(), options):each() do
        kept = kept or neap.keep(x)
      end
      p:close()
      assert.equal("f32", kept.image.dtype)
      assert.truthy(support.message(function() return p[1] end):find("closed"))
    end)
  end)

  it("deliver as completed", function()
    each_way(function(options)
      options.order = false
      local sum, count = 0, 0
      for i, x in prefetch(neap.range(500):map(half), options):each() do
        assert.equal(i / 2, x)
        sum, count = sum + x, count + 1
      end
      assert.equal(500, count)
      assert.equal(500 * 501 / 4, sum)
    end)
  end)

  it("tell an item's error as Lua's workers do", function()
    local chains = {
      neap.range(9):map(check), neap.range(9):map(check):map(half),
      neap.zip({ a = neap.range(12):map(check):shuffle() }):batch(4, STACK),
      neap.range(9):map(half):map(check):slice(2) .. neap.range(9):map(check),
    }
    for _, s in ipairs(chains) do
      local lua = prefetch(s, { workers = 1, on_start = function() end })
      local good = {}
      for i in lua:each({ on_error = "skip" }) do
        good[#good + 1] = i
      end
      each_way(function(options)
        local p = prefetch(s, options)
        for i = 1, #s do
          local wanted = support.raised(function() return lua[i] end)
          local e = support.raised(function() return p[i] end)
          assert.equal(text_of(wanted), text_of(e))
          assert.same(wanted and wanted.way, e and e.way)
        end
        local read = {}
        for i in p:each({ on_error = "skip" }) do
          read[#read + 1] = i
        end
        assert.same(good, read)
        assert.equal(#lua:skipped(), #p:skipped())
        p:close()
      end)
      lua:close()
    end
  end)

  it("pass the cause on", function()
    neap.errors("passthrough")
    each_way(function(options)
      local p = prefetch(neap.range(9):map(check), options)
      assert.equal("check_below of kernel.c failed: it returned 2 (it is too "
        .. "large)", support.raised(function() return p[7] end))
      p:close()
    end)
    neap.errors("wrap")
  end)

  it("ask anew for an item that does not fit the slot of its run", function()
    local s = neap.from(images(40)):map(neap.operation("to", "f64"))
    for _, options in ipairs({ { workers = 1 }, { threads = 2 } }) do
      options.slot_bytes, options.chunk = 2 ^ 16, 40
      local p = prefetch(s, options)
      for i, x in p:each() do
        assert.same(s[i]:totable(), x:totable())
      end
      p:close()
    end
    local e = support.raised(function()
      return prefetch(s:batch(40, STACK), { workers = 1,
        slot_bytes = 2 ^ 16 })[1]
    end)
    assert.equal("room", e.kind)
  end)

  it("name the function that a worker died of", function()
    local p = prefetch(neap.range(6):map(crash), { workers = 2, retries = 1,
      chunk = 1 })
    local e = support.raised(function() return p[4] end)
    assert.equal("death", e.kind)
    assert.equal(("a worker died of this item, 2 times; the last by %s, while "
      .. "it called crash_at of kernel.c"):format(support.is_asan
      and "exit status 1" or "signal 11 (Segmentation fault)"), e.message)
    assert.equal(5, p[5])
    assert.truthy(p:stats().restarts >= 1) -- the last one may be on its way
  end)

  it("tell of a file that is not the one that was opened", function()
    local path = os.tmpname()
    support.write(path, ("x"):rep(100))
    local s = neap.raw(path, "u8", { 10 })
    local p = prefetch(s, { workers = 1 })
    local q = prefetch(s, { threads = 1 })
    support.write(path, ("x"):rep(35))
    for _, t in ipairs({ p, q }) do
      local e = support.raised(function() return t[1] end)
      assert.equal("worker", e.kind)
      assert.truthy(e.message:find(path, 1, true))
      t:close()
    end
    os.remove(path)
    collectgarbage()
    collectgarbage()
  end)

  it("report the time of each stage", function()
    each_way(function(options)
      local p = prefetch(batches(), options)
      for epoch = 1, 30 do
        support.items(p:epoch(epoch))
      end
      local report, names = p:report(), {}
      for _, stage in ipairs(report.stages) do
        names[#names + 1] = stage.name:match("^%S+")
      end
      assert.same({ "map", "map", "zip", "batch", "(indexes," }, names)
      assert.truthy(report.timed > 1)
      assert.equal(300, report.items)
      for _, stage in ipairs(report.stages) do
        assert.truthy(stage.seconds >= 0)
      end
      local calls = report.stages[1].calls
      assert.truthy(calls > 8000 and calls < 10000, calls)
      p:close()
      assert.equal(300, p:stats().items)
    end)
  end)

  it("write saved datasets", function()
    local path = support.folder() .. "/saved"
    neap.save(batches(), path, { workers = 2 })
    assert.same(evaluate.by_index(batches()),
      evaluate.by_index(neap.load(path)))
    assert.truthy(support.message(neap.save, neap.range(9):map(check),
      path .. "2", { workers = 2 }):find("check_below", 1, true))
  end)
end)

describe("a prefetch on threads", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("refuses a chain with the first stage that is not native", function()
    local line = debug.getinfo(1, "l").currentline + 2
    local s = neap.range(9):map(half)
      :map(function(x) return x end):batch(2)
    assert.equal(("cannot prefetch on threads: map (%s:%d) is not native: its "
      .. "function is one of Lua\nhelp: neap.native and neap.operation make "
      .. "functions that need no Lua"):format(FILE, line),
      support.message(neap.prefetch, s, { threads = 2 }))
  end)

  it("refuses what only processes have", function()
    local s = neap.range(9)
    for name, value in pairs({ workers = 2, timeout = 1, memory = 2 ^ 30,
      retries = 1, concurrency = 2, on_start = function() end }) do
      local message = support.message(neap.prefetch, s,
        { threads = 2, [name] = value })
      assert.truthy(message:find("bad argument #2 to 'prefetch' (option '"
        .. name .. "' does not go with threads: ", 1, true), message)
    end
    assert.truthy(support.message(neap.prefetch, s, { threads = 0 }):find(
      "option 'threads': positive integer expected, got 0", 1, true))
    assert.truthy(support.message(neap.prefetch, s, { threads = 1000 }):find(
      "option 'threads': 512 at most expected, got 1000", 1, true))
  end)

  it("starts no process", function()
    local p = prefetch(batches(), { threads = 2 })
    assert.equal(10, #support.items(p))
    for _, worker in ipairs(p:stats().workers) do
      assert.equal(ffi.C.getpid(), worker.pid)
    end
  end)

  it("stacks integers of 64 bits that are numbers", function()
    local big = kernel("int64_t big(int64_t x)")
    local s = neap.range(6):map(big)
    assert.same({ "f64 3 " }, { evaluate.by_index(prefetch(neap.range(-2 ^ 60,
      -2 ^ 60 + 512, 256):map(big):batch(3, STACK),
      { threads = 1 }))[1]:match("^f64 3 ") })
    local e = support.raised(function()
      return prefetch(s:batch(3, STACK), { threads = 1 })[1]
    end)
    assert.equal("cannot stack: item 1 is a 64-bit integer beyond 2^53, which "
      .. "a number does not hold", e.message)
  end)

  it("is collected", function()
    for _ = 1, 5 do
      local p = neap.prefetch(batches(), { threads = 2 })
      assert.equal("f32", p[2].image.dtype)
    end
    collectgarbage()
    collectgarbage()
    collectgarbage()
  end)
end)
