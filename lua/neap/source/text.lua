-- SPDX-License-Identifier: MIT
--- The text of a file, plain or gzipped, as records: lines, or rows of CSV.
-- Where they begin is found once, in C, and lies in a tensor that all workers
-- share.
-- @module neap.source.text

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local class = require("neap.base.class")
local File = require("neap.source.file")
local lib = require("neap.base.lib")

local C = lib.C
local cast = ffi.cast

local LINE_END, CARRIAGE_RETURN = 10, 13
local READERS_MAX = 16
local EXACT_BELOW = 2^20 -- bytes of an index that is not trimmed by a copy

local Rules = ffi.typeof("neap_scan_rules")
local Identity = ffi.typeof("neap_identity")
local u32s, i64s = ffi.typeof("uint32_t *"), ffi.typeof("int64_t *")
local bytes = ffi.typeof("uint8_t *")
local out_scan = ffi.new("neap_scan *[1]")
local out_gzip = ffi.new("neap_gzip *[1]")
local one_size = ffi.new("int64_t[1]")

local Text = class("source.text")

-- -- The index ---------------------------------------------------------------

local function grown(starts, name, room)
  local larger = array.lasting(name, { room })
  if starts then
    ffi.copy(larger.d.data, starts.d.data, starts.nbytes)
  end
  return larger
end

-- The first `count` elements. The room behind them was never touched.
local function trimmed(starts, name, count)
  local nbytes = count * starts.d.bits / 8
  if nbytes < EXACT_BELOW then
    local exact = array.lasting(name, { count })
    ffi.copy(exact.d.data, starts.d.data, nbytes)
    return exact
  end
  one_size[0] = count
  return array.view(starts.d.code, starts.d.bits, 1, one_size, starts.d.data,
    starts)
end

local function find_records(scan)
  local name = C.neap_scan_width(scan) == 4 and "u32" or "i64"
  local starts, status
  repeat
    starts = grown(starts, name, tonumber(C.neap_scan_room(scan)))
    status = C.neap_scan_run(scan, starts.d.data, starts.size, lib.error)
    check.status(status)
  until status == C.NEAP_OK
  return trimmed(starts, name, tonumber(C.neap_scan_count(scan)) + 1)
end

-- Where gzip data can be entered: false for a plain file.
local function find_points(scan)
  local count = tonumber(C.neap_scan_points(scan))
  if count == 0 then
    return false, false
  end
  local points = array.lasting("i64", { count, 4 })
  local windows = array.lasting("u8", { count, C.NEAP_GZIP_WINDOW })
  C.neap_scan_copy_points(scan, cast(i64s, points.d.data),
    cast(bytes, windows.d.data))
  return points, windows
end

--- Opens a file and finds its records.
-- @tparam string path
-- @tparam[opt] table rules quote and delimiter (bytes), skips_blank; without
--   them, each line is a record
-- @treturn Text with the fields `path`, `count` and `nbytes` (of the text)
function Text.open(path, rules)
  rules = rules or {}
  local file = File.open(path)
  check.status(C.neap_scan_open(file:handle(), Rules(rules.quote or -1,
    rules.delimiter or -1, rules.skips_blank and 1 or 0), out_scan, lib.error))
  local scan = ffi.gc(out_scan[0], C.neap_scan_close)
  local starts = find_records(scan)
  local points, windows = find_points(scan)
  local text = Text:new({
    path = path, file = file, starts = starts, count = starts.size - 1,
    nbytes = tonumber(C.neap_scan_bytes(scan)),
    is_wide = starts.d.bits == 64, skips_blank = rules.skips_blank or false,
    points = points, windows = windows, -- of gzip data
    here = false, -- the reader of gzip data, in this process
  })
  C.neap_scan_close(ffi.gc(scan, nil))
  return text
end

-- -- Reading -----------------------------------------------------------------

-- Each process keeps the last readers of gzip data: each has a descriptor and
-- 200 KB.
local recent = setmetatable({}, { __mode = "v" }) -- a ring of Texts
local place = 0

local function keep_reader(self)
  place = place % READERS_MAX + 1
  local oldest = recent[place]
  if oldest and oldest.here then
    C.neap_gzip_close(ffi.gc(oldest.here, nil))
    oldest.here = false
  end
  recent[place] = self
end

local function open_gzip(self)
  local expected = Identity()
  ffi.copy(expected, self.file.identity, ffi.sizeof(Identity))
  lib.check(C.neap_gzip_open(self.path, expected,
    cast(i64s, self.points.d.data), cast(bytes, self.windows.d.data),
    self.points.shape[1], out_gzip, lib.error))
  keep_reader(self)
  self.here = ffi.gc(out_gzip[0], C.neap_gzip_close)
  return self.here
end

--- Reads a part of the text, from offset (0-based) on.
-- @treturn cdata the address, until a file is read again; write nothing there
function Text:at(offset, nbytes)
  if not self.points then
    return self.file:at(offset, nbytes)
  end
  local to = File.scratch(nbytes)
  lib.check(C.neap_gzip_read(self.here or open_gzip(self), offset, to, nbytes,
    lib.error))
  return to
end

--- Where record k (from 1) begins; that of count + 1 is the size of the text.
function Text:start(k)
  if self.is_wide then
    return tonumber(cast(i64s, self.starts.d.data)[k - 1])
  end
  return cast(u32s, self.starts.d.data)[k - 1]
end

-- The bytes of a record without its line end; where lines without anything are
-- no records, those behind it go too.
local function strip(p, nbytes, is_once)
  while nbytes > 0 and p[nbytes - 1] == LINE_END do
    nbytes = nbytes - 1
    if nbytes > 0 and p[nbytes - 1] == CARRIAGE_RETURN then
      nbytes = nbytes - 1
    end
    if is_once then
      break
    end
  end
  return nbytes
end

--- Reads record k (from 1), without its line end.
-- @treturn cdata its address, until a file is read again
-- @treturn number its bytes
function Text:record_at(k)
  local first = self:start(k)
  local nbytes = self:start(k + 1) - first
  local p = self:at(first, nbytes)
  return p, strip(p, nbytes, not self.skips_blank)
end

--- The same as a string.
function Text:record(k)
  return (ffi.string(self:record_at(k)))
end

return Text
