-- SPDX-License-Identifier: MIT
--- Resizing, against plain loops.

local models = dofile("tests/spec/tensor/operation/models.lua")
local neap = require("neap")

local random, floor = math.random, math.floor
local LIMITS = models.LIMITS
local raises = models.raises
local indexes_of = models.indexes_of
local place_of = models.place_of
local ROUNDS = models.ROUNDS

local function clamp(x, low, high)
  return math.min(math.max(x, low), high)
end

-- The weights of the places of `from` for place k (both from 0) of `to`.
local TAPS = {}

function TAPS.nearest(from, to, k)
  return { [clamp(floor((k + 0.5) * from / to), 0, from - 1)] = 1 }
end

function TAPS.bilinear(from, to, k)
  local x = clamp((k + 0.5) * from / to - 0.5, 0, from - 1)
  local low = floor(x)
  local taps = { [low] = 1 - (x - low) }
  if low + 1 < from then
    taps[low + 1] = x - low
  end
  return taps
end

function TAPS.area(from, to, k)
  local taps, scale = {}, from / to
  local low, high = k * scale, (k + 1) * scale
  for n = 0, from - 1 do
    local covered = math.min(high, n + 1) - math.max(low, n)
    if covered > 1e-9 then
      taps[n] = covered / scale
    end
  end
  return taps
end

describe("resize", function()
  for method, taps_of in pairs(TAPS) do
    for _, name in ipairs({ "u8", "f32", "i16", "f64" }) do
      it(method .. " of " .. name .. " is what a loop computes", function()
        for round = 1, ROUNDS do
          local layout = round % 2 == 0 and "chw" or "hwc"
          local h, w, c = random(9), random(9), random(5)
          local shape = layout == "hwc" and { h, w, c } or { c, h, w }
          local t = neap.tensor(name, shape)
          for k = 1, t.size do
            t:reshape(-1)[k] = random(0, 100)
          end
          local to_h, to_w = random(12), random(12)
          local wanted = layout == "hwc" and { to_h, to_w, c }
            or { c, to_h, to_w }
          local result = t:resize({ to_h, to_w }, {
            method = method, layout = layout,
          })
          assert.equal(name, result.dtype)
          assert.same(wanted, result.shape)
          local flat = result:reshape(-1)
          for k = 0, result.size - 1 do
            local at, sum = indexes_of(wanted, k), 0
            local row = layout == "hwc" and 1 or 2
            local rows = taps_of(h, to_h, at[row])
            local columns = taps_of(w, to_w, at[row + 1])
            for i, a in pairs(rows) do
              for j, b in pairs(columns) do
                at[row], at[row + 1] = i, j
                sum = sum + a * b * t:reshape(-1)[place_of(shape, at) + 1]
              end
            end
            local limit = LIMITS[name] and 0.501 or 1e-3
            assert.is_true(math.abs(sum - flat[k + 1]) < limit)
          end
        end
      end)
    end
  end

  it("takes images without channels, and batches of them", function()
    local t = neap.tensor("f32", { 2, 2 }, { 0, 1, 2, 3 })
    assert.same({ { 1.5 } }, t:resize({ 1, 1 }):totable())
    local batch = neap.stack({ t:reshape(2, 2, 1), t:reshape(2, 2, 1) })
    assert.same({ 2, 1, 1, 1 }, batch:resize({ 1, 1 }).shape)
    assert.equal(3, batch:resize({ 1, 1 }, { method = "area" }):sum())
  end)

  it("refuses what is no image or no size", function()
    local t = neap.tensor("u8", { 4 })
    raises("cannot resize: the tensor is u8 4, an image has rows and columns",
      function()
        t:resize({ 1, 1 })
      end)
    t = neap.tensor("u8", { 0, 4 })
    raises("cannot resize: the tensor is u8 0x4, without pixels", function()
      t:resize({ 1, 1 })
    end)
    raises("bad argument #1 to 'resize' ({height, width} expected, each 1 or "
      .. "more, got another table)", function()
        t:resize({ 1, 0 })
      end)
    raises("bad argument #2 to 'resize' (option 'method': \"nearest\", "
      .. '"bilinear" or "area" expected, got "cubic")', function()
        t:resize({ 1, 1 }, { method = "cubic" })
      end)
  end)
end)
