-- SPDX-License-Identifier: MIT
local ffi = require("ffi")
local array = require("neap.tensor.array")
local neap = require("neap")
local stack = require("neap.tensor.stack")

local function raises(text, items, options)
  local line = debug.getinfo(1, "l").currentline + 1
  local ok, message = pcall(stack, items, options)
  assert.is_false(ok)
  assert.equal(("tests/spec/tensor/"
    .. "stack_spec.lua:%d: cannot stack: %s"):format(line,
    text), message)
end

local function image(value, height)
  return array.new("u8", { height or 2, 3 }, value)
end

describe("stack", function()
  it("makes numbers an f64 tensor and booleans a bool tensor", function()
    local numbers = stack({ 1, 2.5, -3 })
    assert.equal("f64", numbers.dtype)
    assert.same({ 1, 2.5, -3 }, numbers:totable())
    local booleans = stack({ true, false })
    assert.equal("bool", booleans.dtype)
    assert.same({ true, false }, booleans:totable())
  end)

  it("puts a dimension before those of tensors", function()
    local batch = stack({ image(1), image(2) })
    assert.equal("u8", batch.dtype)
    assert.same({ 2, 2, 3 }, batch.shape)
    assert.same({ { 2, 2, 2 }, { 2, 2, 2 } }, batch[2]:totable())
    local one, two = array.new("f32", {}, 1), array.new("f32", {}, 2)
    assert.same({ 1, 2 }, stack({ one, two }):totable())
  end)

  it("keeps strings in a table", function()
    assert.same({ "a", "b" }, stack({ "a", "b" }))
  end)

  it("goes through tables field by field", function()
    local batch = stack({
      { image = image(1), meta = { id = 1, name = "a" }, { true } },
      { image = image(2), meta = { id = 2, name = "b" }, { false } },
    })
    assert.same({ 2, 2, 3 }, batch.image.shape)
    assert.same({ 1, 2 }, batch.meta.id:totable())
    assert.same({ "a", "b" }, batch.meta.name)
    assert.same({ true, false }, batch[1][1]:totable())
  end)

  it("refuses what differs, naming item and field", function()
    local shapes = "\nhelp: bring them to one shape in a map, or collate by a "
      .. "function of your own"
    raises("item 3 has shape 3x3 at .image, item 1 has 2x3" .. shapes,
      { { image = image(1) }, { image = image(1) }, { image = image(1, 3) } })
    raises("item 2 has shape 6, item 1 has 2x3" .. shapes,
      { image(1), image(1):reshape(6) })
    raises("item 2 has shape 1, item 1 has scalar" .. shapes,
      { array.new("u8", {}), array.new("u8", { 1 }) })
    raises("item 2 is of dtype f32 at .x[1], item 1 of u8\n"
      .. "help: convert them in a map: t:to(\"u8\")",
      { { x = { image(1) } }, { x = { image(1):to("f32") } } })
    raises("item 2 is a string, item 1 is a number", { 1, "a" })
    raises("item 2 is a number at .x, item 1 is a tensor",
      { { x = image(1) }, { x = 1 } })
    raises("item 2 has no .a.b, item 1 has",
      { { a = { b = 1 } }, { a = {} } })
    raises("item 2 has .b, item 1 has not", { { a = 1 }, { a = 1, b = 2 } })
  end)

  it("makes numbers and tensors of the dtype that is asked for", function()
    assert.equal("tensor i64 2 {1, 2}",
      tostring(stack({ 1, 2 }, { dtype = "i64" })))
    assert.equal("tensor f32 3 {1, 0, 3}",
      tostring(stack({ true, false, 3LL }, { dtype = "f32" })))
    assert.equal("tensor bool 3 {true, false, true}",
      tostring(stack({ 1, 0, true }, { dtype = "bool" })))
    local images = stack({ image(1), image(2):to("f32") }, { dtype = "f16" })
    assert.equal("f16", images.dtype)
    assert.same({ { 2, 2, 2 }, { 2, 2, 2 } }, images[2]:totable())
    local scalars = stack({ array.new("u8", {}, 7) }, { dtype = "f64" })
    assert.equal("tensor f64 1 {7}", tostring(scalars))
  end)

  it("takes a dtype for each field, or one for all but strings", function()
    local items = {
      { image = image(1), meta = { id = 7, name = "a" }, flag = true },
      { image = image(2), meta = { id = 8, name = "b" }, flag = false },
    }
    local some = stack(items, { dtype = { image = "f32",
      meta = { id = "i32" } } })
    assert.equal("f32 i32 bool", ("%s %s %s"):format(some.image.dtype,
      some.meta.id.dtype, some.flag.dtype))
    local all = stack(items, { dtype = "i64" })
    assert.equal("i64 i64 i64", ("%s %s %s"):format(all.image.dtype,
      all.meta.id.dtype, all.flag.dtype))
    assert.same({ "a", "b" }, all.meta.name)
  end)

  it("refuses what a dtype does not hold", function()
    raises("item 2 is 300, which u8 does not hold", { 1, 300 },
      { dtype = "u8" })
    raises("item 1 is 1.5 at .x, which i64 does not hold", { { x = 1.5 } },
      { dtype = { x = "i64" } })
    raises("item 1 is -1LL, which u64 does not hold", { -1LL },
      { dtype = "u64" })
    raises("item 1 is a string at .x, which f32 does not hold",
      { { x = "1" } }, { dtype = { x = "f32" } })
    raises("dtype names .y, which item 1 has not", { { x = 1 } },
      { dtype = { y = "f32" } })
    raises("item 1 is a number, and dtype is a table of fields", { 1 },
      { dtype = { x = "f32" } })
    raises("item 2 has shape 3x3, item 1 has 2x3\nhelp: bring them to one "
      .. "shape in a map, or collate by a function of your own",
      { image(1), image(1, 3) }, { dtype = "f32" })
  end)

  it("refuses other options, and a dtype in their place", function()
    local function refused(text, options)
      local ok, message = pcall(stack, { 1 }, options)
      assert.is_false(ok)
      assert.equal(text, message:match("%((.*)$"))
    end
    refused('table of options expected, got "i64")\n'
      .. 'help: write { dtype = "i64" }', "i64")
    refused("table of options expected, got 1)", 1)
    refused("unknown option 'type'; known are dtype)\nhelp: did you mean "
      .. "'dtype'?", { type = "i64" })
    refused("option 'dtype': dtype, or table of dtypes by field, expected, "
      .. 'got "int")', { dtype = "int" })
    refused("option 'dtype': dtype, or table of dtypes by field, expected, "
      .. "got table)", { dtype = { x = { "f32", "int" } } })
  end)

  it("makes 64-bit integers an i64 or u64 tensor, exact", function()
    local signed = stack({ -2LL ^ 60 - 1, 7, 2ULL })
    assert.equal("tensor i64 3 {-1152921504606846977LL, 7, 2}",
      tostring(signed))
    local unsigned = stack({ { x = 2ULL ^ 64 - 1 }, { x = 3LL } }).x
    assert.equal("tensor u64 2 {18446744073709551615ULL, 3}",
      tostring(unsigned))
    raises("item 2 is 2.5 at .x, which i64 does not hold",
      { { x = 1LL }, { x = 2.5 } })
    raises("item 2 is -1LL, which u64 does not hold", { 1ULL, -1LL })
    raises("item 2 is 18446744073709551615ULL, which i64 does not hold",
      { 1LL, 2ULL ^ 64 - 1 })
    raises("item 2 is nan, which i64 does not hold", { 1LL, 0 / 0 })
    raises("item 2 is a 64-bit integer, item 1 is a number", { 1, 2LL })
    raises("item 2 is a string, item 1 is a 64-bit integer", { 2LL, "a" })
    local batches = neap.from({ 2LL ^ 60, 1LL }):batch(2, { collate = stack })
    for workers = 0, 1 do
      local p = batches:prefetch({ workers = workers })
      assert.equal("tensor i64 2 {1152921504606846976LL, 1}", tostring(p[1]))
      p:close()
    end
  end)

  it("refuses what holds no items", function()
    for what, items in pairs({ ["an empty one"] = {}, ["3"] = 3 }) do
      local line = debug.getinfo(1, "l").currentline + 1
      local ok, message = pcall(function() local _ = stack(items) end)
      assert.is_false(ok)
      assert.equal(("tests/spec/tensor/"
        .. "stack_spec.lua:%d: bad argument #1 to 'stack' "
        .. "(table of items expected, got %s)"):format(line, what), message)
    end
  end)

  it("refuses what cannot be stacked", function()
    raises("item 1 is a function at .f", { { f = print } })
    raises("item 1 is a table with a metatable at .x",
      { { x = setmetatable({}, {}) } })
    raises("item 2 is a table with a metatable",
      { {}, setmetatable({}, {}) })
    local cycle = {}
    cycle[1] = cycle
    raises("item 1 is nested more than 64 deep", { cycle })
    raises("item 1 has 8 dimensions, there is no room for one more",
      { array.new("u8", { 1, 1, 1, 1, 1, 1, 1, 1 }) })
  end)
end)

