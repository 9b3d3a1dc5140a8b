-- SPDX-License-Identifier: MIT
--- This process's shared heap, in which large tensors lie, so that workers get
-- them as a descriptor and an offset.
-- The first allocation opens it. The collector sees a large tensor as the few
-- bytes of its description, and would let garbage fill the machine. So the
-- bytes are counted here, and a collection is run when they have doubled. The
-- first write to a page costs many times what later writes cost. So a block
-- that no worker knows of is cached for the next tensor of its size. A block
-- that workers know of is freed, and its range in the heap is never used again.
-- @module neap.tensor.heap

local ffi = require("ffi")
local check = require("neap.base.check")
local lib = require("neap.base.lib")
local traverse = require("neap.base.traverse")

local C = lib.C

local GARBAGE_MAX = 256 * 2^20  -- bytes that may wait for a collection

local out_heap = ffi.new("neap_heap *[1]")
local Out = ffi.typeof("struct { void *block[1]; uint64_t offset[1]; }")

local opened
local garbage_max = GARBAGE_MAX
local live, collect_at = 0, garbage_max  -- bytes of the tensors that exist
local cache, cached_bytes = {}, 0  -- size -> a stack of { block, offset }

local heap = {}

local function open()
  check.status(C.neap_heap_open(out_heap, lib.error))
  opened = ffi.gc(out_heap[0], C.neap_heap_close)
end

local function free_stack(nbytes, stack)
  for _, kept in ipairs(stack) do
    C.neap_heap_free(opened, kept.block, kept.offset, nbytes)
  end
end

-- A finalizer may run at any allocation, and adds to the current table.
local function free_cache()
  local freed = cache
  cache, cached_bytes = {}, 0
  traverse.each(freed, free_stack)
end

-- Twice: a view's base is the value of a weak table, and is freed one cycle
-- later than the view.
local function collect()
  free_cache()
  collectgarbage()
  collectgarbage()
  collect_at = math.max(garbage_max, 2 * live)
end

local function take_cached(nbytes)
  local stack = cache[nbytes]
  local kept = stack and table.remove(stack)
  if kept then
    cached_bytes = cached_bytes - nbytes
  end
  return kept
end

--- Sets how many bytes of tensors may exist before garbage is collected, and be
-- cached; 256 MiB by default.
function heap.limit_garbage(nbytes)
  garbage_max, collect_at = nbytes, nbytes
end

--- Whether this process was forked from the one that opened the heap, which
-- still uses all blocks, cached ones too.
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
  local kept = take_cached(nbytes)
  if kept then
    return kept.block, kept.offset, false
  end
  if not opened then
    open()
  end
  local out = Out() -- of this call: a finalizer may allocate, too
  local status = C.neap_heap_alloc(opened, nbytes, out.block, out.offset,
    lib.error)
  if status < 0 then
    live = live - nbytes
    check.status(status)
  end
  return out.block[0], tonumber(out.offset[0]), true
end

--- Frees or caches a block; for finalizers.
-- @param is_shared whether workers know of it
function heap.free(block, offset, nbytes, is_shared)
  live = live - nbytes
  if is_shared or cached_bytes + nbytes > garbage_max then
    C.neap_heap_free(opened, block, offset, nbytes)
    return
  end
  local stack = cache[nbytes] or {}
  cache[nbytes] = stack
  stack[#stack + 1] = { block = block, offset = offset }
  cached_bytes = cached_bytes + nbytes
end

--- Fixes what workers see of a block; only this process sees later writes.
function heap.freeze(block, offset, nbytes)
  lib.check(C.neap_heap_freeze(opened, block, offset, nbytes, lib.error))
end

--- The descriptor that workers inherit, or -1 where nothing was allocated.
function heap.fd()
  return opened and C.neap_heap_fd(opened) or -1
end

return heap
