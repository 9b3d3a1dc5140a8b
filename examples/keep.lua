-- SPDX-License-Identifier: MIT
-- An item's tensors lie in a slot that the next item may use: in a loop they
-- are valid until it goes on; reading them later raises an error. Keep them, or
-- copy them, to have them longer.

local neap = require("neap")

local function make(i)
  return { number = i, values = neap.tensor("f32", { 2 }, i) }
end

local p = neap.range(6):map(make):prefetch({ workers = 2, buffered = 4 })

local numbered, kept, copied = {}, {}, {}
for i, x in p:each() do
  numbered[i] = x
  if i == 2 then
    kept[i] = neap.keep(x)         -- holds its slot
  elseif i == 3 then
    copied[i] = x.values:clone()
  end
end

print(numbered[1].number)  --> 1
print(kept[2].values)      --> tensor f32 2 {2, 2}
print(copied[3])           --> tensor f32 2 {3, 3}
print(numbered[1].values)  --> tensor f32 2 (released)

-- What is read by index holds its slot by itself.
local fourth = p[4]
print(fourth.values)       --> tensor f32 2 {4, 4}

neap.release(kept[2])      -- now, rather than when it is collected
print(p:stats().held)      --> 1
p:close()
