-- SPDX-License-Identifier: MIT
--- Fingerprints: the same for what is the same, and other ones for the rest.

local fingerprint = require("neap.travel.fingerprint")
local neap = require("neap")

local function text(x)
  local key = fingerprint(x)
  return tostring(key[0]) .. tostring(key[1])
end

local function adder(n)
  return function(x) return x + n end
end

describe("a fingerprint", function()
  it("does not depend on the order of keys", function()
    local a, b = {}, {}
    for k = 1, 100 do
      a["key" .. k], b["key" .. 101 - k] = k, 101 - k
    end
    assert.equal(text(a), text(b))
  end)

  it("is that of the code and the upvalues", function()
    assert.equal(text(adder(1)), text(adder(1)))
    assert.not_equal(text(adder(1)), text(adder(2)))
    assert.not_equal(text(function(x) return x + 1 end),
      text(function(x) return x - 1 end))
    assert.equal(text(function(x) return x .. "a" end),
      text(function(x) return x .. "a" end))
  end)

  it("does not change when a function is compiled", function()
    local function f(n)
      local sum = 0
      for k = 1, n do
        sum = sum + k
      end
      return sum
    end
    local before = text(f)
    for _ = 1, 1000 do
      f(100)
    end
    assert.equal(before, text(f))
  end)

  it("tells values apart", function()
    local seen = {}
    local values = {
      1, "1", true, false, {}, { 1 }, { { 1 } }, { 1, 2 }, { [2] = 1 }, "",
      { a = 1 }, { b = 1 }, 1LL, 1ULL, math.sin, math.cos, 0.1, -1, 1e300,
      neap.tensor("u8", { 2 }, { 1, 2 }), neap.tensor("u8", { 2 }, { 1, 3 }),
      neap.tensor("i8", { 2 }, { 1, 2 }), neap.tensor("u8", { 1, 2 }, { 1, 2 }),
      neap.range(3), neap.range(4), neap.range(3):shuffle(1),
      neap.range(3):shuffle(2), { "a", "bc" }, { "ab", "c" },
    }
    for k = 1, #values do
      local key = text(values[k])
      assert.is_nil(seen[key], tostring(values[k]))
      seen[key] = true
      assert.equal(key, text(values[k]))
    end
  end)

  it("takes cycles and shared upvalues", function()
    local function knot()
      local t, f = {}, nil
      function f() return f, t end
      t.f, t.t = f, t
      return t
    end
    assert.equal(text(knot()), text(knot()))
  end)
end)
