-- SPDX-License-Identifier: MIT
-- A folder of images to batches that a model can read, and to a contact sheet
-- that people can. Pass a folder to keep what it makes.

local neap = require("neap")

local MEAN, STD = { 0.48, 0.46, 0.41 }, { 0.23, 0.22, 0.23 }
local COLOURS = { circle = { 220, 60, 40 }, square = { 40, 90, 220 } }

-- The folder: circles and squares of several sizes, as JPEG and PNG. ---------
local folder, is_kept = arg[1], arg[1] ~= nil
folder = folder or io.popen("mktemp -d"):read("*l")

local function is_inside(shape, y, x)
  return shape == "square" and math.max(math.abs(y), math.abs(x)) < 0.6
    or shape == "circle" and y * y + x * x < 0.4
end

local function draw(shape, height, width)
  local image = neap.tensor("u8", { height, width, 3 }, 235)
  for y = 1, height do
    for x = 1, width do
      if is_inside(shape, 2 * y / height - 1, 2 * x / width - 1) then
        image[y][x] = COLOURS[shape]
      end
    end
  end
  return image
end

local files = {}
for k = 1, 32 do
  local shape = k % 2 == 0 and "circle" or "square"
  local path = ("%s/%s-%02d.%s"):format(folder, shape, k,
    k % 4 < 2 and "jpg" or "png")
  neap.save_image(draw(shape, 48 + k, 96 - k), path)
  files[k] = { path = path, label = k % 2 }
end

-- The loader: a random part of each image, 64x64, normalised. -----------------
local function load(file, rng)
  local size = rng:uniform(0.7, 1)
  return {
    image = neap.decode.image(file, {
      size = { 64, 64 }, layout = "chw", mean = MEAN, std = STD,
      region = { rng:uniform(0, 1 - size), rng:uniform(0, 1 - size), size,
        size },
    }),
    label = file.label,
  }
end

local batches = neap.from(files):shuffle(1):random_map(load)
  :batch(16, { collate = neap.stack }):prefetch({ workers = 2 })

for i, batch in batches:each() do
  local image = batch.image
  print(i, image.dtype, table.concat(image.shape, "x"), #batch.label)
  --> 1 f32 16x3x64x64 16
  --> 2 f32 16x3x64x64 16
  neap.contact_sheet(image, {
    mean = MEAN, std = STD, path = ("%s/batch-%d.png"):format(folder, i),
  })
end

local sheet = neap.decode.image({ path = folder .. "/batch-1.png" })
print(table.concat(sheet.shape, "x"))                     --> 266x266x3

-- A damaged file is an error that names it; a loop can leave it out.
files[3] = { path = "half.jpg", bytes = "\255\216\255\224 half of an image" }
local s = neap.from(files):map(function(file)
  return neap.decode.image(file)
end)
local count = 0
for _ in s:each({ on_error = "skip" }) do
  count = count + 1
end
print(count, s:skipped()[1].message:match("cannot decode half.jpg"))
--> 31 cannot decode half.jpg

if not is_kept then
  os.execute("rm -r " .. folder)
end
