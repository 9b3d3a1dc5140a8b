-- SPDX-License-Identifier: MIT
--- Counts of items beyond 2^53, where a Lua number cannot hold each integer.
-- @module neap.base.exact

local ffi = require("ffi")

local int64 = ffi.typeof("int64_t")

local exact = {
  TOO_MANY = 2 ^ 63, -- items, which no index of C's counts
}

--- Returns a count as a number, rounded down: each index up to it exists.
-- @tparam int64_t count
-- @treturn number
function exact.number(count)
  local n = tonumber(count)
  return int64(n) > count and n * (1 - 2 ^ -53) or n
end

--- Returns an index from 1 as one from 0; beyond 2^53 as an int64_t.
function exact.from_zero(i)
  return i <= 2 ^ 53 and i - 1 or int64(i) - 1
end

--- Index i of n items, where a negative one counts from the end.
function exact.from_start(i, n)
  if i >= 0 then
    return i
  end
  return i > -2 ^ 53 and n + (1 + i) or n + i + 1
end

--- The length of two sequences of these lengths, which may be TOO_MANY;
-- math.huge: endless.
function exact.sum(a, b)
  local sum = a + b
  return sum >= exact.TOO_MANY and sum or exact.number(int64(a) + int64(b))
end

--- The length of a sequence of that length, so many times over.
function exact.product(length, times)
  local product = length * times
  return product == math.huge and product
    or exact.number(int64(length) * int64(times))
end

--- How many of first, first + step, ... there are up to last.
function exact.steps(first, last, step)
  if (last - first) * step < 0 then
    return 0
  elseif last == math.huge then
    return last
  end
  return exact.number((int64(last) - int64(first)) / step + 1)
end

return exact
