-- SPDX-License-Identifier: MIT
-- Waves of three shapes with noise, to learn to tell apart. No files needed:
--   neap check examples/loaders/waves.lua --limit 3
--> 3 items: the same in place and in a worker
--> no doubts

local neap = require("neap")

local SHAPES = { math.sin }

SHAPES[2] = function(x) -- square
  return math.sin(x) < 0 and -1 or 1
end

SHAPES[3] = function(x) -- saw
  return x / math.pi % 2 - 1
end

return neap.loader{
  params = {
    count = { default = 3000, min = 1, help = "waves in an epoch" },
    samples = { default = 64, min = 2, help = "samples of a wave" },
    noise = { default = 0.1, min = 0, help = "its standard deviation" },
    batch = { default = 32, min = 1 },
    seed = 1,
  },
  build = function(p)
    local function wave(i, rng)
      local label = i % #SHAPES
      local t = neap.tensor("f32", { p.samples })
      local pixels, phase = t:ptr(), rng:uniform(0, 2 * math.pi)
      for k = 0, p.samples - 1 do
        pixels[k] = SHAPES[label + 1](phase + 4 * math.pi * k / p.samples)
          + p.noise * rng:normal()
      end
      return { wave = t, label = label }
    end
    return neap.range(p.count):shuffle(p.seed)
      :random_map(wave, { seed = p.seed })
      :batch(p.batch, { collate = neap.stack })
  end,
  prefetch = { workers = 2 },
}
