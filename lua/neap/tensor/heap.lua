-- SPDX-License-Identifier: MIT
--- This process's shared heap: where large tensors live, so that they reach
-- workers as a descriptor and an offset.
-- It is opened by the first allocation. The collector sees a large tensor as
-- the few bytes of its description and would let garbage fill the machine, so
-- the bytes are counted here, and a collection is run when they have doubled.
-- First touches of memory are dear, many times what writing it again costs: a
-- block that no worker was told of is kept for the next tensor of its size.
-- One that was shared is freed, and its place in the heap never used again.
-- @module neap.tensor.heap

local ffi = require("ffi")
local lib = require("neap.base.lib")
local traverse = require("neap.base.traverse")

local C = lib.C

local COLLECT_AT = 256 * 2^20  -- bytes; below this nothing is worth a pause
local SPARE_MAX = 256 * 2^20  -- bytes

local out_heap = ffi.new("neap_heap *[1]")
local out_block = ffi.new("void *[1]")
local out_offset = ffi.new("uint64_t[1]")

local opened
local live, collect_at = 0, COLLECT_AT  -- bytes of the tensors that exist
local spare, spare_bytes = {}, 0  -- size -> a stack of { block, offset }

local heap = {}

local function open()
  lib.check(C.neap_heap_open(out_heap, lib.error))
  opened = ffi.gc(out_heap[0], C.neap_heap_close)
end

local function free_stack(nbytes, stack)
  for _, kept in ipairs(stack) do
    C.neap_heap_free(opened, kept.block, kept.offset, nbytes)
  end
end

-- Finalisers may run at any allocation, and add to the table that is current.
local function free_spare()
  local freed = spare
  spare, spare_bytes = {}, 0
  traverse.each(freed, free_stack)
end

-- A view keeps its base alive through a weak table, whose values are let go
-- one cycle later than its keys: hence two.
local function collect()
  free_spare()
  collectgarbage()
  collectgarbage()
  collect_at = math.max(COLLECT_AT, 2 * live)
end

local function take_spare(nbytes)
  local stack = spare[nbytes]
  local kept = stack and table.remove(stack)
  if kept then
    spare_bytes = spare_bytes - nbytes
  end
  return kept
end

--- Whether this process was forked off the one that opened the heap: that one
-- goes on using its blocks, spare ones too.
function heap.is_inherited()
  return opened and C.neap_heap_is_ours(opened) == 0
end

--- Allocates a block.
-- @treturn cdata its address, `void *`; nil where the heap is inherited
-- @treturn number its offset in the heap
-- @treturn boolean whether it is all zeros
function heap.alloc(nbytes)
  if heap.is_inherited() then
    return nil
  elseif live + nbytes > collect_at then
    collect()
  end
  live = live + nbytes
  local kept = take_spare(nbytes)
  if kept then
    return kept.block, kept.offset, false
  end
  if not opened then
    open()
  end
  local status = C.neap_heap_alloc(opened, nbytes, out_block, out_offset,
    lib.error)
  if status < 0 then
    live = live - nbytes
    lib.check(status)
  end
  return out_block[0], tonumber(out_offset[0]), true
end

--- Ends a block; to be called by finalisers.
-- @param is_shared whether its offset was told to anyone
function heap.free(block, offset, nbytes, is_shared)
  live = live - nbytes
  if is_shared or spare_bytes + nbytes > SPARE_MAX then
    C.neap_heap_free(opened, block, offset, nbytes)
    return
  end
  local stack = spare[nbytes] or {}
  spare[nbytes] = stack
  stack[#stack + 1] = { block = block, offset = offset }
  spare_bytes = spare_bytes + nbytes
end

--- Keeps a block as it is for others; what is written to it is seen here alone.
function heap.freeze(block, offset, nbytes)
  lib.check(C.neap_heap_freeze(opened, block, offset, nbytes, lib.error))
end

--- Whether a block was written since it was frozen.
function heap.is_changed(block, nbytes)
  return C.neap_heap_is_changed(block, nbytes) ~= 0
end

--- Maps a block of the heap that `fd` stands for; `unmap` ends it.
function heap.map(fd, offset, nbytes)
  lib.check(C.neap_heap_map(fd, offset, nbytes, out_block, lib.error))
  return out_block[0]
end

function heap.unmap(block, nbytes)
  C.neap_heap_unmap(block, nbytes)
end

--- The descriptor that workers inherit, or -1 where nothing was allocated.
function heap.fd()
  return opened and C.neap_heap_fd(opened) or -1
end

return heap
