-- SPDX-License-Identifier: MIT
--- What workers warn their host of.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

describe("a worker", function()
  local texts

  before_each(function()
    support.remember()
    texts = {}
    neap.warnings(function(text)
      texts[#texts + 1] = text
    end)
  end)
  after_each(function()
    neap.warnings()
    support.check_leaks()
  end)

  -- What is told of a function that two workers call.
  local function told(f, options)
    options = options or { workers = 2, chunk = 1 }
    local p = support.close_later(neap.range(200):map(f):prefetch(options))
    for _ in p:each() do end -- luacheck: ignore
    p:close()
    return texts[1], #texts
  end

  it("tells of math.random, once, and where", function()
    local random = math.random
    local line = debug.getinfo(1, "l").currentline + 2
    local text, count = told(function(x)
      local y = math.random(1, 6) + random(6) * random()
      return x + 0 * y
    end)
    assert.equal(1, count)
    assert.truthy(text:find(("math.random is called in a worker, at .*"
      .. "watch_spec.lua:%d: "):format(line)), text)
    assert.truthy(text:find("\nhelp: use random_map"))
  end)

  it("draws the numbers of math.random as before", function()
    told(function(x)
      local a, b, c = math.random(), math.random(5), math.random(7, 9)
      assert(a >= 0 and a < 1 and b >= 1 and b <= 5 and c >= 7 and c <= 9)
      return x
    end)
  end)

  it("does not tell of math.random in on_start, nor of random_map", function()
    assert.is_nil(told(function(x) return x end, {
      workers = 1, on_start = function() return math.random() end,
    }))
  end)

  it("tells of a table that it writes to", function()
    local seen = {}
    local text, count = told(function(x)
      seen[x] = true
      return x
    end)
    assert.equal(1, count)
    assert.truthy(text:find("a worker has written to the table 'seen' of the "
      .. "script, of the function at .*watch_spec.lua:%d+: "), text)
    assert.truthy(text:find("\nhelp: return it in the item"))
    assert.same({}, seen)
  end)

  it("tells of a field of a table within a table", function()
    local config = { image = { size = 1 } }
    assert.truthy(told(function(x)
      config.image.size = config.image.size + x
      return x
    end):find("the table 'config.image' of", 1, true))
  end)

  it("calls no code of the script to tell it", function()
    local odd = setmetatable({}, {
      __tostring = error, __index = error, __metatable = "odd",
    })
    local list = { [odd] = odd }
    assert.truthy(told(function(x)
      list[odd] = list[odd] and x
      return x
    end):find("the table 'list' of", 1, true))
  end)

  it("tells of a number that it counts in", function()
    local count = 0
    assert.truthy(told(function(x)
      count = count + 1
      return x
    end):find("has set the variable 'count' of the script", 1, true))
    assert.equal(0, count)
  end)

  it("tells of a large tensor that it writes to", function()
    local mean = neap.tensor("f32", { 100000 })
    assert.truthy(told(function(x)
      mean[1] = x
      return x
    end):find("a worker has written to a tensor of the script, of 400000 bytes",
      1, true))
    assert.equal(0, mean[1])
  end)

  it("does not tell of what it only reads, or opens at first use", function()
    local data, open = neap.tensor("f32", { 100000 }, 1), nil
    local config = { 1, 2, size = { 3 } }
    assert.is_nil(told(function(x)
      open = open or { x }
      local mine = { x }
      mine[2] = config.size[1] + data[x] + #open
      return mine
    end))
  end)
end)
