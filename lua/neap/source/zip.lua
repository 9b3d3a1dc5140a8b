-- SPDX-License-Identifier: MIT
--- The entries of a zip archive: names, sizes, and where their data lies.
-- The directory at the end of the file leads to each. Large archives have
-- their 64-bit fields. What is read is compared with the size of the file.
-- @module neap.source.zip

local check = require("neap.base.check")

local END_BYTES, END_MAX = 22, 22 + 0xffff -- with a comment
local LOCATOR_BYTES, END64_BYTES = 20, 56
local ENTRY_BYTES, LOCAL_BYTES = 46, 30
local DIRECTORY_MAX = 2^30 -- bytes
local WIDE = 0xffffffff -- the field is elsewhere, in 64 bits

local zip = { STORED = 0, DEFLATED = 8 }

local function refuse(file, why, ...)
  check.raise(("cannot read %s: %s"):format(file.path, why:format(...)))
end

local function u16(text, at)
  local a, b = text:byte(at + 1, at + 2)
  return a + b * 2^8
end

local function u32(text, at)
  return u16(text, at) + u16(text, at + 2) * 2^16
end

local function u64(text, at)
  return u32(text, at) + u32(text, at + 4) * 2^32
end

-- Where the directory begins, and its bytes.
local function find_directory(file)
  local nbytes = math.min(file.nbytes, END_MAX)
  local text = file:text(file.nbytes - nbytes, nbytes)
  for at = nbytes - END_BYTES, 0, -1 do
    if text:sub(at + 1, at + 4) == "PK\5\6" then
      return u32(text, at + 16), u32(text, at + 12), file.nbytes - nbytes + at
    end
  end
  refuse(file, "it is no zip archive, or is truncated")
end

local function find_wide_directory(file, end_at)
  local at = end_at - LOCATOR_BYTES
  local locator = at >= 0 and file:text(at, LOCATOR_BYTES) or ""
  local wide = locator:sub(1, 4) == "PK\6\7" and u64(locator, 8)
  if not wide or wide + END64_BYTES > file.nbytes then
    refuse(file, "its directory is damaged")
  end
  local text = file:text(wide, END64_BYTES)
  return u64(text, 48), u64(text, 40)
end

local function read_directory(file)
  local start, nbytes, end_at = find_directory(file)
  if start == WIDE or nbytes == WIDE then
    start, nbytes = find_wide_directory(file, end_at)
  end
  if start + nbytes > file.nbytes or nbytes > DIRECTORY_MAX then
    refuse(file, "its directory is damaged")
  end
  return file:text(start, nbytes)
end

-- The 64-bit fields of an entry, in place of those that are WIDE.
local function widen(entry, extra)
  local at = 0
  while at + 4 <= #extra do
    local id, size = u16(extra, at), u16(extra, at + 2)
    local field, stop = at + 4, math.min(at + 4 + size, #extra)
    for _, name in ipairs(id == 1 and { "nbytes", "packed", "start" } or {}) do
      if entry[name] == WIDE and field + 8 <= stop then
        entry[name] = u64(extra, field)
        field = field + 8
      end
    end
    at = at + 4 + size
  end
end

-- The entry at `at` of the directory, and where the next one begins.
local function read_entry(file, text, at)
  if at + ENTRY_BYTES > #text or text:sub(at + 1, at + 4) ~= "PK\1\2" then
    refuse(file, "its directory is damaged")
  end
  local name_at = at + ENTRY_BYTES
  local extra_at = name_at + u16(text, at + 28)
  local next_at = extra_at + u16(text, at + 30) + u16(text, at + 32)
  if next_at > #text then
    refuse(file, "its directory is damaged")
  end
  local entry = {
    name = text:sub(name_at + 1, extra_at),
    is_encrypted = u16(text, at + 8) % 2 == 1, method = u16(text, at + 10),
    checksum = text:sub(at + 17, at + 20),
    packed = u32(text, at + 20), nbytes = u32(text, at + 24),
    start = u32(text, at + 42), offset = false,
  }
  widen(entry, text:sub(extra_at + 1, next_at))
  return entry, next_at
end

-- Where the data of an entry lies: behind its own header.
local function locate(file, entry)
  local header = entry.start + LOCAL_BYTES <= file.nbytes
    and file:text(entry.start, LOCAL_BYTES) or ""
  if header:sub(1, 4) ~= "PK\3\4" then
    refuse(file, "its entry '%s' is damaged", entry.name)
  end
  entry.offset = entry.start + LOCAL_BYTES + u16(header, 26) + u16(header, 28)
  if entry.offset + entry.packed > file.nbytes then
    refuse(file, "its entry '%s' is truncated", entry.name)
  end
end

--- Lists the entries of an archive, as they stand in its directory.
-- @tparam File file
-- @treturn table a list of {name, method, packed and nbytes (sizes), offset (of
--   the data), checksum (4 bytes)}; raises at the user's line
function zip.entries(file)
  local text, list, at = read_directory(file), {}, 0
  while at < #text do
    local entry
    entry, at = read_entry(file, text, at)
    if entry.is_encrypted then
      refuse(file, "its entry '%s' is encrypted", entry.name)
    elseif entry.method ~= zip.STORED and entry.method ~= zip.DEFLATED then
      refuse(file, "its entry '%s' is packed by method %d, not by deflate",
        entry.name, entry.method)
    end
    locate(file, entry)
    list[#list + 1] = entry
  end
  return list
end

return zip
