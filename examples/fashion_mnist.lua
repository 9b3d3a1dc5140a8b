-- SPDX-License-Identifier: MIT
-- Learns to tell clothes apart, on images that worker processes prepare.

local bit, ffi = require("bit"), require("ffi")
local neap, clock = require("neap"), require("neap.base.clock")

local FOLDER = "/usr/share/datasets/fashion-mnist"
local LEAST = { ["--workers"] = 0, ["--epochs"] = 1, ["--limit"] = 1 }
local PIXELS, CLASSES, BATCH, RATE = 28 * 28, 10, 128, 0.1

local function read_arguments(options, word, value, ...)
  local n, least = tonumber(value), LEAST[word]
  if not word then
    return options
  elseif word:sub(1, 1) ~= "-" then
    options.folder = word
    return read_arguments(options, value, ...)
  elseif not (n and least and n >= least and n % 1 == 0) then
    error(("cannot use %s %s: known are --workers N, --epochs N, --limit N")
      :format(word, value or ""), 0)
  end
  options[word:sub(3)] = n
  return read_arguments(options, ...)
end

-- The loader, which workers run ----------------------------------------------
local function read(folder, part)
  return (neap.zip({
    image = neap.idx(("%s/%s-images-idx3-ubyte.gz"):format(folder, part)),
    label = neap.idx(("%s/%s-labels-idx1-ubyte.gz"):format(folder, part)),
  }))
end

local function to_floats(item)
  local image = item.image:reshape(PIXELS):to("f32", 1 / 255)
  return { image = image, label = item.label }
end

local function augment(item, rng)
  local pixels, brightness = item.image:ptr(), rng:uniform(0.7, 1.3)
  for k = 0, PIXELS - 1 do
    pixels[k] = pixels[k] * brightness + 0.1 * rng:normal()
  end
  return item
end

-- The consumer: softmax regression, one step of descent for each image -------
local weights = ffi.new("double[?]", CLASSES * PIXELS)
local odds = ffi.new("double[?]", CLASSES)

local function classify(pixels)
  local best, sum = 0, 0
  for c = 0, CLASSES - 1 do
    local score, w = 0, weights + c * PIXELS
    for k = 0, PIXELS - 1 do
      score = score + w[k] * pixels[k]
    end
    odds[c] = math.exp(score)
    sum = sum + odds[c]
    best = odds[c] > odds[best] and c or best
  end
  return best, sum
end

local function learn(pixels, label)
  local loss, _, sum = 0, classify(pixels)
  for c = 0, CLASSES - 1 do
    local p, target = odds[c] / sum, c == label and 1 or 0
    local step, w = RATE / BATCH * (target - p), weights + c * PIXELS
    for k = 0, PIXELS - 1 do
      w[k] = w[k] + step * pixels[k]
    end
    loss = loss - target * math.log(p)
  end
  return loss
end

local function checksum(sum, t)
  local words = ffi.cast("uint32_t *", t:ptr())
  for k = 0, t.nbytes / 4 - 1 do
    sum = bit.bxor(sum, words[k]) * 0x100000001b3ULL
  end
  return sum
end

local function main(...)
  local options = read_arguments({ folder = FOLDER, epochs = 5 }, ...)
  local items = read(options.folder, "train"):slice(1, options.limit)
  local tests = read(options.folder, "t10k"):map(to_floats)
  local batches = items:shuffle(1):map(to_floats):random_map(augment)
    :batch(BATCH, { collate = neap.stack })
    :prefetch({ workers = options.workers })
  local sum, start = 0ULL, clock()
  for e = 1, options.epochs do
    local loss, epoch = 0, batches:epoch(e)
    for _, batch in epoch:progress({ label = "epoch " .. e }):each() do
      sum = checksum(checksum(sum, batch.image), batch.label)
      local pixels, labels = batch.image:ptr(), batch.label:ptr()
      for k = 0, #batch.label - 1 do
        loss = loss + learn(pixels + k * PIXELS, labels[k])
      end
    end
    print(("epoch %d: loss %.4f"):format(e, loss / #items))
  end
  local seconds, right = clock() - start, 0
  for _, item in tests:each() do
    right = right + (classify(item.image:ptr()) == item.label and 1 or 0)
  end
  print(("%.0f images/s, %.2f of %.2f s waiting for data"):format(
    #items * options.epochs / seconds, batches:stats().wait, seconds))
  print("checksum of all batches: " .. bit.tohex(sum))
  print(("accuracy on the test images: %.4f"):format(right / #tests))
end

local ok, message = pcall(main, ...)
if not ok then
  io.stderr:write(tostring(message), "\n")
  os.exit(1)
end
