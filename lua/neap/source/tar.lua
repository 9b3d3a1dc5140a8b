-- SPDX-License-Identifier: MIT
--- Samples of tar files (WebDataset shards), at random.
-- @module neap.source.tar

local ffi = require("ffi")
local array = require("neap.tensor.array")
local bisect = require("neap.base.bisect")
local check = require("neap.base.check")
local class = require("neap.base.class")
local decode = require("neap.source.tar_decode")
local File = require("neap.source.file")
local handle = require("neap.sequence.handle")
local Node = require("neap.sequence.node")
local one_item = require("neap.source.one_item")
local tar_index = require("neap.source.tar_index")
local Text = require("neap.source.text")

local SHARDS_MAX = 100000
local GZIP = "\31\139"
local i64s = ffi.typeof("int64_t *")

local Tar = class("source.tar", Node)

local OPTIONS = { decode = check.kinds.boolean, index = check.kinds.boolean }

-- -- Reading -----------------------------------------------------------------

local function numbers(t)
  return ffi.cast(i64s, t.d.data)
end

local function key_of(index, k)
  local starts = numbers(index.key_starts)
  local first = tonumber(starts[k])
  return ffi.string(ffi.cast("uint8_t *", index.keys.d.data) + first,
    tonumber(starts[k + 1]) - first)
end

local function read_field(self, shard, k, at)
  local nbytes = tonumber(at[1])
  local name = shard.index.names[tonumber(at[2]) + 1]
  local bytes = ffi.string(shard.text:at(tonumber(at[0]), nbytes), nbytes)
  if self.decode then
    return name, decode(name, bytes, ("%s.%s in %s"):format(
      key_of(shard.index, k), name, shard.path))
  end
  return name, bytes
end

function Tar:get(i)
  local shard = self.shards[bisect(self.firsts, i)]
  local index, k = shard.index, i - shard.first
  local first = numbers(index.first)
  local fields = numbers(index.fields)
  local item = { __key__ = key_of(index, k) }
  for n = tonumber(first[k]), tonumber(first[k + 1]) - 1 do
    local name, x = read_field(self, shard, k, fields + 3 * n)
    item[name] = x
  end
  return item
end

function Tar:describe()
  return #self.shards == 1 and ("tar(%s)"):format(self.shards[1].path)
    or ("tar(%d shards)"):format(#self.shards)
end

-- -- Opening -----------------------------------------------------------------

local function text_of(path)
  local file = File.open(path)
  local is_gzip = file.nbytes >= 2 and file:text(0, 2) == GZIP
  return is_gzip and Text.open(path) or file
end

local TENSORS = { "fields", "keys", "first", "key_starts" }

-- The index that was saved of the same file, or nil. Its tensors move to where
-- workers share them.
local function load_index(path, identity)
  local ok, list = pcall(one_item.load, path)
  if not ok or type(list) ~= "table" or list[1] ~= identity
    or type(list[2]) ~= "number" or type(list[3]) ~= "table" then
    return nil
  end
  local index = { count = list[2], names = list[3] }
  for k, name in ipairs(TENSORS) do
    local t = list[3 + k]
    if not array.is(t) then
      return nil
    end
    index[name] = array.lasting(t.dtype, t.shape)
    ffi.copy(index[name].d.data, t.d.data, t.nbytes)
  end
  return tar_index.is_whole(index) and index or nil
end

local function save_index(path, identity, index)
  local list = { identity, index.count, index.names }
  for k, name in ipairs(TENSORS) do
    list[3 + k] = index[name]
  end
  one_item.save(path, list, "an index of a tar file")
end

-- The index that lies beside a file, or is put there.
local function index_beside(path, text)
  local identity = (text.file or text).identity
  local index = load_index(path .. ".index", identity)
  if not index then
    index = tar_index.make(text)
    save_index(path .. ".index", identity, index)
  end
  return index
end

local function index_of(_, text)
  return tar_index.make(text)
end

local function open_shard(path, options)
  local text = text_of(path)
  local ok, index = pcall(options.index and index_beside or index_of, path,
    text)
  return {
    path = path, text = text, first = 0,
    index = ok and index or check.raise(tostring(index)),
  }
end

-- "a-{000..002}.tar" -> three paths; a list of paths as it is.
local function expand(text, list)
  local before, first, last, after = text:match("^(.-){(%d+)%.%.(%d+)}(.*)$")
  if not before then
    list[#list + 1] = text
    return
  elseif tonumber(last) < tonumber(first)
    or tonumber(last) - tonumber(first) >= SHARDS_MAX then
    check.fail(1, ("1 to %d shards expected, got {%s..%s}"):format(SHARDS_MAX,
      first, last))
  end
  for k = tonumber(first), tonumber(last) do
    expand(before .. ("%0" .. #first .. "d"):format(k) .. after, list)
  end
end

local function paths_of(paths)
  local list = {}
  if type(paths) == "string" then
    expand(paths, list)
    return list
  elseif type(paths) ~= "table" or #paths == 0 then
    check.fail(1, "path or list of paths expected, got "
      .. (type(paths) == "table" and "an empty table" or check.got(paths)))
  end
  for k, path in ipairs(paths) do
    if type(path) ~= "string" then
      check.fail(1, ("path %d of the list: string expected, got %s"):format(k,
        check.got(path)))
    end
    expand(path, list)
  end
  return list
end

--- Returns the samples of tar files, as tables: `__key__`, and the bytes of
-- each file of the sample by what its name has after the first dot ("jpg").
-- @function tar
-- @tparam string|table paths "train.tar", "train-{000..099}.tar", or a list of
--   these; .tar.gz too
-- @tparam[opt] table options decode (true: fields are decoded by the ends of
--   their names), index (true: PATH.index keeps what was found in a file)
-- @treturn Sequence
local function tar(paths, options)
  options = check.options(2, options, OPTIONS)
  local shards, firsts, length = {}, {}, 0
  for k, path in ipairs(paths_of(paths)) do
    local shard = open_shard(path, options)
    shards[k], firsts[k], shard.first = shard, length + 1, length + 1
    length = length + shard.index.count
  end
  return handle.wrap(Tar:make({
    shards = shards, firsts = firsts, length = length,
    decode = options.decode or false,
  }))
end

return {
  class = Tar, make = tar, options = OPTIONS,
  example = [[neap.tar("train-{000..099}.tar", { decode = true })]],
}
