-- SPDX-License-Identifier: MIT
--- What p:stats() and p:report() tell, with workers and without.

local ffi = require("ffi")
local clock = require("neap.base.clock")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local FILE = debug.getinfo(1, "S").short_src

local function prefetch(s, options)
  local p = s:prefetch(options)
  support.close_later(p)
  return p
end

local function slow(x)
  clock.sleep(0.004)
  return x
end

local function quick(x)
  return x + 1
end

local function run(p)
  for _ in p:each() do end -- luacheck: ignore
  return p
end

-- The stage of a report that was made at a line.
local function stage_at(report, line)
  local name = ("map (%s:%d)"):format(FILE, line)
  for _, stage in ipairs(report.stages) do
    if stage.name == name then
      return stage
    end
  end
  error(("no %s in\n%s"):format(name, tostring(report)))
end

local function line_here()
  return debug.getinfo(2, "l").currentline
end

describe("the statistics of a prefetch", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  for _, workers in ipairs({ 0, 2 }) do
    it(("are the same with workers = %d"):format(workers), function()
      local p = run(prefetch(neap.range(30):map(slow), { workers = workers }))
      local stats = p:stats()
      assert.equal(30, stats.items)
      assert.equal(workers, #stats.workers)
      assert.truthy(stats.busy >= 0.1, stats.busy)
      assert.truthy(stats.seconds > 0 and stats.wait > 0)
      assert.truthy(math.abs(stats.rate - 30 / stats.seconds) < 1e-6)
    end)

    it(("print as a table with workers = %d"):format(workers), function()
      local p = run(prefetch(neap.range(30):map(slow), { workers = workers }))
      local text = tostring(p:stats())
      assert.truthy(text:find("^30 items in [%d.]+ %a+: [%d.]+ items/s"), text)
      assert.truthy(text:find("\nthe script waited [%d.]+ %a+ %(%d+ %%%)"),
        text)
      local _, lines = text:gsub("\n%d +%d+ +[%d.]+ %a+ +[%d.]+ %a+", "")
      assert.equal(workers, lines, text)
    end)

    it(("print before the first read with workers = %d"):format(workers),
      function()
        local p = prefetch(neap.range(30), { workers = workers })
        assert.truthy(tostring(p:stats()):find("^0 items in 0 s"))
        assert.truthy(tostring(p:report()):find("Too little was read"))
      end)

    it(("stay after close with workers = %d"):format(workers), function()
      local p = run(prefetch(neap.range(30):map(slow), { workers = workers }))
      local text = tostring(p:report())
      p:close()
      p:close()
      assert.equal(30, p:stats().items)
      assert.equal(text, tostring(p:report()))
    end)
  end
end)

describe("the report of a prefetch", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  for _, workers in ipairs({ 0, 1, 2 }) do
    it(("tells calls and time by stage with workers = %d"):format(workers),
      function()
        local s = neap.range(80):map(slow)
        local line = line_here() - 1
        local p = run(prefetch(s:map(quick):shuffle(1):batch(4),
          { workers = workers }))
        local report = p:report()
        local first, sum = stage_at(report, line), 0
        assert.equal(80, first.calls)
        assert.truthy(first.share > 0.9, first.share)
        assert.truthy(first.seconds > 0.25, first.seconds)
        assert.truthy(stage_at(report, line + 2).share < 0.05)
        for _, stage in ipairs(report.stages) do
          sum = sum + stage.share
        end
        assert.truthy(math.abs(sum - 1) < 1e-9, sum)
        assert.truthy(report.timed >= 1 and report.timed <= 20, report.timed)
        assert.truthy(tostring(report):find(first.name, 1, true))
      end)
  end

  it("counts each stage of a chain with caches, rescues and unbatches",
    function()
      local s = neap.range(40):map(function(x)
        clock.sleep(0.002)
        return x % 5 == 0 and error("five") or { x }
      end)
      local line = line_here() - 4
      local p = prefetch(s:rescue(function() return { 0 } end):cache(3)
        :unbatch(1), { workers = 1, chunk = 1 })
      local items = p:totable()
      for i = 1, 40 do
        assert.equal(i % 5 == 0 and 0 or i, items[i])
      end
      local report = p:report()
      assert.equal(40, stage_at(report, line).calls)
      assert.truthy(stage_at(report, line).share > 0.8)
    end)

  it("computes each batch once", function()
    for _, workers in ipairs({ 0, 1 }) do
      local calls = {}
      local p = prefetch(neap.range(40):map(function(x)
        calls[x] = (calls[x] or 0) + 1
        return slow(calls[x])
      end):batch(4):unbatch(4), { workers = workers, chunk = 1 })
      for _, count in p:each() do
        assert.equal(1, count)
      end
      assert.truthy(p:report().timed >= 1, p:report().timed)
    end
  end)

  it("counts the calls of a debug once", function()
    local calls = 0
    local p = prefetch(neap.range(20):map(slow):debug(function()
      calls = calls + 1
    end, { max_calls = 7 }), { workers = 0 })
    run(p)
    assert.equal(7, calls)
  end)

  it("says that the workers limit", function()
    local p = run(prefetch(neap.range(100):map(slow), { workers = 1 }))
    local report = p:report()
    assert.equal("workers", report.limit)
    assert.truthy(report.advice:find("The workers limit: they computed for "
      .. "%d+ %% of the time, and the script waited for %d+ %%%.\nhelp: "),
      report.advice)
    assert.truthy(report.advice:find("make map (", 1, true), report.advice)
  end)

  it("says that the script limits", function()
    local p = prefetch(neap.range(100):map(quick), { workers = 1 })
    for _ in p:each() do
      clock.sleep(0.002)
    end
    local report = p:report()
    assert.equal("script", report.limit)
    assert.truthy(report.advice:find("^The script limits: items were ready"))
    assert.truthy(report.wait_share < 0.1 and report.busy_share < 0.5)
  end)

  it("says that the script computes its items itself", function()
    local p = run(prefetch(neap.range(20):map(slow), { workers = 0 }))
    assert.equal("place", p:report().limit)
    assert.truthy(p:report().advice:find("(workers = 0).\nhelp: let workers",
      1, true))
  end)

  it("goes on where a worker died", function()
    local p = prefetch(neap.range(60):map(slow), { workers = 1, chunk = 1 })
    for i in p:each() do
      if i == 30 then
        ffi.C.kill(p:stats().workers[1].pid, 9)
      end
    end
    assert.truthy(p:report().timed >= 1, p:report().timed)
  end)
end)

describe("a monitor inside a prefetch", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  for _, workers in ipairs({ 0, 1, 2 }) do
    it(("counts what is read with workers = %d"):format(workers), function()
      local m = neap.range(50):map(slow):monitor()
      local p = prefetch(m:batch(2), { workers = workers })
      assert.error_matches(function() m:throughput() end, "before the first")
      run(p)
      local delay, rate = m:read_delay(), m:throughput()
      assert.truthy(delay >= 0.004 and delay < 0.1, delay)
      assert.truthy(math.abs(rate * delay - 1) < 1e-9)
      p:close()
      assert.equal(delay, m:read_delay())
      m:reset()
      assert.error_matches(function() m:read_delay() end, "before the first")
    end)
  end

  it("adds up what is read in several places", function()
    local m = neap.range(10):map(slow):monitor()
    local p = prefetch(m, { workers = 1 })
    run(p)
    local before = m:read_delay()
    assert.equal(1, m[1])
    assert.truthy(m:read_delay() ~= before)
  end)
end)
