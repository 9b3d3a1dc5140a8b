-- SPDX-License-Identifier: MIT
--- IDX files (MNIST's format), plain or gzipped, as sequences.
-- @module neap.source.idx

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local from = require("neap.source.from")
local lib = require("neap.base.lib")

local C = lib.C
local out = ffi.new("neap_idx *[1]")

-- One block of memory, which all workers share if it is large.
local function read(path)
  lib.check(C.neap_idx_open(path, out, lib.error))
  local idx = ffi.gc(out[0], C.neap_idx_close)
  local about = C.neap_idx_tensor(idx)
  local values = array.empty_like(about)
  lib.check(C.neap_idx_read(idx, values.d.data, values.nbytes, lib.error))
  C.neap_idx_close(ffi.gc(idx, nil))
  return values
end

--- Returns the rows of an IDX file: tensors, or numbers where it has one
-- dimension. The file is read here, once, whole.
-- @function idx
-- @tparam string path
-- @treturn Sequence
-- @usage local images = neap.idx("train-images-idx3-ubyte.gz")
local function idx(path)
  check.text(1, path)
  local ok, values = pcall(read, path)
  if not ok then
    check.raise(values)
  end
  return from(values)
end

return idx
