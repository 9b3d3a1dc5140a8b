-- SPDX-License-Identifier: MIT
local ffi = require("ffi")
local array = require("neap.tensor.array")
local generation = require("neap.tensor.generation")
local neap = require("neap")
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
    local t = array.new("f32", { 2, 3 })
    assert.equal("f32", t.dtype)
    assert.same({ 2, 3 }, t.shape)
    assert.equal(2, t.ndim)
    assert.equal(2, #t)
    assert.equal(6, t.size)
    assert.equal(24, t.nbytes)
    assert.is_true(array.is(t))
    assert.is_false(array.is({}))
    assert.is_false(array.is(1LL))
  end)

  it("starts at zero, aligned to 64 bytes", function()
    for _, size in ipairs({ 0, 1, 100, 5000, 70000 }) do
      local t = array.new("u8", { size })
      assert.equal(0, tonumber(ffi.cast("uintptr_t", t:ptr())) % 64)
      for k = 1, size do
        assert(t[k] == 0)
      end
    end
  end)

  it("starts at zero where memory is used again", function()
    for _ = 1, 3 do
      local t = array.new("u8", { 123457 })
      assert.equal(0, t[123457])
      t:fill(7)
      t = nil  -- luacheck: ignore
      collectgarbage()
    end
  end)

  it("takes nested tables, flat ones, numbers, bytes and tensors", function()
    local nested = array.new("f32", { 2, 2 }, { { 1, 2 }, { 3, 4 } })
    assert.same({ { 1, 2 }, { 3, 4 } }, nested:totable())
    local flat = array.new("i16", { 2, 2 }, { 1, 2, 3, 4 })
    assert.same({ { 1, 2 }, { 3, 4 } }, flat:totable())
    assert.same({ 7, 7 }, array.new("u8", { 2 }, 7):totable())
    assert.same({ 97, 98 }, array.new("u8", { 2 }, "ab"):totable())
    assert.same(nested:totable(),
      array.new("f32", { 2, 2 }, nested):totable())
    assert.same({ { 1, 2 }, { 3, 4 } },
      array.new("f32", { 2, 2 }, { nested[1], { 3, 4 } }):totable())
  end)

  it("refuses data that does not fit its shape", function()
    raises("3 rows are expected, got 1", array.new, "u8", { 3, 1 }, { { 1 } })
    raises("6 values are expected for u8 2x3, got 1", array.new, "u8",
      { 2, 3 }, { 1 })
    raises("row 2 must be a table or a tensor, got number", array.new, "u8",
      { 2, 1 }, { { 1 }, 2 })
    raises("a string of 2 bytes is expected for u8 2, got 3", array.new, "u8",
      { 2 }, "abc")
    raises("a tensor u8 2 is expected, got i8 2", array.new, "u8", { 2 },
      array.new("i8", { 2 }))
    raises("a number is expected for u8, got function", array.new, "u8",
      { 2 }, print)
  end)

  it("refuses dtypes and shapes that are none", function()
    raises("unknown dtype 'f33', known are u8 i8 i16 u16 i32 u32 i64 u64 f16 "
      .. "bf16 f32 f64 bool\nhelp: did you mean 'f32'?", array.new,
      "f33", { 1 })
    raises("a shape is a table of sizes, got number\nhelp: write { 3 }",
      array.new, "u8", 3)
    raises("size 2 of a shape must be a whole number from 0, got -1",
      array.empty, "u8", { 3, -1 })
    raises("size 1 of a shape must be a whole number from 0, got 1.5",
      array.new, "u8", { 1.5 })
    raises("a tensor has 8 dimensions at most, got 9", array.new, "u8",
      { 1, 1, 1, 1, 1, 1, 1, 1, 1 })
    raises("a tensor of shape 4294967296x4294967296 is too large", array.new,
      "u8", { 2^32, 2^32 })
    raises(("cannot allocate %d bytes in the shared heap: it holds %d at most")
      :format(2^48, 2^46), array.empty, "f64", { 2^15, 2^30 })
  end)

  it("prints itself shortly", function()
    assert.equal("tensor f32 2x2 {1, 2.5, 3, 4}",
      tostring(array.new("f32", { 2, 2 }, { 1, 2.5, 3, 4 })))
    assert.equal("tensor u8 9 {1, 1, 1, 1, 1, 1, 1, 1, ...}",
      tostring(array.new("u8", { 9 }, 1)))
    assert.equal("tensor i64 1 {9007199254740992}",
      tostring(array.new("i64", { 1 }, 2^53)))
    assert.equal("tensor bool scalar {true}",
      tostring(array.new("bool", {}, true)))
  end)
