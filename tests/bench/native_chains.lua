-- SPDX-License-Identifier: MIT
--- Chains without Lua, on processes and on threads: batches of Fashion-MNIST
-- beside a loader that is written by hand, and beside the same chain in Lua;
-- numbers and large tensors on threads beside processes; what a worker takes.

local measure = require("measure")
local neap = require("neap")

local FOLDER = "/usr/share/datasets/fashion-mnist/train-"
local BATCH, WARM, COUNT = 64, 300, 3000
local WORKERS = 2
local ROW_BYTES = 4 * 3 * 224 * 224

local function native(what, kind, count)
  return measure.limit("native_reads %s %s %d", what, kind, count or WORKERS)
end

local function of(what, kind, scale)
  return function()
    return native(what, kind) * (scale or 1)
  end
end

local function by_hand()
  return measure.limit("limit_threads %d", WORKERS)
end

local function in_lua()
  local images = neap.idx(FOLDER .. "images-idx3-ubyte.gz")
  local batches = neap.zip({
    image = images:map(function(image)
      return image:to("f32", 1 / 255)
    end),
    label = neap.idx(FOLDER .. "labels-idx1-ubyte.gz"),
  }):shuffle(1):batch(BATCH, { drop_last = true, collate = neap.stack })
  local p = batches:prefetch({ workers = WORKERS })
  local since, count = nil, 0
  for epoch = 1, math.ceil((WARM + COUNT) / #batches) do
    for _ in p:epoch(epoch):each() do
      count = count + 1
      if count == WARM then
        since = measure.now()
      end
    end
  end
  local seconds = measure.now() - since
  p:close()
  return (count - WARM) / seconds
end

local function private_of_cat()
  local text = measure.output("sh -c '%s'", "cat /proc/self/smaps_rollup")
  local sum = 0
  for kib in text:gmatch("Private_%a+: *(%d+)") do
    sum = sum + tonumber(kib)
  end
  return sum
end

return {
  {
    name = "native chain: Fashion-MNIST, processes", unit = "batches/s",
    target = "ratio 0.9", limit_name = "threads by hand",
    run = of("fashion", "processes"), limit = by_hand,
  },
  {
    name = "native chain: Fashion-MNIST, threads", unit = "batches/s",
    target = "ratio 0.9", limit_name = "threads by hand",
    run = of("fashion", "threads"), limit = by_hand,
  },
  {
    name = "native chain: Fashion-MNIST, beside Lua", unit = "batches/s",
    target = "more", limit_name = "the same chain in Lua, processes",
    run = of("fashion", "processes"), limit = in_lua,
  },
  {
    name = "native chain: numbers on threads", unit = "M/s",
    target = "ratio 1", limit_name = "on processes",
    run = of("numbers", "threads", 1e-6),
    limit = of("numbers", "processes", 1e-6),
  },
  {
    name = "native chain: 602,112-byte tensors on threads", unit = "GB/s",
    target = "ratio 1", limit_name = "on processes",
    run = of("tensors", "threads", ROW_BYTES / 1e9),
    limit = of("tensors", "processes", ROW_BYTES / 1e9),
  },
  {
    name = "native chain: first item, 4 workers", unit = "ms",
    target = "4 ms", limit_name = "on 4 threads",
    run = function()
      return native("first", "processes", 4)
    end,
    limit = function()
      return native("first", "threads", 4)
    end,
  },
  {
    name = "native chain: private memory of one of 4 workers", unit = "KiB",
    target = "512 KiB", limit_name = "cat",
    run = function()
      return native("memory", "processes", 4)
    end,
    limit = private_of_cat,
  },
}
