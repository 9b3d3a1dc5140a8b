-- SPDX-License-Identifier: MIT
-- Images of clothes, in batches: `image`, f32 of batch x 784 from 0 to 1, and
-- `label`, 0 to 9.
--   neap check examples/loaders/fashion_mnist.lua --limit 3
--> 3 items: the same in place and in a worker
--> no doubts

local neap = require("neap")

local PIXELS = 28 * 28

local function read(folder, split)
  local path = folder .. "/" .. split
  return (neap.zip({
    image = neap.idx(path .. "-images-idx3-ubyte.gz"),
    label = neap.idx(path .. "-labels-idx1-ubyte.gz"),
  }))
end

local function to_floats(item)
  local image = item.image:reshape(PIXELS):to("f32", 1 / 255)
  return { image = image, label = item.label }
end

return neap.loader{
  params = {
    data = {
      default = "/usr/share/datasets/fashion-mnist",
      help = "the folder with the IDX files",
    },
    split = {
      default = "train", choices = { "train", "t10k" },
      help = "60,000 images to learn from, or 10,000 to test with",
    },
    batch = { default = 128, min = 1, help = "images of an item" },
    limit = { default = 0, min = 0, help = "images at most; 0: all" },
    shuffle = true,
    seed = 1,
  },
  build = function(p)
    local s = read(p.data, p.split)
    if p.limit > 0 then
      s = s:slice(1, p.limit)
    end
    if p.shuffle then
      s = s:shuffle(p.seed)
    end
    return s:map(to_floats):batch(p.batch, { collate = neap.stack })
  end,
  prefetch = { workers = 2 },
}
