-- SPDX-License-Identifier: MIT
--- Arithmetic, comparisons, clamp and where, against plain loops.

local models = dofile("tests/spec/tensor/operation/models.lua")
local neap = require("neap")

local random = math.random
local NUMBERS = models.NUMBERS
local ALL = models.ALL
local raises = models.raises
local NAN = models.NAN
local random_shape = models.random_shape
local random_tensor = models.random_tensor
local random_part = models.random_part
local stretched = models.stretched
local single = models.single
local stored = models.stored
local is_narrow = models.is_narrow
local number_of = models.number_of
local operand = models.operand
local check_each = models.check_each
local ROUNDS = models.ROUNDS

local ARITHMETIC = {
  add = function(x, y) return x + y end,
  sub = function(x, y) return x - y end,
  mul = function(x, y) return x * y end,
  div = function(x, y) return x / y end,
}
local TESTS = {
  eq = function(x, y) return x == y end,
  lt = function(x, y) return x < y end,
  gt = function(x, y) return x > y end,
}

-- 64-bit integers here: what doubles compute exactly.
local function is_exact(name, x, y, result)
  return not name:find("64") or name == "f64"
    or math.abs(result) < 2^52 and math.abs(x) < 2^52 and math.abs(y) < 2^52
end

describe("arithmetic", function()
  local function check(op, name, shape, x)
    local t = random_tensor(name, shape)
    local flat = t:reshape(-1)
    local result = t[op](t, x)
    check_each(result, name, shape, function(k)
      local a = operand(name, flat[k + 1])
      local b = operand(name, stretched(x, shape, k))
      local value = ARITHMETIC[op](a, b)
      if not is_exact(name, a, b, value) then
        return (result:reshape(-1)[k + 1])
      end
      return stored(name, is_narrow(name) and single(value) or value)
    end)
  end

  for op in pairs(ARITHMETIC) do
    for _, name in ipairs(NUMBERS) do
      it(op .. " of " .. name .. " is what a loop computes", function()
        for _ = 1, ROUNDS do
          local shape = random_shape()
          check(op, name, shape, random_tensor(name, shape))
          check(op, name, shape, random_tensor(name, random_part(shape)))
          check(op, name, shape, random(-20, 20))
          check(op, name, shape, (random() - 0.5) * 20)
        end
      end)
    end
  end

  it("saturates, rounds to even, and makes a NaN 0 in integers", function()
    local t = neap.tensor("u8", { 4 }, { 0, 1, 200, 255 })
    assert.same({ 100, 101, 255, 255 }, t:add(100):totable())
    assert.same({ 0, 0, 100, 155 }, t:sub(100):totable())
    assert.same({ 0, 0, 100, 128 }, t:div(2):totable())
    assert.same({ 0, 255, 255, 255 }, t:div(0):totable())
    assert.same({ 0, 0, 0, 0 }, t:mul(-1):totable())
    assert.same({ 0, 0, 0, 0 }, t:mul(NAN):totable())
  end)

  it("is exact and saturates for 64-bit integers", function()
    local most, least = 9223372036854775807LL, -9223372036854775807LL - 1
    local t = neap.tensor("i64", { 3 }, { most, least, 2LL^0 })
    assert.is_true(t:add(1)[1] == most)
    assert.is_true(t:sub(1)[1] == most - 1)
    assert.is_true(t:sub(1)[2] == least)
    assert.is_true(t:add(t)[2] == least)
    assert.is_true(t:mul(-1)[2] == most)
    assert.is_true(t:div(-1)[2] == most)
    assert.is_true(t:div(0)[1] == most and t:div(0)[2] == least)
    assert.is_true(t:add(9007199254740993LL)[3] == 9007199254740994LL)
    assert.is_true(t:lt(most)[1] == false and t:lt(most)[2])
    local u = neap.tensor("u64", { 2 }, { 18446744073709551615ULL, 3 })
    assert.is_true(u:add(1)[1] == 18446744073709551615ULL)
    assert.is_true(u:sub(4)[2] == 0)
    assert.is_true(u:div(2)[2] == 2)
    assert.is_true(u:mul(2)[1] == 18446744073709551615ULL)
    assert.is_true(u:eq(18446744073709551615ULL)[1])
  end)

  it("takes one number per channel", function()
    local t = neap.tensor("f32", { 2, 2, 3 }, 1)
    local x = neap.tensor("f32", { 3 }, { 1, 2, 3 })
    assert.same({ 2, 3, 4 }, t:add(x)[2][1]:totable())
    assert.same({ 2, 3, 4 }, t:add(x, { dim = 3 })[2][1]:totable())
    assert.same({ 2, 3, 4 }, t:add(x, { dim = -1 })[2][1]:totable())
    local planes = neap.tensor("f32", { 3, 2, 2 }, 1):add(x, { dim = 1 })
    for k = 1, 3 do
      assert.same({ { k + 1, k + 1 }, { k + 1, k + 1 } }, planes[k]:totable())
    end
  end)

  it("writes where it is told to, also in place", function()
    local t = neap.tensor("f32", { 1000 }, 2)
    local out = neap.empty("f32", { 1000 })
    assert.is_true(rawequal(out, t:mul(3, { out = out })))
    assert.equal(6000, out:sum())
    assert.is_true(rawequal(t, t:add(out, { out = t })))
    assert.equal(8000, t:sum())
    local bytes = neap.tensor("u8", { 1000 }, 2)
    bytes:mul(1.5, { out = bytes })
    assert.equal(3000, bytes:sum())
  end)

  it("is a function of neap too", function()
    local t = neap.tensor("i32", { 2 }, { 1, 2 })
    assert.same({ 2, 3 }, neap.add(t, 1):totable())
    assert.equal(3, neap.from({ t }):map(neap.sum)[1])
  end)

  it("refuses what does not fit", function()
    local t = neap.tensor("f32", { 4, 3 })
    raises("cannot add: argument #1 is f32 4, the tensor is f32 4x3: its sizes "
      .. "must be the tensor's or 1, counted from the last dimension\n"
      .. "help: name the dimension that it belongs to: dim = 1", function()
        t:add(neap.tensor("f32", { 4 }))
      end)
    raises("cannot mul: argument #1 is f32 2x4x3, the tensor is f32 4x3: its "
      .. "sizes must be the tensor's or 1, counted from the last dimension",
      function()
        t:mul(neap.tensor("f32", { 2, 4, 3 }))
      end)
    raises("cannot sub: argument #1 is u8 4x3, the tensor is f32 4x3: they "
      .. 'must be of one dtype\nhelp: convert one of them: t:to("f32")',
      function()
        t:sub(neap.tensor("u8", { 4, 3 }))
      end)
    raises("cannot add: the tensor is of dtype bool\n"
      .. 'help: convert it: t:to("u8")', function()
        neap.tensor("bool", { 2 }):add(1)
      end)
    raises("bad argument #1 to 'div' (number or tensor expected, got \"2\")",
      function()
        t:div("2")
      end)
    raises("bad argument #1 to 'add' (tensor expected, got 3)", function()
      neap.add(3, t)
    end)
    raises("bad argument #2 to 'add' (unknown option 'into'; known are dim, "
      .. "out)", function()
        t:add(1, { into = t })
      end)
    raises("cannot add: option 'dim': the tensor f32 4x3 has no dimension 3",
      function()
        t:add(neap.tensor("f32", { 3 }), { dim = 3 })
      end)
    raises("cannot add: argument #1 is f32 4x3, and with the option dim it "
      .. "must have one dimension", function()
        t:add(t, { dim = 1 })
      end)
    raises("cannot add: the result is f32 4x3, and out is f64 4x3", function()
      t:add(1, { out = neap.tensor("f64", { 4, 3 }) })
    end)
    raises("cannot add: the result would overwrite a part of what is read",
      function()
        t:add(t[1], { out = t })
      end)
  end)
end)