describe("a stack that is put item by item", function()
  -- A tensor in the place where row k of a leaf will lie.
  local function at_row(leaf, k)
    local t = leaf.result[k]
    assert(ffi.cast("uint8_t *", t:ptr()) == stack.row(leaf, k))
    return t
  end

  it("names its leaves", function()
    local state = stack.begin({ a = { image(1) }, n = 1 }, 4)
    assert.equal(1, #state.leaves)
    local leaf = state.leaves[1]
    assert.equal(".a[1]", leaf.path)
    assert.equal("u8", leaf.dtype)
    local t, u = image(2), image(2, 3)
    assert(stack.is_like(leaf, t.d.code, t.d.bits, t.dims, 2))
    assert(not stack.is_like(leaf, t.d.code, 16, t.dims, 2))
    assert(not stack.is_like(leaf, u.d.code, u.d.bits, u.dims, 2))
    assert(not stack.is_like(leaf, t.d.code, t.d.bits, t.dims, 1))
    assert.equal(6, leaf.nbytes)
  end)

  it("takes items that were built in their rows", function()
    local state = stack.begin(image(1), 3)
    for k = 1, 3 do
      local row = at_row(state.leaves[1], k)
      row:fill(k)
      stack.put(state, k, row)
    end
    local batch = stack.finish(state)
    for k = 1, 3 do
      assert.equal(k, batch[k][2][3])
    end
  end)

  it("copies aside what lies in another row", function()
    local state = stack.begin({ a = image(1), b = image(1) }, 2)
    local one, two = state.leaves[1], state.leaves[2]
    local x, y = at_row(one, 1), at_row(two, 1)
    x:fill(5)
    y:fill(6)
    local swapped = {
      [one.path:sub(2)] = y, [two.path:sub(2)] = x,
    }
    stack.put(state, 1, swapped)
    stack.put(state, 2, { a = image(7), b = image(8) })
    assert.equal(6, one.result[1][1][1])
    assert.equal(5, two.result[1][1][1])
    local batch = stack.finish(state)
    assert.equal(7, batch.a[2][1][1])
    assert.equal(8, batch.b[2][1][1])
  end)

  it("writes no tensor of an item that it refuses", function()
    local state = stack.begin({ a = image(1), b = image(1) }, 1)
    state.leaves[1].result:fill(0)
    assert.is_false(pcall(stack.put, state, 1, { a = image(9), b = 1 }))
    assert.equal(0, state.leaves[1].result[1][1][1])
    stack.put(state, 1, { a = image(3), b = image(4) })
    local batch = stack.finish(state)
    assert.equal(3, batch.a[1][1][1])
    assert.equal(4, batch.b[1][1][1])
  end)
end)
