-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

describe("neap.map", function()
  it("calls its function with the items of all its sequences", function()
    local s = neap.map(function(x, y, z) return x .. y .. z end,
      { "a", "b" }, neap.range(2), { "x", "y" })
    assert.same({ "a1x", "b2y" }, s:totable())
  end)

  it("takes further sequences as a method too", function()
    local s = neap.range(3):map(function(x, y) return x * y end, { 4, 5, 6 })
    assert.same({ 4, 10, 18 }, s:totable())
  end)

  it("passes nil and false on, and keeps them", function()
    local seen = {}
    local s = neap.from(function(i) return i ~= 1 and nil end, 2)
      :map(function(...)
        seen[#seen + 1] = select("#", ...) .. tostring((...))
        return (...)
      end)
    assert.same({ n = 2, [1] = false }, support.items(s))
    assert.same({ "1false", "1nil" }, seen)
  end)

  it("keeps the first value that its function answers", function()
    local s = neap.map(function(x) return x, "more" end, { 1, 2 })
    assert.same({ { 1, 1 }, { 2, 2 } }, neap.zip(s, s):totable())
    assert.same({ n = 2 }, support.items(neap.map(function() end, { 1, 2 })))
  end)

  it("takes a function of C", function()
    assert.same({ 1, 2 }, neap.map(math.abs, { -1, -2 }):totable())
  end)

  it("ends where the finite ones of its sequences end", function()
    local endless = neap.from(function(i) return i end)
    assert.equal(2, #neap.map(math.max, endless, { 5, 0 }))
    assert.same({ 5, 2 }, neap.map(math.max, endless, { 5, 0 }):totable())
    assert.equal(math.huge, endless:map(math.abs):len())
  end)

  it("refuses lengths that differ, when it is made", function()
    assert.equal("bad argument #3 to 'map' (2 items expected, got 3: lengths "
      .. "must agree)\n"
      .. "help: s:slice(1, n) cuts the longer one", support.message(function()
      local _ = neap.map(math.max, { 1, 2 }, { 1, 2, 3 })
    end))
    assert.equal("bad argument #2 to 'map' (2 items expected, got 3: lengths "
      .. "must agree)\n"
      .. "help: s:slice(1, n) cuts the longer one", support.message(function()
      local _ = neap.range(2):map(math.max, { 1, 2, 3 })
    end))
  end)

  it("is quick to make over a long chain, and right", function()
    local s = neap.range(5)
    for _ = 1, 500 do
      s = s:map(function(x) return x + 1 end)
    end
    assert.same({ 501, 502, 503, 504, 505 }, s:totable())
    assert.equal(503, s[3])
  end)

  it("takes a hundred sequences", function()
    local all = {}
    for k = 1, 100 do
      all[k] = neap.range(k, k + 1):map(function(x) return x end)
    end
    local s = neap.map(function(...) return select(100, ...) end, unpack(all))
    assert.same({ 100, 101 }, s:totable())
  end)

  it("sees the item that it was called for, not a later one", function()
    local s = neap.range(3):map(function(x) return function() return x end end)
    local list = s:totable()
    assert.same({ 1, 2, 3 }, { list[1](), list[2](), list[3]() })
  end)

  it("may read other sequences in its function", function()
    local squares = neap.range(5):map(function(x) return x * x end)
    local s = neap.range(5):map(function(x) return squares[x] + squares[-x] end)
    assert.same({ 26, 20, 18, 20, 26 }, s:totable())
  end)

  it("cannot be assigned", function()
    local s = neap.map(math.abs, { 1 })
    assert.truthy(support.message(function() s[1] = 2 end)
      :find("^cannot assign: the items of map %(.+%) are computed"))
  end)
end)
