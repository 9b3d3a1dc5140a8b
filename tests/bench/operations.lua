-- SPDX-License-Identifier: MIT
--- Operations on tensors, beside the loops that one would write in C for the
-- machine at hand; and a reader that sums what workers made.

local ffi = require("ffi")
local measure = require("measure")
local neap = require("neap")

local SHAPE = { 224, 224, 3 }
local BYTES = { 602112 }
local BUFFERED = 16
local LIMIT = "a loop in C, -O3 -march=native"

local function tensor(name)
  return neap.tensor(name, SHAPE, 1)
end

-- Nanoseconds an element, of `operate(t, out)` again and again.
local function row(name, program, t, out, operate)
  return {
    name = name, unit = "ns", target = "ratio 1.25", is_alone = true,
    limit_name = LIMIT,
    run = function()
      local count = measure.count(20000)
      for _ = 1, 50 do
        operate(t, out)
      end
      local since = measure.now()
      for _ = 1, count do
        operate(t, out)
      end
      return (measure.now() - since) / count / t.size * 1e9
    end,
    limit = function()
      return measure.limit("limit_operate %s %d", program, measure.count(20000))
    end,
  }
end

local u8, f32 = tensor("u8"), tensor("f32")
local bytes = neap.tensor("u8", BYTES, 1)
local means = neap.tensor("f32", { 3 }, { 1, 2, 3 })
local u8_out, f32_out = { out = tensor("u8") }, { out = tensor("f32") }
local planes = { out = neap.tensor("u8", { 3, 224, 224 }) }
local f32_planes = { out = neap.tensor("f32", { 3, 224, 224 }) }
local CHW = { 3, 1, 2 }

local function sum(t)
  return t:sum()
end

local function add(t, out)
  t:add(t, out)
end

local function mul(t, out)
  t:mul(1.5, out)
end

local function sub_channels(t, out)
  t:sub(means, out)
end

local function permute(t, out)
  t:permute(CHW, out)
end

-- -- A reader that sums ------------------------------------------------------

local function image(i)
  local t = neap.empty("u8", BYTES)
  t:fill(i % 256)
  return t
end

local used

-- Gigabytes a second.
local function read()
  local warm, count = 300, measure.count(5000)
  local p = neap.map(image, neap.range(warm + count))
    :prefetch({ workers = 1, buffered = BUFFERED })
  local slots, since = {}, nil
  used = 0
  for i, x in p:each() do
    local address = tonumber(ffi.cast("uintptr_t", x:ptr()))
    if not slots[address] then
      slots[address] = true
      used = used + 1
    end
    assert(x:sum() == i % 256 * BYTES[1])
    if i == warm then
      since = measure.now()
    end
  end
  local seconds = measure.now() - since
  p:close()
  return count * BYTES[1] / seconds / 1e9
end

local reader = {
  name = "a reader that sums u8 tensors of 602,112 bytes", unit = "GB/s",
  target = "ratio 0.9", limit_name = "the same in C, by libneap's sum",
  run = read,
  limit = function()
    return measure.limit("limit_hand 1 %d %d %d 1", used, BUFFERED,
      measure.count(5000)) * BYTES[1] / 1e9
  end,
}

return {
  row("sum of u8", "sum_u8", bytes, nil, sum),
  row("sum of f32", "sum_f32", f32, nil, sum),
  row("arithmetic, f32 + f32", "add_f32", f32, f32_out, add),
  row("arithmetic, f32 * number", "mul_f32", f32, f32_out, mul),
  row("arithmetic, f32 hwc - channels", "sub_channels_f32", f32, f32_out,
    sub_channels),
  row("arithmetic, u8 + u8", "add_u8", u8, u8_out, add),
  row("permute of u8, hwc to chw", "permute_u8", u8, planes, permute),
  row("permute of f32, hwc to chw", "permute_f32", f32, f32_planes, permute),
  reader,
}
