-- SPDX-License-Identifier: MIT
--- Decodes the fields of a sample by the ends of their names.
-- @module neap.source.tar_decode

local FORMATS = {
  jpg = "image", jpeg = "image", png = "image", webp = "image",
  json = "json", npy = "npy", wav = "audio", flac = "audio", ogg = "audio",
  mp3 = "audio", cls = "number", index = "number", count = "number",
  id = "number", gz = "gzip", zst = "zstd",
}

local PACKED = { gzip = true, zstd = true }

local function number(from)
  local value = tonumber(from.bytes)
  if not value then
    error(("cannot decode %s: %q is no number"):format(from.path,
      from.bytes:sub(1, 40)), 0)
  end
  return value
end

local decoders = { number = number }

-- A decoder is loaded when a field first needs it.
local function decoder_of(format)
  local decoder = decoders[format]
  if not decoder then
    decoder = require("neap.codec." .. format).make
    decoders[format] = decoder
  end
  return decoder
end

--- Returns what a field's bytes mean: a tensor of an image (jpg, jpeg, png,
-- webp) or an array (npy), a value (json), sound (wav, flac, ogg, mp3), a
-- number (cls, index, count, id), the same of packed bytes (gz, zst), or the
-- bytes.
-- @tparam string name of the field: "seg.png"
-- @param bytes
-- @tparam string path what messages call it
local function decode(name, bytes, path)
  local rest, last = name:match("^(.-)%.?([^.]*)$")
  local format = FORMATS[last:lower()]
  if not format then
    return bytes
  end
  local x = decoder_of(format)({ bytes = bytes, path = path })
  if PACKED[format] then
    return decode(rest, x, path)
  end
  return x
end

return decode
