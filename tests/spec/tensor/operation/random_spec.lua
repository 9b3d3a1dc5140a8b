-- SPDX-License-Identifier: MIT
--- neap.random: where the pixels went, and how colours changed.

local models = dofile("tests/spec/tensor/operation/models.lua")
local neap = require("neap")

local random, floor = math.random, math.floor
local raises = models.raises

describe("neap.random", function()
  -- An image whose pixels tell where they were.
  local function numbered(layout, h, w)
    local t = neap.tensor("u16", layout == "hwc" and { h, w, 3 } or { 3, h, w })
    for i = 1, h do
      for j = 1, w do
        for c = 1, 3 do
          local value = 1000 * c + 30 * i + j
          if layout == "hwc" then
            t:set(i, j, c, value)
          else
            t:set(c, i, j, value)
          end
        end
      end
    end
    return t
  end

  local function pixel(t, layout, i, j, c)
    if layout == "hwc" then
      return t:get(i, j, c)
    end
    return t:get(c, i, j)
  end

  local function each(f, layout, h, w)
    local t = numbered(layout, h, w)
    return t, neap.rep(t, 40):random_map(f, { seed = 1 })
  end

  for _, layout in ipairs({ "hwc", "chw" }) do
    it("crops anywhere in " .. layout, function()
      local _, s = each(neap.random.crop({ 3, 4, layout = layout }), layout, 5,
        9)
      local tops, lefts = {}, {}
      for _, x in s:each() do
        local first = pixel(x, layout, 1, 1, 1) - 1000
        tops[floor(first / 30)], lefts[first % 30] = true, true
        for i = 1, 3 do
          for j = 1, 4 do
            assert.equal(3000 + first + 30 * (i - 1) + j - 1,
              pixel(x, layout, i, j, 3))
          end
        end
      end
      assert.same({ true, true, true }, tops)
      assert.same({ true, true, true, true, true, true }, lefts)
    end)

    it("flips and rotates " .. layout, function()
      local t, s = each(neap.random.flip({ layout = layout }), layout, 4, 6)
      local seen = {}
      for _, x in s:each() do
        local is_flipped = pixel(x, layout, 1, 1, 1) ~= 1031
        seen[is_flipped] = true
        assert.same((is_flipped and t:flip(layout == "hwc" and 2 or 3) or t)
          :totable(), x:totable())
      end
      assert.same({ [true] = true, [false] = true }, seen)
      t, s = each(neap.random.rotate({ layout = layout }), layout, 4, 6)
      seen = {}
      for _, x in s:each() do
        local first = pixel(x, layout, 1, 1, 1)
        seen[first] = (seen[first] or 0) + 1
        local h = layout == "hwc" and x.shape[1] or x.shape[2]
        assert.equal((first == 1031 or first == 1126) and 4 or 6, h)
        assert.equal(t:sum(), x:sum())
      end
      -- The corner that is first: of 0, 90 (left), 180 and 270 degrees.
      assert.truthy(seen[1031] and seen[1036] and seen[1126] and seen[1121])
    end)
  end

  it("pads before it crops", function()
    local t = neap.tensor("u8", { 4, 4, 3 }, 9)
    local s = neap.rep(t, 20):random_map(neap.random.crop({ 6, 6, pad = 2 }))
    for _, x in s:each() do
      assert.same({ 6, 6, 3 }, x.shape)
      assert.equal(9, x:max())
      assert.equal(0, x:min())
    end
  end)

  it("jitters colours as a loop does", function()
    for _, layout in ipairs({ "hwc", "chw" }) do
      local t = neap.tensor("f32", layout == "hwc" and { 20, 30, 3 }
        or { 3, 20, 30 })
      for k = 1, t.size do
        t:reshape(-1)[k] = random()
      end
      local options = { brightness = 0.4, contrast = 0.3, saturation = 0.2,
        layout = layout }
      local rng = require("neap.base.random").new(7)
      local x = neap.random.jitter(options)(t, rng)
      rng = require("neap.base.random").new(7)
      local b = rng:uniform(0.6, 1.4)
      local c, s = rng:uniform(0.7, 1.3), rng:uniform(0.8, 1.2)
      local total = 0
      local function luma(i, j)
        return 0.299 * pixel(t, layout, i, j, 1)
          + 0.587 * pixel(t, layout, i, j, 2)
          + 0.114 * pixel(t, layout, i, j, 3)
      end
      for i = 1, 20 do
        for j = 1, 30 do
          total = total + luma(i, j)
        end
      end
      local mean = total / 600 * b
      for i = 1, 20 do
        for j = 1, 30 do
          local grey = luma(i, j) * b * c + (1 - c) * mean
          for k = 1, 3 do
            local value = pixel(t, layout, i, j, k) * b * c + (1 - c) * mean
            value = grey + (value - grey) * s
            assert.is_true(math.abs(value - pixel(x, layout, i, j, k)) < 1e-5)
          end
        end
      end
    end
  end)

  it("jitters grey images, and saturates bytes", function()
    local t = neap.tensor("u8", { 2, 2 }, { 0, 100, 200, 255 })
    local rng = require("neap.base.random").new(3)
    local x = neap.random.jitter({ brightness = 0.5 })(t, rng)
    local factor = require("neap.base.random").new(3):uniform(0.5, 1.5)
    assert.same(t:mul(factor):totable(), x:totable())
  end)

  it("refuses what does not fit", function()
    local rng = require("neap.base.random").new(3)
    raises("cannot crop 5x5 at random: the tensor is u8 4x9x3\n"
      .. "help: resize it first, or give the option pad",
      neap.random.crop({ 5, 5 }), neap.tensor("u8", { 4, 9, 3 }), rng)
    raises("bad argument #1 to 'crop' ({height, width} expected)",
      neap.random.crop, {})
    raises("bad argument #1 to 'flip' (option 'p': number from 0 to 1 "
      .. "expected, got 2)", neap.random.flip, { p = 2 })
    raises("bad argument #1 to 'jitter' (unknown option 'hue'; known are "
      .. "brightness, contrast, layout, saturation)", neap.random.jitter,
      { hue = 1 })
  end)
end)
