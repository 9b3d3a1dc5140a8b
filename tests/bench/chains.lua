-- SPDX-License-Identifier: MIT
--- Chains that are evaluated in place, beside the loop that one would write
-- by hand.

local measure = require("measure")
local neap = require("neap")

local TOTAL = 2e6 -- items
local BATCH = 32

-- The hand's way to a random order.
local function permutation(n)
  local order = {}
  for k = 1, n do
    order[k] = k
  end
  for k = n, 2, -1 do
    local j = math.random(k)
    order[k], order[j] = order[j], order[k]
  end
  return order
end

-- Each has a chain over n numbers, what is added up of its items, the loop by
-- hand, which answers the same sum, and, if one reads it at random too, what
-- makes such a loop's function, which answers item i.
local chains = {
  {
    name = "map of gather of map", target = "ratio 1.5",
    prepare = function(n)
      local order = permutation(n)
      return neap.range(n)
        :map(function(x)
          return x * 2
        end)
        :gather(order)
        :map(function(x)
          return x + 1
        end), order
    end,
    hand = function(n, order)
      local sum = 0
      for k = 1, n do
        local x = order[k] * 2
        sum = sum + (x + 1)
      end
      return sum
    end,
    item = function(order)
      return function(i)
        local x = order[i] * 2
        return x + 1
      end
    end,
  },
  {
    name = "slice",
    prepare = function(n)
      return neap.range(2 * n):slice(1, 2 * n, 2)
    end,
    hand = function(n)
      local sum = 0
      for k = 1, 2 * n, 2 do
        sum = sum + k
      end
      return sum
    end,
    item = function()
      return function(i)
        return 2 * i - 1
      end
    end,
  },
  {
    name = "shuffle", hand_name = "array, shuffled by hand",
    prepare = function(n)
      return neap.range(n):shuffle(1)
    end,
    hand = function(n)
      local sum, order = 0, permutation(n)
      for k = 1, n do
        sum = sum + order[k]
      end
      return sum
    end,
  },
  {
    name = "batch(32)", size = BATCH,
    prepare = function(n)
      return neap.range(n * BATCH):batch(BATCH)
    end,
    hand = function(n)
      local sum = 0
      for k = 1, n do
        local list = {}
        for j = 1, BATCH do
          list[j] = (k - 1) * BATCH + j
        end
        sum = sum + list[1] + list[BATCH]
      end
      return sum
    end,
  },
}

-- `count` arrays of n / count numbers.
local function arrays(n, count)
  local parts = {}
  for p = 1, count do
    parts[p] = {}
    for k = 1, n / count do
      parts[p][k] = p * k
    end
  end
  return parts
end

local function sum_arrays(_, parts)
  local sum = 0
  for p = 1, #parts do
    local part = parts[p]
    for k = 1, #part do
      sum = sum + part[k]
    end
  end
  return sum
end

table.insert(chains, {
  name = "concat of 10",
  prepare = function(n)
    local parts = arrays(n, 10)
    return neap.concat(unpack(parts)), parts
  end,
  hand = sum_arrays,
  item = function(parts)
    local starts = { 0 }
    for p = 1, #parts do
      starts[p + 1] = starts[p] + #parts[p]
    end
    return function(i)
      local low, high = 1, #parts + 1
      while high - low > 1 do
        local middle = math.floor((low + high) / 2)
        if starts[middle] < i then
          low = middle
        else
          high = middle
        end
      end
      return parts[low][i - starts[low]]
    end
  end,
})

table.insert(chains, {
  name = "cycle",
  prepare = function(n)
    local parts = arrays(n / 100, 1)
    return neap.cycle(parts[1], 100), parts[1]
  end,
  hand = function(_, part)
    local sum = 0
    for _ = 1, 100 do
      for k = 1, #part do
        sum = sum + part[k]
      end
    end
    return sum
  end,
  item = function(part)
    local count = #part
    return function(i)
      return part[(i - 1) % count + 1]
    end
  end,
})

