-- SPDX-License-Identifier: MIT
--- What the specs of images share: test images, and EXIF data.

local neap = require("neap")

local images = {}

--- An image of which each pixel can be told: {y, x, 100}, from 0, in tens,
-- modulo 256.
function images.gradient(height, width)
  local t = neap.tensor("u8", { height, width, 3 })
  for y = 1, height do
    for x = 1, width do
      t[y][x] = { (y - 1) * 10 % 256, (x - 1) * 10 % 256, 100 }
    end
  end
  return t
end

--- EXIF data with an orientation, of either byte order.
function images.exif(orientation, is_big)
  if is_big then
    return "MM\0\42\0\0\0\8\0\1\1\18\0\3\0\0\0\1\0"
      .. string.char(orientation) .. "\0\0\0\0\0\0"
  end
  return "II\42\0\8\0\0\0\1\0\18\1\3\0\1\0\0\0"
    .. string.char(orientation) .. "\0\0\0\0\0\0\0"
end

--- A JPEG with EXIF data, as a camera writes it.
function images.with_exif(jpeg, exif)
  local text = "Exif\0\0" .. exif
  return jpeg:sub(1, 2) .. "\255\225\0" .. string.char(#text + 2) .. text
    .. jpeg:sub(3)
end

--- The bytes of a tensor in a format: "png", "jpg" or "webp".
function images.encode(t, extension, options)
  local path = os.tmpname() .. "." .. extension
  neap.save_image(t, path, options)
  local file = io.open(path, "rb")
  local bytes = file:read("*a")
  file:close()
  os.remove(path)
  os.remove((path:gsub("%.%w+$", "")))
  return bytes
end

--- The greatest difference of two tensors' elements.
function images.distance(a, b)
  assert(table.concat(a.shape, "x") == table.concat(b.shape, "x"),
    "shapes differ")
  local p, q, most = a:ptr(), b:ptr(), 0
  for k = 0, a.size - 1 do
    most = math.max(most, math.abs(tonumber(p[k]) - tonumber(q[k])))
  end
  return most
end

return images
