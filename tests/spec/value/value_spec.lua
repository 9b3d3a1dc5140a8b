-- SPDX-License-Identifier: MIT
--- Items of every kind, through a worker and back.

local ffi = require("ffi")
local borrow = require("neap.value.borrow")
local lib = require("neap.base.lib")
local neap = require("neap")
local read_item = require("neap.value.read").item
local support = dofile("tests/spec/support.lua")

local DTYPES = { "u8", "i8", "i16", "u16", "i32", "u32", "i64", "u64", "f16",
  "bf16", "f32", "f64", "bool" }

-- The items of a function, each in a run of its own and many in one.
local function sent(f, n, check_items, options)
  for _, chunk in ipairs({ 1, 16 }) do
    options = options or {}
    local p = neap.from(f, n):prefetch({
      workers = 1, chunk = chunk, slot_bytes = options.slot_bytes,
    })
    local count = 0
    for i, x in p:each() do
      count = count + 1
      assert.equal(count, i)
      check_items(i, x)
    end
    assert.equal(n, count)
    for i = 1, n do
      check_items(i, p[i])
    end
    p:close()
  end
end

-- The message of what cannot be sent.
local function refused(f)
  local p = neap.from(f, 1):prefetch({ workers = 1 })
  local e = support.raised(function() return p[1] end)
  p:close()
  return e and e.message
end

