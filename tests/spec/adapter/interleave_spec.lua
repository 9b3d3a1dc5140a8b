-- SPDX-License-Identifier: MIT
--- Interleaving: whatever the lengths, the kinds of sources
-- and the order of reads, the items are those of a plain loop.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local seed = support.seed("interleave_spec")

-- A list of n numbers that no other list has.
local last = 0
local function fresh(n)
  local list = {}
  for k = 1, n do
    last = last + 1
    list[k] = last
  end
  return list
end

local function append(list, more)
  local both = {}
  for _, part in ipairs({ list, more }) do
    for _, x in ipairs(part) do
      both[#both + 1] = x
    end
  end
  return both
end

local KINDS = {
  function(n)
    local list = fresh(n)
    return list, list
  end,
  function(n)
    local a, b = fresh(n), fresh(3)
    return neap.concat(a, b), append(a, b)
  end,
  function(n)
    local list = fresh(n + 4)
    return neap.slice(list, 3, n + 2), { unpack(list, 3, n + 2) }
  end,
  function(n)
    local list = fresh(n)
    local shuffled = neap.shuffle(list, 5)
    return shuffled, shuffled:totable()
  end,
  function(n)
    local list = fresh(n)
    return neap.map(math.abs, list), list
  end,
}

local function random_sources(count, kinds)
  local sources, lists = {}, {}
  for k = 1, count do
    local make = KINDS[math.random(kinds)]
    sources[k], lists[k] = make(math.random(0, 90))
  end
  return sources, lists
end

local function interleaved(lists)
  local items, longest = {}, 0
  for _, list in ipairs(lists) do
    longest = math.max(longest, #list)
  end
  for round = 1, longest do
    for _, list in ipairs(lists) do
      items[#items + 1] = list[round]
    end
  end
  return items
end

local function check(count, kinds)
  local sources, lists = random_sources(count, kinds)
  local s, expected = neap.interleave(unpack(sources)), interleaved(lists)
  assert.same(expected, s:totable())
  for _ = 1, 3 * #expected do
    local i = math.random(#expected)
    assert.equal(expected[i], s[i])
  end
  for i = #expected, 1, -1 do
    assert.equal(expected[i], s[i])
  end
end

-- Stretches of items at and beyond what 32 bits hold, in any order; source t
-- has t * OWN + 1, t * OWN + 2, ...
local OWN = 1e14
local STARTS = {
  0, 2 ^ 31 - 300, 2 ^ 31 - 3, 2 ^ 31, 2 ^ 32 - 5, 2 ^ 32, 2 ^ 33 + 7, 2 ^ 40,
}

local function check_far(s, count)
  for _ = 1, 100 do
    local first = STARTS[math.random(#STARTS)] + math.random(500)
    for i = first, first + math.random(600) do
      local t = (i - 1) % count
      assert(s[i] == t * OWN + (i - 1 - t) / count + 1, i)
    end
  end
end

describe("neap.interleave", function()
  before_each(function()
    math.randomseed(seed)
  end)

  it("takes turns among lists of any lengths", function()
    for _ = 1, 60 do
      check(math.random(5), 1)
    end
  end)

  it("takes turns among what has stretches of one list", function()
    for _ = 1, 60 do
      check(math.random(5), 3)
    end
  end)

  it("takes turns among sequences of all kinds", function()
    for _ = 1, 40 do
      check(math.random(5), #KINDS)
    end
  end)

  it("takes turns among more sequences than are read ahead", function()
    check(16, 3)
    check(17, 3)
    check(40, 3)
  end)

  it("takes turns within one source", function()
    local s = neap.range(10)
    assert.same({ 1, 6, 2, 7, 3, 8, 4, 9, 5, 10 },
      neap.interleave(s:slice(1, 5), s:slice(6)):totable())
  end)

  it("goes on exactly far into endless sequences", function()
    local function itself(i)
      return i
    end
    local s = neap.interleave(neap.from(itself), neap.from(itself))
    for _, p in ipairs({ 2 ^ 27, 2 ^ 31 - 2, 2 ^ 31, 2 ^ 40, 2 ^ 53 - 1 }) do
      local i = p + 1
      assert.equal(math.floor((i - 1) / 2) + 1, s[i])
    end
  end)

  it("tells far items from near ones", function()
    for _, count in ipairs({ 2, 3, 5, 12 }) do
      local ranges, endless = {}, {}
      for t = 0, count - 1 do
        ranges[t + 1] = neap.range(t * OWN + 1, t * OWN + 2 ^ 45)
        endless[t + 1] = neap.from(function(i)
          return t * OWN + i
        end)
      end
      check_far(neap.interleave(unpack(ranges)), count)
      check_far(neap.interleave(unpack(endless)), count)
    end
  end)
end)
