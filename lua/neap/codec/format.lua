-- SPDX-License-Identifier: MIT
--- The image formats. A format is a file of this folder and a name here.
--
-- A format has name; extensions; is(p, nbytes); open(p, nbytes), which returns
-- what is known of an image; shrink(about, scale); channels(about, wanted);
-- read(about, p, nbytes, to, channels, accepts_damage); close(about); and
-- write(p, rows, columns, channels, quality) with channels_kept, the numbers
-- of channels that it takes. neap.codec.jpeg describes them.
-- @module neap.codec.format

local FORMATS = { "jpeg", "png", "webp" }

local format = { list = {} }
local of_extension = {}

for k, name in ipairs(FORMATS) do
  local one = require("neap.codec." .. name)
  format.list[k] = one
  for _, extension in ipairs(one.extensions) do
    of_extension[extension] = one
  end
end

-- What else images come in, by how it begins, for messages.
local OTHERS = {
  { "GIF8", "GIF" }, { "BM", "BMP" }, { "II*%z", "TIFF" }, { "MM%z%*", "TIFF" },
  { "....ftypavif", "AVIF" }, { "....ftyphei", "HEIF" },
  { "%z%z%z.jP  ", "JPEG 2000" }, { "<%?xml", "XML" }, { "<svg", "SVG" },
  { "<!", "HTML" },
}

--- The format of some bytes, or nil.
function format.of_bytes(p, nbytes)
  for k = 1, #format.list do
    local one = format.list[k]
    if one.is(p, nbytes) then
      return one
    end
  end
end

--- The format of a path, or nil.
function format.of_path(path)
  local extension = path:match("%.(%w+)$")
  return extension and of_extension[extension:lower()]
end

--- What bytes of no known format begin with, in words.
function format.describe(text)
  for _, other in ipairs(OTHERS) do
    if text:find("^" .. other[1]) then
      return other[2]
    end
  end
  return (text:sub(1, 4):gsub(".", function(byte)
    return ("%02x "):format(byte:byte())
  end):gsub(" $", ""))
end

return format