describe("an item of a worker", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("may be a number, whatever it is", function()
    local numbers = { 0, 1, -1, 0.1, 2 ^ 53, -2 ^ 53, 2 ^ 1023, 2 ^ -1074,
      math.huge, -math.huge, 1e-300, math.pi }
    sent(function(i) return numbers[i] end, #numbers, function(i, x)
      assert.is_true(x == numbers[i])
    end)
  end)

  it("may be NaN, and minus zero", function()
    sent(function(i) return ({ 0 / 0, -(0 / 0), -0.0 * 1 })[i] end, 3,
      function(i, x)
        assert.equal("number", type(x))
        assert.is_true(i == 3 and 1 / x == -math.huge or x ~= x)
      end)
  end)

  it("may be nil or a boolean", function()
    sent(function(i)
      if i > 1 then
        return i == 2
      end
    end, 3, function(i, x)
      assert.equal(({ "nil", "true", "false" })[i], tostring(x))
    end)
  end)

  it("may be a 64-bit integer, exact", function()
    local texts = { "0LL", "-1LL", "9223372036854775807LL",
      "-9223372036854775808LL", "9007199254740993LL", "18446744073709551615ULL",
      "9007199254740993ULL", "0ULL" }
    sent(function(i)
      return ({ 0LL, -1LL, 9223372036854775807LL,
        -9223372036854775807LL - 1LL, 9007199254740993LL,
        18446744073709551615ULL, 9007199254740993ULL, 0ULL })[i]
    end, #texts, function(i, x)
      assert.equal(texts[i], tostring(x))
    end)
  end)

  it("may be a string of any bytes and length", function()
    local all = {}
    for k = 0, 255 do
      all[k + 1] = string.char(k)
    end
    local strings = { "", "\0", "a\0b\0", table.concat(all), ("x"):rep(70000) }
    sent(function(i) return strings[i] end, #strings, function(i, x)
      assert.is_true(x == strings[i])
    end)
  end)

  it("may be a string of ten megabytes", function()
    local p = neap.from(function(i)
      return string.char(64 + i):rep(10 * 2 ^ 20)
    end, 3):prefetch({ workers = 1, chunk = 1 })
    for i, x in p:each() do
      assert.is_true(x == string.char(64 + i):rep(10 * 2 ^ 20))
    end
    p:close()
  end)

  it("may be a tensor of any dtype and number of dimensions", function()
    local shapes = { {}, { 3 }, { 2, 3 }, { 1, 2, 3 }, { 2, 1, 2, 1 },
      { 1, 1, 1, 1, 2 }, { 1, 2, 1, 1, 1, 1 }, { 1, 1, 1, 1, 1, 1, 3 },
      { 1, 1, 2, 1, 1, 1, 1, 2 }, { 0 }, { 0, 4 }, { 3, 0, 2 } }
    local names = DTYPES
    local function make(i)
      local name = names[(i - 1) % #names + 1]
      local shape = shapes[math.floor((i - 1) / #names) + 1]
      local t = require("neap").tensor(name, shape)
      local flat = t:reshape(t.size)
      for k = 1, t.size do
        flat[k] = name == "bool" and k % 2 == 1 or name ~= "bool" and k + i % 50
      end
      return t
    end
    sent(make, #names * #shapes, function(i, x)
      local wanted = make(i)
      assert.equal(wanted.dtype, x.dtype)
      assert.same(wanted.shape, x.shape)
      assert.same(wanted:totable(), x:totable())
      assert.equal(wanted.nbytes, x.nbytes)
    end)
  end)

  it("may be a tensor whose data is aligned to 64 bytes", function()
    sent(function(i)
      return { "x", require("neap").tensor("u8", { i }, i), i % 2 == 0 }
    end, 9, function(_, x)
      assert.equal(0, tonumber(ffi.cast("uintptr_t", x[2]:ptr()) % 64))
    end)
  end)

  it("may be a row of a tensor, and a tensor made before the item", function()
    local shared = neap.tensor("i32", { 4, 2 }, { 1, 2, 3, 4, 5, 6, 7, 8 })
    local large = neap.tensor("f64", { 3, 20000 }, 5)
    large[2]:fill(6)
    sent(function(i)
      return { shared[i], large[i], large[i]:reshape(100, 200)[7], shared }
    end, 3, function(i, x)
      assert.same(shared[i]:totable(), x[1]:totable())
      assert.equal(i == 2 and 6 or 5, x[2][20000])
      assert.same({ 200 }, x[3].shape)
      assert.equal(i == 2 and 6 or 5, x[3][200])
      assert.same(shared:totable(), x[4]:totable())
    end)
  end)

  it("may be one tensor in several places", function()
    sent(function(i)
      local t = require("neap").tensor("u8", { 2 }, { i, i })
      return { t, { t }, again = t }
    end, 3, function(i, x)
      assert.same({ i, i }, x[1]:totable())
      assert.same({ i, i }, x[2][1]:totable())
      assert.same({ i, i }, x.again:totable())
    end)
  end)

  it("may be a table: nested, with holes, with keys of all kinds", function()
    local function make(i)
      return ({
        {},
        { 1, "two", false, { 4, { 5 } } },
        { 1, nil, 3, nil, nil, 6 },
        { [0] = "zero", [-1] = "minus", [1.5] = "half", [2 ^ 40] = "far" },
        { a = 1, ["a b"] = 2, [""] = 3, ["x\0y"] = 4 },
        { [true] = "t", [false] = "f" },
        { 1, 2, x = { y = { z = { {} } } }, [10] = false },
        { false, false, [4] = false },
        { n = 3, [3] = "c" },
        { [math.huge] = 1, [-math.huge] = 2 },
      })[i]
    end
    sent(make, 10, function(i, x)
      assert.equal(support.show(make(i)), support.show(x))
      assert.same(make(i), x)
    end)
  end)

  it("may be a table of many fields", function()
    sent(function(i)
      local t = {}
      for k = 1, 5000 do
        t[k], t["k" .. k] = k * i, k
      end
      return t
    end, 2, function(i, x)
      local count = 0
      for key, value in pairs(x) do
        count = count + 1
        assert.is_true(value == (type(key) == "number" and key * i
          or tonumber(key:sub(2))))
      end
      assert.equal(10000, count)
    end)
  end)

  it("may be nested a hundred deep, and no deeper", function()
    local function nested(depth)
      local t = "core"
      for _ = 1, depth do
        t = { t }
      end
      return t
    end
    sent(function() return nested(100) end, 2, function(_, x)
      for _ = 1, 100 do
        x = x[1]
      end
      assert.equal("core", x)
    end)
    assert.equal("cannot send the item: item[1][1][1][1][1][1][1][1] ... "
      .. "contains itself, or tables nested more than 100 deep",
      refused(function() return nested(101) end))
  end)

  it("may be a sequence, which arrives as its items", function()
    sent(function(i)
      return require("neap").range(i):map(function(x) return x * x end)
    end, 3, function(i, x)
      assert.same(({ { 1 }, { 1, 4 }, { 1, 4, 9 } })[i], x)
    end)
  end)

  it("is a copy, each time", function()
    local t = { 1, { 2 } }
    local p = neap.from({ t }):prefetch({ workers = 1 })
    local one, two = p[1], p[1]
    p:close()
    assert.same(t, one)
    assert.are_not.equal(one, two)
    assert.are_not.equal(one[2], two[2])
  end)
end)

describe("what cannot be sent", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("is named by its path", function()
    for message, f in pairs({
      ["item is a function"] = function() return print end,
      ["item is a userdata"] = function() return io.stdout end,
      ["item is a thread"] = function()
        return coroutine.create(function() end)
      end,
      ["item.image.loader is a userdata"] = function()
        return { image = { loader = io.stdout } }
      end,
      ["item[3] is a function"] = function() return { 1, 2, print } end,
      ['item["a b"].x is a function'] = function()
        return { ["a b"] = { x = print } }
      end,
      ["item[true] is a function"] = function() return { [true] = print } end,
      ["item is a table with a metatable"] = function()
        return setmetatable({}, {})
      end,
      ["item.x is a table with a metatable"] = function()
        return { x = setmetatable({}, {}) }
      end,
      ["item.p is a cdata (ctype<int *>)"] = function()
        return { p = require("ffi").new("int *") }
      end,
      ["item is a cdata (ctype<complex>)"] = function() return 3i end,
      ["item.n is a null pointer, as cjson.null and ngx.null are"] = function()
        return { n = require("string.buffer").decode("\3") }
      end,
      ["item has a table as a key"] = function() return { [{}] = 1 } end,
      ["item.x has a cdata as a key"] = function()
        return { x = { [1LL] = 1 } }
      end,
    }) do
      assert.equal("cannot send the item: " .. message, refused(f))
    end
  end)

  it("is a table that contains itself, near or far", function()
    local wanted = "contains itself, or tables nested more than 100 deep"
    assert.truthy(refused(function()
      local t = {}
      t.t = t
      return t
    end):find(wanted, 1, true))
    assert.truthy(refused(function()
      local t = { { {} } }
      t[1][1][1] = t
      return { t }
    end):find(wanted, 1, true))
  end)

  it("spoils no neighbour in its run", function()
    local p = neap.from(function(i)
      if i % 3 == 0 then
        return { i, require("neap").tensor("u8", { 100 }, i), print }
      end
      return { i, require("neap").tensor("u8", { 100 }, i) }
    end, 20):prefetch({ workers = 1, chunk = 20, buffered = 20 })
    local seen = {}
    for i, x in p:each({ on_error = "skip" }) do
      seen[#seen + 1] = i
      assert.equal(i, x[1])
      assert.equal(i, x[2][100])
    end
    assert.same({ 1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20 }, seen)
    assert.equal(6, #p:skipped())
    for k, e in ipairs(p:skipped()) do
      assert.equal(3 * k, e.index)
      assert.equal("cannot send the item: item[3] is a function", e.message)
      assert.equal(1, e.worker)
    end
    p:close()
  end)

  it("is a tensor of an earlier item that the worker kept", function()
    local p = neap.from((function()
      local before
      return function(i)
        local last = before
        before = require("neap").tensor("u8", { 4 }, i)
        return last
      end
    end)(), 3):prefetch({ workers = 1, chunk = 1 })
    assert.is_nil(p[1])
    local e = support.raised(function() return p[2] end)
    assert.equal("cannot send the item: item is a tensor of an earlier item, "
      .. "whose slot has been handed over", e.message)
    assert.equal("keep it with neap.keep(tensor) when it is made", e.help)
    p:close()
  end)

  it("is a tensor whose memory was taken back for a failure", function()
    local last
    local p = neap.from(function(i)
      if i == 1 then
        last = neap.tensor("f64", { 64 }, 7)
        return i
      elseif i == 2 then
        error({ print }) -- cannot be sent: its text is, in another's place
      end
      return last
    end, 3):prefetch({ workers = 1, chunk = 3 })
    local count = 0
    for _ in p:each({ on_error = "skip" }) do
      count = count + 1
    end
    assert.equal(1, count)
    assert.truthy(p:skipped()[2].message:find("of an earlier item", 1, true))
    p:close()
  end)

  it("is no tensor of an earlier item that was kept", function()
    local p = neap.from((function()
      local before = false
      return function(i)
        local last = before
        local neap = require("neap") -- luacheck: ignore
        before = neap.keep(neap.tensor("u8", { 4 }, i))
        return last
      end
    end)(), 4):prefetch({ workers = 1, chunk = 1 })
    local seen = {}
    for i, x in p:each() do
      seen[i] = x and x[4]
    end
    assert.same({ false, 1, 2, 3 }, seen)
    p:close()
  end)

  it("is an item larger than a slot", function()
    local p = neap.from(function(i)
      return i == 2 and ("x"):rep(2 ^ 17) or i
    end, 3):prefetch({ workers = 1, slot_bytes = 2 ^ 16 })
    assert.equal(1, p[1])
    local e = support.raised(function() return p[2] end)
    assert.equal("the item is larger than a slot of 65536 bytes", e.message)
    assert.equal("set the option slot_bytes of prefetch higher, or raise the "
      .. "limit of address space (ulimit -v), which may have made slots small",
      e.help)
    assert.equal(2, e.index)
    assert.equal(3, p[3])
    p:close()
  end)

  it("is no item that fits a slot alone, but not with its neighbours",
    function()
      local p = neap.from(function(i)
        return string.char(64 + i):rep(30000)
      end, 8):prefetch({ workers = 1, slot_bytes = 2 ^ 16, chunk = 4 })
      for i, x in p:each() do
        assert.is_true(x == string.char(64 + i):rep(30000))
      end
      p:close()
    end)

  it("is reported even where the slot is full", function()
    local p = neap.from(function()
      return { ("x"):rep(65000), ("y"):rep(65000) }
    end, 3):prefetch({ workers = 1, slot_bytes = 2 ^ 16, chunk = 3 })
    for i = 1, 3 do
      assert.equal("the item is larger than a slot of 65536 bytes",
        support.message(function() return p[i] end))
    end
    for _ in p:each({ on_error = "skip" }) do
      error("no item expected")
    end
    assert.equal(3, #p:skipped())
    assert.equal(0, p:stats().restarts)
    p:close()
  end)
end)

describe("a damaged slot", function()
  -- Tables of two items, both of which are the next table.
  local function overlapping(depth)
    local TABLE, CELL = lib.C.NEAP_TABLE, ffi.sizeof("neap_value")
    local count = 1 + 3 * depth
    local slot = ffi.new("neap_value[?]", count)
    slot[0].type, slot[0].offset = TABLE, CELL
    for k = 1, depth do
      local cells = slot + 3 * k - 2
      cells[0].type, cells[0].count = TABLE, 2
      for item = 1, 2 do
        cells[item].type = k < depth and TABLE or lib.C.NEAP_BOOLEAN
        cells[item].offset = (1 + 3 * k) * CELL
      end
    end
    return ffi.new("neap_run", {
      count = 1, cells = slot, base = ffi.cast("uint8_t *", slot),
      bytes = count * CELL,
    }), slot
  end

  it("makes no item of more cells than it has", function()
    local function read(depth)
      local run, slot = overlapping(depth)
      local x = read_item(run, 0, borrow.new(nil))
      return x, slot -- which lives as long
    end
    assert.same({ true, true }, (read(1)))
    for _, depth in ipairs({ 2, 10, 99 }) do
      assert.equal("cannot read an item: its slot is damaged (tables that "
        .. "overlap)", support.message(read, depth))
    end
  end)

  -- A list of `count` cells, all of which are the same string or tensor.
  local function repeated(kind, count, nbytes)
    local CELL = ffi.sizeof("neap_value")
    local start = (2 + count) * CELL
    local memory = ffi.new("uint8_t[?]", start + nbytes)
    local slot = ffi.cast("neap_value *", memory)
    slot[0].type, slot[0].offset = lib.C.NEAP_TABLE, CELL
    slot[1].type, slot[1].count = lib.C.NEAP_TABLE, count
    for k = 1, count do
      slot[1 + k].type, slot[1 + k].offset = kind, start
      slot[1 + k].count = kind == lib.C.NEAP_STRING and nbytes or 0
    end
    local about = ffi.cast("neap_tensor_cell *", memory + start)
    if kind == lib.C.NEAP_TENSOR then
      about.code, about.bits, about.ndim = lib.C.NEAP_UINT, 8, 0
    end
    local run = ffi.new("neap_run", {
      count = 1, cells = slot, base = memory, bytes = start + nbytes,
    })
    local ok, x = pcall(read_item, run, 0, borrow.new(nil))
    return ok, x, memory
  end

  it("makes no item of more bytes of strings than it has", function()
    for _, nbytes in ipairs({ 1, 15, 16, 17, 1000 }) do
      local ok, x = repeated(lib.C.NEAP_STRING, 1, nbytes)
      assert.is_true(ok)
      assert.same({ ("\0"):rep(nbytes) }, x)
    end
    for _, count in ipairs({ 2, 20 }) do
      local ok, e = repeated(lib.C.NEAP_STRING, count, 2 ^ 16)
      assert.is_false(ok)
      assert.equal(lib.C.NEAP_EDAMAGED, e.status)
      assert.equal("cannot read an item: its slot is damaged (strings that "
        .. "overlap)", e.message)
    end
  end)

  it("makes no item of more tensors than it has", function()
    local nbytes = ffi.sizeof("neap_tensor_cell")
    assert.is_true((repeated(lib.C.NEAP_TENSOR, 1, nbytes)))
    local ok, e = repeated(lib.C.NEAP_TENSOR, 10, nbytes)
    assert.is_false(ok)
    assert.equal("cannot read an item: its slot is damaged (tensors that "
      .. "overlap)", e.message)
  end)

  it("takes an item that fills it for what it is", function()
    local text, list = ("x"):rep(1001), {}
    for k = 1, 50 do
      list[k] = { text, neap.tensor("u8", { 1 }, k), [text] = text, n = k }
    end
    local p = neap.from({ list, text }):map(function(x) return x end)
      :prefetch({ workers = 1, chunk = 1 })
    assert.equal(support.show(list), support.show(p[1]))
    assert.equal(text, p[2])
    p:close()
  end)
end)
