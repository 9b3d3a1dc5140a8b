-- SPDX-License-Identifier: MIT
-- Many items at once, in workers and (workers = 0) in the script.

local ffi = require("ffi")
local clock = require("neap.base.clock")
local neap = require("neap")

local function sleep(seconds)
  require("cqueues").sleep(seconds)
end

-- Waits for another time at each item, so that items overtake each other.
local function doze(i)
  require("cqueues").sleep(i * 7919 % 13 * 5e-4)
end

local function prefetched(s, workers, concurrency, options)
  local all = { workers = workers, concurrency = concurrency }
  for key, value in pairs(options or {}) do
    all[key] = value
  end
  return s:prefetch(all)
end

-- A table, a tensor or a number, as text that tells all its bits.
local function text_of(x)
  if type(x) == "table" then
    local parts = {}
    for key, value in pairs(x) do
      parts[#parts + 1] = tostring(key) .. "=" .. text_of(value)
    end
    table.sort(parts)
    return "{" .. table.concat(parts, ",") .. "}"
  elseif type(x) == "cdata" then
    return tostring(x)
  end
  return type(x) == "number" and ("%.17g"):format(x) or tostring(x)
end

local function read(p)
  local list = {}
  for i, x in p:each() do
    list[i] = text_of(x)
  end
  p:close()
  return list
end

-- -- Chains ------------------------------------------------------------------

local chains = {}

function chains.numbers()
  return neap.range(200):map(function(i)
    doze(i)
    return i / 7
  end)
end

function chains.random()
  return neap.range(100):random_map(function(i, rng)
    local a = rng:uniform()
    doze(i)
    return { a, rng:uniform(), rng:integer(1, 1000) }
  end, { seed = 3 }):shuffle(5)
end

-- Tensors of an item that waits lie in the slot, in rows and in scratch memory.
function chains.tensors()
  return neap.range(90):map(function(i)
    local scratch = neap.tensor("f64", { 4 }, { i, 2 * i, 3 * i, 4 * i })
    doze(i)
    local kept = neap.tensor("i32", { 2 }, { scratch[2] + 1, scratch[4] })
    doze(i + 1)
    return { kept, scratch:sum(), neap.tensor("u8", { 1 }, { i }) }
  end):batch(4)
end

function chains.stacked()
  return neap.range(64):map(function(i)
    doze(i)
    local x = neap.tensor("f32", { 2 }, { i, i * i })
    doze(i + 3)
    return x
  end):batch(4, { collate = neap.stack })
end

function chains.unbatched()
  return neap.range(64):map(function(i)
    doze(i)
    return { i, tostring(i) }
  end):batch(8):unbatch(8):map(function(x)
    doze(x[1])
    return x
  end)
end

function chains.iterated()
  return neap.from_iter(function()
    local i = 0
    return function()
      i = i + 1
      sleep(i % 5 == 0 and 2e-3 or 0)
      return i <= 60 and { i } or nil
    end
  end, { size = 60 })
end

-- A generator waits within a coroutine of its own.
function chains.generated()
  return neap.from_iter(function()
    return coroutine.wrap(function()
      for i = 1, 30 do
        doze(i)
        coroutine.yield(i * i)
      end
    end)
  end, { size = 30 }):map(function(x)
    local twice = coroutine.wrap(function()
      doze(x)
      coroutine.yield(2 * x)
    end)
    return twice()
  end)
end

function chains.rescued()
  return neap.range(60):map(function(i)
    doze(i)
    if i % 7 == 0 then
      error("no " .. i)
    end
    return i
  end):rescue(function(e)
    return e.message
  end)
end

describe("many items at once", function()
  for name, make in pairs(chains) do
    it("are those of one at a time: " .. name, function()
      local wanted = read(prefetched(make(), 1, 1))
      assert.is_true(#wanted > 0)
      for workers = 0, 2 do
        assert.same(wanted, read(prefetched(make(), workers, 8)))
        assert.same(wanted, read(prefetched(make(), workers, 3,
          { chunk = 4, buffered = 5 })))
      end
    end)
  end

  for workers = 0, 2 do
    local where = (" (workers = %d)"):format(workers)

    it("wait together" .. where, function()
      local p = prefetched(neap.range(120):map(function(i)
        sleep(0.1)
        return i
      end), workers, 60)
      local start, count = clock(), 0
      for i, x in p:each() do
        assert.equal(i, x)
        count = count + 1
      end
      assert.equal(120, count)
      assert.is_true(clock() - start < 8)
      assert.equal(120, p:stats().items)
      p:close()
    end)

    it("are read by index and again" .. where, function()
      local p = prefetched(neap.range(50):map(function(i)
        doze(i)
        return 2 * i
      end), workers, 8)
      for k = 1, 60 do
        local i = k * 37 % 50 + 1
        assert.equal(2 * i, p[i])
      end
      for i, x in p:each() do
        assert.equal(2 * i, x)
        assert.equal(2 * (51 - i), p[51 - i])
        if i == 20 then
          break
        end
      end
      p:seek(31)
      local sum = 0
      for _, x in p:each() do
        sum = sum + x
      end
      assert.equal(2 * (31 + 50) * 20 / 2, sum)
      p:close()
    end)

    it("that nobody waits for any more are ended" .. where, function()
      local p = prefetched(neap.range(1000):map(function(i)
        sleep(i % 2 == 0 and i < 500 and 3600 or 0)
        return i
      end), workers, 20)
      assert.equal(1, p[1])
      for i = 1, 5 do
        p:seek(i * 2 - 1)
        local step, state, control = p:each()
        assert.equal(i * 2 - 1, (select(2, step(state, control))))
      end
      p:seek(501)
      local start, count = clock(), 0
      for i, x in p:each() do
        assert.equal(i, x)
        count = count + 1
      end
      assert.equal(500, count)
      assert.is_true(clock() - start < 60)
      p:seek(2)
      start = clock()
      p:close()
      assert.is_true(clock() - start < 30)
    end)

    it("fail as one at a time does" .. where, function()
      local function make(concurrency)
        -- Alone in the script, cqueues would keep a controller of its own.
        local pause = concurrency > 1 and doze or function() end
        return prefetched(neap.range(40):map(function(i)
          return i
        end):map(function(i)
          pause(i)
          if i % 10 == 3 then
            local function deep()
              pause(i)
              error({ code = i })
            end
            deep()
          end
          return i
        end):map(function(i)
          pause(i)
          return i
        end), workers, concurrency)
      end
      local found = {}
      for _, concurrency in ipairs({ 1, 8 }) do
        local p = make(concurrency)
        for i in p:each({ on_error = "skip" }) do
          assert.is_true(i % 10 ~= 3)
        end
        local skipped = p:skipped()
        p:close()
        for k, e in ipairs(skipped) do
          -- A coroutine does not know the frames of the script's loop.
          local traceback = e.traceback:match("^.-\n.-\n[^\n]*")
          skipped[k] = { e.kind, e.message, e.stage, e.index, e.outer_stage,
            e.outer_index, traceback, e.cause, e.help }
        end
        assert.equal(4, #skipped)
        found[#found + 1] = skipped
      end
      assert.same(found[1], found[2])
    end)

    it("have a time each, while they wait" .. where, function()
      local p = prefetched(neap.range(60):map(function(i)
        sleep(i % 20 == 7 and 3600 or 0.01)
        return i
      end), workers, 30, { timeout = 0.5 })
      local start, count = clock(), 0
      for _ in p:each({ on_error = "skip" }) do
        count = count + 1
      end
      assert.equal(57, count)
      local skipped = p:skipped()
      assert.equal(3, #skipped)
      for k, e in ipairs(skipped) do
        assert.equal("timeout", e.kind)
        assert.equal(k * 20 - 13, e.index)
        assert.truthy(e.message:find("longer than timeout = 0.5 seconds, and w",
          1, true), e.message)
        assert.truthy(e.stage:find("map"))
        assert.truthy(e.traceback:find("many_spec"))
      end
      assert.equal(0, p:stats().restarts)
      assert.is_true(clock() - start < 30)
      p:close()
    end)

    it("cannot wait on after their time" .. where, function()
      local p = prefetched(neap.range(3):map(function(i)
        local waits = 0
        while i == 2 and waits < 30 do
          pcall(sleep, 3600)
          waits = waits + 1
        end
        return waits
      end), workers, 3, { timeout = 0.1 })
      assert.same({ 0, 30, 0 }, p:totable())
      p:close()
    end)

    it("are retried with delays in which others go on" .. where, function()
      local p = prefetched(neap.range(40):map(function(i)
        sleep(0.005)
        error("never " .. i, 0)
      end):retry(4, { delay = 0.05 }):rescue(function(e)
        return e.message
      end), workers, 40)
      local start = clock()
      assert.equal("never 40", p[40])
      for i, x in p:each() do
        assert.equal("never " .. i, x)
      end
      assert.is_true(clock() - start < 6)
      p:close()
    end)

    it("refuse what waits for nothing" .. where, function()
      local p = prefetched(neap.range(3):map(function(i)
        if i == 2 then
          coroutine.yield()
        elseif i == 3 then
          require("cqueues").poll({ pollfd = 12345, events = "r" })
        end
        return i
      end), workers, 3)
      for i in p:each({ on_error = "skip" }) do
        assert.equal(1, i)
      end
      local skipped = p:skipped()
      assert.truthy(skipped[1].message:find("cannot yield: the stage is"))
      assert.truthy(skipped[1].help:find("wait by cqueues"))
      assert.truthy(skipped[2].message:find("descriptor"), skipped[2].message)
      assert.equal(3, skipped[2].index)
      p:close()
    end)

    it("read each batch of an unbatch once" .. where, function()
      local path = os.tmpname()
      local p = prefetched(neap.range(64):map(function(i)
        return i
      end):batch(16):map(function(batch)
        local file = io.open(path, "a")
        file:write(".")
        file:close()
        sleep(0.02)
        return batch
      end):unbatch(16), math.min(workers, 1), 32)
      for i, x in p:each() do
        assert.equal(i, x)
      end
      p:close()
      local file = io.open(path)
      assert.equal(4, #file:read("*a"))
      file:close()
      os.remove(path)
    end)
  end

  it("come as completed", function()
    local p = prefetched(neap.range(40):map(function(i)
      sleep(i == 1 and 0.5 or 0)
      return i
    end), 1, 8, { order = false })
    local last, sum = 0, 0
    for _, x in p:each() do
      last, sum = x, sum + x
    end
    assert.equal(1, last)
    assert.equal(820, sum)
    p:close()
  end)

  it("that compute for too long cost their worker", function()
    local p = prefetched(neap.range(30):map(function(i)
      sleep(0.02)
      while i == 11 do end
      return i
    end), 1, 10, { timeout = 1 })
    local count = 0
    for _ in p:each({ on_error = "skip" }) do
      count = count + 1
    end
    assert.equal(29, count)
    local skipped = p:skipped()
    assert.equal("timeout", skipped[1].kind)
    assert.equal(11, skipped[1].index)
    assert.truthy(skipped[1].message:find("its worker was ended"))
    p:close()
  end)

  it("are computed again after a death, the culprit alone", function()
    ffi.cdef("int raise(int);")
    local path = os.tmpname()
    local p = prefetched(neap.range(100):map(function(i)
      local file = io.open(path, "a")
      file:write(i, "\n")
      file:close()
      sleep(0.05)
      if i == 50 then
        require("ffi").cdef("int raise(int);")
        require("ffi").C.raise(9)
      end
      return i
    end), 1, 100)
    for i, x in p:each({ on_error = "skip" }) do
      assert.equal(i, x)
    end
    local skipped = p:skipped()
    assert.equal(1, #skipped)
    assert.equal("death", skipped[1].kind)
    assert.equal(50, skipped[1].index)
    assert.truthy(skipped[1].message:find("3 times"))
    local counts = {}
    for line in io.lines(path) do
      counts[tonumber(line)] = (counts[tonumber(line)] or 0) + 1
    end
    for i = 1, 100 do
      assert.equal(100, #counts)
      assert.is_true(counts[i] <= (i == 50 and 3 or 2), i .. ": " .. counts[i])
    end
    assert.is_true(p:stats().restarts >= 2) -- the last may come late
    p:close()
    os.remove(path)
  end)

  it("may be several culprits, each computed alone", function()
    local p = prefetched(neap.range(80):map(function(i)
      sleep(i % 3 * 0.01)
      if i % 16 == 5 then
        os.exit(3)
      end
      sleep(0.005)
      return i
    end), 2, 20)
    local count = 0
    for i, x in p:each({ on_error = "skip" }) do
      assert.equal(i, x)
      count = count + 1
    end
    assert.equal(75, count)
    for k, e in ipairs(p:skipped()) do
      assert.equal("death", e.kind)
      assert.equal(k * 16 - 11, e.index)
    end
    p:close()
  end)

  it("tell a library that is not there", function()
    local path, cpath = package.path, package.cpath
    local loaded = package.loaded.cqueues
    package.loaded.cqueues, package.path, package.cpath = nil, "", ""
    local ok, e = pcall(function()
      return neap.range(3):prefetch({ workers = 0, concurrency = 2 })[1]
    end)
    package.loaded.cqueues, package.path, package.cpath = loaded, path, cpath
    assert.is_false(ok)
    assert.truthy(tostring(e):find("cannot have several items in work at once: "
      .. "the module 'cqueues' is not there\n", 1, true), tostring(e))
    assert.truthy(tostring(e):find("help: install it", 1, true))
  end)

  it("are limited", function()
    local ok, e = pcall(neap.prefetch, { 1 }, {
      workers = 2, concurrency = 2049,
    })
    assert.is_false(ok)
    assert.truthy(tostring(e):find("option 'concurrency': 2048 at most "
      .. "expected with workers = 2, got 2049", 1, true), tostring(e))
  end)
end)