end)

describe("an element", function()
  it("is read and written at an index from either end", function()
    local t = array.new("f64", { 3 }, { 1, 2, 3 })
    t[-1] = 30
    t[1] = t[2] + 0.5
    assert.same({ 2.5, 2, 30 }, t:totable())
    assert.equal(30, t[-1])
  end)

  it("is checked against the range", function()
    local t = array.new("f32", { 10 })
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
      local t = array.new("u8", shape)
      indexes[ndim + 1] = 9
      t:set(unpack(indexes))
      assert.equal(9, t:get(unpack(indexes, 1, ndim)))
      assert.equal(9, t:reshape(2^ndim)[-1])
      local ok = pcall(t.get, t, unpack(indexes, 1, ndim + 1))
      assert.is_false(ok)
      ok = pcall(t.set, t, unpack(indexes, 1, ndim))
      assert.is_false(ok)
    end
    local t = array.new("u8", { 2, 3 })
    raises("index 4 is out of range 1..3", t.get, t, 1, 4)
    raises("3 indexes are expected for u8 1x2x3, got 2", t.get,
      t:reshape(1, 2, 3), 1, 1, nil, nil)
  end)

  it("of an integer dtype keeps its range", function()
    for name, range in pairs(INTEGERS) do
      local t = array.new(name, { 2 }, range)
      assert.same(range, t:totable())
      for _, value in ipairs({ range[1] - 1, range[2] + 1 }) do
        raises(("%.14g is out of range for %s"):format(value, name),
          t.set, t, 1, value)
      end
      raises("0.5 is a fraction, and " .. name .. " holds integers\n"
        .. "help: round it, or use a tensor of f32 or f64",
        t.fill, t, 0.5)
      assert.same(range, t:totable())
    end
    local t = array.new("u8", { 1 })
    raises("nan is out of range for u8", t.set, t, 1, math.abs(0 / 0))
    raises("a number is expected for u8, got nil", t.set, t, 1, nil)
    raises("a number is expected for f32, got string",
      array.new("f32", { 1 }).set, array.new("f32", { 1 }), 1, "1")
  end)

  it("beyond 2^53 arrives exact, as cdata", function()
    local t = array.new("i64", { 3 }, { 2^53, 2^53 + 1LL, -2^53 - 1LL })
    assert.equal("number", type(t[1]))
    assert.equal(2^53, t[1])
    assert.is_true(ffi.istype("int64_t", t[2]))
    assert.is_true(t[2] == 9007199254740993LL)
    assert.is_true(t[3] == -9007199254740993LL)
    local u = array.new("u64", { 1 }, 18446744073709551615ULL)
    assert.is_true(ffi.istype("uint64_t", u[1]))
    assert.is_true(u[1] == 18446744073709551615ULL)
  end)

  it("takes 64-bit integers where they fit", function()
    local t = array.new("i64", { 1 })
    raises("9223372036854775808 is out of range for i64", t.set, t, 1,
      9223372036854775808ULL)
    raises("9.2233720368548e+18 is out of range for i64", t.set, t, 1, 2^63)
    t[1] = 5ULL
    assert.equal(5, t[1])
    local u = array.new("u64", { 1 }, 2^63)
    assert.is_true(u[1] == 9223372036854775808ULL)
    raises("-1 is out of range for u64", u.set, u, 1, -1LL)
    local small = array.new("u8", { 1 }, 200LL)
    assert.equal(200, small[1])
    raises("300 is out of range for u8", small.set, small, 1, 300ULL)
    assert.equal(3, array.new("f32", { 1 }, 3LL)[1])
  end)

  it("of bool is a boolean", function()
    local t = array.new("bool", { 4 }, { true, false, 1, 0 })
    assert.same({ true, false, true, false }, t:totable())
    raises("2 is out of range for bool", t.set, t, 1, 2)
    raises("a boolean is expected for bool, got string", t.set, t, 1, "yes")
    raises("a number is expected for u8, got boolean", array.new, "u8",
      { 1 }, true)
    t:fill(true)
    assert.is_true(t[2])
  end)

  it("of f16 and bf16 rounds, and overflows to infinity", function()
    assert.same({ 65504, math.huge, -math.huge, 0.0999755859375 },
      array.new("f16", { 4 }, { 65504, 65520, -1e9, 0.1 }):totable())
    assert.same({ 0.10009765625, math.huge },
      array.new("bf16", { 2 }, { 0.1, 1e300 }):totable())
  end)
end)

