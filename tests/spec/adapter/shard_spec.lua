-- SPDX-License-Identifier: MIT
local neap = require("neap")

-- The items of all ranks, and how many each has.
local function shares(n, world, even)
  local seen, lengths = {}, {}
  for rank = 1, world do
    local s = neap.range(n):shard(rank, world, { even = even })
    lengths[rank] = tostring(#s)
    for _, x in s:each() do
      seen[x] = (seen[x] or 0) + 1
    end
  end
  return seen, lengths
end

local function all_equal(lengths, wanted)
  for _, length in ipairs(lengths) do
    assert.equal(tostring(wanted), length)
  end
end

local function each_size(f)
  for n = 0, 13 do
    for world = 1, 6 do
      f(n, world)
    end
  end
end

describe("shard", function()
  it("shows the rank that was asked for, of an empty share too", function()
    assert.equal("shard(range(1, 3), 4, 4, keep): 0 items",
      tostring(neap.range(3):shard(4, 4)))
    assert.equal("shard(range(1, 9), 4, 4, keep): 2 items",
      tostring(neap.range(9):shard(4, 4)))
  end)

  it("gives every rank the same, and drops less than one each", function()
    each_size(function(n, world)
      local seen, lengths = shares(n, world, "drop")
      local each = math.floor(n / world)
      all_equal(lengths, each)
      for x = 1, n do
        assert.equal(x <= each * world and 1 or nil, seen[x])
      end
    end)
  end)

  it("gives every rank the same, filled up from the start", function()
    each_size(function(n, world)
      local seen, lengths = shares(n, world, "pad")
      local each = math.ceil(n / world)
      all_equal(lengths, each)
      local count = 0
      for x = 1, n do
        assert.truthy(seen[x] >= 1)
        count = count + seen[x]
      end
      assert.equal(each * world, count)
    end)
  end)

  it("gives all ranks together everything exactly once", function()
    each_size(function(n, world)
      local seen, lengths = shares(n, world)
      for x = 1, n do
        assert.equal(1, seen[x])
      end
      for rank, length in ipairs(lengths) do
        assert.equal(tostring(math.floor((n - rank + world) / world)), length)
      end
    end)
  end)

  it("shares out more items than doubles count", function()
    local big = neap.range(10):cycle(1e15)
    local sum, lasts = 0LL, {}
    for rank = 1, 7 do
      local s = big:shard(rank, 7)
      sum = sum + s:len()
      lasts[rank] = s[-1]
    end
    assert.equal(10000000000000000LL, sum)
    assert.same({ 7, 8, 9, 10, 4, 5, 6 }, lasts)
    assert.equal(1, big:shard(5, 7, { even = "pad" })[-1])
    assert.equal(4, big:shard(5, 7, { even = "drop" })[-1])
  end)
end)
