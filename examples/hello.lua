-- SPDX-License-Identifier: MIT
-- A chain of two stages, computed ahead by two worker processes.
-- What a line prints stands behind an arrow; tests/examples.sh compares.

local neap = require("neap")

local function square(x)
  return x * x
end

local s = neap.range(5):map(square):prefetch({ workers = 2 })

print(s)    --> prefetch(map(f, range(1, 5))): 5 items
print(#s)   --> 5
print(s[2]) --> 4

local sum = 0
for _, x in s:each() do
  sum = sum + x
end
print(sum)  --> 55
