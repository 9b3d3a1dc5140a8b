-- SPDX-License-Identifier: MIT
--- Computes a sequence once and keeps its items in a file, for neap.load().
-- @module neap.adapter.save

local ffi = require("ffi")
local check = require("neap.base.check")
local errors = require("neap.base.errors")
local fingerprint = require("neap.travel.fingerprint")
local handle = require("neap.sequence.handle")
local load = require("neap.source.load")
local Saved = require("neap.source.saved")
local slice = require("neap.adapter.slice")
local version = require("neap.base.version")
local write = require("neap.dataset.write")
local zstd = require("neap.source.zstd")

local PACKING = Saved.PACKING
local LEVEL, LEVEL_MAX = 1, 19 -- of zstd
local SHARDS_MAX = 10000

local OPTIONS = {
  workers = check.kinds.integer,
  shards = function(v)
    return check.is_integer(v) and v >= 1 and v <= SHARDS_MAX,
      ("whole number from 1 to %d"):format(SHARDS_MAX)
  end,
  compress = function(v)
    return type(v) == "boolean"
      or check.is_integer(v) and v >= 1 and v <= LEVEL_MAX,
      ("boolean, or a level from 1 to %d,"):format(LEVEL_MAX)
  end,
}

-- The key of a file, or of shard k. Without one (0), a save that was killed
-- does not go on.
local function key_of(node, options, k)
  local ok, key = pcall(fingerprint, { node, options.compress or false,
    options.shards or 1, k, version })
  return ok and key or ffi.new("uint64_t[2]")
end

local function write_file(node, path, options, key)
  local level = options.compress
  write(node, path, {
    workers = options.workers, key = key, text = node:describe(),
    level = level == true and LEVEL or level or nil,
    packing = level and PACKING.zstd or PACKING.none,
  })
end

-- Whether a shard is whole, of a save that was killed later.
local function has_shard(path, key)
  local ok, _, about = pcall(Saved.open, path)
  return ok and about.key[0] == key[0] and about.key[1] == key[1]
end

-- The list of shards is written last: without it they are no dataset.
local function write_shards(s, node, path, options)
  local names, count = {}, options.shards
  os.remove(path)
  for k = 1, count do
    local first = math.floor((k - 1) * node.length / count) + 1
    local last = math.floor(k * node.length / count)
    local part = handle.node(slice.make(s, first, last))
    local name = ("%s-%d-of-%d"):format(path:match("[^/]+$"), k, count)
    local folder = path:match("^.*/") or ""
    local key = key_of(node, options, k)
    if key[0] == 0 or not has_shard(folder .. name, key) then
      write_file(part, folder .. name, options, key)
    end
    names[k] = name
  end
  write(handle.node(names), path, {
    workers = 0, key = ffi.new("uint64_t[2]"), text = node:describe(),
    packing = PACKING.shards,
  })
end

local function save_checked(s, node, path, options)
  if options.compress then
    zstd.load()
  end
  if options.shards and options.shards > 1 then
    write_shards(s, node, path, options)
  else
    write_file(node, path, options, key_of(node, options, 1))
  end
end

--- Computes all items of a sequence, as in epoch 1, and writes them to a file
-- that neap.load() maps. The file is PATH.partial until it is whole. If a save
-- was killed or failed, the same save goes on where that stood.
-- @function save
-- @tparam Sequence source with an end
-- @tparam string path
-- @tparam[opt] table options workers (processes, as prefetch has them; 0: this
--   one), shards (files, of about as many items each), compress (true, or a
--   level of zstd from 1 to 19)
-- @treturn Sequence neap.load(path)
local function save(source, path, options)
  local node = handle.check_finite(1, source)
  check.text(2, path)
  options = check.options(3, options, OPTIONS)
  local ok, e = pcall(save_checked, source, node, path, options)
  if not ok then
    if errors.is(e) then
      errors.raise(e)
    end
    check.raise(tostring(e))
  end
  return load.make(path)
end

return {
  make = save, options = OPTIONS,
  example = [[neap.save(neap.range(3), "numbers.neap")]],
}
