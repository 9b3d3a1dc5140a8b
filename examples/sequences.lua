-- SPDX-License-Identifier: MIT
-- Sequences are views: nothing is computed until an item is asked for.

local neap = require("neap")

local function show(s)
  print(table.concat(s:totable(), " "))
end

-- Where items come from: numbers, an array, a function of the index.
show(neap.range(5))                       --> 1 2 3 4 5
show(neap.range(10, 1, -3))               --> 10 7 4 1
show(neap.from({ "a", "b", "c" }))        --> a b c
show(neap.from(math.sqrt, 4):slice(4, 4)) --> 2
local naturals = neap.from(function(i)
  return i
end)
print(naturals)        --> from(function): endless
print(naturals[1000])  --> 1000

-- Other orders. Negative indexes count from the end.
local s = neap.range(10)
print(s[-1])                  --> 10
show(s:slice(3, 7))           --> 3 4 5 6 7
show(s:slice(nil, nil, -2))   --> 10 8 6 4 2
show(s:gather({ 1, -1, 1 }))  --> 1 10 1
show(s:shuffle(42))           --> 10 4 8 9 7 1 5 6 3 2

-- Several sequences side by side; arrays are sequences too.
local function join(x, y)
  return x .. y
end
show(neap.map(join, { 1, 2, 3 }, { "a", "b", "c" }))   --> 1a 2b 3c
local pairs_of = neap.zip({ number = s, half = s:map(function(x)
  return x / 2
end) })
print(pairs_of[3].number, pairs_of[3].half)            --> 3 1.5

-- Batches: tables of items.
local batches = s:batch(4)
print(batches)        --> batch(range(1, 10), 4): 3 items
print(#batches[-1])   --> 2
print(#s:batch(4, { drop_last = true }))  --> 2

-- Assigning goes to where an item lies.
local list = { 10, 20, 30 }
neap.from(list):slice(nil, nil, -1)[1] = 31
print(list[3])        --> 31
