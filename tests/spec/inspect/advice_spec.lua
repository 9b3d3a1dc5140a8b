-- SPDX-License-Identifier: MIT
--- Which number of workers is recommended.

local advise = require("neap.inspect.advice")
local C = require("neap.base.lib").C

-- Rates of 0, 1, 2, 4 ... workers.
local function chosen(rates, report)
  local rows, workers = {}, 0
  for k, rate in ipairs(rates) do
    rows[k] = {
      workers = workers, rate = rate,
      efficiency = workers > 0 and rate / (workers * rates[2]) or nil,
      report = report or { stages = {}, limit = "workers" },
    }
    workers = math.max(1, 2 * workers)
  end
  local row, why = advise(rows)
  return row.workers, why
end

describe("the recommended number of workers", function()
  it("is the smallest that is nearly as good as the best", function()
    local workers, why = chosen({ 100, 98, 190, 199, 205 })
    assert.equal(2, workers)
    assert.equal("more workers add less than 11 %", why)
  end)

  it("is the last while the rate grows", function()
    local cores = C.neap_cores()
    local workers, why = chosen({ 100, 90, 130 })
    assert.equal(2, workers)
    local says = cores > 2 and "it still grows with the workers\nhelp: "
      or cores == 2 and "it grows up to the 2 cores; more workers help only"
      or "it grows beyond the 1 cores"
    assert.equal(says, why:sub(1, #says))
    workers, why = chosen({ 100, 100, 120 })
    assert.equal(2, workers)
    assert.equal("each of them does 60 % of what one does alone", why)
  end)

  it("is 0 for items that are cheaper to compute than to get", function()
    local workers, why = chosen({ 1e8, 1e6, 2e6 })
    assert.equal(0, workers)
    assert.equal("an item takes 10.0 ns to compute, and 1.00 us to get from a "
      .. "worker\nhelp: batch items, so that fewer and larger ones come", why)
    assert.matches("\nhelp: other programs may use the cores",
      (select(2, chosen({ 100, 10, 20 }))))
  end)

  it("comes with the dearest stage, if it stands out", function()
    local _, why = chosen({ 100, 99 }, { limit = "workers", stages = {
      { name = "map (a.lua:1)", share = 0.7 },
      { name = "(indexes, writing items)", share = 0.3 },
    } })
    assert.matches("\nhelp: map (a.lua:1) takes 70 % of the computing: make it "
      .. "cheaper", why, 1, true)
  end)
end)
