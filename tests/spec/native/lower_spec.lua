-- SPDX-License-Identifier: MIT
--- Chains without Lua: their items are those of Lua, to the bit.

local ffi = require("ffi")
local compiler = require("neap.sequence.compile")
local handle = require("neap.sequence.handle")
local lower = require("neap.native.lower")
local neap = require("neap")
local evaluate = dofile("tests/spec/native/chain_support.lua")
local support = dofile("tests/spec/support.lua")

local KERNEL = "tests/spec/native/kernel.c"
local STACK = { collate = neap.stack }

ffi.cdef("int setenv(const char *name, const char *value, int overwrites);")
assert(ffi.C.setenv("XDG_CACHE_HOME", support.folder(), 1) == 0)

local function kernel(decl, args, more)
  local options = { source = KERNEL, decl = decl, args = args }
  for key, value in pairs(more or {}) do
    options[key] = value
  end
  return neap.native(options)
end

local half = kernel("double half(double x)")
local third = kernel("float third(float x)")
local is_even = kernel("bool is_even(int64_t x)")
local big = kernel("int64_t big(int64_t x)")
local word = kernel("const char *word(int32_t n)")
local nothing = kernel("void nothing(double x)")
local turned = kernel("typedef struct point { double x, y; } point; "
  .. "point turned(point p)", { ["p.x"] = "1", ["p.y"] = "2" })
local place = kernel("double place(int64_t index, int64_t epoch)",
  { index = "index", epoch = "epoch" })
local drawn = kernel("double drawn(uint64_t seed)", { seed = "seed" })
local check = kernel("int check_below(double x, double limit, double *out)",
  { x = "item", limit = 5, out = { out = "f64", shape = {} } },
  { error = "const char *reason(int status)" })

local function scale(factor)
  return kernel("void scale(const float *in, size_t count, float factor, "
    .. "float *out)", {
    ["in"] = "data", count = "count", factor = factor,
    out = { out = "f32", shape = "shape" },
  })
end

local function filled(name, sizes)
  local t = neap.tensor(name, sizes)
  for k = 0, t.nbytes - 1 do
    ffi.cast("uint8_t *", t:ptr())[k] = (k * 37 + 11) % 100
  end
  return t
end

-- The chain is native, and all ways to evaluate it give the same.
local function same(s)
  local here = evaluate.by_lua(s)
  for _, chunk in ipairs({ 1, 3, 100 }) do
    local there, why = evaluate.in_c(s, chunk)
    assert.same(here, there, why)
  end
  assert.same(evaluate.by_lua_workers(s, 2), (evaluate.in_c(s, 4, 2)))
  assert.same(here, evaluate.again(s))
end

-- The message of what is not native, without the place.
local function refusal(s)
  local _, why = lower.chain(handle.node(s), true)
  return why.node.class_name .. ": " .. why.why
end

