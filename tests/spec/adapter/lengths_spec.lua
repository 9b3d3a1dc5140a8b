-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

describe("lengths", function()
  it("are those of strings, lists and tensors unless told", function()
    assert.same({ 2, 0, 3, 0, 4 }, neap.lengths({ "ab", "", { 1, 2, 3 }, {},
      neap.tensor("u8", { 4, 2 }) }):totable())
  end)

  it("are an i64 tensor, which a node of its own has", function()
    local s = neap.lengths({ "ab" })
    assert.equal("from(tensor i64 1): 1 item", tostring(s))
    assert.equal("from(tensor i64 0): 0 items", tostring(neap.lengths({})))
  end)

  it("may be 64-bit integers", function()
    assert.same({ 5 }, neap.lengths({ 1 }, function() return 5LL end)
      :totable())
  end)

  it("are refused if they are none", function()
    for _, x in ipairs({ 1.5, -1, "x", 0 / 0, math.huge }) do
      assert.truthy(support.message(neap.lengths, { 1 }, function()
        return x
      end):find("^cannot take lengths: that of item 1 must be a whole number, "
        .. "0 or more, got .*\nhelp: the function gets an item and returns its "
        .. "length$"))
    end
    local e = support.raised(function() neap.lengths({ "a", { x = 1 } }) end)
    assert.equal(2, e.index)
    assert.equal("cannot tell the length: the item is a table of fields",
      e.message)
    assert.equal("neap.lengths(s, function(x) return #x.tokens end)", e.help)
  end)
end)
