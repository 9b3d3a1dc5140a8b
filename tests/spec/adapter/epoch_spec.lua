-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local function text(s)
  return table.concat(s:totable(), " ")
end

describe("neap.epoch", function()
  it("leaves a chain without chance as it is", function()
    local s = neap.range(5):map(function(x) return -x end)
    assert.equal(text(s), text(s:epoch(9)))
    assert.equal(5, #neap.epoch(s, 9))
  end)

  it("is epoch 1 unless told", function()
    local s = neap.range(30):shuffle(4)
    assert.equal(text(s), text(s:epoch(1)))
    assert.are_not.equal(text(s), text(s:epoch(2)))
  end)

  it("reaches the stages under it, through all that lie between", function()
    local s = neap.range(30):shuffle(4)
    local wanted = text(s:epoch(3))
    assert.equal(wanted, text(s:map(function(x) return x end):batch(7)
      :map(function(list) return table.concat(list, " ") end):epoch(3)))
    assert.equal(wanted, text(neap.zip(s, s):map(function(x)
      return x[2]
    end):epoch(3)))
  end)

  it("leaves the stages above it alone", function()
    local s = neap.range(30)
    assert.equal(text(s:shuffle(5)), text(s:epoch(2):shuffle(5)))
  end)

  it("leaves other epochs of the same chain alone", function()
    local s = neap.range(30):shuffle(4)
    local two, three = s:epoch(2), s:epoch(3)
    assert.equal(text(two), text(s:epoch(2)))
    assert.are_not.equal(text(two), text(three))
    for i = 1, 30 do
      assert.equal(s:epoch(2)[i], two[i])
      assert.equal(s:epoch(3)[i], three[i])
    end
  end)

  it("counts the later of two in a row", function()
    local s = neap.range(30):shuffle(4)
    assert.equal(text(s:epoch(3)), text(s:epoch(2):epoch(3)))
    local p = s:prefetch({ workers = 0 })
    assert.equal(text(s:epoch(3)), text(p:epoch(2):epoch(3)))
  end)

  it("wants a positive whole number", function()
    for _, n in ipairs({ 0, -1, 1.5 }) do
      assert.equal("bad argument #1 to 'epoch' (positive integer expected, got "
        .. n .. ")" .. (n == 0 and "\nhelp: epochs count from 1" or ""),
        support.message(function()
        local _ = neap.range(3):epoch(n)
      end))
    end
  end)
end)
