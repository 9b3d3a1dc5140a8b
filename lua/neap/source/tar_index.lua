-- SPDX-License-Identifier: MIT
--- What a tar file has: its regular files, as samples of a WebDataset. Files
-- that follow each other and have the same name up to the first dot are the
-- fields of one sample. ustar, GNU's long names and pax headers are read.
--
-- An index is a table: `count` samples; `first`, a tensor with the field that
-- each begins with; `fields`, a tensor of {offset, bytes, name} for each field,
-- and `names` of them; `keys`, a tensor of all keys, and where each begins,
-- `key_starts`. All numbers are from 0.
-- @module neap.source.tar_index

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local lib = require("neap.base.lib")

local C = lib.C
local BLOCK = C.NEAP_TAR_BLOCK
local LONG_NAME, PAX = ("L"):byte(), ("x"):byte()
local NAME_MAX = 2 ^ 20 -- bytes of a long name, or of a pax header

local header = ffi.new("neap_tar_header")

local tar_index = {}

-- -- Headers -----------------------------------------------------------------

-- The fields of a pax header: "LENGTH KEY=VALUE\n" each.
local function read_pax(text)
  local pax, at = {}, 1
  while at <= #text do
    local length, start = text:match("^(%d+) ()", at)
    length = tonumber(length)
    if not length or at + length - 1 > #text or length < 5 then
      return nil
    end
    local key, value = text:sub(start, at + length - 2):match("^([^=]+)=(.*)$")
    if not key then
      return nil
    end
    pax[key] = value
    at = at + length
  end
  return pax
end

-- -- Entries -----------------------------------------------------------------

local function refuse(walk, why)
  error(("cannot read %s: %s at byte %.0f%s"):format(walk.path, why, walk.at,
    walk.last and (", after %q"):format(walk.last) or ""), 0)
end

local function bytes_of(walk, nbytes)
  if nbytes > walk.nbytes - walk.at then
    refuse(walk, "it is truncated: an entry is cut")
  end
  return walk.file:at(walk.at, nbytes)
end

-- Reads the header that comes. False at the end.
local function read_header(walk)
  local status = C.neap_tar_read(bytes_of(walk, BLOCK), header)
  if status < 0 then
    refuse(walk, walk.last and "a damaged header"
      or "it is no tar file, or has a damaged header")
  end
  walk.at = walk.at + BLOCK
  return status == C.NEAP_OK
end

-- The text of a long name or of a pax header.
local function read_text(walk, size)
  if size > NAME_MAX then
    refuse(walk, ("a name or a pax header of %.0f bytes"):format(size))
  end
  local text = ffi.string(bytes_of(walk, size), size)
  walk.at = walk.at + math.ceil(size / BLOCK) * BLOCK
  return text
end

-- Takes what a header says of the entry that follows it.
local function read_extra(walk, kind, size)
  local text = read_text(walk, size)
  if kind == LONG_NAME then
    walk.long_name = text:match("^[^%z]*")
  elseif kind == PAX then
    local pax = read_pax(text) or refuse(walk, "before it a damaged pax header")
    local bytes = tonumber(pax.size or "")
    walk.long_name = pax.path or walk.long_name
    walk.long_size = bytes and bytes >= 0 and bytes < 2 ^ 53 and bytes or nil
  end
end

local function set_of(letters)
  local set = {}
  for k = 1, #letters do
    set[letters:byte(k)] = true
  end
  return set
end

local EXTRA, REGULAR = set_of("LKxg"), set_of("0\0007")

-- Takes the entry whose header was read: its name, offset and size.
local function take(walk)
  local name = walk.long_name or ffi.string(header.name)
  local size, offset = walk.long_size or tonumber(header.size), walk.at
  walk.long_name, walk.long_size = nil, nil
  if size > walk.nbytes - offset then
    refuse(walk, ("it is truncated: %q is cut"):format(name))
  end
  walk.at = offset + math.ceil(size / BLOCK) * BLOCK
  walk.last = name
  return name, offset, size
end

-- Moves to the next regular file: its name, offset and size; nil at the end.
local function next_file(walk)
  while walk.at < walk.nbytes and read_header(walk) do
    local kind = header.kind
    if EXTRA[kind] then
      read_extra(walk, kind, tonumber(header.size))
    else
      local name, offset, size = take(walk)
      if REGULAR[kind] then
        return name, offset, size
      end
    end
  end