table.insert(chains, {
  name = "interleave of 3", target = "ratio 8",
  prepare = function(n)
    local parts = arrays(n, 3)
    return neap.interleave(unpack(parts)), parts
  end,
  hand = function(_, parts)
    local sum, a, b, c = 0, parts[1], parts[2], parts[3]
    for k = 1, #a do
      sum = sum + a[k]
      sum = sum + b[k]
      sum = sum + c[k]
    end
    return sum
  end,
  item = function(parts)
    return function(i)
      local round = math.floor((i - 1) / 3)
      return parts[i - 3 * round][round + 1]
    end
  end,
})

local function sum_each(s)
  local sum = 0
  for _, x in s:each() do
    sum = sum + x
  end
  return sum
end

local function sum_index(s)
  local sum = 0
  for i = 1, #s do
    sum = sum + s[i]
  end
  return sum
end

local function sum_each_list(s)
  local sum = 0
  for _, list in s:each() do
    sum = sum + list[1] + list[BATCH]
  end
  return sum
end

local function sum_index_list(s)
  local sum = 0
  for i = 1, #s do
    local list = s[i]
    sum = sum + list[1] + list[BATCH]
  end
  return sum
end

-- The second call's: the first one is compiled.
local function seconds_of(f, ...)
  f(...)
  local since = measure.now()
  local sum = f(...)
  return measure.now() - since, sum
end

-- The numbers of NEAR items, in any order: they and theirs stay in the caches.
local NEAR = 10000

local function sum_random(s, indexes)
  local sum = 0
  for k = 1, #indexes do
    sum = sum + s[indexes[k]]
  end
  return sum
end

local function sum_random_by_hand(item, indexes)
  local sum = 0
  for k = 1, #indexes do
    sum = sum + item(indexes[k])
  end
  return sum
end

local function times(count, f, items, indexes)
  local sum = 0
  for _ = 1, count do
    sum = sum + f(items, indexes)
  end
  return sum
end

local function row_at_random(chain)
  local s, item, indexes, repeats, sum, seconds
  return {
    name = chain.name .. ", s[i] at random", unit = "ns",
    target = chain.target or "ratio 3",
    is_alone = true,
    limit_name = "by hand",
    begin = function()
      local extra
      s, extra = chain.prepare(NEAR)
      item, indexes = chain.item(extra), permutation(#s)
      repeats = math.ceil(measure.count(TOTAL) / #s)
    end,
    run = function()
      seconds, sum = seconds_of(times, repeats, sum_random, s, indexes)
      return seconds / (repeats * #s) * 1e9
    end,
    limit = function()
      local by_hand
      seconds, by_hand = seconds_of(times, repeats, sum_random_by_hand, item,
        indexes)
      assert(sum == by_hand)
      return seconds / (repeats * #s) * 1e9
    end,
    finish = function()
      s, item, indexes = nil, nil, nil
    end,
  }
end

local function row(chain, way, read)
  local s, sum, seconds
  local n, extra
  return {
    name = chain.name .. ", " .. way, unit = "ns", is_alone = true,
    target = chain.target or "ratio 3",
    limit_name = chain.hand_name or "loop by hand",
    begin = function()
      n = math.ceil(measure.count(TOTAL) / (chain.size or 1))
      s, extra = chain.prepare(n)
    end,
    run = function()
      seconds, sum = seconds_of(read, s)
      return seconds / n * 1e9
    end,
    limit = function()
      local by_hand
      seconds, by_hand = seconds_of(chain.hand, n, extra)
      assert(sum == by_hand)
      return seconds / n * 1e9
    end,
    finish = function()
      s, extra = nil, nil
    end,
  }
end

local rows = {}
for _, chain in ipairs(chains) do
  local is_list = chain.size ~= nil
  rows[#rows + 1] = row(chain, "each()", is_list and sum_each_list or sum_each)
  rows[#rows + 1] = row(chain, "s[i]", is_list and sum_index_list or sum_index)
  if chain.item then
    rows[#rows + 1] = row_at_random(chain)
  end
end
return rows
