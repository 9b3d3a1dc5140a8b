-- SPDX-License-Identifier: MIT
--- Sequences of more items than 2^53: each index up to the length exists, and
-- is the right item.

local ffi = require("ffi")
local neap = require("neap")
local exact = require("neap.base.exact")
local support = dofile("tests/spec/support.lua")

local int64 = ffi.typeof("int64_t")

-- Item i of a cycle over 1 .. n.
local function item(i, n)
  return tonumber((int64(i) - 1) % n) + 1
end

describe("a count beyond 2^53", function()
  it("is never more than there is", function()
    for _, count in ipairs({
      0LL, 2LL ^ 53, 2LL ^ 53 + 1, 2LL ^ 53 + 3, 2LL ^ 60 - 1, 2LL ^ 62 + 511,
      27021597764222967LL,
    }) do
      local n = exact.number(count)
      assert.truthy(int64(n) <= count)
      assert.truthy(int64(n * (1 + 2 ^ -51)) + 1 >= count)
    end
  end)

  it("is refused from 2^63 on", function()
    local long = neap.range(1000):cycle(9e15)
    for code, message in pairs({
      ["long .. long"] =
        "bad argument #2 to '..' (fewer than 2^63 items in all expected)",
      ["neap.interleave({1}, long, long)"] = "bad argument #3 to 'interleave' "
        .. "(fewer than 2^63 items in all expected)",
      ["long:cycle(2)"] =
        "bad argument #1 to 'cycle' (fewer than 2^63 items expected)",
      ["neap.shuffle(long)"] =
        "bad argument #1 to 'shuffle' (2^62 items at most expected)",
    }) do
      local call = loadstring("local neap, long = ... local s = " .. code, "=u")
      assert.equal(message, support.message(call, neap, long))
    end
  end)
end)

describe("a sequence of more items than 2^53", function()
  local seed = support.seed("exact_spec")

  -- A cycle that has them: its length is a number and its true one may be more.
  local function long_cycle()
    local n = math.random(2, 500)
    return neap.range(n):cycle(2 ^ 53 - math.random(2 ^ 20)), n
  end

  local function places(s)
    local length = s:len()
    return { 1, 2, length, -1, -length, math.floor(length * (1 - 2 ^ -53)),
      math.floor(length * math.random()) }
  end

  local function check(s, at)
    local text = ("NEAP_SEED=%d: %s"):format(seed, tostring(s))
    for _, i in ipairs(places(s)) do
      local forwards = i > 0 and int64(i) or int64(s:len()) + (1 + int64(i))
      assert.equal(at(int64(tonumber(forwards))), s[i], text)
    end
  end

  it("is read up to its end", function()
    for _ = 1, 200 do
      local s, n = long_cycle()
      check(s, function(i) return item(i, n) end)
    end
  end)

  it("has slices", function()
    for _ = 1, 200 do
      local s, n = long_cycle()
      local first, step = math.random(1e6), math.random(5)
      check(s:slice(first, nil, step), function(i)
        return item(first + step * (i - 1), n)
      end)
      local length = int64(s:len())
      check(s:slice(nil, first, -step), function(i)
        return item(length - step * (i - 1), n)
      end)
    end
  end)

  it("has others after it and beside it", function()
    for _ = 1, 200 do
      local s, n = long_cycle()
      check(neap.range(5) .. s, function(i)
        return i <= 5 and tonumber(i) or item(i - 5, n)
      end)
      check(neap.interleave(s, neap.rep(0, 3)), function(i)
        return i > 6 and item(i - 3, n) or i % 2 == 0 and 0
          or item((i + 1) / 2, n)
      end)
    end
  end)

  it("is shuffled", function()
    local s, n = long_cycle()
    local shuffled = s:shuffle(seed)
    for _, i in ipairs(places(shuffled)) do
      assert.truthy(shuffled[i] >= 1 and shuffled[i] <= n)
    end
  end)
end)

describe("an index around 2^31", function()
  it("is read right, in order and not", function()
    local function itself(i)
      return i
    end
    local whole = neap.from(itself)
    for name, s in pairs({
      cycle = neap.range(2 ^ 32):cycle(),
      concat = neap.concat(neap.range(7), whole),
      slice = whole:slice(8),
      shifted = neap.concat(neap.range(2 ^ 31), whole),
    }) do
      local model = { cycle = 0, concat = -7, slice = 7 }
      for i = 2 ^ 31 - 300, 2 ^ 31 + 300 do
        local wanted = model[name] and i + model[name]
          or i > 2 ^ 31 and i - 2 ^ 31 or i
        assert.equal(wanted, s[i])
        assert.equal(wanted, s[i])
      end
      assert.equal(s[1], s:slice(1, 1)[1])
    end
  end)
end)
