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
end)
