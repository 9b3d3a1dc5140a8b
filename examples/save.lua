-- SPDX-License-Identifier: MIT
-- Prepares Fashion-MNIST once, in worker processes, and saves what came out.
-- Later scripts load it: the file is mapped, and batches are copied from it.

local neap = require("neap")

local FOLDER = "/usr/share/datasets/fashion-mnist/t10k-"

-- Floats, their mean 0 and their deviation 1.
local function prepare(item)
  local image = item.image:to("f32", 1 / 255 / 0.353, -0.286 / 0.353)
  return { image = image, label = item.label }
end

local clothes = neap.zip({
  image = neap.idx(FOLDER .. "images-idx3-ubyte.gz"),
  label = neap.idx(FOLDER .. "labels-idx1-ubyte.gz"),
}):map(prepare)

local path = os.tmpname()
neap.save(clothes, path, { workers = 2 })

-- In another script this is all that is needed.
local loaded = neap.load(path)
print(#loaded, loaded[1].label, loaded[1].image:reshape(4, 196).shape[2])
--> 10000 9 196

local same = 0
for i = 1, #clothes, 100 do
  local a, b = clothes[i], loaded[i]
  same = same + (a.label == b.label and a.image[14][14] == b.image[14][14]
    and 1 or 0)
end
print(same)  --> 100

-- What shall differ in each epoch stands above what is loaded.
local batches = loaded:shuffle(1):batch(100, { collate = neap.stack })
  :prefetch({ workers = 2 })
local sum = 0
for _, batch in batches:each() do
  for k = 1, 100 do
    sum = sum + batch.label[k]
  end
end
print(sum)  --> 45000
batches:close()
os.remove(path)
