-- SPDX-License-Identifier: MIT
--- A cache keeps whatever an item is, and lets the item read longest ago go.

local ffi = require("ffi")
local neap = require("neap")

describe("a cache", function()
  it("keeps items that are no value at all", function()
    local odd = { [2] = false, [3] = ffi.cast("void *", nil), [4] = {} }
    local calls = 0
    local s = neap.range(4):map(function(i)
      calls = calls + 1
      return odd[i]
    end):cache()
    for _ = 1, 3 do
      assert.is_nil(s[1])
      assert.is_false(s[2])
      assert.equal("cdata", type(s[3]))
      assert.equal(odd[4], s[4])
    end
    assert.equal(4, calls)
  end)

  it("lets go what was read longest ago", function()
    local calls = {}
    local s = neap.range(9):map(function(i)
      calls[#calls + 1] = i
      return i > 1 and i or nil
    end):cache(2)
    for _, i in ipairs({ 1, 2, 1, 3, 1, 2, 2, 1, 3 }) do
      local _ = s[i]
    end
    assert.same({ 1, 2, 3, 2, 3 }, calls)
  end)

  it("stores through, what it keeps too", function()
    local list = { 10, 20, 30 }
    local s = neap.cache(list)
    assert.equal(10, s[1])
    s[1], s[2] = 11, 21
    assert.same({ 11, 21, 30 }, s:totable())
    assert.same({ 11, 21, 30 }, list)
  end)

  it("answers what was stored as a read does", function()
    local rows = neap.tensor("f32", { 2, 3 })
    local s = neap.from(rows):cache()
    local _ = s[1]
    s[1] = { 1, 2, 3 }
    assert.equal("f32", s[1].dtype)
    local twice = neap.cycle({ 1, 2 }, 2):cache()
    assert.same({ 1, 2, 1, 2 }, twice:totable())
    twice[1] = 5
    assert.same({ 5, 2, 5, 2 }, twice:totable())
  end)
end)
