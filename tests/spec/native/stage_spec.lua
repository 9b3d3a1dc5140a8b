-- SPDX-License-Identifier: MIT
--- What neap.native makes: in the script, and in 1 and 4 workers.

local ffi = require("ffi")
local compiler = require("neap.sequence.compile")
local handle = require("neap.sequence.handle")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local KERNEL = "tests/spec/native/kernel.c"
local FILE = "tests/spec/native/stage_spec.lua"

ffi.cdef("int setenv(const char *name, const char *value, int overwrites);")

local folder = support.folder()
assert(ffi.C.setenv("XDG_CACHE_HOME", folder, 1) == 0)

local function kernel(decl, args, more)
  local options = { source = KERNEL, decl = decl, args = args }
  for key, value in pairs(more or {}) do
    options[key] = value
  end
  return neap.native(options)
end

local function prefetch(s, options)
  return support.close_later(neap.prefetch(s, options))
end

-- What a value is, tensors with all elements.
local function show(x)
  if type(x) == "cdata" and not ffi.istype("int64_t", x)
    and not ffi.istype("uint64_t", x) then
    return x.dtype .. " " .. table.concat(x.shape, "x") .. " "
      .. support.show(x:totable())
  elseif type(x) == "table" then
    local shown = {}
    for key, value in pairs(x) do
      shown[key] = show(value)
    end
    return support.show(shown)
  end
  return support.show(x)
end

local function all(s)
  local shown = {}
  for i, x in s:each() do
    shown[i] = show(x)
  end
  return shown
end

-- The items of a chain, which are the same in the script and in workers.
local function items(s)
  local here = all(s)
  assert.same(here, all(prefetch(s, { workers = 1 })))
  assert.same(here, all(prefetch(s, { workers = 4, chunk = 2 })))
  return here
end

local function f32(...)
  return neap.tensor("f32", { select("#", ...) }, { ... })
end

local SCALE = "void scale(const float *in, size_t count, float factor, "
  .. "float *out)"

local function scale(factor)
  return kernel(SCALE, {
    ["in"] = "data", count = "count", factor = factor,
    out = { out = "f32", shape = "shape" },
  })
end

local function halved()
  return kernel("double half(double x)")
end

