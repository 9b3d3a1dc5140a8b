-- SPDX-License-Identifier: MIT
--- A file that all workers read: its path and its identity.
-- It travels as these. Each process opens the path at its first read, once for
-- all sequences over it, and refuses a file that is not the one that the
-- sequence was made of.
-- @module neap.source.file

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local lib = require("neap.base.lib")

local C = lib.C

local OPEN_MAX = 128 -- files that a process has open: there may be thousands
local WINDOW = 32 * 2^10 -- bytes that are read ahead
local SCRATCH_MAX = 2^20 -- bytes that are kept for the next read

local Identity = ffi.typeof("neap_identity")
local new_bytes = ffi.typeof("uint8_t[?]")
local out = ffi.new("neap_file *[1]")

local File = class("source.file")

-- -- Handles -----------------------------------------------------------------
--
-- All Files of one path and identity share an entry: the handle and what was
-- read ahead. An entry that is the oldest of many lets go of both.

local entries = setmetatable({}, { __mode = "v" }) -- path and identity -> entry
local recent = setmetatable({}, { __mode = "v" }) -- a ring of entries
local place = 0

local function keep(entry)
  place = place % OPEN_MAX + 1
  local oldest = recent[place]
  if oldest and oldest.handle then
    C.neap_file_close(ffi.gc(oldest.handle, nil))
    oldest.handle, oldest.window = nil, false
    oldest.first, oldest.stop = 0, 0
  end
  recent[place] = entry
end

local function open(path, expected)
  lib.check(C.neap_file_open(path, expected, out, lib.error))
  return ffi.gc(out[0], C.neap_file_close)
end

local function entry_of(path, identity)
  local key = path .. "\0" .. identity
  local entry = entries[key]
  if not entry then
    entry = {
      handle = nil, follows = -1, -- the end of what was read last
      window = false, first = 0, stop = 0, -- what was read ahead
    }
    entries[key] = entry
  end
  return entry
end

local function set_handle(entry, handle)
  entry.handle = handle
  keep(entry)
  return entry
end

local function open_here(path)
  local handle = open(path)
  local identity = ffi.string(C.neap_file_identity(handle),
    ffi.sizeof(Identity))
  return set_handle(entry_of(path, identity), handle), identity
end

local function open_again(self)
  local entry = self.here or entry_of(self.path, self.identity)
  if not entry.handle then
    local expected = Identity()
    ffi.copy(expected, self.identity, ffi.sizeof(Identity))
    set_handle(entry, open(self.path, expected))
  end
  self.here = entry
  return entry
end

--- Opens a file, to make a sequence of it; raises at the user's line if it
-- cannot be read.
-- @tparam string path
-- @treturn File with the fields `path` and `nbytes`
function File.open(path)
  if path:find("\0", 1, true) then
    check.raise(("cannot open %q: a path has no NUL"):format(path))
  end
  local ok, entry, identity = pcall(open_here, path)
  if not ok then
    check.raise(tostring(entry))
  end
  return File:new({
    path = path, nbytes = tonumber(C.neap_file_bytes(entry.handle)),
    identity = identity, -- the bytes of a neap_identity
    here = entry, -- stays in this process
  })
end

-- -- Reading -----------------------------------------------------------------

local function entry_with_handle(self)
  local entry = self.here
  if not entry or not entry.handle then
    entry = open_again(self)
  end
  return entry
end

--- The neap_file of this process, until another file is used.
function File:handle()
  return entry_with_handle(self).handle
end

--- Reads exactly nbytes to an address, from offset (0-based) on.
function File:read(offset, to, nbytes)
  lib.check(C.neap_file_read(entry_with_handle(self).handle, offset, to,
    nbytes, lib.error))
end

local scratch = new_bytes(4096)
local scratch_bytes = 4096

--- Returns memory for at least nbytes, until the next call.
function File.scratch(nbytes)
  if nbytes > SCRATCH_MAX then
    return new_bytes(nbytes)
  elseif nbytes > scratch_bytes then
    scratch_bytes = math.max(nbytes, 2 * scratch_bytes)
    scratch = new_bytes(scratch_bytes)
  end
  return scratch
end

local function read_ahead(self, entry, offset)
  entry.window = entry.window or new_bytes(WINDOW)
  entry.first, entry.stop = 0, 0
  local nbytes = math.min(WINDOW, self.nbytes - offset)
  self:read(offset, entry.window, nbytes)
  entry.first, entry.stop = offset, offset + nbytes
end

--- Reads the same; who reads in order makes one call of the system for many.
-- @treturn cdata the address, until a file is read again; write nothing there
function File:at(offset, nbytes)
  local entry = entry_with_handle(self)
  local stop = offset + nbytes
  if offset == entry.follows and stop > entry.stop and nbytes < WINDOW
      and stop <= self.nbytes then
    read_ahead(self, entry, offset)
  end
  entry.follows = stop
  if offset >= entry.first and stop <= entry.stop and entry.window then
    return entry.window + (offset - entry.first)
  end
  local to = File.scratch(nbytes)
  self:read(offset, to, nbytes)
  return to
end

--- Reads the same as a string.
function File:text(offset, nbytes)
  return (ffi.string(self:at(offset, nbytes), nbytes))
end

--- Reads a whole file that no index was made of, as a string.
function File.load(path)
  local handle = open(path)
  local nbytes = tonumber(C.neap_file_bytes(handle))
  local to = File.scratch(nbytes)
  local status = C.neap_file_read(handle, 0, to, nbytes, lib.error)
  C.neap_file_close(ffi.gc(handle, nil))
  lib.check(status)
  return (ffi.string(to, nbytes))
end

return File
