-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local function cannot(text, options, items)
  assert.equal("cannot pad: " .. text,
    support.message(neap.pad(options), items))
end

local function row(dtype, list)
  return neap.tensor(dtype, { #list }, list)
end

local function tables(x)
  return x.tensor:totable(), x.lengths:totable(), x.mask:totable()
end

describe("pad", function()
  it("fills rows up to the longest, and tells lengths and a mask", function()
    local b = neap.pad({ value = -1 })({ row("i32", { 1, 2, 3 }),
      row("i32", {}), row("i32", { 4 }) })
    local tensor, lengths, mask = tables(b)
    assert.same({ { 1, 2, 3 }, { -1, -1, -1 }, { 4, -1, -1 } }, tensor)
    assert.same({ 3, 0, 1 }, lengths)
    assert.same({ { true, true, true }, { false, false, false },
      { true, false, false } }, mask)
    assert.same({ "i32", "i64", "bool" },
      { b.tensor.dtype, b.lengths.dtype, b.mask.dtype })
  end)

  it("is the same as a loop over lists, whatever they are", function()
    for seed = 1, 20 do
      local rng = require("neap.base.random").new(seed)
      local items, multiple = {}, rng:integer(1, 5)
      for k = 1, rng:integer(1, 9) do
        items[k] = {}
        for j = 1, rng:integer(0, 12) do
          items[k][j] = rng:integer(0, 255)
        end
      end
      local width = 0
      for k = 1, #items do
        width = math.max(width, math.ceil(#items[k] / multiple) * multiple)
      end
      local model = {}
      for k = 1, #items do
        model[k] = {}
        for j = 1, width do
          model[k][j] = items[k][j] or 7
        end
      end
      for _, dtype in ipairs({ "u8", "i64", "f16", "f64" }) do
        local pad = neap.pad({ value = 7, multiple = multiple, dtype = dtype })
        assert.same(model, pad(items).tensor:totable())
        local rows = {}
        for k = 1, #items do
          rows[k] = row("f32", items[k])
        end
        assert.same(model, pad(rows).tensor:totable())
      end
    end
  end)

  it("goes field by field, and stacks what is no row", function()
    local b = neap.pad({ value = { a = -1, b = 9 }, to = { b = 3 },
      dtype = { a = "i64" } })({
      { a = { 1 }, b = row("u8", { 1 }), label = 1, name = "x",
        deep = { image = neap.tensor("u8", { 1, 1 }, 4), c = { 5, 6 } } },
      { a = { 1, 2 }, b = row("u8", { 2, 3 }), label = 2, name = "y",
        deep = { image = neap.tensor("u8", { 1, 1 }, 5), c = {} } },
    })
    assert.same({ { 1, -1 }, { 1, 2 } }, b.a.tensor:totable())
    assert.equal("i64", b.a.tensor.dtype)
    assert.same({ { 1, 9, 9 }, { 2, 3, 9 } }, b.b.tensor:totable())
    assert.same({ 1, 2 }, b.label:totable())
    assert.same({ "x", "y" }, b.name)
    assert.same({ { { 4 } }, { { 5 } } }, b.deep.image:totable())
    assert.same({ { 5, 6 }, { 0, 0 } }, b.deep.c.tensor:totable())
  end)

  it("takes 64-bit integers", function()
    local b = neap.pad()({ { 2LL ^ 62, 1 }, { 3 } })
    assert.equal("i64", b.tensor.dtype)
    assert.equal(2LL ^ 62, b.tensor:get(1, 1))
    assert.equal("u64", neap.pad()({ { 1ULL } }).tensor.dtype)
  end)

  it("makes a tensor without columns of rows without elements", function()
    assert.same({ 2, 0 }, neap.pad()({ {}, {} }).tensor.shape)
    assert.same({ 1, 4 }, neap.pad({ to = 4 })({ {} }).tensor.shape)
  end)

  it("says what does not fit, of which item", function()
    cannot("there are no items", nil, {})
    cannot("item 2 has 3 elements, and `to` is 2\nhelp: cut it in a map below "
      .. 'the batch, raise `to`, or pad to = "longest"', { to = 2 },
      { { 1 }, { 1, 2, 3 } })
    cannot("item 2 is a number at .x, and item 1 is a row", nil,
      { { x = { 1 } }, { x = 1 } })
    cannot("item 2 has no .x, item 1 has", nil, { { x = { 1 } }, { y = 1 } })
    cannot("item 2 has .y, item 1 has not", nil,
      { { x = { 1 } }, { x = { 1 }, y = 1 } })
    cannot("option 'value' names .z, which item 1 has not",
      { value = { z = 1 } }, { { x = { 1 } } })
    cannot("item 2 is no table, and item 1 is one", nil, { { x = { 1 } }, 5 })
    cannot("item 1 has a string in place 2\nhelp: a row is a list of numbers, "
      .. "or a tensor", nil, { { 1, "x" } })
    cannot("item 1 has 1.5 in place 1 at .x, which u8 does not hold\nhelp: "
      .. "name a dtype that does: { dtype = ... }", { dtype = "u8" },
      { { x = { 1.5 } } })
    cannot("item 2 is of dtype i32, item 1 of u8\nhelp: set the option dtype, "
      .. 'or convert them in a map: t:to("u8")', nil,
      { row("u8", { 1 }), row("i32", { 1 }) })
    cannot("value 300 does not fit u8\nhelp: set the option value, or dtype",
      { value = 300 }, { row("u8", { 1 }), row("u8", {}) })
    assert.equal("cannot stack: item 2 is a string at .y, item 1 is a number",
      support.message(neap.pad(), { { x = {}, y = 1 }, { x = {}, y = "a" } }))
  end)

  it("checks its options where it is made", function()
    assert.equal("bad argument #1 to 'pad' (table of options expected, got a "
      .. "list)\nhelp: neap.pad makes the function: { collate = neap.pad({ "
      .. "value = 0 }) }", support.message(neap.pad, { 1 }))
    assert.equal("bad argument #1 to 'pad' (option 'to': \"longest\" or "
      .. "positive integer (or table of these by field) expected, got 0)",
      support.message(neap.pad, { to = 0 }))
    assert.equal("bad argument #1 to 'pad' (option 'multiple' goes with to = "
      .. '"longest", got 8)', support.message(neap.pad,
      { to = 8, multiple = 4 }))
  end)
end)

describe("pad with workers", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("makes the same batches", function()
    local function ramp(n)
      local t = neap.empty("f32", { n })
      for k = 1, n do
        t[k] = n * k
      end
      return t
    end
    local s = neap.range(40):map(ramp):batch(7, {
      collate = neap.pad({ value = -1, multiple = 4 }),
    })
    local wanted = {}
    for i, b in s:each() do
      wanted[i] = { tables(b) }
    end
    for _, workers in ipairs({ 1, 2 }) do
      local p = s:prefetch({ workers = workers })
      for i, b in p:each() do
        assert.same(wanted[i], { tables(b) })
      end
      p:close()
    end
  end)
end)