describe("comparisons", function()
  for op in pairs(TESTS) do
    for _, name in ipairs(ALL) do
      it(op .. " of " .. name .. " is what a loop computes", function()
        for _ = 1, ROUNDS do
          local shape = random_shape()
          local t = random_tensor(name, shape)
          local flat = t:reshape(-1)
          local others = {
            random_tensor(name, shape), random_tensor(name, random_part(shape)),
            random(-20, 20), t.size > 0 and number_of(flat[1]) or 0, 0.5,
          }
          for _, x in ipairs(others) do
            check_each(t[op](t, x), "bool", shape, function(k)
              return TESTS[op](operand(name, flat[k + 1]),
                operand(name, stretched(x, shape, k)))
            end)
          end
        end
      end)
    end
  end
end)

describe("clamp", function()
  for _, name in ipairs(NUMBERS) do
    it("of " .. name .. " is what a loop computes", function()
      for _ = 1, ROUNDS do
        local shape = random_shape()
        local t = random_tensor(name, shape)
        local flat = t:reshape(-1)
        local low = random(2) == 1 and random(-5, 5)
          or random_tensor(name, random_part(shape))
        local high = random(2) == 1 and random(6, 60)
          or random_tensor(name, random_part(shape))
        check_each(t:clamp(low, high), name, shape, function(k)
          local x = operand(name, flat[k + 1])
          local a = operand(name, stretched(low, shape, k))
          local b = operand(name, stretched(high, shape, k))
          local value = x
          if x < a then
            value = a
          elseif x > b then
            value = b
          end
          return stored(name, value)
        end)
      end
    end)
  end
end)

describe("where", function()
  for _, name in ipairs(ALL) do
    it("of " .. name .. " takes what a loop takes", function()
      for _ = 1, ROUNDS do
        local shape = random_shape()
        local condition = random_tensor("bool", shape)
        local flat = condition:reshape(-1)
        local a = random_tensor(name, random_part(shape))
        local b = random(2) == 1 and random_tensor(name, shape)
          or name == "bool" or random(0, 9)
        check_each(condition:where(a, b), name, shape, function(k)
          return stretched(flat[k + 1] and a or b, shape, k)
        end)
      end
    end)
  end

  it("makes f64 of two numbers", function()
    local t = neap.tensor("bool", { 2 }, { true, false })
    assert.equal("tensor f64 2 {1.5, -1}", tostring(t:where(1.5, -1)))
  end)

  it("refuses a condition that is no bool", function()
    raises("cannot where: the tensor is of dtype u8, not bool", function()
      neap.tensor("u8", { 2 }):where(1, 2)
    end)
  end)
end)
