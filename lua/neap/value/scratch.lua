-- SPDX-License-Identifier: MIT
--- Memory for tensors that an item does not deliver, as images that are cropped
-- later. It is used from its start again for each item, also for each item of a
-- batch that is stacked; then its tensors are no longer valid. A tensor that
-- does not fit gets memory of its own.
-- @module neap.value.scratch

local ffi = require("ffi")
local lib = require("neap.base.lib")

local C = lib.C
local bytes = ffi.typeof("uint8_t *")

local ALIGNMENT = 64

local scratch = {}

--- Makes the scratch memory of a worker; empty without one.
function scratch.new(worker)
  local base = ffi.cast(bytes, worker and C.neap_worker_scratch(worker) or nil)
  return {
    base = base, bytes = base ~= nil and C.NEAP_SCRATCH_BYTES or 0,
    used = 0,
  }
end

--- Returns memory for a tensor, or nil.
function scratch.take(memory, nbytes)
  local start = memory.used
  local used = start + nbytes + -nbytes % ALIGNMENT
  if used > memory.bytes then
    return nil
  end
  memory.used = used
  return memory.base + start
end

return scratch
