-- SPDX-License-Identifier: MIT
-- What an item's error says, and how to go on after one.

local neap = require("neap")

local function halve(x)
  if x % 2 == 1 then
    error("cannot halve " .. x)
  end
  return x / 2
end

local p = neap.from({ 2, 4, 7, 8 }):map(halve):prefetch({ workers = 2 })

-- The error is an object that a worker made.
local function sum_all()
  local sum = 0
  for _, x in p:each() do
    sum = sum + x
  end
  return sum
end
local ok, e = pcall(sum_all)
print(ok)           --> false
print(e.message)    --> examples/errors.lua:8: cannot halve 7
print(e.index)      --> 3
print(e.stage)      --> map (examples/errors.lua:13)
print(e.traceback:match("errors.lua:8: in"))  --> errors.lua:8: in

-- The items after it are there: begin the next loop behind it.
p:seek(e.index + 1)
print(sum_all())    --> 4

-- Or let the loop pass over what fails, and look at the errors afterwards.
local sum = 0
for _, x in p:each({ on_error = "skip" }) do
  sum = sum + x
end
print(sum)                      --> 7
print(p:skipped()[1].index)     --> 3

-- As the function raised it, without the object around.
neap.errors("passthrough")
print(select(2, pcall(sum_all)))  --> examples/errors.lua:8: cannot halve 7
