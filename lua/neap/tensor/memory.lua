-- SPDX-License-Identifier: MIT
--- The cdata that a tensor is, and where its memory lies.
-- A tensor is a neap_tensor, the shape that it points to, and a reference to
-- its memory, which lies
--   * inline, in the tail of the cdata, below 64 KiB;
--   * in this process's shared heap, in a block that a finalizer frees;
--   * in the slot that a worker fills, where the allocator hook says so;
--   * in memory that something else owns: a slot that is read, a block of
--     another process's heap, another tensor (rows and reshapes).
-- A cdata cannot hold a Lua reference, so a weak table keeps the owner alive.
-- The owner must not lead back to the tensor, or neither is ever collected.
-- @module neap.tensor.memory

local ffi = require("ffi")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local generation = require("neap.tensor.generation")
local heap = require("neap.tensor.heap")
local lib = require("neap.base.lib")
local shape = require("neap.tensor.shape")

local C = lib.C
local kinds = dtype.list

local LARGE = 64 * 2^10  -- bytes; from here on memory comes from the heap
local ALIGNMENT = 64
local DIMS = C.NEAP_DIMS_MAX

-- What a view shares with its base stands first, to be copied in one go.
-- The size matters: with 8 bytes less, rows lie 256 bytes apart, and their
-- addresses collide in `owners` (160 ns for t[i][j] rather than 90).
local Tensor = ffi.typeof([[
  struct {
    neap_tensor d;
    const uint64_t *counter; /* the tensor is valid while this counts ... */
    uint64_t generation;     /* ... this */
    int32_t kind;            /* index in dtype.list */
    int32_t birth;           /* number that the allocator gave it, or 0 */
    int64_t dims[8];
    int64_t steps[8];
    void *block;             /* in the heap, or NULL; and there its ... */
    uint64_t block_nbytes;
    int64_t block_offset;
    bool is_frozen;          /* ... being known to workers */
    bool is_owner;           /* of its memory, inline or in the heap */
    bool is_pinned;          /* holds its slot by itself (value/borrow.lua) */
    uint8_t tail[?];
  }
]])
local SHARED = ffi.offsetof(Tensor, "dims")
local ROW_DIMS = (DIMS - 1) * ffi.sizeof("int64_t")

local bytes = ffi.typeof("uint8_t *")
local word = ffi.typeof("uintptr_t")

local owners = setmetatable({}, { __mode = "k" })
local allocator

local memory = {}

--- The ctype; neap.tensor.array gives it its metatable.
memory.ctype = Tensor

--- Tensor -> what keeps its memory alive, where that is not the tensor itself.
memory.owners = owners

--- What is said of a tensor whose memory belongs to another item now.
memory.STALE = "this tensor's item has been released\nhelp: keep it with "
  .. "neap.keep(item) or item:clone() before the loop goes on"

--- Whether a value is a tensor.
function memory.is(value)
  return type(value) == "cdata" and ffi.istype(Tensor, value)
end

--- Raises if the tensor's memory belongs to another item now. What reads many
-- elements, or makes an object before it reads, checks again afterwards: a
-- finalizer may release a tensor that is in use.
function memory.check(t)
  if t.counter[0] ~= t.generation then
    check.raise(memory.STALE)
  end
end

--- Elements of a tensor.
function memory.count(t)
  return (tonumber(C.neap_tensor_count(t.d)))
end

--- Bytes of a tensor.
function memory.nbytes(t)
  return (tonumber(C.neap_tensor_nbytes(t.d)))
end

--- Dtype and shape, as messages show them: "f32 2x3".
function memory.text(t)
  return kinds[t.kind].name .. " " .. shape.text(t.d.ndim, t.dims)
end

--- Sets dtype and shape; `dims` may be the tensor's own.
function memory.describe(t, kind, ndim, dims)
  local d = t.d
  t.kind = kind.index
  d.device_type = 1
  d.ndim = ndim
  d.code, d.bits, d.lanes = kind.code, kind.bits, 1
  d.shape, d.strides = t.dims, t.steps
  ffi.copy(t.dims, dims, ndim * 8)
  C.neap_tensor_strides(ndim, t.dims, t.steps)
end

local describe = memory.describe

-- -- Memory of its own -------------------------------------------------------

local function own(t, data)
  t.is_owner = true
  t.d.data, t.counter = data, generation.forever
  return t
end

--- Makes a tensor with memory inline, not described yet; all zeros.
function memory.inline(nbytes)
  local t = Tensor(nbytes + ALIGNMENT - 1)
  local address = tonumber(ffi.cast(word, t.tail))
  return own(t, t.tail + -address % ALIGNMENT)