describe("a row", function()
  it("is a view, of which rows are views", function()
    local t = array.new("i32", { 2, 3, 4 })
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
    local t = array.new("u8", { 2, 2 }, { 1, 2, 3, 4 })
    t[1] = t[2]
    t[2] = t[2]
    assert.same({ { 3, 4 }, { 3, 4 } }, t:totable())
    raises("a tensor u8 2 is expected, got u8 2x2",
      function() t[1] = t end)
    raises("2 values are expected for u8 2, got 3",
      function() t[1] = { 1, 2, 3 } end)
  end)

  it("is copied aside where it overlaps what it is assigned to", function()
    local t = array.new("u8", { 5 }, { 1, 2, 3, 4, 5 })
    local p = t:ptr()
    local shape = ffi.new("int64_t[2]", 1, 4)
    local high = array.view(1, 8, 2, shape, p + 1, t)
    high[1] = array.view(1, 8, 1, shape + 1, p, t)
    assert.same({ 1, 1, 2, 3, 4 }, t:totable())
  end)

  it("keeps the memory alive", function()
    local rows = {}
    for k = 1, 50 do
      rows[k] = array.new("u8", { 2, 40000 }, k)[2]:reshape(200, 200)[3]
    end
    collectgarbage()
    collectgarbage()
    for k = 1, 50 do
      local _ = array.new("u8", { 80000 }, 255)
      assert.equal(k, rows[k][200])
    end
  end)

  it("of a scalar there is not", function()
    local t = array.new("f64", {}, 4)
    assert.equal(4, t:get())
    assert.equal(4, t:totable())
    t:set(5)
    assert.equal(5, t:get())
    raises("a scalar tensor has no rows\nhelp: use t:get() and t:set(v)",
      function() local _ = t[1] end)
    raises("a scalar tensor has no length", function() local _ = #t end)
  end)
end)

describe("a mistake", function()
  -- Raises at the line of `call`, on which the whole function stands.
  local function is_blamed_on(line, call)
    local ok, message = pcall(call)
    assert.is_false(ok)
    assert.equal(("tests/spec/tensor/array_spec.lua:%d"):format(line),
      message:match("^[^:]*:%d+"))
  end

  it("is told with the line that calls neap", function()
    local t, u = array.new("u8", { 2, 2 }), array.new("u8", { 3 })
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
      function() neap.from(t)[1] = 256 end,
    }) do
      is_blamed_on(debug.getinfo(call, "S").linedefined, call)
    end
  end)

  it("is told with that line after a tail call, too", function()
    local t = array.new("u8", { 2, 2 })
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
      local t = array.new(name, { 3 })
      t:fill(3)
      assert.same({ 3, 3, 3 }, t:totable())
    end
    local t = array.new("i64", { 2 })
    t:fill(9223372036854775807LL)
    assert.is_true(t[2] == 9223372036854775807LL)
  end)

  it("clone copies", function()
    local t = array.new("f32", { 2, 2 }, { 1, 2, 3, 4 })
    local copy = t[2]:clone()
    t:fill(0)
    assert.same({ 3, 4 }, copy:totable())
  end)

  it("reshape is a view, and finds one size itself", function()
    local t = array.new("u8", { 2, 6 })
    t:reshape(3, -1)[3][4] = 9
    assert.equal(9, t[2][6])
    assert.same({ 12 }, t:reshape(-1).shape)
    assert.same({}, array.new("u8", { 1 }):reshape().shape)
    raises("cannot reshape u8 2x6 into 5x-1", t.reshape, t, 5, -1)
    raises("cannot reshape u8 2x6 into 5", t.reshape, t, 5)
    raises("cannot reshape u8 2x6 into -1x-1", t.reshape, t, -1, -1)
    raises("size 2 of a shape must be a whole number from 0, got x",
      t.reshape, t, 12, "x")
  end)

  it("ptr is typed", function()
    local t = array.new("f32", { 2 })
    t:ptr()[1] = 2.5
    assert.equal(2.5, t[2])
    assert.is_true(ffi.istype("float *", t:ptr()))
    assert.is_true(ffi.istype("bool *", array.new("bool", { 1 }):ptr()))
  end)

  it("to converts, scales and saturates", function()
    local t = array.new("u8", { 2 }, { 0, 255 })
    assert.same({ -1, 1 }, t:to("f64", 2 / 255, -1):totable())
    assert.same({ 0, 127 }, t:to("i8"):totable())
    assert.same({ false, true }, t:to("bool"):totable())
    assert.same({ 2 }, array.new("f32", { 1 }, 2.5):to("i32"):totable())
  end)

  it("dlpack hands out a copy with a deleter", function()
    local t = array.new("i16", { 2, 3 }, { 1, 2, 3, 4, 5, 6 })
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
    local t = array.view(2, 32, 2, shape, data, data, counter, counter[0])
    local first, flat = t[1], t:reshape(6)
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, t:totable())
    generation.bump(counter)
    local stale = "this tensor's item has been released\nhelp: keep it with "
      .. "neap.keep(item) or item:clone() before the loop goes on"
    for _, f in ipairs({
      function() local _ = t[1] end, function() local _ = first[1] end,
      function() flat[1] = 1 end, function() t:get(1, 1) end,
      function() t:set(1, 1, 1) end, function() t:fill(0) end,
      function() t:clone() end, function() t:totable() end,
      function() t:reshape(6) end, function() t:ptr() end,
      function() t:to("u8") end, function() t:dlpack() end,
      function() array.new("f32", { 2, 3 }, t) end,
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

describe("a tensor like another", function()
  it("has the dtype and shape of a description from C", function()
    local t = array.new("i16", { 2, 3 })
    local like = array.empty_like(t.d)
    assert.same({ 2, 3 }, like.shape)
    assert.equal("i16", like.dtype)
    assert.is_true(like:ptr() ~= t:ptr())
  end)
end)

describe("the allocator hook", function()
  after_each(function()
    array.set_allocator(nil)
  end)

  it("says where new tensors lie, or declines", function()
    local counter = generation.take()
    local room = ffi.new("uint8_t[64]")
    ffi.fill(room, 64, 0xff)
    local asked = {}
    array.set_allocator(function(nbytes, code, bits, shape, ndim)
      asked[#asked + 1] = { nbytes, code, bits, tonumber(shape[0]), ndim }
      if nbytes <= 64 then
        return ffi.cast("void *", room), counter, counter[0]
      end
    end)
    local t = array.new("f32", { 2, 3 })
    assert.is_true(ffi.cast("uint8_t *", t:ptr()) == ffi.cast("uint8_t *",
      room))
    assert.same({ { 0, 0, 0 }, { 0, 0, 0 } }, t:totable())
    local large = array.new("u8", { 65 })
    assert.equal(0, large[65])
    assert.same({ { 24, 2, 32, 2, 2 }, { 65, 1, 8, 65, 1 } }, asked)
    generation.bump(counter)
    assert.is_false(pcall(t.get, t, 1, 1))
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
      array.new("u8", { 10 * 2^20 }, k % 256)
    end
    assert.is_true(resident() - before < 600)
  end)

  it("reads its own elements, whatever finalizers read", function()
    for _, name in ipairs({ "f32", "f64" }) do
      local t = array.new(name, { 2 }, { 1, 2 })
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

  it("has its own shape and memory, whatever finalizers make", function()
    local large = { 300, 300 }
    local function check(t, sizes)
      local found = t.shape
      assert(#found == #sizes)
      for k = 1, #sizes do
        assert(found[k] == sizes[k])
      end
      return t
    end
    support.among_finalizers(function()
      array.new("u8", { 7 }, 7)
      array.new("u8", { 70000 }, 7)
    end, function()
      for _ = 1, 6000 do
        local t = check(array.new("f64", { 2, 1, 3 }), { 2, 1, 3 })
        check(t:reshape(3, -1), { 3, 2 })
      end
      for _ = 1, 200 do
        local t = check(array.new("u8", large, 3), large)
        local u = check(array.new("u8", large, 4), large)
        assert(t:get(1, 1) == 3 and t:get(300, 300) == 3)
        assert(u:get(1, 1) == 4 and u:get(300, 300) == 4)
      end
    end)
  end)

  it("reads any NaN as a number", function()
    local patterns = {
      f64 = { "uint64_t *", -1ULL }, f32 = { "uint32_t *", 0xffffffff },
      f16 = { "uint16_t *", 0xffff }, bf16 = { "uint16_t *", 0xffff },
    }
    for name, pattern in pairs(patterns) do
      local t = array.new(name, { 1 })
      ffi.cast(pattern[1], t:ptr())[0] = pattern[2]
      for _, value in ipairs({ t[1], t:get(1), t:totable()[1] }) do
        assert.equal("number", type(value))
        assert.not_equal(value, value)
      end
      assert.equal("number", type(t[1]))
    end
  end)
end)
