-- SPDX-License-Identifier: MIT
--- What the specs of operations on tensors share: random tensors, and plain
-- loops over elements to compare with.

local assert = require("luassert") -- busted gives it to specs alone
local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

support.seed("operations on tensors")

local random, floor, huge = math.random, math.floor, math.huge
local NAN = 0 / 0

local LIMITS = {
  u8 = { 0, 255 }, i8 = { -128, 127 }, i16 = { -32768, 32767 },
  u16 = { 0, 65535 }, i32 = { -2^31, 2^31 - 1 }, u32 = { 0, 2^32 - 1 },
  i64 = { -2^53, 2^53 }, u64 = { 0, 2^53 },
}
local NUMBERS = {
  "u8", "i8", "i16", "u16", "i32", "u32", "i64", "u64", "f16", "bf16", "f32",
  "f64",
}
local ALL = { "bool", unpack(NUMBERS) }

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(text, (tostring(message):gsub("^[^ ]+:%d+: ", "")))
end

-- -- Random tensors ----------------------------------------------------------

local SPECIAL = { 0, -0.0, 1, -1, huge, -huge, NAN, 0.5, 1e-7, 65504, 3e38 }

local function random_value(name)
  local limits = LIMITS[name]
  if name == "bool" then
    return random(2) == 1
  elseif not limits then
    return random(4) == 1 and SPECIAL[random(#SPECIAL)]
      or (random() - 0.5) * 10 ^ random(-2, 4)
  elseif random(2) == 1 then
    return random(math.max(-9, limits[1]), 9)
  end
  return limits[1] + floor(random() * (limits[2] - limits[1]))
end

local function random_shape(most)
  local shape = {}
  for k = 1, random(0, most or 4) do
    shape[k] = random(12) == 1 and 0 or random(6)
  end
  if #shape > 0 and random(6) == 1 then -- more than a block
    for k = 1, #shape do
      shape[k] = math.min(shape[k], 2)
    end
    shape[random(#shape)] = random(200, 900)
  end
  return shape
end

local function random_tensor(name, shape)
  local t = neap.tensor(name, shape)
  local flat = t:reshape(-1)
  for k = 1, t.size do
    flat[k] = random_value(name)
  end
  return t
end

-- A shape with at least one element.
local function filled_shape(most)
  local shape
  repeat
    shape = random_shape(most)
    local count = 1
    for k = 1, #shape do
      count = count * shape[k]
    end
  until count > 0
  return shape
end

-- A shape that is stretched to `shape`.
local function random_part(shape)
  local part = {}
  for k = random(1, #shape + 1), #shape do
    part[#part + 1] = random(3) == 1 and 1 or shape[k]
  end
  return part
end

-- -- Models ------------------------------------------------------------------

local function count_of(shape)
  local count = 1
  for k = 1, #shape do
    count = count * shape[k]
  end
  return count
end

-- The indexes (from 0) of element k (from 0) in a shape.
local function indexes_of(shape, k)
  local at = {}
  for n = #shape, 1, -1 do
    at[n] = k % shape[n]
    k = floor(k / shape[n])
  end
  return at
end

local function place_of(shape, at)
  local k = 0
  for n = 1, #shape do
    k = k * shape[n] + at[n]
  end
  return k
end

-- The element of x, stretched to `shape`, that goes with element k.
local function stretched(x, shape, k)
  if type(x) ~= "cdata" then
    return x
  end
  local at, own, sizes = indexes_of(shape, k), {}, x.shape
  for n = 1, #sizes do
    own[n] = sizes[n] == 1 and 0 or at[#shape - #sizes + n]
  end
  return x:reshape(-1)[place_of(sizes, own) + 1]
end

local function single(x)
  return tonumber(ffi.cast("float", x))
end

local function round_even(x)
  local low = floor(x)
  if x - low ~= 0.5 then
    return floor(x + 0.5)
  end
  return low % 2 == 0 and low or low + 1
end

-- What a dtype stores of x.
local function stored(name, x)
  local limits = LIMITS[name]
  if limits then
    if x ~= x then
      return 0
    end
    return round_even(math.min(math.max(x, limits[1]), limits[2]))
  end
  local t = neap.tensor(name, {})
  t:set(x)
  return t:get()
end

local function is_narrow(name)
  return name == "u8" or name == "i8" or name == "f32" or name == "bool"
end

local function number_of(x)
  if type(x) == "boolean" then
    return x and 1 or 0
  end
  return tonumber(x)
end

-- A number as the operation sees it beside a tensor.
local function operand(name, x)
  x = number_of(x)
  if not LIMITS[name] and name ~= "bool" then
    x = stored(name, x)
  end
  return is_narrow(name) and single(x) or x
end

local function same(expected, got)
  return expected == got or expected ~= expected and got ~= got
end

local function check_each(t, name, shape, model)
  assert.equal(name, t.dtype)
  assert.same(shape, t.shape)
  local flat = t:reshape(-1)
  for k = 1, t.size do
    local expected = model(k - 1)
    if not same(expected, flat[k]) then
      error(("element %d of %s: %s is expected, got %s"):format(k, tostring(t),
        tostring(expected), tostring(flat[k])), 2)
    end
  end
end

local ROUNDS = support.is_asan and 2 or 6

return {
  LIMITS = LIMITS, NUMBERS = NUMBERS, ALL = ALL, raises = raises, NAN = NAN,
  random_shape = random_shape, random_tensor = random_tensor,
  filled_shape = filled_shape, random_part = random_part, count_of = count_of,
  indexes_of = indexes_of, place_of = place_of, stretched = stretched,
  single = single, stored = stored, is_narrow = is_narrow,
  number_of = number_of, operand = operand, same = same,
  check_each = check_each, ROUNDS = ROUNDS,
}
