-- SPDX-License-Identifier: MIT
--- Reductions, against plain loops.

local models = dofile("tests/spec/tensor/operation/models.lua")
local neap = require("neap")

local random = math.random
local LIMITS = models.LIMITS
local ALL = models.ALL
local raises = models.raises
local random_tensor = models.random_tensor
local filled_shape = models.filled_shape
local count_of = models.count_of
local indexes_of = models.indexes_of
local place_of = models.place_of
local number_of = models.number_of
local same = models.same
local ROUNDS = models.ROUNDS

-- Calls f with the elements of t along each line of a dimension.
local function lines(t, dim)
  local shape, flat, list = t.shape, t:reshape(-1), {}
  local kept = {}
  for n = 1, #shape do
    if n ~= dim then
      kept[#kept + 1] = shape[n]
    end
  end
  for k = 0, count_of(kept) - 1 do
    local at, line = indexes_of(kept, k), {}
    table.insert(at, dim, 0)
    for n = 1, shape[dim] do
      at[dim] = n - 1
      line[n] = flat[place_of(shape, at) + 1]
    end
    list[k + 1] = line
  end
  return list, kept
end

local function all_of(t)
  local flat, list = t:reshape(-1), {}
  for k = 1, t.size do
    list[k] = flat[k]
  end
  return list
end

local MODELS = {}

function MODELS.sum(list)
  local total = 0
  for k = 1, #list do
    total = total + number_of(list[k])
  end
  return total
end

function MODELS.mean(list)
  return MODELS.sum(list) / #list
end

function MODELS.std(list)
  local mean, total = MODELS.mean(list), 0
  for k = 1, #list do
    total = total + (number_of(list[k]) - mean) ^ 2
  end
  return math.sqrt(total / #list)
end

local function extreme(is_better)
  return function(list)
    local best, at = list[1], 1
    for k = 2, #list do
      local x, y = number_of(list[k]), number_of(best)
      if y == y and (x ~= x or is_better(x, y)) then
        best, at = list[k], k
      end
    end
    return best, at
  end
end

MODELS.max = extreme(function(x, y) return x > y end)
MODELS.min = extreme(function(x, y) return x < y end)

function MODELS.argmax(list)
  local _, at = MODELS.max(list)
  return at
end

local function is_near(expected, got, list)
  if same(expected, got) then
    return true
  end
  local scale = 1e-300
  for k = 1, #list do
    scale = math.max(scale, math.abs(number_of(list[k])))
  end
  return math.abs(number_of(expected) - number_of(got))
    <= 1e-12 * (#list + 1) * scale
end

local function reduced_dtype(op, name)
  if op == "mean" or op == "std" then
    return "f64"
  elseif op == "argmax" then
    return "i64"
  elseif op == "sum" then
    return name == "u64" and "u64" or (LIMITS[name] or name == "bool") and "i64"
      or "f64"
  end
  return name
end

describe("a reduction", function()
  -- Squares of these overflow.
  local function tame(t, name)
    if not LIMITS[name] and name ~= "bool" then
      return t:clamp(-1e4, 1e4)
    end
    return t
  end

  for op, model in pairs(MODELS) do
    for _, name in ipairs(ALL) do
      it(op .. " of " .. name .. " is what a loop computes", function()
        for round = 1, ROUNDS do
          local shape = filled_shape()
          local t = random_tensor(name, shape)
          if op == "std" or op == "mean" or op == "sum" and round % 2 == 1 then
            t = tame(t, name)
          end
          local list = all_of(t)
          local got = t[op](t)
          assert(is_near(model(list), got, list))
          if #shape > 0 then
            local dim = random(#shape)
            local found, kept = lines(t, dim)
            local result = t[op](t, random(2) == 1 and dim or dim - #shape - 1)
            assert.equal(reduced_dtype(op, name), result.dtype)
            assert.same(kept, result.shape)
            local flat = result:reshape(-1)
            for k = 1, #found do
              assert(is_near(model(found[k]), flat[k], found[k]))
            end
          end
        end
      end)
    end
  end

  it("of many bytes is exact", function()
    local t = neap.tensor("u8", { 602112 }, 255)
    assert.equal(602112 * 255, t:sum())
    assert.equal(255, t:mean())
    assert.equal(0, t:std())
    assert.same({ 501760 * 255 }, neap.tensor("u8", { 1, 501760 }, 255):sum(2)
      :totable())
    assert.equal(70001, neap.tensor("bool", { 70001 }, true):sum())
    assert.equal(-128 * 70001, neap.tensor("i8", { 70001 }, -128):sum())
  end)

  it("of 64-bit integers is exact, and saturates", function()
    local t = neap.tensor("i64", { 3 }, { 9007199254740993LL, 1, -1 })
    assert.is_true(t:sum() == 9007199254740993LL)
    assert.is_true(t:max() == 9007199254740993LL)
    t:fill(9223372036854775807LL)
    assert.is_true(t:sum() == 9223372036854775807LL)
    assert.equal(2^63, t:mean())
    local u = neap.tensor("u64", { 2 }, 18446744073709551615ULL)
    assert.is_true(u:sum() == 18446744073709551615ULL)
    assert.is_true(u:min(1):get() == 18446744073709551615ULL)
  end)

  it("of nothing is 0, NaN or an error", function()
    local t = neap.tensor("f32", { 0, 3 })
    assert.equal(0, t:sum())
    assert.is_true(t:mean() ~= t:mean() and t:std() ~= t:std())
    assert.same({ 0, 0, 0 }, t:sum(1):totable())
    assert.same({ 0 }, t:sum(2).shape)
    assert.same({ 0 }, t:max(2).shape)
    for _, op in ipairs({ "min", "max", "argmax" }) do
      raises("cannot " .. op .. ": the tensor is f32 0x3: there is no element "
        .. "to return", t[op], t)
      raises("cannot " .. op .. ": the tensor is f32 0x3: there is no element "
        .. "to return", t[op], t, 1)
    end
  end)

  it("writes where it is told to", function()
    local t = neap.tensor("u8", { 2, 3 }, { 1, 2, 3, 4, 5, 6 })
    local out = neap.tensor("i64", { 3 })
    assert.is_true(rawequal(out, t:sum(1, { out = out })))
    assert.same({ 5, 7, 9 }, out:totable())
    local one = neap.tensor("f64", {})
    t:mean(nil, { out = one })
    assert.equal(3.5, one:get())
    raises("cannot sum: the result is i64 2, and out is i64 3", function()
      t:sum(2, { out = out })
    end)
    raises("bad argument #1 to 'sum' (the tensor u8 2x3 has no dimension 3)",
      function()
        t:sum(3)
      end)
  end)
end)
