-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

-- What a Lua `for` counts.
local function counted(first, last, step)
  local list = {}
  for x = first, last, step do
    list[#list + 1] = x
  end
  return list
end

describe("neap.range", function()
  it("counts from 1 to n", function()
    assert.same({ 1, 2, 3, 4 }, neap.range(4):totable())
    assert.same({}, neap.range(0):totable())
    assert.same({}, neap.range(-3):totable())
    assert.equal(0, #neap.range(-3))
  end)

  it("counts as a for does, up and down and in fractions", function()
    for _, words in ipairs({
      { 1, 10, 1 }, { 2, 10, 4 }, { 2, 9, 4 }, { 10, 1, -3 }, { 1, 10, -1 },
      { 10, 1, 1 }, { -5, 5, 5 }, { 0, 1, 0.25 }, { 1, 0, -0.125 },
      { 0.5, 3, 1 }, { 7, 7, 1 }, { 7, 7, -9 }, { -2 ^ 40, 2 ^ 40, 2 ^ 37 },
    }) do
      local list, s = counted(unpack(words)), neap.range(unpack(words))
      assert.same(list, s:totable())
      assert.equal(#list, #s)
    end
  end)

  it("ends at the last step before its end, however near that is", function()
    assert.equal(11, #neap.range(0, 1, 0.1))
    assert.equal(1, #neap.range(0, 1 - 2 ^ -20, 1))
    assert.equal(2 ^ 40, #neap.range(2 ^ 40))
  end)

  it("is long without cost", function()
    local s = neap.range(2 ^ 52)
    assert.equal(2 ^ 52, s:len())
    assert.equal(2 ^ 52, s[-1])
    assert.equal(123456789012, s[123456789012])
  end)

  it("is endless up to infinity", function()
    local s = neap.range(5, math.huge, 2)
    assert.equal(math.huge, s:len())
    assert.equal(5 + 2 * 99, s[100])
  end)

  it("refuses what is not a range", function()
    for message, words in pairs({
      ["bad argument #1 to 'range' (number expected, got no value)"] = {},
      ["bad argument #1 to 'range' (number expected, got nan)"] = { 0 / 0 },
      ["bad argument #2 to 'range' (number expected, got \"x\")"] = { 1, "x" },
      ["bad argument #3 to 'range' (number expected, got boolean)"] =
        { 1, 2, true },
      ["bad argument #3 to 'range' (step other than 0 expected, got 0)"] =
        { 1, 2, 0 },
      ["bad argument #2 to 'range' (fewer than 2^53 items expected)"] =
        { 1, 2 ^ 60 },
    }) do
      assert.equal(message, support.message(neap.range, unpack(words, 1, 3))
        :gsub("'%?'", "'range'"))
    end
  end)

  it("has a length whatever its ends", function()
    for _, words in ipairs({
      { math.huge, math.huge }, { -math.huge, -math.huge },
      { -math.huge, math.huge }, { 1, math.huge, math.huge },
    }) do
      local ok, s = pcall(neap.range, unpack(words))
      assert.truthy(not ok or s:len() >= 0, unpack(words))
    end
  end)

  it("shows its ends, and its step where it is not 1", function()
    assert.equal("range(1, 5): 5 items", tostring(neap.range(5)))
    assert.equal("range(2, 8, 3): 3 items", tostring(neap.range(2, 10, 3)))
    assert.equal("range(7, 7): 1 item", tostring(neap.range(7, 7)))
  end)

  it("cannot be assigned", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local s = neap.range(3)
    assert.equal("cannot assign: the items of range (tests/spec/source/"
      .. "range_spec.lua:" .. line .. ") are computed, not stored",
      support.message(function() s[1] = 2 end))
  end)
end)
