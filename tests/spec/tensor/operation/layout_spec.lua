-- SPDX-License-Identifier: MIT
--- Operations that move elements, against plain loops.

local models = dofile("tests/spec/tensor/operation/models.lua")
local neap = require("neap")

local random = math.random
local raises = models.raises
local random_shape = models.random_shape
local random_tensor = models.random_tensor
local filled_shape = models.filled_shape
local indexes_of = models.indexes_of
local place_of = models.place_of
local check_each = models.check_each
local ROUNDS = models.ROUNDS

local function shuffled(n)
  local list = {}
  for k = 1, n do
    table.insert(list, random(k), k)
  end
  return list
end

-- Shapes with 1 to 4 channels at either end, too.
local function moved_shape()
  local shape = random_shape(5)
  if random(2) == 1 then
    shape = { random(70), random(70) }
    table.insert(shape, random(2) == 1 and 1 or 3, random(4))
  end
  return shape
end

describe("moving elements:", function()
  for _, name in ipairs({ "u8", "bf16", "f32", "i64" }) do
    it("permute of " .. name, function()
      for _ = 1, 3 * ROUNDS do
        local shape = moved_shape()
        local t, order = random_tensor(name, shape), shuffled(#shape)
        local wanted, flat = {}, t:reshape(-1)
        for k = 1, #order do
          wanted[k] = shape[order[k]]
        end
        check_each(t:permute(order), name, wanted, function(k)
          local at, from = indexes_of(wanted, k), {}
          for n = 1, #order do
            from[order[n]] = at[n]
          end
          return flat[place_of(shape, from) + 1]
        end)
      end
    end)

    it("flip of " .. name, function()
      for _ = 1, 3 * ROUNDS do
        local shape = moved_shape()
        local t, dims, is_flipped = random_tensor(name, shape), {}, {}
        for k = 1, #shape do
          if random(2) == 1 then
            dims[#dims + 1] = random(2) == 1 and k or k - #shape - 1
            is_flipped[k] = true
          end
        end
        if #dims > 0 then
          local flat = t:reshape(-1)
          check_each(t:flip(dims), name, shape, function(k)
            local at = indexes_of(shape, k)
            for n = 1, #shape do
              at[n] = is_flipped[n] and shape[n] - 1 - at[n] or at[n]
            end
            return flat[place_of(shape, at) + 1]
          end)
        end
      end
    end)

    it("crop and pad of " .. name, function()
      for _ = 1, 3 * ROUNDS do
        local shape = filled_shape(4)
        local t, ranges, widths = random_tensor(name, shape), {}, {}
        local cropped, first = {}, {}
        for k = 1, #shape do
          local a = random(shape[k])
          local b = random(a - 1, shape[k])
          ranges[k], cropped[k], first[k] = { a, b }, b - a + 1, a - 1
          if b == shape[k] and random(2) == 1 then
            ranges[k][2] = -1
          end
          widths[k] = { a - 1, shape[k] - b }
        end
        local flat = t:reshape(-1)
        local part = t:crop(ranges)
        check_each(part, name, cropped, function(k)
          local at = indexes_of(cropped, k)
          for n = 1, #at do
            at[n] = at[n] + first[n]
          end
          return flat[place_of(shape, at) + 1]
        end)
        check_each(part:pad(widths, { value = 7 }), name, shape, function(k)
          local at = indexes_of(shape, k)
          for n = 1, #at do
            if at[n] < first[n] or at[n] >= first[n] + cropped[n] then
              return 7
            end
          end
          return flat[k + 1]
        end)
      end
    end)

    it("take and concatenate of " .. name, function()
      for _ = 1, 3 * ROUNDS do
        local shape = filled_shape(4)
        if #shape > 0 then
          local t, dim, indexes = random_tensor(name, shape), random(#shape), {}
          for k = 1, random(0, 6) do
            indexes[k] = random(shape[dim])
          end
          local wanted, flat = t.shape, t:reshape(-1)
          wanted[dim] = #indexes
          local given = {}
          for k = 1, #indexes do
            given[k] = random(2) == 1 and indexes[k]
              or indexes[k] - shape[dim] - 1
          end
          local function model(k)
            local at = indexes_of(wanted, k)
            at[dim] = indexes[at[dim] + 1] - 1
            return flat[place_of(shape, at) + 1]
          end
          check_each(t:take(given, dim), name, wanted, model)
          check_each(t:take(neap.tensor("i16", { #given }, given), dim), name,
            wanted, model)
          local parts = { t:take({}, dim) }
          for k = 1, #indexes do
            parts[k] = t:take({ indexes[k] }, dim)
          end
          check_each(neap.concatenate(parts, dim), name, wanted, model)
        end
      end
    end)
  end

  it("one_hot", function()
    local t = neap.tensor("u8", { 2, 2 }, { 1, 3, 2, 2 })
    local hot = neap.one_hot(t, 3)
    assert.equal("f32", hot.dtype)
    assert.same({ { { 1, 0, 0 }, { 0, 0, 1 } }, { { 0, 1, 0 }, { 0, 1, 0 } } },
      hot:totable())
    assert.same({ { 0, 1 } }, neap.one_hot({ 2 }, 2, { dtype = "i64" })
      :totable())
    assert.same({ false, true }, neap.one_hot(2, 2, { dtype = "bool" })
      :totable())
    assert.same({ 0, 3 }, neap.one_hot({}, 3).shape)
    raises("cannot one_hot: class 0, element 2, is out of range 1..3",
      neap.one_hot, { 1, 0 }, 3)
    raises("cannot one_hot: the classes are f32 1, not of an integer dtype",
      neap.one_hot, neap.tensor("f32", { 1 }), 3)
  end)

  it("refuses what does not fit", function()
    local t = neap.tensor("u8", { 2, 3 })
    raises("bad argument #1 to 'permute' (dimension 1 twice)", function()
      t:permute({ 1, 1 })
    end)
    raises("bad argument #1 to 'permute' (whole number expected, got no value)",
      function()
        t:permute({ 1 })
      end)
    raises("bad argument #1 to 'permute' (table of 2 dimensions expected for "
      .. "u8 2x3, got 3)", function()
        t:permute({ 1, 2, 3 })
      end)
    raises("bad argument #1 to 'flip' (the tensor u8 2x3 has no dimension 3)",
      function()
        t:flip(3)
      end)
    raises("cannot crop: range 2, 2..4, is not within 1..3 of the tensor u8 "
      .. "2x3", function()
        t:crop({ { 1, 2 }, { 2, 4 } })
      end)
    raises("bad argument #1 to 'pad' (width 1 must be {before, after} or a "
      .. "number, of 0 or more)", function()
        t:pad({ -1 })
      end)
    raises("cannot take: index 3, number 1 of the indexes, is out of range "
      .. "1..2", function()
        t:take({ 3 })
      end)
    raises("bad argument #1 to 'take' (whole number expected at 2, got 0.5)",
      function()
        t:take({ 1, 0.5 })
      end)
    raises("cannot concatenate: tensor 2 is u8 2x4, tensor 1 is u8 2x3: only "
      .. "dimension 1 may differ", neap.concatenate,
      { t, neap.tensor("u8", { 2, 4 }) })
    raises("cannot flip: the result would overwrite a part of what is read",
      function()
        t:flip(1, { out = t })
      end)
    raises("cannot permute: the result is u8 3x2, and out is u8 2x3", function()
      t:permute({ 2, 1 }, { out = neap.tensor("u8", { 2, 3 }) })
    end)
  end)
end)
