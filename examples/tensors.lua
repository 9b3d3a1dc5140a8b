-- SPDX-License-Identifier: MIT
-- Tensors: arrays of numbers, which workers hand over without a copy.

local neap = require("neap")

local t = neap.tensor("f32", { 2, 3 }, { { 1, 2, 3 }, { 4, 5, 6 } })
print(t)                     --> tensor f32 2x3 {1, 2, 3, 4, 5, 6}
print(t.dtype, t.ndim, #t, t.nbytes)  --> f32 2 2 24
print(t:get(2, 3))           --> 6
print(t[1])                  --> tensor f32 3 {1, 2, 3}

-- Rows and reshapes are views of the same memory.
t[2]:fill(0)
t:reshape(-1)[2] = 9
print(t)                     --> tensor f32 2x3 {1, 9, 3, 0, 0, 0}

-- Another dtype, scaled on the way: pixels as 0 to 1.
local pixels = neap.tensor("u8", { 4 }, { 0, 51, 102, 255 })
print(pixels:to("f32", 1 / 255))  --> tensor f32 4 {0, 0.2, 0.4, 1}

-- A pointer, for loops as fast as C's. It does not keep the tensor alive.
local p, sum = pixels:ptr(), 0
for k = 0, pixels.size - 1 do
  sum = sum + p[k]
end
print(sum)                   --> 408

-- A tensor's rows are a sequence; stacking makes a tensor of items.
local rows = neap.from(t):map(function(row)
  return { sum = row[1] + row[2] + row[3], row = row }
end)
local all = neap.stack(rows:totable())
print(all.sum)               --> tensor f64 2 {13, 0}
print(all.row.shape[1], all.row.shape[2])  --> 2 3