end

--- Frees a tensor's block, if it has one; for finalizers.
function memory.free_block(t)
  if t.block == nil then
    return
  end
  heap.free(t.block, tonumber(t.block_offset), tonumber(t.block_nbytes),
    t.is_frozen)
end

--- Makes a tensor with memory in the heap, or inline where the heap belongs to
-- a process that this one was forked from; not described yet.
-- @treturn boolean whether it is all zeros
function memory.in_heap(nbytes)
  local block, offset, is_zero = heap.alloc(nbytes)
  if not block then
    return memory.inline(nbytes), true
  end
  local t = ffi.gc(Tensor(0), memory.free_block)
  t.block, t.block_nbytes, t.block_offset = block, nbytes, offset
  return own(t, block), is_zero
end

--- Makes a tensor with memory of its own, not described yet.
-- @treturn boolean whether it is all zeros
function memory.own(nbytes)
  if nbytes < LARGE then
    return memory.inline(nbytes), true
  end
  return memory.in_heap(nbytes)
end

-- -- Memory of others --------------------------------------------------------

local function borrowed(data, counter, current)
  local t = Tensor(0)
  t.d.data, t.counter, t.generation = data, counter, current
  return t
end

--- Makes a tensor over memory that is not its own.
-- @param owner kept alive with the tensor; it must not lead back to it
-- @param counter of the memory's generations, or nil if it has only one
-- @param current the generation in which the tensor is valid
function memory.view(code, bits, ndim, dims, data, owner, counter, current)
  local kind = dtype.of(code, bits)
  if not kind then
    check.raise(("no dtype has code %d and %d bits"):format(code, bits))
  end
  local t = borrowed(ffi.cast(bytes, data), counter or generation.forever,
    current or 0)
  describe(t, kind, ndim, dims)
  if owner then
    owners[t] = owner
  end
  return t
end

--- Makes a tensor over the memory of another one, without its dimensions.
function memory.share(base)
  local t = Tensor(0)
  ffi.copy(t, base, SHARED)
  t.d.shape, t.d.strides = t.dims, t.steps
  local owner = base.is_owner and base or owners[base]
  if owner then
    owners[t] = owner
  end
  return t
end

--- Row k, from 0, of a tensor of two or more dimensions.
function memory.row(base, k)
  local t = memory.share(base)
  t.d.ndim = base.d.ndim - 1
  t.d.data = ffi.cast(bytes, base.d.data)
    + k * tonumber(base.steps[0]) * (base.d.bits / 8)
  ffi.copy(t.dims, base.dims + 1, ROW_DIMS)
  ffi.copy(t.steps, base.steps + 1, ROW_DIMS)
  return t
end

--- Puts a tensor under another owner and generation; its views keep theirs.
function memory.move(t, owner, counter, current)
  owners[t] = owner
  t.is_pinned = false
  t.counter, t.generation = counter, current
end

--- Moves a tensor to the memory of another one, which has its elements.
function memory.move_into(t, other)
  t.d.data, t.birth = other.d.data, 0
  memory.move(t, other, generation.forever, 0)
end

--- Moves a borrowed tensor's elements to memory of its own.
function memory.detach(t)
  local nbytes = memory.nbytes(t)
  local other = memory.inline(nbytes)
  ffi.copy(other.d.data, t.d.data, nbytes)
  memory.move_into(t, other)
end

-- -- Whichever it is ---------------------------------------------------------

--- Lets `f(nbytes, code, bits, shape, ndim)` say where new tensors lie: it
-- returns an address, a counter and its generation, or nil to decline; and
-- fourth, also if it declines, a number that the tensor and its views will
-- have. It must make no tensor itself. nil takes the hook away.
function memory.set_allocator(f)
  allocator = f
end

--- Makes a tensor whose elements are still to be written.
-- @treturn tensor
-- @treturn boolean whether it is known to be all zeros
function memory.make(kind, ndim, dims, count)
  local nbytes = count * kind.size
  local t, is_zero, data, counter, current, birth
  if allocator then
    data, counter, current, birth = allocator(nbytes, kind.code, kind.bits,
      dims, ndim)
  end
  if data ~= nil then
    t, is_zero = borrowed(data, counter, current), false
  else
    t, is_zero = memory.own(nbytes)
  end
  t.birth = birth or 0
  describe(t, kind, ndim, dims)
  return t, is_zero
end

--- The same with memory of its own in any case: for what outlives the item
-- that is in work, as a source's index does.
function memory.make_lasting(kind, ndim, dims, count)
  local t = memory.own(count * kind.size)
  describe(t, kind, ndim, dims)
  return t
end

return memory
