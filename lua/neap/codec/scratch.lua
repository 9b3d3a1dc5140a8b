-- SPDX-License-Identifier: MIT
--- Memory for what is decoded on the way to a tensor: one buffer for each
-- process, which grows as needed and is used again and again.
-- @module neap.codec.scratch

local ffi = require("ffi")
local check = require("neap.base.check")

ffi.cdef([[
  void *malloc(size_t size);
  void free(void *memory);
]])

local KEPT_MAX = 64 * 2^20  -- bytes; a larger buffer is freed after use

local libc = ffi.C
local bytes = ffi.typeof("uint8_t *")

local kept, kept_size

local scratch = {}

--- Frees what a library has allocated by malloc().
scratch.free = libc.free

local function allocate(size)
  local memory = libc.malloc(size)
  if memory == nil then
    check.raise(("not enough memory: %.0f bytes to decode to"):format(size))
  end
  return (ffi.gc(ffi.cast(bytes, memory), libc.free))
end

--- Takes the buffer, or another one while it is taken.
-- @treturn cdata a `uint8_t *`
-- @treturn number its bytes, `size` or more
function scratch.take(size)
  if kept and kept_size >= size then
    local memory, has = kept, kept_size
    kept = nil
    return memory, has
  end
  return allocate(size), size
end

--- Gives a buffer back. One that is not given back, since there was an error,
-- is collected.
function scratch.give(memory, size)
  if size <= KEPT_MAX then
    kept, kept_size = memory, size
  else
    libc.free(ffi.gc(memory, nil))
  end
end

return scratch
