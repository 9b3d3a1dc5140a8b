-- SPDX-License-Identifier: MIT
--- Computes a sequence once for all runs of a script: a folder keeps its items,
-- by a key of the chain.
-- @module neap.adapter.snapshot

local bit = require("bit")
local ffi = require("ffi")
local check = require("neap.base.check")
local errors = require("neap.base.errors")
local fingerprint = require("neap.travel.fingerprint")
local handle = require("neap.sequence.handle")
local lib = require("neap.base.lib")
local load = require("neap.source.load")
local Saved = require("neap.source.saved")
local version = require("neap.base.version")
local write = require("neap.dataset.write")

local C = lib.C

local OPTIONS = {
  workers = check.kinds.integer, bytes = check.kinds.count,
  inputs = function(v)
    return type(v) == "table" and getmetatable(v) == nil, "list of paths"
  end,
}

local out = ffi.new("neap_file *[1]")

-- Size and time of a file that the chain reads by itself.
local function input_of(path)
  lib.check(C.neap_file_open(path, nil, out, lib.error))
  local identity = C.neap_file_identity(out[0])
  local input = { path, tonumber(identity.nbytes), identity.mtime_ns }
  C.neap_file_close(out[0])
  return input
end

local function key_of(node, inputs)
  local list = {}
  for k, path in ipairs(inputs or {}) do
    list[k] = input_of(path)
  end
  return fingerprint({ node, list, version })
end

local function is_whole(path)
  return (pcall(Saved.open, path))
end

local function make(node, folder, name, key, options)
  lib.check(C.neap_snapshots_make(folder, lib.error))
  write(node, folder .. "/" .. name, {
    workers = options.workers, key = key, text = node:describe(),
    packing = Saved.PACKING.none, waits = true, bytes_max = options.bytes,
  })
  if options.bytes then
    lib.check(C.neap_snapshots_evict(folder, name, options.bytes, lib.error))
  end
end

local function find_or_make(node, folder, options)
  local key = key_of(node, options.inputs)
  local name = bit.tohex(key[0], 16) .. bit.tohex(key[1], 16) .. ".neap"
  local path = folder .. "/" .. name
  if not is_whole(path) then
    os.remove(path)
    make(node, folder, name, key, options)
  end
  C.neap_snapshots_touch(path)
  return path
end

--- Returns the same items from a file in a folder. The first time it computes
-- them all, as in epoch 1, and writes the file; later, and in other scripts, it
-- finds the file by a key: the stages, the code of their functions, upvalues,
-- and name, size and time of the files that are read by sources.
-- @function snapshot
-- @tparam Sequence source with an end
-- @tparam string folder made if it is not there
-- @tparam[opt] table options workers (processes, as prefetch has them), bytes
--   (that the snapshots in the folder may have; those used longest ago are
--   removed), inputs (paths of files that functions of the chain read)
-- @treturn Sequence
local function snapshot(source, folder, options)
  local node = handle.check_finite(1, source)
  check.text(2, folder)
  options = check.options(3, options, OPTIONS)
  local ok, path = pcall(find_or_make, node, folder, options)
  if not ok then
    if errors.is(path) then
      errors.raise(path)
    end
    check.raise(tostring(path))
  end
  return load.make(path)
end

return {
  make = snapshot, options = OPTIONS,
  example = [[neap.snapshot(neap.range(3), "snapshots")]],
}
