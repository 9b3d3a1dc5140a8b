-- SPDX-License-Identifier: MIT
-- Shuffles and random numbers: an item depends on the seeds, the epoch and its
-- index alone, so any number of workers gives the same ones.

local neap = require("neap")

local function roll(x, rng)
  return x .. ":" .. rng:integer(1, 6)
end

local s = neap.range(5):shuffle(1):random_map(roll, { seed = 2 })

for _, workers in ipairs({ 0, 2 }) do
  local p = s:prefetch({ workers = workers })
  for epoch = 1, 2 do
    print(table.concat(p:epoch(epoch):totable(), " "))
  end
  p:close()
end
--> 5:3 1:1 3:5 4:4 2:3
--> 1:5 3:6 4:1 5:6 2:5
--> 5:3 1:1 3:5 4:4 2:3
--> 1:5 3:6 4:1 5:6 2:5
