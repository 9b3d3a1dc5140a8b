-- SPDX-License-Identifier: MIT
local array = require("neap.tensor.array")
local ffi = require("ffi")
local generation = require("neap.tensor.generation")
local heap = require("neap.tensor.heap")
local support = dofile("tests/spec/support.lua")
local tensor = require("neap.travel.tensor")

describe("a packed tensor", function()
  it("travels as bytes when it is small", function()
    local t = array.new("f32", { 2, 2 }, { 1, 2, 3, 4 })
    local packed = tensor.pack(t[2])
    assert.same({ dtype = "f32", shape = { 2 }, bytes = ffi.string(t:ptr() + 2,
      8) }, packed)
    assert.same({ 3, 4 }, tensor.unpack(packed, -1):totable())
  end)

  it("travels as a place in the heap when it is large", function()
    local t = array.new("u8", { 10, 100, 100 })
    t[3]:fill(3)
    t[4]:fill(4)
    local row, whole = tensor.pack(t[4][2]), tensor.pack(t:reshape(-1))
    assert.is_nil(row.bytes)
    assert.same({ 100 }, row.shape)
    assert.equal(30100, row.offset)
    local fd = heap.fd()
    assert.is_true(fd >= 0)
    local a, b = tensor.unpack(row, fd), tensor.unpack(whole, fd)
    assert.equal(4, a[100])
    assert.equal(3, b[20001])
    a[1] = 77  -- copied on write: the mapping is shared, t is not written
    assert.equal(77, b[30101])
    assert.equal(4, t[4][2][1])
  end)

  it("never shares its place with a later tensor", function()
    local t = array.new("u8", { 100000 }, 1)
    local offset = tensor.pack(t).heap_offset
    t = nil  -- luacheck: ignore
    collectgarbage()
    for _ = 1, 20 do
      local packed = tensor.pack(array.new("u8", { 100000 }))
      assert.is_true(packed.heap_offset ~= offset)
    end
  end)

  it("is checked against its block", function()
    local t = array.new("u8", { 100000 })
    local packed = tensor.pack(t)
    packed.shape = { 100001 }
    assert.equal("cannot unpack a tensor: it is larger than its block",
      support.message(tensor.unpack, packed, heap.fd()))
    packed.heap_offset = 2^40
    assert.matches("cannot map a shared tensor",
      support.message(tensor.unpack, packed, heap.fd()))
  end)

  it("must not be released", function()
    local counter = generation.take()
    local t = array.view(1, 8, 1, ffi.new("int64_t[1]", 1),
      ffi.new("uint8_t[1]"), nil, counter, counter[0])
    generation.give(counter)
    assert.matches("^this tensor's item has been released",
      support.message(tensor.pack, t))
  end)
end)