describe("a chain without Lua", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("has the items of each source", function()
    same(neap.range(7))
    same(neap.range(2.5, -4, -0.25))
    same(neap.range(5, 1))
    same(neap.from({ 1, -0.5, 0 / 0, 1 / 0, -0.0 }))
    same(neap.from({}))
    same(neap.rep(2.5, 3))
    same(neap.rep(filled("i16", { 2, 3 }), 3))
    same(neap.rep(filled("i16", { 3 }), 3))
    for _, name in ipairs({ "u8", "i8", "u16", "i16", "u32", "i32", "u64",
      "i64", "f16", "bf16", "f32", "f64", "bool" }) do
      if name ~= "bool" then
        same(neap.from(filled(name, { 5 })))
        same(neap.from(filled(name, { 5, 2 })))
      end
    end
    same(neap.from(neap.tensor("bool", { 3 }, { true, false, true })))
    same(neap.from(neap.tensor("i64", { 3 }, { 1, 2 ^ 53, -2 ^ 60 })))
    same(neap.from(neap.tensor("u64", { 2 }, { 3, 2 ^ 63 })))
  end)

  it("has the rows of files", function()
    local folder = support.folder()
    local path = folder .. "/rows"
    support.write(path, ffi.string(filled("u8", { 1, 96 }):ptr(), 96))
    same(neap.raw(path, "u8", { 4, 3 }))
    same(neap.raw(path, "i16", { 5 }, { offset = 4, stride = 16 }):shuffle())
    same(neap.raw(path, "f32", {}))
    same(neap.raw(path, "i64", {}):slice(2))
    same(neap.raw(path, "u16", { 2 }, { stride = 8 }):batch(5, STACK))
    assert.equal("batch: it stacks 64-bit integers, which C does up to 2^53 "
      .. "only", refusal(neap.raw(path, "i64", {}):batch(2, STACK)))
    for name, code in pairs({ u8 = "|u1", i16 = "<i2", f64 = ">f8",
      i32 = ">i4" }) do
      local t = filled(name, { 6, 2 })
      local header = ("{'descr': '%s', 'fortran_order': False, "
        .. "'shape': (6, 2), }"):format(code)
      header = header .. (" "):rep(53 - #header % 64) .. "\n"
      support.write(path .. ".npy", "\147NUMPY\1\0"
        .. string.char(#header % 256, math.floor(#header / 256)) .. header
        .. ffi.string(t:ptr(), t.nbytes))
      same(neap.npy(path .. ".npy"))
    end
    support.shell("rm -r " .. folder)
  end)

  it("has the rows of views, and of tensors in the heap", function()
    local large = filled("u8", { 50, 40, 60 })
    same(neap.from(large))
    same(neap.from(large:reshape(100, 20, 60)))
    same(neap.from(large[3]))
    same(neap.from(large[7]):slice(2, 30, 3) .. neap.from(large[8]))
  end)

  it("is as it was when it was packed", function()
    local large = filled("u8", { 50, 40, 60 })
    local before = evaluate.by_index(neap.from(large))
    local text = lower.pack(handle.node(neap.from(large)))
    large:fill(0)
    local after = lower.pack(handle.node(neap.from(large)))
    assert.not_equal(text, after) -- a block of its own
    assert.same(evaluate.by_index(neap.from(large)),
      (evaluate.in_c(neap.from(large), 7)))
    assert.not_same(before, (evaluate.in_c(neap.from(large), 7)))
  end)

  it("rearranges", function()
    local s, t = neap.from(filled("f32", { 11, 3 })),
      neap.from(filled("f32", { 4, 3 }))
    same(s:shuffle(3))
    same(s:slice(9, 2, -3))
    same((s .. t):shuffle())
    same(s:gather({ 3, 1, 1, -1 }):shuffle(5))
    same(neap.interleave(s, t))
    same(neap.mix({ s, t }, { 2, 1 }, { seed = 5 }))
    same(s:shard(2, 3, { even = "pad" }):cycle(2))
    same(s:map(scale(2)) .. t:map(scale(3)))
    same(neap.interleave(s:map(scale(2)), t:map(scale(3))):shuffle())
  end)

  it("zips", function()
    local images, labels = filled("u8", { 9, 2, 2 }), filled("u8", { 9 })
    same(neap.zip(images, labels))
    same(neap.zip({ image = images, label = labels }))
    same(neap.zip({ z = labels, a = neap.zip({ b = images, a = labels }) }))
    same(neap.zip({ x = neap.range(4):map(nothing), y = neap.range(4) }))
    same(neap.zip(neap.range(1, math.huge), labels))
  end)

  it("maps", function()
    local floats = neap.from(filled("f32", { 6, 4 })
      :to("f32", 1e-30))
    same(neap.range(4):map(half))
    same(neap.range(4):map(half):map(half))
    same(neap.range(4):map(is_even))
    same(neap.range(4):map(big))
    same(neap.range(3):map(word))
    same(neap.range(3):map(nothing))
    same(neap.zip(neap.range(3), neap.range(3)):map(turned))
    same(neap.zip(neap.range(3), neap.range(3)):shuffle():map(place))
    same(neap.range(3):map(place):shuffle())
    same(neap.range(9):map(drawn))
    same(floats:map(scale(0.1)):map(third))
  end)

  it("converts, and computes with numbers", function()
    for _, name in ipairs({ "u8", "i8", "u16", "i32", "u64", "f16", "f64" }) do
      local s = neap.from(filled(name, { 4, 5 }))
      same(s:map(neap.operation("to", "f32", 1 / 255)))
      same(s:map(neap.operation("to", "u8", 2, -3)))
      same(s:map(neap.operation("to", "bf16")):map(
        neap.operation("to", "i16", 0.5)))
      for _, operation in ipairs({ "add", "sub", "mul", "div", "eq", "lt",
        "gt" }) do
        same(s:map(neap.operation(operation, 3)))
        same(s:map(neap.operation(operation, -0.75)))
      end
      same(s:map(neap.operation("clamp", 2, 60)))
    end
    same(neap.from(filled("u8", { 5, 5 })):batch(2, STACK)
      :map(neap.operation("div", 2)):map(neap.operation("to", "f64")))
  end)

  it("stacks", function()
    local images, labels = filled("u8", { 19, 2, 2 }), filled("i32", { 19 })
    local s = neap.zip({ image = images, label = labels })
    same(s:batch(4, STACK))
    same(s:batch(4, { collate = neap.stack, drop_last = true }))
    same(s:batch(40, STACK))
    same(s:batch(40, { collate = neap.stack, drop_last = true }))
    same(neap.range(300):batch(299, STACK))
    same(neap.range(12):batch(2, STACK):batch(3, STACK))
    same(neap.range(7):map(is_even):batch(3, STACK))
    same(neap.zip(images, labels):shuffle():batch(5, STACK):shuffle():slice(2))
    same(neap.from(images):map(neap.operation("to", "f32", 1 / 255))
      :batch(7, { collate = neap.stack, drop_last = true }):map(scale(2)))
    for _, name in ipairs({ "i64", "u64", "f16", "u8", "f32" }) do
      same(neap.from(neap.tensor(name, { 5 }, { 1, 2, 3, 4, 5 }))
        :batch(2, STACK))
    end
  end)

  it("fails with the errors of Lua's workers", function()
    local function fails(s)
      local lua = evaluate.by_lua_workers(s)
      local is_failing = false
      for _, text in ipairs(lua) do
        is_failing = is_failing or text:find("kind: item", 1, true)
      end
      assert.truthy(is_failing)
      for _, chunk in ipairs({ 1, 3, 100 }) do
        assert.same(lua, (evaluate.in_c(s, chunk)))
      end
    end
    fails(neap.range(9):map(check))
    fails(neap.range(1, 41, 5):map(half):map(half):map(check):batch(2, STACK))
    fails(neap.range(9):map(check):shuffle():batch(2, STACK))
    fails(neap.zip({ a = neap.range(9):map(check),
      b = neap.range(9):map(check):shuffle() }))
    fails(neap.range(9):map(check) .. neap.range(2):map(check))
    fails(neap.range(0.5, 3):map(is_even):batch(2, STACK))
  end)

  it("tells the first stage that is not native, and why", function()
    local s = neap.range(4)
    local function f(x) return x end
    assert.equal("map: its function is one of Lua",
      refusal(s:map(f):map(half):shuffle():map(f)))
    assert.equal("from: its items are not all numbers",
      refusal(neap.from({ 1, "two" }):shuffle()))
    assert.equal("from: its function is one of Lua",
      refusal(neap.from(f, 3)))
    assert.equal("batch: it makes lists", refusal(s:batch(2)))
    assert.equal("batch: its collate is a function of Lua",
      refusal(s:batch(2, { collate = f })))
    assert.equal("batch: C does not know its option 'pad'",
      refusal(s:batch(3, { collate = neap.stack, pad = 0 })))
    assert.equal("batch: C does not know its option 'dtype'",
      refusal(s:batch(3, { dtype = "f32" })))
    assert.equal("window: C makes no such batches", refusal(s:window(2)))
    assert.equal("cache: it is a stage of Lua", refusal(s:cache():map(f)))
    assert.equal("epoch: it is a stage of Lua", refusal(s:epoch(2)))
    assert.equal("batch: it stacks 64-bit integers, which C does up to 2^53 "
      .. "only", refusal(s:map(big):batch(2, STACK)))
    assert.equal("zip: the field \"a.b\" has no name for C",
      refusal(neap.zip({ ["a.b"] = s })))
    assert.equal("map: cannot operate: no", refusal(
      s:map(neap.operation("add", 1))):gsub("add:.*", "operate: no"))
    assert.truthy(refusal(s:batch(3, STACK):batch(2, STACK)):find(
      "the last batch of the source has fewer items", 1, true))
    assert.truthy(refusal(s:map(scale(2))):find("cannot call scale", 1, true))
  end)

  -- What two chains share is computed for each.
  it("does not grow without bound", function()
    local s, area = neap.range(3), kernel("double area(const float *data, "
      .. "int64_t height, int64_t width)", {
      data = "null", height = "1.item", width = 0,
    })
    for _ = 1, 20 do
      s = neap.zip(s, s):map(area)
    end
    assert.equal("range: the chain has more than 10000 stages", refusal(s))
  end)
end)

describe("a batch of native stages below a stage of Lua", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  local function last(x)
    return x
  end

  it("is one call of C", function()
    local s = neap.from(filled("f32", { 9, 3 })):map(scale(2))
      :map(neap.operation("add", 1)):shuffle():batch(4, STACK)
    local text = compiler.text(handle.node(s))
    assert.falsy(text:find("for "), text)
    same(s)
    same(neap.zip(neap.range(9):map(half), neap.zip({ a = neap.range(9) }))
      :batch(4, STACK))
  end)

  it("sees what is written to a tensor", function()
    local t = filled("u8", { 6, 2 })
    local s = neap.from(t):batch(3, STACK):map(last)
    assert.equal(t[4][1], s[2]:get(1, 1))
    t[4][1] = 77
    assert.equal(77, s[2]:get(1, 1))
    local list = neap.from({ 1, 2, 3 })
    local batches = list:batch(2, STACK)
    assert.equal(1, batches[1][1])
    list[1] = 5
    assert.equal(5, batches[1][1])
  end)

  it("tells which stage failed, and where", function()
    local source = neap.range(9):map(half)
    local line = debug.getinfo(1, "l").currentline + 1
    local checked = source:map(kernel("int check_below(double x, double limit, "
      .. "double *out)", { x = "item", limit = 3,
      out = { out = "f64", shape = {} } }))
    local s = checked:slice(nil, nil, -1):batch(2, STACK):map(last)
    local p = support.close_later(s:prefetch({ workers = 1 }))
    for _, t in ipairs({ s, p }) do
      local e = support.raised(function() return t[1] end)
      assert.equal("check_below of kernel.c failed: it returned 2", e.message)
      assert.equal(9, e.index)
      assert.equal(("map (tests/spec/native/lower_spec.lua:%d)"):format(line),
        e.stage)
      assert.equal(1, e.outer_index)
    end
  end)

  it("has one context in each process", function()
    local log = kernel("double log_call(void *log, double x)",
      { log = "context", x = "item" }, {
        init = { decl = "void *log_open(const char *path)",
          args = { path = { value = "/dev/null" } } },
        fini = "void log_close(void *log)",
      })
    local text = compiler.text(handle.node(
      neap.range(4):map(log):batch(2, STACK)))
    assert.truthy(text:find("for "), text)
  end)
end)

describe("an operation", function()
  it("is a function of a tensor", function()
    local f = neap.operation("clamp", 2, 3)
    assert.same({ 2, 2, 3, 3 },
      f(neap.tensor("u8", { 4 }, { 1, 2, 3, 4 })):totable())
    assert.equal("clamp 2 3", tostring(f))
    assert.equal("to f32 1 5", tostring(neap.operation("to", "f32", nil, 5)))
  end)

  it("is checked where it is made", function()
    assert.equal("bad argument #1 to 'operation' (operation expected, one of "
      .. "add, clamp, div, eq, gt, lt, mul, sub, to; got \"ad\")\n"
      .. "help: did you mean 'add'?", support.message(neap.operation, "ad", 1))
    assert.truthy(support.message(neap.operation, "sum"):find(
      "help: write function(t) return t:sum(...) end", 1, true))
    assert.equal("bad argument #2 to 'operation' (number expected, got no "
      .. "value)", support.message(neap.operation, "add"))
    assert.equal("bad argument #3 to 'operation' (no value expected: add takes "
      .. "1 number)", support.message(neap.operation, "add", 1, 2))
    assert.equal("bad argument #3 to 'operation' (number expected, got no "
      .. "value)", support.message(neap.operation, "clamp", 1))
    assert.truthy(support.message(neap.operation, "to", "f33"):find(
      "unknown dtype 'f33'", 1, true))
  end)

  it("says what it got in place of a tensor", function()
    local e = support.raised(function()
      return neap.range(3):map(neap.operation("add", 2))[2]
    end)
    assert.equal("cannot add: the item is 2, and must be a tensor", e.message)
    assert.equal(2, e.index)
  end)
end)
