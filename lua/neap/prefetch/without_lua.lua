-- SPDX-License-Identifier: MIT
--- Chains for workers that have no Lua: processes get them packed, threads
-- unpacked. Either way items are computed of the chain as it was when it was
-- packed.
-- @module neap.prefetch.without_lua

local ffi = require("ffi")
local check = require("neap.base.check")
local heap = require("neap.tensor.heap")
local lib = require("neap.base.lib")
local lower = require("neap.native.lower")

ffi.cdef([[
  void *aligned_alloc(size_t alignment, size_t nbytes);
  void free(void *memory);
]])

local C = lib.C
local ALIGNMENT = 64

local without_lua = {}

-- Whether worker processes would run neap-native: it may be missing beside the
-- neap that NEAP_WORKER names.
local function may_be_native(options)
  return not options.on_start and (options.concurrency or 1) == 1
    and (options.threads or C.neap_has_native(nil) ~= 0)
end

--- Packs a chain whose every stage is native, if its workers need no Lua. For
-- threads, raises where it is not.
-- @treturn string or nil
-- @treturn table what must live for as long as workers may unpack that
function without_lua.pack(source, numbers, options)
  if not may_be_native(options) then
    return nil
  end
  local text, kept = lower.pack(source, not options.threads, numbers)
  if text then
    return text, kept
  elseif options.threads then
    error(check.with_help(("cannot prefetch on threads: %s is not native: %s")
      :format(kept.node:stage_name(), kept.why), kept.help), 0)
  end
end

--- Unpacks a chain for threads.
-- @tparam string text
-- @tparam cdata owner neap_pool_owner, which frees it
-- @treturn cdata neap_chain
function without_lua.unpack(text, owner)
  local out = ffi.new("neap_chain *[1]")
  local nbytes = math.ceil(#text / ALIGNMENT) * ALIGNMENT
  owner.bytes = ffi.C.aligned_alloc(ALIGNMENT, nbytes)
  if owner.bytes == nil then
    error(lib.failure(C.NEAP_EMEMORY, "cannot start threads: memory is short"),
      0)
  end
  ffi.copy(owner.bytes, text, #text)
  lib.check(C.neap_chain_unpack(owner.bytes, #text, heap.fd(), out, lib.error))
  owner.chain = out[0]
  return out[0]
end

--- Frees what `unpack` has made, once no thread reads it.
function without_lua.free(owner)
  local chain, bytes = owner.chain, owner.bytes
  owner.chain, owner.bytes = nil, nil
  C.neap_chain_free(chain)
  ffi.C.free(bytes)
end

return without_lua