describe("a native stage", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("is called with numbers", function()
    assert.same({ "0.5", "1", "1.5" }, items(neap.range(3):map(halved())))
    assert.same({ "false", "true" },
      items(neap.range(2):map(kernel("bool is_even(int64_t x)"))))
  end)

  it("is called with each element of a tensor", function()
    local s = neap.from({ neap.tensor("f64", { 2, 2 }, { 1, 2, 3, 4 }) })
    assert.same({ "f64 2x2 {{0.5, 1}, {1.5, 2}}" }, items(s:map(halved())))
    local third = kernel("float third(float x)")
    assert.same({ show(f32(1 / 3, 2 / 3)) },
      items(neap.from({ f32(1, 2) }):map(third)))
  end)

  it("is called with strings and tensors in memory", function()
    local weigh = kernel(
      "uint64_t weigh(const uint8_t *data, size_t count)",
      { data = "data", count = "count" })
    assert.same({ "200", "0", "9" }, items(neap.from({
      "\200", "", neap.tensor("u8", { 2 }, { 1, 4 }),
    }):map(weigh)))
  end)

  it("is called with sizes, and fields of items", function()
    local area = kernel("double area(const float *data, int64_t height, "
      .. "int64_t width)", {
      data = "image.data", height = "image.shape[1]", width = "image.shape[2]",
    })
    local image = neap.tensor("f32", { 2, 3 }, 1)
    assert.same({ "1218" }, items(neap.from({ { image = image } }):map(area)))
    local second = kernel("double area(const float *data, int64_t height, "
      .. "int64_t width)", {
      data = "2.data", height = "1.item", width = 3,
    })
    assert.same({ "1218" }, items(neap.zip({ 2 }, { image }):map(second)))
  end)

  it("fills a tensor", function()
    assert.same({ "f32 2 {2, 4}", "f32 3 {2, 4, 6}" },
      items(neap.from({ f32(1, 2), f32(1, 2, 3) }):map(scale(2))))
  end)

  it("fills several tensors, which are a table", function()
    local both = kernel("int least_and_most(const float *in, size_t count, "
      .. "float *least, float *most)", {
      ["in"] = "x.data", count = "x.count",
      least = { out = "f32", shape = {} },
      most = { out = "f32", shape = { 1 } },
    })
    assert.same({ show({
      least = neap.tensor("f32", {}, 1), most = f32(3),
    }) }, items(neap.from({ { x = f32(2, 1, 3) } }):map(both)))
  end)

  it("fails by what its function returns, as `fails` says", function()
    local function of(fails)
      local s = neap.from({ 1, 5 }):map(kernel(
        "int check_below(double x, double limit, double *out)",
        { x = "item", limit = 3, out = { out = true } }, { fails = fails }))
      return support.message(function() return s[2] end)
    end
    assert.equal("check_below of kernel.c failed: it returned 2", of())
    assert.equal(of(), of("not zero"))
    assert.is_nil(of("negative"))
    assert.is_nil(of("never"))
  end)

  it("changes a copy of the item", function()
    local double = kernel("void double_all(float *x, size_t count)",
      { x = { copy = "data" }, count = "count" })
    local t = f32(1, 2)
    assert.same({ "f32 2 {2, 4}" }, items(neap.from({ t }):map(double)))
    assert.equal("f32 2 {1, 2}", show(t))
  end)

  it("lets a number begin as a constant, and returns what it became", function()
    local divided = neap.native({
      lib = "libm.so.6", decl = "double remquo(double x, double y, int *quo)",
      args = { x = "item", y = 2, quo = { out = true, value = 7 } },
    })
    assert.equal(3, divided(6))
    local packed = neap.native({
      lib = "libz.so.1",
      decl = [[int compress(uint8_t *dest, unsigned long *destLen,
        const uint8_t *source, unsigned long sourceLen)]],
      args = {
        dest = { out = "u8", shape = { 100 } },
        destLen = { out = true, value = 100 },
        source = "data", sourceLen = "count",
      },
    })
    for _, text in ipairs({ "neap", ("neap"):rep(1000), "" }) do
      local y = packed(text)
      assert.is_true(y.destLen > 7 and y.destLen < 50)
      assert.equal(120, y.dest[1])
    end
  end)

  it("makes strings, nil, structs and 64-bit integers", function()
    local word = neap.from({ 1, 2 }):map(kernel("const char *word(int32_t n)"))
    assert.same({ '"one"', '"two"' }, items(word))
    assert.same({ n = 1 },
      support.items(neap.range(1):map(kernel("void nothing(double x)"))))
    local turned = kernel("typedef struct { double x, y; } point;\n"
      .. "point turned(point p)", { ["p.x"] = "x", ["p.y"] = "y" })
    assert.same({ show({ x = -2, y = 1 }) },
      items(neap.from({ { x = 1, y = 2 } }):map(turned)))
    assert.same({ "1152921504606846977LL" },
      items(neap.range(1):map(kernel("int64_t big(int64_t x)"))))
  end)

  it("makes numbers of Lua of any NaN", function()
    local nan = kernel("double not_a_number(void)")
    for _ = 1, 100 do
      local x = nan(1)
      assert.equal("number", type(x))
      assert.not_equal(x, x)
    end
  end)

  it("knows index and epoch", function()
    local place = kernel("double place(int64_t index, int64_t epoch)",
      { index = "index", epoch = "epoch" })
    local s = neap.from({ "a", "b", "c" }):map(place)
    assert.same({ "1000", "1001", "1002" }, items(s:epoch(1)))
    assert.same({ "3000", "3001", "3002" }, items(s:epoch(3)))
    assert.equal(1001, s:slice(2, 3)[1])
  end)

  it("draws by seed, epoch and index", function()
    local function stage(seed)
      return neap.range(100):map(kernel("double drawn(uint64_t seed)",
        { seed = "seed" }, { seed = seed }))
    end
    local s, seen = stage():epoch(1), {}
    for _, list in ipairs({
      items(s), items(s:epoch(2)), items(stage(7):epoch(1)),
    }) do
      for _, x in ipairs(list) do
        assert.is_nil(seen[x])
        seen[x] = true
      end
    end
    assert.same(items(s), items(stage():epoch(1)))
  end)

  it("has a context in each worker", function()
    local log = folder .. "/log"
    local stage = kernel("double log_call(void *log, double x)",
      { log = "context", x = "item" }, {
      init = { decl = "void *log_open(const char *path)",
        args = { path = { value = log } } },
      fini = "void log_close(void *log)",
    })
    local p = prefetch(neap.range(40):map(stage), { workers = 2, chunk = 1 })
    assert.same(neap.range(40):totable(), p:totable())
    p:close()
    local text = support.read(log)
    local opens = select(2, text:gsub("open", ""))
    assert(opens == 1 or opens == 2)
    for pid in text:gmatch("open (%d+)") do
      assert.matches("close " .. pid .. "\n", text)
    end
  end)

  it("travels as an upvalue, and may be called like a function", function()
    local half = halved()
    assert.equal(2, half(4))
    assert.same({ "1.5", "2" }, items(neap.range(2):map(function(x)
      return half(x) + 1
    end)))
    assert.same({ 2 }, neap.where(neap.range(2),
      kernel("bool is_even(int64_t x)")):totable())
  end)

  it("prints", function()
    local half = halved()
    assert.equal("native half (kernel.c)", tostring(half))
    assert.equal("map(native half (kernel.c), range(1, 3)): 3 items",
      tostring(neap.range(3):map(half)))
    assert.equal("native sqrt (libm.so.6)", tostring(neap.native({
      lib = "libm.so.6", decl = "double sqrt(double x)",
    })))
  end)
end)

