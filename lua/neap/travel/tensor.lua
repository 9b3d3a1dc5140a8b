-- SPDX-License-Identifier: MIT
--- Sends a tensor to a worker: as its bytes, or, from the shared heap, as the
-- offset of its block, which the worker maps. Either way the worker sees the
-- tensor as it was when it was packed.
-- @module neap.travel.tensor

local ffi = require("ffi")
local array = require("neap.tensor.array")
local format = require("neap.travel.format")
local dtype = require("neap.tensor.dtype")
local heap = require("neap.tensor.heap")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local shape = require("neap.tensor.shape")
local traverse = require("neap.base.traverse")

local C = lib.C

local bytes = ffi.typeof("uint8_t *")

local tensor = {}

-- -- Packing -----------------------------------------------------------------

--- While a chain is packed: the tensor of a block -> that which workers see. It
-- must live for as long as a worker may unpack the chain.
tensor.frozen = false

-- Whatever is written to the tensor later, workers see what this returns: the
-- same one, or a copy if it was written since it was frozen.
local function freeze(base)
  local frozen = tensor.frozen
  local shared = frozen and frozen[base]
  if shared then
    return shared
  end
  shared = base
  local nbytes = tonumber(base.block_nbytes)
  if base.is_frozen and C.neap_heap_is_changed(base.block, nbytes) ~= 0 then
    shared = memory.in_heap(nbytes)
    ffi.copy(shared.block, base.block, nbytes)
  end
  if not shared.is_frozen then
    heap.freeze(shared.block, shared.block_offset, nbytes)
    shared.is_frozen = true
  end
  if frozen then
    frozen[base] = shared
  end
  return shared
end

--- Returns where workers find a tensor that lies in the heap: the block, as a
-- tensor, and the bytes from its start to the elements. nil for others.
function tensor.share(t)
  if t.counter[0] ~= t.generation then
    error(memory.STALE, 0)
  end
  local base = t.is_owner and t or memory.owners[t]
  if array.is(base) and base.block ~= nil and not heap.is_inherited() then
    return freeze(base), lib.distance(base.block, t.d.data)
  end
end

--- Returns what is packed for a tensor, a plain table.
function tensor.pack(t)
  local packed = { dtype = t.dtype, shape = t.shape }
  local shared, offset = tensor.share(t)
  if shared then
    packed.heap_offset = tonumber(shared.block_offset)
    packed.nbytes = tonumber(shared.block_nbytes)
    packed.offset = offset
  else
    packed.bytes = ffi.string(t.d.data, t.nbytes)
  end
  return packed
end

-- -- Unpacking ---------------------------------------------------------------

local Block = ffi.typeof("struct { void *data; uint64_t nbytes; }")

local mapped = setmetatable({}, { __mode = "v" })

local out_block = ffi.new("void *[1]")

local function unmap(block)
  C.neap_heap_unmap(block.data, block.nbytes)
end

-- One mapping for all tensors within a block, for as long as one is alive.
local function map(fd, offset, nbytes)
  local key = fd .. ":" .. offset
  local block = mapped[key]
  if not block then
    lib.check(C.neap_heap_map(fd, offset, nbytes, out_block, lib.error))
    block = ffi.gc(Block(out_block[0], nbytes), unmap)
    mapped[key] = block
  end
  return block
end

--- The blocks that are mapped here.
function tensor.blocks()
  local list = {}
  for _, key in ipairs(traverse.keys(mapped)) do
    list[#list + 1] = mapped[key]
  end
  return list
end

--- Makes a packed tensor again; `fd` is the packing process's heap.fd().
-- Writing to it changes this process's pages alone.
function tensor.unpack(packed, fd)
  if packed.bytes then
    return (array.new(packed.dtype, packed.shape, packed.bytes))
  end
  local kind = dtype.find(packed.dtype)
  local block = map(fd, packed.heap_offset, packed.nbytes)
  local ndim, count, dims = shape.read(packed.shape)
  local room = tonumber(block.nbytes) - packed.offset
  if packed.offset < 0 or count * kind.size > room then
    error("cannot unpack a tensor: it is larger than its block", 0)
  end
  return (array.view(kind.code, kind.bits, ndim, dims,
    ffi.cast(bytes, block.data) + packed.offset, block))
end

--- In a worker: the descriptor of the host's heap, or -1.
tensor.heap_fd = -1

format.register("neap.travel.tensor", array.is, tensor.pack, function(packed)
  return tensor.unpack(packed, tensor.heap_fd)
end)

return tensor
