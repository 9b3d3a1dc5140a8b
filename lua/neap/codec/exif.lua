-- SPDX-License-Identifier: MIT
--- EXIF's orientation: how a camera was held. Nothing else of EXIF is read, and
-- damage in it is no error: the image is taken as it is stored.
-- @module neap.codec.exif

local ENTRIES_MAX = 1024
local ORIENTATION, SHORT = 0x0112, 3

local exif = {}

local function word(p, at, is_big)
  local a, b = p[at], p[at + 1]
  return is_big and a * 256 + b or b * 256 + a
end

local function long(p, at, is_big)
  local a, b = word(p, at, is_big), word(p, at + 2, is_big)
  return is_big and a * 65536 + b or b * 65536 + a
end

local function find_entry(p, nbytes, at, is_big)
  if at + 2 > nbytes then
    return 1
  end
  for k = 0, math.min(word(p, at, is_big), ENTRIES_MAX) - 1 do
    local entry = at + 2 + 12 * k
    if entry + 12 > nbytes then
      return 1
    end
    if word(p, entry, is_big) == ORIENTATION
      and word(p, entry + 2, is_big) == SHORT then
      local value = word(p, entry + 8, is_big)
      return value >= 1 and value <= 8 and value or 1
    end
  end
  return 1
end

--- The orientation, 1 to 8; 1 where none is told.
-- @param p `const uint8_t *`: EXIF data, from "Exif" or from its TIFF header
function exif.orientation(p, nbytes)
  if nbytes >= 6 and p[0] == 0x45 and p[1] == 0x78 and p[4] == 0 then
    p, nbytes = p + 6, nbytes - 6
  end
  if nbytes < 8 then
    return 1
  end
  local is_big = p[0] == 0x4D
  if p[0] ~= p[1] or not is_big and p[0] ~= 0x49
    or word(p, 2, is_big) ~= 42 then
    return 1
  end
  return (find_entry(p, nbytes, long(p, 4, is_big), is_big))
end

return exif
