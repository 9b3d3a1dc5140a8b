-- SPDX-License-Identifier: MIT
--- Unpacks a stream piece by piece into one growing buffer, up to a limit.
-- @module neap.codec.unpacked

local ffi = require("ffi")
local check = require("neap.base.check")
local input = require("neap.codec.input")
local limits = require("neap.codec.limits")
local scratch = require("neap.codec.scratch")

local LEAST = 64 * 2^10 -- bytes of the first buffer

local unpacked = {}

--- The options of functions that unpack.
unpacked.OPTIONS = { bytes_max = check.kinds.positive }

local function grow(memory, size, used, bytes_max)
  local larger, larger_size = scratch.take(math.min(2 * size, bytes_max + 1))
  ffi.copy(larger, memory, used)
  scratch.give(memory, size)
  return larger, larger_size
end

local function too_large(bytes_max)
  return ("it unpacks to more than bytes_max, %.0f bytes\nhelp: if it is no "
    .. "decompression bomb, use the option bytes_max"):format(bytes_max)
end

--- Unpacks a stream.
-- @param bytes the argument of the decoder
-- @tparam table options
-- @tparam string what it is, for messages: "gzip data"
-- @tparam table stream with start(p, nbytes); step(to, room), which returns how
--   many bytes it wrote, whether this was the end, and why it cannot go on; and
--   stop()
-- @treturn string
function unpacked.of(bytes, options, what, stream)
  local bytes_max = options.bytes_max or limits.BYTES_MAX
  local p, nbytes = input.read(bytes)
  local memory, size = scratch.take(math.min(math.max(LEAST, 4 * nbytes),
    bytes_max + 1))
  local used, text = 0, nil
  local wrote, is_end, why
  stream.start(p, nbytes)
  repeat
    if used == size then
      memory, size = grow(memory, size, used, bytes_max)
    end
    wrote, is_end, why = stream.step(memory + used, size - used)
    used = used + wrote
    why = why or used > bytes_max and too_large(bytes_max)
  until is_end or why
  stream.stop()
  if not why then
    text = ffi.string(memory, used)
  end
  scratch.give(memory, size)
  if why then
    input.fail(bytes, what, why)
  end
  input.release()
  return text
end

return unpacked
