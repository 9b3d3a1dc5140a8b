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

local SCRATCH_MAX = 2^20 -- bytes that are kept for the next read

local Identity = ffi.typeof("neap_identity")
local new_bytes = ffi.typeof("uint8_t[?]")
local out = ffi.new("neap_file *[1]")

local File = class("source.file")

-- Path and identity -> the handle, for as long as a File has it.
local opened = setmetatable({}, { __mode = "v" })

-- Opens a path, whatever file is there.
local function open(path, expected)
  lib.check(C.neap_file_open(path, expected, out, lib.error))
  local handle = ffi.gc(out[0], C.neap_file_close)
  local identity = ffi.string(C.neap_file_identity(handle),
    ffi.sizeof(Identity))
  local key = path .. "\0" .. identity
  handle = opened[key] or handle
  opened[key] = handle
  return handle, identity
end

-- Opens the file of that identity, unless it is open.
local function open_again(path, identity)
  local handle = opened[path .. "\0" .. identity]
  if not handle then
    local expected = Identity()
    ffi.copy(expected, identity, ffi.sizeof(Identity))
    handle = open(path, expected)
  end
  return handle
end

--- Opens a file, to make a sequence of it; raises at the user's line if it
-- cannot be read.
-- @tparam string path
-- @treturn File with the fields `path` and `nbytes`
function File.open(path)
  if path:find("\0", 1, true) then
    check.raise(("cannot open %q: a path has no NUL"):format(path))
  end
  local ok, handle, identity = pcall(open, path)
  if not ok then
    check.raise(tostring(handle))
  end
  return File:new({
    path = path, nbytes = tonumber(C.neap_file_bytes(handle)),
    identity = identity, -- the bytes of a neap_identity
    here = handle, -- stays in this process
  })
end

--- The neap_file of this process; valid as long as the File is.
function File:handle()
  local handle = self.here
  if not handle then
    handle = open_again(self.path, self.identity)
    self.here = handle
  end
  return handle
end

--- Reads exactly nbytes to an address, from offset (0-based) on.
function File:read(offset, to, nbytes)
  lib.check(C.neap_file_read(self:handle(), offset, to, nbytes, lib.error))
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

--- Reads the same as a string.
function File:text(offset, nbytes)
  local to = File.scratch(nbytes)
  self:read(offset, to, nbytes)
  return (ffi.string(to, nbytes))
end

return File
