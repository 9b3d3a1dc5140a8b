-- SPDX-License-Identifier: MIT
--- neap.epoch: what is read and stored depends on the epoch alike.

local neap = require("neap")

local COUNT = 20

local function numbers()
  return neap.range(COUNT):totable()
end

local function coin()
  return neap.rep(0, COUNT):random_map(function(_, rng)
    return rng:integer(1, 2)
  end)
end

local chains = {
  shuffle = function(s)
    return s:shuffle(1)
  end,
  ["shuffle under a slice"] = function(s)
    return s:shuffle(1):slice(nil, nil, -1)
  end,
  ["gather by random indexes"] = function(s)
    return s:gather(neap.range(COUNT):shuffle(2):map(function(i)
      return i
    end))
  end,
  switch = function(s)
    return neap.switch(coin():map(function(side)
      return side == 1
    end), s, numbers())
  end,
  case = function(s)
    return neap.case(coin(), numbers(), s)
  end,
  cache = function(s)
    return s:shuffle(1):cache()
  end,
  tools = function(s)
    return s:shuffle(1):rescue(error):retry(1):debug(type):monitor():progress()
  end,
}

describe("epoch", function()
  for name, chain in pairs(chains) do
    it("stores an item where that epoch reads it, through " .. name, function()
      local s = chain(neap.from(numbers()))
      for epoch = 1, 3 do
        local at_epoch = s:epoch(epoch)
        for i = 1, COUNT do
          local stored = epoch * 100 + i
          at_epoch[i] = stored
          assert.equal(stored, at_epoch[i])
        end
      end
    end)
  end

  it("stores the items of a piece where that epoch reads them", function()
    local pieces = neap.from(numbers()):shuffle(1):split(1):epoch(3)
    pieces[2] = neap.range(101, 110)
    assert.same(neap.range(101, 110):totable(), pieces[2]:totable())
  end)

  it("forgets what a cache keeps of an epoch where another stores", function()
    local s = neap.from(numbers()):shuffle(1):cache()
    s:totable()
    s:epoch(2)[1] = "new"
    assert.equal("new", s:epoch(2)[1])
    local found = 0
    for _, x in s:each() do
      found = found + (x == "new" and 1 or 0)
    end
    assert.equal(1, found)
  end)
end)
