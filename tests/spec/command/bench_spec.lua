-- SPDX-License-Identifier: MIT
--- `neap bench`: what it measures and recommends. (What a machine is fast at is
-- not tested; the choice is, in tests/spec/inspect/advice_spec.lua.)

local support = dofile("tests/spec/support.lua")

local LOADER = [[
local neap = require("neap")
return neap.loader{
  params = { count = 50, fails = false },
  build = function(p)
    local s = neap.range(p.count):map(function(i)
      if p.fails then
        error("no item")
      end
      return neap.tensor("f32", { 100 })
    end)
    return s
  end,
}
]]

describe("neap bench", function()
  local path

  setup(function()
    path = support.write(os.tmpname(), LOADER)
  end)

  teardown(function()
    os.remove(path)
  end)

  local function bench(...)
    return support.command({ "bench", path, "--seconds=0.1", ... })
  end

  it("measures threads where the loader has threads", function()
    local other = support.write(os.tmpname(),
      "return require('neap').range(2^40):prefetch({ threads = 1 })")
    local r = support.command({ "bench", other, "--seconds=0.05",
      "--workers=2" })
    os.remove(other)
    assert.equal("", r.err)
    assert.matches("^ threads +items +bytes +efficiency +busy +waited\n", r.out)
    assert.matches("\n       2  ", r.out)
    assert.matches("\nuse %l+ = [012]: ", r.out)
  end)

  it("prints a row for each number of workers, and what to use", function()
    local r = bench("--workers", "3")
    assert.equal("", r.err)
    assert.equal(0, r.status)
    assert.matches("^ workers +items +bytes +efficiency +busy +waited\n", r.out)
    local rows = {}
    for workers in r.out:gmatch("\n +(%d+)  +%S+/s  +%S+ %S+/s  ") do
      rows[#rows + 1] = tonumber(workers)
    end
    assert.same({ 0, 1, 2, 3 }, rows)
    assert.matches("\n +1  +%S+/s  +%S+ %S+/s +100 %% ", r.out)
    assert.matches("\ntime of an item with %d workers?\n  map %(", r.out)
    assert.matches("\nuse workers = [0123]: ", r.out)
  end)

  it("prints JSON", function()
    local r = bench("--workers=1", "--json", "count=9")
    assert.equal(1, select(2, r.out:gsub("\n", "")))
    assert.matches('"parameters":{"count":9,"fails":false}', r.out, 1, true)
    assert.matches('"efficiency":1,', r.out, 1, true)
    assert.matches('"what":"the script waits"}', r.out, 1, true)
    assert.matches('"workers":[01]}\n$', r.out)
  end)

  it("reads an iterator once", function()
    local lines = support.write(os.tmpname(), [[
      return require("neap").from_iter(function()
        return ("a b c"):gmatch("%S")
      end)]])
    local r = support.command({ "bench", lines, "--seconds=0.1",
      "--workers=1" })
    os.remove(lines)
    assert.equal("", r.err)
    assert.equal(0, r.status)
  end)

  it("ends at an item's error", function()
    local r = bench("fails=true")
    assert.matches("no item\n", r.err)
    assert.equal(1, r.status)
  end)
end)