describe("consecutive native stages", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  -- Native stages, with functions of Lua between them where `is_apart`.
  local function chain(is_apart)
    local s = neap.from({ f32(1, 2), f32(3), f32(4, 5, 6), f32(7, 8) })
    for k = 1, 4 do
      s = s:map(scale(k))
      s = is_apart and s:map(function(x) return x end) or s
    end
    return s
  end

  it("are one call, and make what they make one by one", function()
    local joined = chain(false)
    assert.same(items(chain(true)), items(joined))
    local text = compiler.text(handle.node(joined))
    assert.equal(1, select(2, text:gsub("= k%d+%(", "")))
    assert.equal(4, select(2, compiler.text(handle.node(chain(true)))
      :gsub(", f%d+ = k%d+%(", "")))
  end)

  it("pass numbers, fields and 64-bit integers on", function()
    local s = neap.range(20):map(halved()):map(halved())
    assert.equal("1.25", items(s)[5])
    local big = kernel("int64_t big(int64_t x)")
    local again = kernel("int64_t big(int64_t x)")
    assert.same({ "2305843009213693953LL" },
      items(neap.range(1):map(big):map(again)))
    local turned = "typedef struct { double x, y; } point;\n"
      .. "point turned(point p)"
    local args = { ["p.x"] = "x.item", ["p.y"] = "y.item" }
    assert.same({ show({ x = -1, y = -2 }) },
      items(neap.from({ { x = 1, y = 2 } }):map(kernel(turned, args))
        :map(kernel(turned, args))))
  end)

  it("may be the same stage", function()
    local half = halved()
    assert.same({ "0.25", "0.5" }, items(neap.range(2):map(half):map(half)))
  end)

  it("are right where shapes change from item to item", function()
    local s = neap.range(50):map(function(i)
      return neap.tensor("f32", { i % 7 }, i)
    end):map(scale(2)):map(scale(3))
    local list = items(s)
    assert.equal(show(f32(48, 48, 48, 48, 48)):gsub("48", "30"), list[5])
  end)

  it("fail with the stage that fails", function()
    local check = kernel("int check_below(double x, double limit, double *out)",
      { x = "item", limit = 3, out = { out = "f64", shape = {} } },
      { error = "const char *reason(int status)" })
    local first = neap.range(8):map(halved())
    local line = debug.getinfo(1, "l").currentline + 1
    local s = first:map(check)
    local last = s:map(halved())
    local p = prefetch(last, { workers = 1 })
    for _, t in ipairs({ s, last, p }) do
      local e = support.raised(function() return t[6] end)
      assert.equal("check_below of kernel.c failed: it returned 2 (it is too "
        .. "large)", e.message)
      assert.equal(6, e.index)
      assert.equal(("map (%s:%d)"):format(FILE, line), e.stage)
    end
    assert.equal(1.25, last[5]:get())
  end)

  it("fail with the first one where the item does not fit", function()
    local s = neap.from({ 1, "two", { 3 } })
    local line = debug.getinfo(1, "l").currentline + 1
    local t = s:map(halved())
    local last = t:map(halved())
    local e = support.raised(function() return last[2] end)
    assert.equal("cannot call half of kernel.c: the item is a string of 3 "
      .. "bytes, and 'x' (double) takes a number", e.message)
    assert.equal(("map (%s:%d)"):format(FILE, line), e.stage)
    assert.equal("cannot pass the item to a native stage: it is a table",
      support.message(function() return last[3] end))
  end)
end)