end

-- -- Samples -----------------------------------------------------------------

-- "./train/0001.seg.png" -> "train/0001", "seg.png"; nil without a dot.
local function split(name)
  name = name:gsub("^%./", "")
  local folder, key, field = name:match("^(.-)([^/.]+)%.([^/]+)$")
  if not folder or folder ~= "" and folder:sub(-1) ~= "/" then
    return nil
  end
  return folder .. key, field
end

local function begin_sample(index, walk, key)
  if index.seen[key] then
    refuse(walk, ("the key %q for a second time"):format(key))
  end
  index.seen[key] = true
  index.count = index.count + 1
  index.key, index.own = key, {}
  index.list[index.count] = key
  index.first[index.count] = #index.offset
end

local function add(index, walk, key, field, offset, size)
  if key ~= index.key then
    begin_sample(index, walk, key)
  elseif index.own[field] then
    refuse(walk, ("the field %q of %q for a second time, before"):format(field,
      key))
  end
  index.own[field] = true
  local number = index.numbers[field]
  if not number then
    index.names[#index.names + 1] = field
    number = #index.names - 1
    index.numbers[field] = number
  end
  local k = #index.offset + 1
  index.offset[k], index.size[k], index.name[k] = offset, size, number
end

local function numbers_of(list, count)
  local t = array.lasting("i64", { count })
  local data = ffi.cast("int64_t *", t.d.data)
  for k = 1, count do
    data[k - 1] = list[k]
  end
  return t
end

local function finish(index)
  local fields = array.lasting("i64", { #index.offset, 3 })
  local data = ffi.cast("int64_t *", fields.d.data)
  for k = 1, #index.offset do
    local at = data + 3 * (k - 1)
    at[0], at[1], at[2] = index.offset[k], index.size[k], index.name[k]
  end
  local text, starts = table.concat(index.list), { 0 }
  for k = 1, index.count do
    starts[k + 1] = starts[k] + #index.list[k]
  end
  local keys = array.lasting("u8", { #text })
  ffi.copy(keys.d.data, text, #text)
  index.first[index.count + 1] = #index.offset
  return {
    count = index.count, names = index.names, fields = fields, keys = keys,
    first = numbers_of(index.first, index.count + 1),
    key_starts = numbers_of(starts, index.count + 1),
  }
end

--- Reads the headers of a tar file. Raises a text if one is damaged.
-- @tparam table file with path, nbytes and at(offset, nbytes)
-- @treturn table the index
function tar_index.make(file)
  local walk = {
    file = file, path = file.path, nbytes = file.nbytes, at = 0, last = false,
    long_name = nil, long_size = nil, -- of the entry that comes
  }
  local index = {
    count = 0, key = false, own = {}, seen = {}, list = {}, first = {},
    names = {}, numbers = {}, offset = {}, size = {}, name = {},
  }
  if walk.nbytes == 0 then
    refuse(walk, "it is empty")
  end
  for name, offset, size in next_file, walk do
    local key, field = split(name)
    if key then
      add(index, walk, key, field, offset, size)
    end
  end
  return finish(index)
end

-- Whether a tensor has so many i64, from 0 to `last`, none of which is larger
-- than the next.
local function is_ascending(t, count, last)
  if t.dtype ~= "i64" or t.ndim ~= 1 or t.size ~= count then
    return false
  end
  local data = ffi.cast("int64_t *", t.d.data)
  for k = 1, count - 1 do
    if data[k] < data[k - 1] then
      return false
    end
  end
  return data[0] == 0 and data[count - 1] == last
end

--- Whether an index that was saved can be followed.
function tar_index.is_whole(index)
  local count, fields, keys = index.count, index.fields, index.keys
  if not (check.is_integer(count) and count >= 0) or fields.dtype ~= "i64"
    or fields.ndim ~= 2 or fields.shape[2] ~= 3 or keys.dtype ~= "u8" then
    return false
  end
  local data = ffi.cast("int64_t *", fields.d.data)
  for k = 0, fields.shape[1] - 1 do
    local name = data[3 * k + 2]
    if data[3 * k] < 0 or data[3 * k + 1] < 0 or name < 0
      or name >= #index.names then
      return false
    end
  end
  return is_ascending(index.first, count + 1, fields.shape[1])
    and is_ascending(index.key_starts, count + 1, keys.size)
end

return tar_index
