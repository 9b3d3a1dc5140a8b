-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

-- string.sub is the model of both ends.
local ALPHABET = "abcdefghij"
local letters = {}
for letter in ALPHABET:gmatch(".") do
  letters[#letters + 1] = letter
end

describe("neap.slice", function()
  it("counts both ends as string.sub does", function()
    for first = -12, 12 do
      for last = -12, 12 do
        local s = neap.slice(letters, first, last)
        assert.equal(ALPHABET:sub(first, last), table.concat(s:totable()))
        assert.equal(#ALPHABET:sub(first, last), #s)
      end
      assert.equal(ALPHABET:sub(first),
        table.concat(neap.slice(letters, first):totable()))
    end
  end)

  it("reads backwards from first down to last", function()
    for first = -12, 12 do
      for last = -12, 12 do
        local s = neap.slice(letters, first, last, -1)
        local low, high = last, first
        if first == 0 or first < -10 then
          high = -11 -- before the first letter
        end
        local wanted = high == -11 and ""
          or ALPHABET:sub(low == 0 and 1 or low, high)
        assert.equal(wanted:reverse(), table.concat(s:totable()))
      end
    end
    assert.equal(ALPHABET:reverse(),
      table.concat(neap.slice(letters, nil, nil, -1):totable()))
  end)

  it("steps over items", function()
    for first = 1, 10 do
      for last = 1, 10 do
        for _, step in ipairs({ 1, 2, 3, 7, 20, -1, -2, -3, -20 }) do
          local wanted = {}
          for i = first, last, step do
            wanted[#wanted + 1] = letters[i]
          end
          assert.same(wanted, neap.slice(letters, first, last, step):totable())
        end
      end
    end
  end)

  it("is a view, through which it stores", function()
    local t = { 1, 2, 3, 4 }
    local s = neap.slice(t, 4, 1, -2)
    t[2] = "two"
    assert.same({ 4, "two" }, s:totable())
    s[1] = "four"
    assert.same({ 1, "two", 3, "four" }, t)
  end)

  it("slices what has no end", function()
    local endless = neap.from(function(i) return i end)
    local s = endless:slice(5, nil, 3)
    assert.equal(math.huge, s:len())
    assert.equal(5 + 3 * 1000, s[1001])
    assert.truthy(tostring(s):find(": endless$"))
    assert.same({ 3, 4, 5 }, endless:slice(3, 5):totable())
    assert.equal(math.huge, endless:slice(2, math.huge):len())
    assert.equal(9, endless:slice(2):slice(3):slice(6)[1])
  end)

  it("refuses to count from an end that is not there", function()
    local endless = neap.from(function(i) return i end)
    for _, words in ipairs({ { -1 }, { 1, -1 }, { nil, nil, -1 } }) do
      assert.equal("calling 'slice' on bad self (sequence with an end "
        .. "expected, got an endless one)", support.message(function()
        local _ = endless:slice(unpack(words, 1, 3))
      end))
    end
  end)

  it("refuses what is no index or step", function()
    for message, words in pairs({
      ["#1 to 'slice' (whole number expected, got \"a\")"] = { "a" },
      ["#2 to 'slice' (whole number expected, got 1.5)"] = { 1, 1.5 },
      ["#3 to 'slice' (step other than 0 expected, got 0)"] = { 1, 2, 0 },
      ["#3 to 'slice' (whole number expected, got 0.5)"] = { 1, 2, 0.5 },
    }) do
      for _, s in ipairs({ neap.range(3), neap.from(print) }) do
        assert.equal("bad argument " .. message, support.message(function()
          local _ = s:slice(unpack(words, 1, 3))
        end))
      end
    end
  end)

  it("shows its ends and its step", function()
    assert.equal("slice(range(1, 10), 2, 8, 3): 3 items",
      tostring(neap.range(10):slice(2, 9, 3)))
  end)

  it("resolves a thousand of its kind", function()
    local s = neap.range(3000)
    for _ = 1, 900 do
      s = s:slice(2)
    end
    assert.equal(2100, #s)
    assert.equal(901, s[1])
    assert.equal(3000, s[-1])
  end)

  it("has steps whose product has more than 64 bits", function()
    local step = 2 ^ 32
    local n = 2 * step
    local s = (neap.range(n):slice(1, nil, step) .. neap.range(n))
      :slice(1, nil, step)
    assert.same({ 1, step - 1, n - 1 }, s:totable())
  end)

  it("is over as many parts as one makes of concats", function()
    local s = neap.from({ 0 })
    for k = 1, 5000 do
      s = s .. { k }
    end
    assert.equal(5001, #s)
    assert.same({ 0, 2500, 5000 }, { s[1], s[2501], s[-1] })
    assert.same({ 4000, 5000 }, s:slice(4001, nil, 1000):totable())
  end)
end)
