-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local function is_permutation(s)
  local seen, n = {}, #s
  for _, x in s:each() do
    if seen[x] or x < 1 or x > n or x % 1 ~= 0 then
      return false
    end
    seen[x] = true
  end
  return true
end

describe("neap.shuffle", function()
  it("answers each item once, whatever the length", function()
    for n = 0, 300 do
      assert.is_true(is_permutation(neap.range(n):shuffle(n)))
    end
    for _, n in ipairs({ 1023, 1024, 1025, 4095, 4097 }) do
      assert.is_true(is_permutation(neap.range(n):shuffle(7)))
    end
  end)

  it("has an order for each seed and each epoch, the same each time", function()
    local s = neap.range(50)
    local function order(seed, epoch)
      return table.concat(s:shuffle(seed):epoch(epoch):totable(), " ")
    end
    local seen = {}
    for seed = 1, 8 do
      for epoch = 1, 8 do
        local text = order(seed, epoch)
        assert.equal(text, order(seed, epoch))
        assert.is_nil(seen[text])
        seen[text] = true
      end
    end
    assert.equal(order(1, 1), table.concat(s:shuffle():totable(), " "))
  end)

  it("takes any whole number for a seed", function()
    for _, seed in ipairs({ 0, -1, 2 ^ 52, -2 ^ 52 }) do
      assert.is_true(is_permutation(neap.range(20):shuffle(seed)))
    end
  end)

  it("is a permutation after a permutation", function()
    local s = neap.range(100):shuffle(3):shuffle(3):shuffle(4)
    assert.is_true(is_permutation(s))
    assert.are_not.same(neap.range(100):totable(), s:totable())
  end)

  it("shuffles what no memory holds", function()
    local s = neap.range(2 ^ 50):shuffle(5)
    local x = s[2 ^ 49]
    assert.truthy(x >= 1 and x <= 2 ^ 50 and x % 1 == 0)
    assert.equal(x, s[2 ^ 49])
    assert.are_not.equal(x, s[2 ^ 49 + 1])
  end)

  it("stores where its items come from, in its epoch", function()
    for epoch = 1, 3 do
      local t = { 1, 2, 3, 4, 5, 6, 7, 8 }
      local s = neap.shuffle(t, 3):epoch(epoch)
      for i = 1, 8 do
        s[i] = -s[i]
      end
      assert.same({ -1, -2, -3, -4, -5, -6, -7, -8 }, t)
    end
  end)

  it("wants an end and a whole seed", function()
    assert.equal("calling 'shuffle' on bad self (sequence with an end expected,"
      .. " got an endless one)\n"
      .. "help: s:slice(1, n) has an end", support.message(function()
      local _ = neap.from(print):shuffle()
    end))
    assert.equal("bad argument #2 to 'shuffle' (whole number expected, got "
      .. "0.5)", support.message(function()
      local _ = neap.shuffle({ 1 }, 0.5)
    end))
  end)
end)
