-- SPDX-License-Identifier: MIT
local ffi = require("ffi")
local generation = require("neap.tensor.generation")
local neap = require("neap")
local tensor = require("neap.tensor.tensor")
local support = dofile("tests/spec/support.lua")

local function raises(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(text, (message:gsub("^[^ ]+:%d+: ", "")))
end

local INTEGERS = {
  u8 = { 0, 255 }, i8 = { -128, 127 }, i16 = { -32768, 32767 },
  u16 = { 0, 65535 }, i32 = { -2^31, 2^31 - 1 }, u32 = { 0, 2^32 - 1 },
}
local DTYPES = {
  "u8", "i8", "i16", "u16", "i32", "u32", "i64", "u64", "f16", "bf16", "f32",
  "f64",
}

describe("a tensor", function()
  it("describes itself", function()
    local t = tensor.new("f32", { 2, 3 })
    assert.equal("f32", t.dtype)
    assert.same({ 2, 3 }, t.shape)
    assert.equal(2, t.ndim)
    assert.equal(2, #t)
    assert.equal(6, t.size)
    assert.equal(24, t.nbytes)
    assert.is_nil(t.nothing)
    assert.is_true(tensor.is(t))
    assert.is_false(tensor.is({}))
    assert.is_false(tensor.is(1LL))
  end)

  it("starts at zero, aligned to 64 bytes", function()
    for _, size in ipairs({ 0, 1, 100, 5000, 70000 }) do
      local t = tensor.new("u8", { size })
      assert.equal(0, tonumber(ffi.cast("uintptr_t", t:ptr())) % 64)
      for k = 1, size do
        assert(t[k] == 0)
      end
    end
  end)

  it("starts at zero where memory is used again", function()
    for _ = 1, 3 do
      local t = tensor.new("u8", { 123457 })
      assert.equal(0, t[123457])
      t:fill(7)
      t = nil  -- luacheck: ignore
      collectgarbage()
    end
  end)

  it("takes nested tables, flat ones, numbers, bytes and tensors", function()
    local nested = tensor.new("f32", { 2, 2 }, { { 1, 2 }, { 3, 4 } })
    assert.same({ { 1, 2 }, { 3, 4 } }, nested:totable())
    local flat = tensor.new("i16", { 2, 2 }, { 1, 2, 3, 4 })
    assert.same({ { 1, 2 }, { 3, 4 } }, flat:totable())
    assert.same({ 7, 7 }, tensor.new("u8", { 2 }, 7):totable())
    assert.same({ 97, 98 }, tensor.new("u8", { 2 }, "ab"):totable())
    assert.same(nested:totable(),
      tensor.new("f32", { 2, 2 }, nested):totable())
    assert.same({ { 1, 2 }, { 3, 4 } },
      tensor.new("f32", { 2, 2 }, { nested[1], { 3, 4 } }):totable())
  end)

  it("refuses data that does not fit its shape", function()
    raises("3 rows are expected, got 1", tensor.new, "u8", { 3, 1 }, { { 1 } })
    raises("6 values are expected for u8 2x3, got 1", tensor.new, "u8",
      { 2, 3 }, { 1 })
    raises("row 2 must be a table or a tensor, got number", tensor.new, "u8",
      { 2, 1 }, { { 1 }, 2 })
    raises("a string of 2 bytes is expected for u8 2, got 3", tensor.new, "u8",
      { 2 }, "abc")
    raises("a tensor u8 2 is expected, got i8 2", tensor.new, "u8", { 2 },
      tensor.new("i8", { 2 }))
    raises("a number is expected for u8, got function", tensor.new, "u8",
      { 2 }, print)
  end)

  it("refuses dtypes and shapes that are none", function()
    raises("unknown dtype 'f33', known are u8 i8 i16 u16 i32 u32 i64 u64 f16 "
      .. "bf16 f32 f64 bool", tensor.new, "f33", { 1 })
    raises("a shape is a table of sizes, got number", tensor.new, "u8", 3)
    raises("size 2 of a shape must be a whole number from 0, got -1",
      tensor.empty, "u8", { 3, -1 })
    raises("size 1 of a shape must be a whole number from 0, got 1.5",
      tensor.new, "u8", { 1.5 })
    raises("a tensor has 8 dimensions at most, got 9", tensor.new, "u8",
      { 1, 1, 1, 1, 1, 1, 1, 1, 1 })
    raises("a tensor of shape 4294967296x4294967296 is too large", tensor.new,
      "u8", { 2^32, 2^32 })
  end)

  it("prints itself shortly", function()
    assert.equal("tensor f32 2x2 {1, 2.5, 3, 4}",
      tostring(tensor.new("f32", { 2, 2 }, { 1, 2.5, 3, 4 })))
    assert.equal("tensor u8 9 {1, 1, 1, 1, 1, 1, 1, 1, ...}",
      tostring(tensor.new("u8", { 9 }, 1)))
    assert.equal("tensor i64 1 {9007199254740992}",
      tostring(tensor.new("i64", { 1 }, 2^53)))
    assert.equal("tensor bool scalar {true}",
      tostring(tensor.new("bool", {}, true)))
  end)
end)

describe("an element", function()
  it("is read and written at an index from either end", function()
    local t = tensor.new("f64", { 3 }, { 1, 2, 3 })
    t[-1] = 30
    t[1] = t[2] + 0.5
    assert.same({ 2.5, 2, 30 }, t:totable())
    assert.equal(30, t[-1])
  end)

  it("is checked against the range", function()
    local t = tensor.new("f32", { 10 })
    local function at(i)
      return function()
        local _ = t[i]
      end
    end
    raises("index 11 is out of range 1..10", at(11))
    raises("index 0 is out of range 1..10", at(0))
    raises("index -11 is out of range 1..10", at(-11))
    raises("index 1.5 is not a whole number", at(1.5))
    raises("index 11 is out of range 1..10", function() t[11] = 1 end)
    raises("a tensor has no field 'size' to set", function() t.size = 1 end)
  end)

  it("is got and set by all its indexes", function()
    for ndim = 0, 8 do
      local shape, indexes = {}, {}
      for k = 1, ndim do
        shape[k], indexes[k] = 2, 2
      end
      local t = tensor.new("u8", shape)
      indexes[ndim + 1] = 9
      t:set(unpack(indexes))
      assert.equal(9, t:get(unpack(indexes, 1, ndim)))
      assert.equal(9, t:reshape(2^ndim)[-1])
      local ok = pcall(t.get, t, unpack(indexes, 1, ndim + 1))
      assert.is_false(ok)
      ok = pcall(t.set, t, unpack(indexes, 1, ndim))
      assert.is_false(ok)
    end
    local t = tensor.new("u8", { 2, 3 })
    raises("index 4 is out of range 1..3", t.get, t, 1, 4)
    raises("3 indexes are expected for u8 1x2x3, got 2", t.get,
      t:reshape(1, 2, 3), 1, 1, nil, nil)
  end)

  it("of an integer dtype keeps its range", function()
    for name, range in pairs(INTEGERS) do
      local t = tensor.new(name, { 2 }, range)
      assert.same(range, t:totable())
      for _, value in ipairs({ range[1] - 1, range[2] + 1 }) do
        raises(("%.14g is out of range for %s"):format(value, name),
          t.set, t, 1, value)
      end
      raises("0.5 is a fraction, and " .. name .. " holds integers",
        t.fill, t, 0.5)
      assert.same(range, t:totable())
    end
    local t = tensor.new("u8", { 1 })
    raises("nan is out of range for u8", t.set, t, 1, math.abs(0 / 0))
    raises("a number is expected for u8, got nil", t.set, t, 1, nil)
    raises("a number is expected for f32, got string",
      tensor.new("f32", { 1 }).set, tensor.new("f32", { 1 }), 1, "1")
  end)

  it("beyond 2^53 arrives exact, as cdata", function()
    local t = tensor.new("i64", { 3 }, { 2^53, 2^53 + 1LL, -2^53 - 1LL })
    assert.equal("number", type(t[1]))
    assert.equal(2^53, t[1])
    assert.is_true(ffi.istype("int64_t", t[2]))
    assert.is_true(t[2] == 9007199254740993LL)
    assert.is_true(t[3] == -9007199254740993LL)
    local u = tensor.new("u64", { 1 }, 18446744073709551615ULL)
    assert.is_true(ffi.istype("uint64_t", u[1]))
    assert.is_true(u[1] == 18446744073709551615ULL)
  end)

  it("takes 64-bit integers where they fit", function()
    local t = tensor.new("i64", { 1 })
    raises("9223372036854775808 is out of range for i64", t.set, t, 1,
      9223372036854775808ULL)
    raises("9.2233720368548e+18 is out of range for i64", t.set, t, 1, 2^63)
    t[1] = 5ULL
    assert.equal(5, t[1])
    local u = tensor.new("u64", { 1 }, 2^63)
    assert.is_true(u[1] == 9223372036854775808ULL)
    raises("-1 is out of range for u64", u.set, u, 1, -1LL)
    local small = tensor.new("u8", { 1 }, 200LL)
    assert.equal(200, small[1])
    raises("300 is out of range for u8", small.set, small, 1, 300ULL)
    assert.equal(3, tensor.new("f32", { 1 }, 3LL)[1])
  end)

  it("of bool is a boolean", function()
    local t = tensor.new("bool", { 4 }, { true, false, 1, 0 })
    assert.same({ true, false, true, false }, t:totable())
    raises("2 is out of range for bool", t.set, t, 1, 2)
    raises("a boolean is expected for bool, got string", t.set, t, 1, "yes")
    raises("a number is expected for u8, got boolean", tensor.new, "u8",
      { 1 }, true)
    t:fill(true)
    assert.is_true(t[2])
  end)

  it("of f16 and bf16 rounds, and overflows to infinity", function()
    assert.same({ 65504, math.huge, -math.huge, 0.0999755859375 },
      tensor.new("f16", { 4 }, { 65504, 65520, -1e9, 0.1 }):totable())
    assert.same({ 0.10009765625, math.huge },
      tensor.new("bf16", { 2 }, { 0.1, 1e300 }):totable())
  end)
end)

describe("a row", function()
  it("is a view, of which rows are views", function()
    local t = tensor.new("i32", { 2, 3, 4 })
    t[2][3][4] = 5
    assert.equal(5, t:get(2, 3, 4))
    assert.same({ 3, 4 }, t[1].shape)
    assert.same({ 4 }, t[-1][-1].shape)
    t[1] = 1
    t[2][1] = { 1, 2, 3, 4 }
    assert.equal(12 + 10 + 5, t:reshape(24):to("f64"):totable()[1] * 12
      + t:get(2, 1, 1) + t:get(2, 1, 2) + t:get(2, 1, 3) + t:get(2, 1, 4)
      + t[2][3][4])
  end)

  it("takes a tensor of its dtype and shape, itself included", function()
    local t = tensor.new("u8", { 2, 2 }, { 1, 2, 3, 4 })
    t[1] = t[2]
    t[2] = t[2]
    assert.same({ { 3, 4 }, { 3, 4 } }, t:totable())
    raises("a tensor u8 2 is expected, got u8 2x2",
      function() t[1] = t end)
    raises("2 values are expected for u8 2, got 3",
      function() t[1] = { 1, 2, 3 } end)
  end)

  it("is copied aside where it overlaps what it is assigned to", function()
    local t = tensor.new("u8", { 5 }, { 1, 2, 3, 4, 5 })
    local p = t:ptr()
    local shape = ffi.new("int64_t[2]", 1, 4)
    local high = tensor.view(1, 8, 2, shape, p + 1, t)
    high[1] = tensor.view(1, 8, 1, shape + 1, p, t)
    assert.same({ 1, 1, 2, 3, 4 }, t:totable())
  end)

  it("keeps the memory alive", function()
    local rows = {}
    for k = 1, 50 do
      rows[k] = tensor.new("u8", { 2, 40000 }, k)[2]:reshape(200, 200)[3]
    end
    collectgarbage()
    collectgarbage()
    for k = 1, 50 do
      local _ = tensor.new("u8", { 80000 }, 255)
      assert.equal(k, rows[k][200])
    end
  end)

  it("of a scalar there is not", function()
    local t = tensor.new("f64", {}, 4)
    assert.equal(4, t:get())
    assert.equal(4, t:totable())
    t:set(5)
    assert.equal(5, t:get())
    raises("a scalar tensor has no rows: use t:get() and t:set(v)",
      function() local _ = t[1] end)
    raises("a scalar tensor has no length", function() local _ = #t end)
  end)
end)

describe("a mistake", function()
  -- Raises at the line of `call`, on which the whole function stands.
  local function is_blamed_on(line, call)
    local ok, message = pcall(call)
    assert.is_false(ok)
    assert.equal(("tests/spec/tensor/tensor_spec.lua:%d"):format(line),
      message:match("^[^:]*:%d+"))
  end

  it("is told with the line that calls neap", function()
    local t, u = tensor.new("u8", { 2, 2 }), tensor.new("u8", { 3 })
    for _, call in ipairs({
      function() local _ = t[3] end,
      function() local _ = u[1.5] end,
      function() t[1] = { 1, "x" } end,
      function() t[1] = { 1, 2, 3 } end,
      function() u[2] = 256 end,
      function() t.size = 1 end,
      function() t:get(1) end,
      function() t:get(1, 3) end,
      function() t:reshape(1, 1, 2, 2):set(1, 1, 2, 3, 9) end,
      function() t:set(1, 1, -1) end,
      function() t:fill(0.5) end,
      function() t:reshape(3) end,
      function() t:reshape("x", 4) end,
      function() t:to("u9") end,
      function() neap.tensor("u8", { -1 }) end,
      function() neap.tensor("u8", { 2, 2 }, { { 1, 2 }, { 3, {} } }) end,
      function() neap.empty("u8", 1) end,
      function() neap.stack({ u, t }) end,
    }) do
      is_blamed_on(debug.getinfo(call, "S").linedefined, call)
    end
  end)

  it("is told with that line after a tail call, too", function()
    local t = tensor.new("u8", { 2, 2 })
    local function set_badly()
      return t:set(1, 1, 256)
    end
    local line = debug.getinfo(1, "l").currentline + 1
    is_blamed_on(line, function() set_badly() end)
  end)
end)

describe("a method", function()
  it("fill sets all, also to what a number cannot hold", function()
    for _, name in ipairs(DTYPES) do
      local t = tensor.new(name, { 3 })
      t:fill(3)
      assert.same({ 3, 3, 3 }, t:totable())
    end
    local t = tensor.new("i64", { 2 })
    t:fill(9223372036854775807LL)
    assert.is_true(t[2] == 9223372036854775807LL)
  end)

  it("clone copies", function()
    local t = tensor.new("f32", { 2, 2 }, { 1, 2, 3, 4 })
    local copy = t[2]:clone()
    t:fill(0)
    assert.same({ 3, 4 }, copy:totable())
  end)

  it("reshape is a view, and finds one size itself", function()
    local t = tensor.new("u8", { 2, 6 })
    t:reshape(3, -1)[3][4] = 9
    assert.equal(9, t[2][6])
    assert.same({ 12 }, t:reshape(-1).shape)
    assert.same({}, tensor.new("u8", { 1 }):reshape().shape)
    raises("cannot reshape u8 2x6 into 5x-1", t.reshape, t, 5, -1)
    raises("cannot reshape u8 2x6 into 5", t.reshape, t, 5)
    raises("cannot reshape u8 2x6 into -1x-1", t.reshape, t, -1, -1)
    raises("size 2 of a shape must be a whole number from 0, got x",
      t.reshape, t, 12, "x")
  end)

  it("ptr is typed", function()
    local t = tensor.new("f32", { 2 })
    t:ptr()[1] = 2.5
    assert.equal(2.5, t[2])
    assert.is_true(ffi.istype("float *", t:ptr()))
    assert.is_true(ffi.istype("bool *", tensor.new("bool", { 1 }):ptr()))
  end)

  it("to converts, scales and saturates", function()
    local t = tensor.new("u8", { 2 }, { 0, 255 })
    assert.same({ -1, 1 }, t:to("f64", 2 / 255, -1):totable())
    assert.same({ 0, 127 }, t:to("i8"):totable())
    assert.same({ false, true }, t:to("bool"):totable())
    assert.same({ 2 }, tensor.new("f32", { 1 }, 2.5):to("i32"):totable())
  end)

  it("dlpack hands out a copy with a deleter", function()
    local t = tensor.new("i16", { 2, 3 }, { 1, 2, 3, 4, 5, 6 })
    local managed = t[2]:dlpack()
    t:fill(0)
    local d = managed.tensor
    assert.same({ 1, 0, 16, 1, 3, 1 }, { d.ndim, d.code, d.bits, d.lanes,
      tonumber(d.shape[0]), tonumber(d.strides[0]) })
    assert.equal(6, ffi.cast("int16_t *", d.data)[2])
    managed.deleter(managed)
  end)
end)

describe("a generation", function()
  it("ends access to what was borrowed in it", function()
    local counter = generation.take()
    local data = ffi.new("float[6]", 1, 2, 3, 4, 5, 6)
    local shape = ffi.new("int64_t[2]", 2, 3)
    local t = tensor.view(2, 32, 2, shape, data, data, counter, counter[0])
    local first, flat = t[1], t:reshape(6)
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, t:totable())
    generation.bump(counter)
    local stale = "this tensor's item has been released: keep it with "
      .. "neap.keep(item) or item:clone() before the loop goes on"
    for _, f in ipairs({
      function() local _ = t[1] end, function() local _ = first[1] end,
      function() flat[1] = 1 end, function() t:get(1, 1) end,
      function() t:set(1, 1, 1) end, function() t:fill(0) end,
      function() t:clone() end, function() t:totable() end,
      function() t:reshape(6) end, function() t:ptr() end,
      function() t:to("u8") end, function() t:dlpack() end,
      function() tensor.pack(t) end,
      function() tensor.new("f32", { 2, 3 }, t) end,
    }) do
      raises(stale, f)
    end
    assert.equal("tensor f32 2x3 (released)", tostring(t))
    assert.same({ 2, 3 }, t.shape)
    generation.give(counter)
  end)

  it("counter is used again at a higher count", function()
    local counter = generation.take()
    local before = counter[0]
    generation.give(counter)
    local again = generation.take()
    assert.is_true(again == counter)
    assert.is_true(again[0] > before)
    for _ = 1, 2000 do
      assert.is_true(generation.take() ~= counter)
    end
  end)
end)

describe("lending", function()
  it("tells who owns a tensor, moves it, and ends", function()
    local counter, owner = generation.take(), {}
    local data = ffi.new("float[2]", 1, 2)
    local shape = ffi.new("int64_t[1]", 2)
    local t = tensor.view(2, 32, 1, shape, data, data, counter, counter[0])
    assert.is_true(tensor.is_lent(t))
    assert.is_true(tensor.owner(t) == data)
    local other = generation.take()
    tensor.lend(t, owner, other, other[0])
    generation.bump(counter)
    assert.equal(owner, tensor.owner(t))
    assert.equal(2, t[2])
    tensor.detach(t)
    generation.bump(other)
    data[1] = 9
    assert.same({ 1, 2 }, t:totable())
    assert.is_false(tensor.is_lent(t))
    assert.equal(0, tonumber(ffi.cast("uintptr_t", t:ptr())) % 64)
  end)

  it("begins with a description from C", function()
    local t = tensor.new("i16", { 2, 3 })
    local like = tensor.empty_like(t.d)
    assert.same({ 2, 3 }, like.shape)
    assert.equal("i16", like.dtype)
    assert.is_true(like:ptr() ~= t:ptr())
  end)
end)

describe("the allocator hook", function()
  after_each(function()
    tensor.set_allocator(nil)
  end)

  it("says where new tensors lie, or declines", function()
    local counter = generation.take()
    local room = ffi.new("uint8_t[64]")
    ffi.fill(room, 64, 0xff)
    local asked = {}
    tensor.set_allocator(function(nbytes, code, bits, shape, ndim)
      asked[#asked + 1] = { nbytes, code, bits, tonumber(shape[0]), ndim }
      if nbytes <= 64 then
        return ffi.cast("void *", room), counter, counter[0]
      end
    end)
    local t = tensor.new("f32", { 2, 3 })
    assert.is_true(ffi.cast("uint8_t *", t:ptr()) == ffi.cast("uint8_t *",
      room))
    assert.same({ { 0, 0, 0 }, { 0, 0, 0 } }, t:totable())
    local large = tensor.new("u8", { 65 })
    assert.equal(0, large[65])
    assert.same({ { 24, 2, 32, 2, 2 }, { 65, 1, 8, 65, 1 } }, asked)
    generation.bump(counter)
    assert.is_false(pcall(t.get, t, 1, 1))
  end)
end)

describe("a packed tensor", function()
  it("travels as bytes when it is small", function()
    local t = tensor.new("f32", { 2, 2 }, { 1, 2, 3, 4 })
    local packed = tensor.pack(t[2])
    assert.same({ dtype = "f32", shape = { 2 }, bytes = ffi.string(t:ptr() + 2,
      8) }, packed)
    assert.same({ 3, 4 }, tensor.unpack(packed, -1):totable())
  end)

  it("travels as a place in the heap when it is large", function()
    local t = tensor.new("u8", { 10, 100, 100 })
    t[3]:fill(3)
    t[4]:fill(4)
    local row, whole = tensor.pack(t[4][2]), tensor.pack(t:reshape(-1))
    assert.is_nil(row.bytes)
    assert.same({ 100 }, row.shape)
    assert.equal(30100, row.offset)
    local fd = tensor.heap_fd()
    assert.is_true(fd >= 0)
    local a, b = tensor.unpack(row, fd), tensor.unpack(whole, fd)
    assert.equal(4, a[100])
    assert.equal(3, b[20001])
    a[1] = 77  -- copied on write: seen by who shares the mapping, not by t
    assert.equal(77, b[30101])
    assert.equal(4, t[4][2][1])
  end)

  it("never shares its place with a later tensor", function()
    local t = tensor.new("u8", { 100000 }, 1)
    local offset = tensor.pack(t).heap_offset
    t = nil  -- luacheck: ignore
    collectgarbage()
    for _ = 1, 20 do
      local packed = tensor.pack(tensor.new("u8", { 100000 }))
      assert.is_true(packed.heap_offset ~= offset)
    end
  end)

  it("is checked against its block", function()
    local t = tensor.new("u8", { 100000 })
    local packed = tensor.pack(t)
    packed.shape = { 100001 }
    raises("cannot unpack a tensor: it is larger than its block",
      tensor.unpack, packed, tensor.heap_fd())
    packed.heap_offset = 2^40
    local ok, message = pcall(tensor.unpack, packed, tensor.heap_fd())
    assert.is_false(ok)
    assert.matches("cannot map a shared tensor", message)
  end)
end)

describe("large tensors", function()
  it("are collected before they fill the machine", function()
    local function resident()
      local file = assert(io.open("/proc/self/status"))
      local kib = file:read("*a"):match("\nRssShmem:%s*(%d+)")
      file:close()
      return tonumber(kib) / 1024
    end
    local before = resident()
    for k = 1, 100 do
      tensor.new("u8", { 10 * 2^20 }, k % 256)
    end
    assert.is_true(resident() - before < 600)
  end)

  it("reads its own elements, whatever finalizers read", function()
    for _, name in ipairs({ "f32", "f64" }) do
      local t = tensor.new(name, { 2 }, { 1, 2 })
      local wrong = 0
      support.among_finalizers(function() return t[2] end, function()
        for _ = 1, 20000 do
          local x = ({ t[1] })[1]
          wrong = wrong + (x == 1 and 0 or 1)
        end
      end)
      assert.equal(0, wrong)
    end
  end)

  it("reads any NaN as a number", function()
    local patterns = {
      f64 = { "uint64_t *", -1ULL }, f32 = { "uint32_t *", 0xffffffff },
      f16 = { "uint16_t *", 0xffff }, bf16 = { "uint16_t *", 0xffff },
    }
    for name, pattern in pairs(patterns) do
      local t = tensor.new(name, { 1 })
      ffi.cast(pattern[1], t:ptr())[0] = pattern[2]
      for _, value in ipairs({ t[1], t:get(1), t:totable()[1] }) do
        assert.equal("number", type(value))
        assert.not_equal(value, value)
      end
      assert.equal("number", type(t[1]))
    end
  end)
end)
