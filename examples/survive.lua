-- SPDX-License-Identifier: MIT
-- A worker is killed in the middle of a loop: another one takes its place, and
-- every item arrives, once and in order.

local neap = require("neap")

local function slow(i)
  local stop = os.clock() + 0.001
  while os.clock() < stop do end
  return i
end

local p = neap.range(400):map(slow):prefetch({ workers = 2, chunk = 1 })

local sum, is_ordered = 0, true
for i, x in p:each() do
  if i == 100 then
    os.execute("kill -9 " .. p:stats().workers[1].pid)
  end
  sum, is_ordered = sum + x, is_ordered and x == i
end

print(sum, is_ordered)     --> 80200 true
print(p:stats().restarts)  --> 1
