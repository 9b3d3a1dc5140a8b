-- SPDX-License-Identifier: MIT
local neap = require("neap")
local random = require("neap.base.random")
local support = dofile("tests/spec/support.lua")

local function first_fit(rows, length)
  for k, row in ipairs(rows) do
    if row.room >= length then
      return k
    end
  end
end

local function best_fit(rows, length)
  local best
  for k, row in ipairs(rows) do
    local other = rows[best]
    if row.room >= length and (not best or row.room < other.room
      or row.room == other.room and row.used > other.used) then
      best = k
    end
  end
  return best
end

-- The items of each row, by a plain loop.
local function model(lengths, capacity, find)
  local rows, list = {}, {}
  for i, length in ipairs(lengths) do
    local k = find(rows, length) or #rows + 1
    rows[k] = rows[k] or { room = capacity }
    rows[k].room, rows[k].used = rows[k].room - length, i
    list[k] = list[k] or {}
    for _ = 1, length do
      table.insert(list[k], i)
    end
  end
  return list
end

local function repeated(lengths)
  return neap.range(#lengths):map(function(i)
    return neap.tensor("i32", { lengths[i] }, i)
  end)
end

describe("pack", function()
  it("puts items where a plain loop would", function()
    local strategies = { first_fit = first_fit, best_fit = best_fit }
    for name, find in pairs(strategies) do
      for seed = 1, 40 do
        local rng, lengths = random.new(seed), {}
        local capacity = rng:integer(1, 300)
        for k = 1, rng:integer(0, 80) do
          lengths[k] = rng:integer(1, rng:integer(1, capacity))
        end
        local s = repeated(lengths):pack(lengths, capacity,
          { strategy = name, value = -1 })
        local wanted = model(lengths, capacity, find)
        assert.equal(#wanted, #s)
        for i, row in s:each() do
          for k = 1, capacity do
            assert.equal(wanted[i][k] or -1, row.tensor[k])
          end
        end
      end
    end
  end)

  it("tells the item of each element, and its place in the item", function()
    local row = neap.pack({ { 7, 8 }, { 9 } }, { 2, 1 }, 5)[1]
    assert.same({ 7, 8, 9, 0, 0 }, row.tensor:totable())
    assert.same({ 1, 1, 2, 0, 0 }, row.segments:totable())
    assert.same({ 0, 1, 0, 0, 0 }, row.positions:totable())
    assert.same({ "f64", "i32", "i32" }, { row.tensor.dtype,
      row.segments.dtype, row.positions.dtype })
  end)

  it("goes field by field, and stacks what is no row", function()
    local row = neap.pack({
      { tokens = { 1, 2 }, target = neap.tensor("u8", { 1 }, 4), label = 1 },
      { tokens = { 3 }, target = neap.tensor("u8", { 1 }, 5), label = 2 },
    }, { 2, 1 }, 4, { dtype = { tokens = "i64" }, value = { target = 9 } })[1]
    assert.same({ 1, 2, 3, 0 }, row.tokens.tensor:totable())
    assert.equal("i64", row.tokens.tensor.dtype)
    assert.same({ 4, 5, 9, 9 }, row.target.tensor:totable())
    assert.same({ 1, 2, 0, 0 }, row.target.segments:totable())
    assert.same({ 1, 2 }, row.label:totable())
  end)

  it("makes rows that stack, and that a shuffle mixes", function()
    local lengths = { 3, 1, 2, 2 }
    local b = repeated(lengths):pack(lengths, 4):shuffle(1)
      :batch(2, { collate = neap.stack })[1]
    assert.same({ 2, 4 }, b.tensor.shape)
    assert.same({ 2, 4 }, b.segments.shape)
  end)

  it("shows how full the rows are", function()
    assert.equal("pack(from(table), 4, 75% full): 2 items",
      tostring(neap.pack({ { 1 }, { 1 }, { 1 } }, { 3, 2, 1 }, 4)))
    assert.equal(0, #neap.pack({}, {}, 4))
  end)

  it("refuses what does not fit", function()
    local help = "\nhelp: cut longer items in a map; leave items out with "
      .. "neap.where and gather"
    local items = { { 1 }, { 2 } }
    assert.equal("bad argument #2 to 'pack' (length of item 2: whole number "
      .. "1..4 expected, got 5)" .. help,
      support.message(neap.pack, items, { 1, 5 }, 4))
    assert.equal("bad argument #2 to 'pack' (length of item 1: whole number "
      .. "1..4 expected, got 0)" .. help,
      support.message(neap.pack, items, { 0, 5 }, 4))
    assert.equal("bad argument #2 to 'pack' (2 lengths expected, one for each "
      .. "item, got 3)", support.message(neap.pack, items, { 1, 2, 3 }, 4))
    assert.equal("bad argument #3 to 'pack' (positive integer expected, got "
      .. "no value)", support.message(neap.pack, items, { 1, 1 }))
    assert.equal("bad argument #3 to 'pack' (2^26 at most expected, got "
      .. "134217728)", support.message(neap.pack, items, { 1, 1 }, 2 ^ 27))
    assert.equal("bad argument #4 to 'pack' (option 'strategy': \"first_fit\" "
      .. "or \"best_fit\" expected, got \"worst\")",
      support.message(neap.pack, items, { 1, 1 }, 4, { strategy = "worst" }))
    local e = support.raised(function()
      return neap.pack({ { 1, 2, 3 } }, { 2 }, 2)[1]
    end)
    assert.equal("cannot pack: the items have 3 elements, more than their "
      .. "lengths tell, and the capacity is 2", e.message)
    assert.equal(1, e.index)
    assert.equal("cannot pack: value 300 does not fit u8",
      support.raised(function()
        return neap.pack({ neap.tensor("u8", { 1 }) }, { 1 }, 2,
          { value = 300 })[1]
      end).message)
  end)
end)
