-- SPDX-License-Identifier: MIT
--- Loaded items, read in the order of a shuffle: in place, where a read costs
-- what a row of a tensor does, and copied, where it costs what memcpy does.

local ffi = require("ffi")
local measure = require("measure")
local neap = require("neap")

local N, NBYTES = 400, 602112 -- 3 x 448 x 448
local SMALL = 200000 -- items {number, string}

local path, loaded, plain, block
local order

local function begin()
  path = os.tmpname()
  loaded = neap.save(neap.range(N):map(function(i)
    return neap.tensor("u8", { 3, 448, 448 }, i % 256)
  end), path, { workers = 0 })
  plain = neap.from(neap.tensor("u8", { N, 3, 448, 448 }, 1))
  block = neap.empty("u8", { 3, 448, 448 })
  order = neap.range(N):shuffle(1):totable()
  for i = 1, N do
    assert(loaded[i]:get(3, 448, 448) + plain[i]:get(3, 448, 448) > 0)
  end
end

local function finish()
  os.remove(path)
  loaded, plain, block = nil, nil, nil
end

-- Nanoseconds to read an item of s, not its elements.
local function read_all(s)
  local turns, sum, since = measure.count(200), 0, measure.now()
  for _ = 1, turns do
    for k = 1, N do
      sum = sum + s[order[k]].ndim
    end
  end
  assert(sum == 3 * N * turns)
  return (measure.now() - since) / N / turns * 1e9
end

-- GB/s of copying each item to the same block.
local function copy_all(s)
  local turns, since = measure.count(10), measure.now()
  for _ = 1, turns do
    for k = 1, N do
      ffi.copy(block:ptr(), s[order[k]]:ptr(), NBYTES)
    end
  end
  return N * NBYTES * turns / (measure.now() - since) / 1e9
end

local small_path, small

local function begin_small()
  small_path = os.tmpname()
  local s = neap.range(SMALL):map(function(i)
    return { i, ("name %d"):format(i) }
  end)
  small = neap.save(s, small_path, { workers = 0 })
end

local function finish_small()
  os.remove(small_path)
  small = nil
end

local function each_small(s)
  local since, sum = measure.now(), 0
  for _, x in s:each() do
    sum = sum + x[1]
  end
  assert(sum == SMALL * (SMALL + 1) / 2)
  return (measure.now() - since) / SMALL * 1e9
end

return {
  {
    name = "load: tensors of 602,112 bytes, in place", unit = "ns",
    target = "no copy", is_alone = true,
    limit_name = "rows of a tensor in memory",
    begin = begin, finish = finish,
    run = function() return read_all(loaded) end,
    limit = function() return read_all(plain) end,
  },
  {
    name = "load: tensors of 602,112 bytes, copied", unit = "GB/s",
    target = "0.9", limit_name = "memcpy of rows of a tensor",
    begin = begin, finish = finish,
    run = function() return copy_all(loaded) end,
    limit = function() return copy_all(plain) end,
  },
  {
    name = "load: items { number, string }", unit = "ns", is_alone = true,
    target = "of an item", limit_name = "the same computed",
    begin = begin_small, finish = finish_small,
    run = function() return each_small(small) end,
    limit = function()
      return each_small(neap.range(SMALL):map(function(i)
        return { i, ("name %d"):format(i) }
      end))
    end,
  },
}
