-- SPDX-License-Identifier: MIT
--- A folder of JPEG images, 640x480, to batches of 32 that a model can read:
-- f32, 3x224x224, normalised. Where libturbojpeg is not installed there are no
-- rows.

local ffi = require("ffi")
local measure = require("measure")
local neap = require("neap")

local FILES, BATCH = 64, 32
local WARM, BUFFERED = 8, 8 -- batches
local OPTIONS = {
  size = { 224, 224 }, layout = "chw", mean = 0.45, std = 0.225,
}

if not pcall(ffi.load, "libturbojpeg.so.0") then
  io.stderr:write("no rows of JPEG images: libturbojpeg0 is not installed\n")
  return {}
end

local folder

-- Waves, with some noise: about 60 KB each, as photographs have.
local function paint(t, seed)
  local p, sin, random = t:ptr(), math.sin, math.random
  for y = 0, 479 do
    for x = 0, 639 do
      for c = 0, 2 do
        p[(y * 640 + x) * 3 + c] = 128 + 60 * sin(x / (20 + 7 * c) + seed)
          + 50 * sin(y / (13 + 5 * c)) + random(-12, 12)
      end
    end
  end
end

local function make_folder()
  folder = measure.output("mktemp -d"):match("%S+")
  local t = neap.tensor("u8", { 480, 640, 3 })
  for k = 0, FILES - 1 do
    paint(t, k)
    neap.save_image(t, ("%s/%d.jpg"):format(folder, k), { quality = 85 })
  end
end

local function remove_folder()
  os.execute("rm -r " .. folder)
end

local function batches(count)
  local path, options, files = folder .. "/%d.jpg", OPTIONS, FILES
  return neap.range(count * BATCH):map(function(i)
    return (neap.decode.image({ path = path:format((i - 1) % files) }, options))
  end):batch(BATCH, { collate = neap.stack })
end

-- Images a second, after the first batches. More follow: as many are computed
-- ahead when the measure ends as when it begins.
local function read(count)
  local p = batches(WARM + count + 2 * BUFFERED):prefetch({ workers = 2,
    buffered = BUFFERED })
  local since
  for k, x in p:each() do
    assert(x:ptr()[0] == x:ptr()[0])
    if k == WARM then
      since = measure.now()
    elseif k == WARM + count then
      break
    end
  end
  local seconds = measure.now() - since
  p:close()
  return count * BATCH / seconds
end

return {
  {
    name = "JPEG folder to 224x224 batches, 2 workers", unit = "/s",
    target = "ratio 0.95",
    limit_name = "2 processes, libturbojpeg and the same resize",
    begin = make_folder, finish = remove_folder,
    run = function()
      return read(measure.count(120))
    end,
    limit = function()
      return measure.limit("limit_images 2 %d %d %s", FILES, measure.count(120),
        folder)
    end,
  },
}
