-- SPDX-License-Identifier: MIT
-- Stages in C without a build system: native_kernel.c, beside this script, is
-- compiled when it is first used, and again when it has changed.

local ffi = require("ffi")
local neap = require("neap")

local HEIGHT, WIDTH, BINS, IMAGES = 48, 64, 8, 100
local KERNEL = (arg[0]:match("^.*/") or "") .. "native_kernel.c"

local brightness = neap.native({
  source = KERNEL, flags = { "-O3" },
  decl = "void brightness(const uint8_t *rgb, size_t bytes, float *grey)",
  args = {
    rgb = "data", bytes = "nbytes",
    grey = { out = "f32", shape = { HEIGHT, WIDTH } },
  },
})

local histogram = neap.native({
  source = KERNEL, flags = { "-O3" },
  decl = [[int histogram(const float *values, size_t n, uint32_t *bins,
    size_t count)]],
  args = {
    values = "data", n = "count",
    bins = { out = "u32", shape = { BINS } }, count = BINS,
  },
  error = "const char *reason(int status)",
})

print(brightness)                     --> native brightness (native_kernel.c)

-- Images of noise around a grey that differs from image to image.
local images = neap.range(IMAGES):random_map(function(i, rng)
  local image = neap.tensor("u8", { HEIGHT, WIDTH, 3 })
  local p = image:ptr()
  for k = 0, image.size - 1 do
    p[k] = rng:integer(i, i + 100)
  end
  return image
end)

local histograms = images:map(brightness):map(histogram)
  :batch(10, { collate = neap.stack }):prefetch({ workers = 2 })

-- The same in Lua. ------------------------------------------------------------
local single = ffi.new("float[1]")

local function to_single(x)
  single[0] = x
  return single[0]
end

local WEIGHTS = { to_single(0.299), to_single(0.587), to_single(0.114) }

local function bins_of(image)
  local bins, p = {}, image:ptr()
  for k = 1, BINS do
    bins[k] = 0
  end
  for k = 0, image.size - 1, 3 do
    local sum = 0
    for c = 0, 2 do
      sum = to_single(sum + to_single(WEIGHTS[c + 1] * p[k + c]))
    end
    local bin = math.floor(to_single(to_single(sum / 255) * BINS))
    bin = math.min(bin, BINS - 1) + 1
    bins[bin] = bins[bin] + 1
  end
  return bins
end

local right = 0
for b, batch in histograms:each() do
  for k = 1, 10 do
    local expected = bins_of(images[(b - 1) * 10 + k])
    for bin = 1, BINS do
      assert(batch:get(k, bin) == expected[bin])
    end
    right = right + 1
  end
end
print(("%d of %d histograms are right"):format(right, IMAGES))
  --> 100 of 100 histograms are right
