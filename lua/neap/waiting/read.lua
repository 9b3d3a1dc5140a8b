-- SPDX-License-Identifier: MIT
--- Reads of files from slow disks, which let the worker's other items go on.
-- In a coroutine of a controller a thread of libneap reads; elsewhere reading
-- blocks.
-- @module neap.waiting.read

local ffi = require("ffi")
local check = require("neap.base.check")
local lib = require("neap.base.lib")
local loop = require("neap.waiting.loop")

local C = lib.C

local THREADS_MAX = 64 -- of a process that read at once; more reads wait

local out_reads = ffi.new("neap_reads *[1]")
local out_read = ffi.new("neap_read *[1]")
local out_data = ffi.new("const void *[1]")
local out_nbytes = ffi.new("int64_t[1]")

local reads = false -- of this process, once there are some

local function open()
  lib.check(C.neap_reads_open(THREADS_MAX, out_reads, lib.error))
  reads = ffi.gc(out_reads[0], C.neap_reads_close)
  return reads
end

-- Begins a read: in a thread, or at once where `set` is nil.
local function start(set, path, offset, nbytes)
  lib.check(C.neap_read_start(set, path, offset, nbytes, out_read, lib.error))
  return ffi.gc(out_read[0], C.neap_read_free)
end

-- The bytes of a read, or nil while it is not done.
local function data_of(read)
  local status = lib.check(C.neap_read_data(read, out_data, out_nbytes,
    lib.error))
  return status == C.NEAP_OK
    and ffi.string(out_data[0], tonumber(out_nbytes[0])) or nil
end

local function free(waiting)
  loop.cqueues().cancel(waiting.pollfd)
  C.neap_read_free(ffi.gc(waiting.read, nil))
end

-- Waits for a read in a thread.
local function await(waiting)
  local text
  repeat
    loop.cqueues().poll(waiting)
    text = data_of(waiting.read)
  until text
  return text
end

local function read_aside(path, offset, nbytes)
  local read = start(reads or open(), path, offset, nbytes)
  local waiting = { -- which cqueues polls
    pollfd = C.neap_read_fd(read), events = "r", read = read,
  }
  local ok, text = pcall(await, waiting)
  free(waiting)
  return ok and text or error(text, 0)
end

--- Reads a file, or a part of it.
-- @function read
-- @tparam string path
-- @tparam[opt=0] int offset bytes before the part
-- @tparam[opt] int bytes exactly; to the end of the file
-- @treturn string
-- @usage local header = neap.read("a.bin", 0, 512)
local function read(path, offset, bytes)
  check.text(1, path)
  if path:find("\0", 1, true) then
    check.raise(("cannot read %q: a path has no NUL"):format(path))
  end
  offset = offset == nil and 0 or check.natural(2, offset)
  bytes = bytes == nil and -1 or check.natural(3, bytes)
  if loop.is_running() then
    return read_aside(path, offset, bytes)
  end
  return data_of(start(nil, path, offset, bytes))
end

return read
