-- SPDX-License-Identifier: MIT
--- Tensors that an item does not deliver: they fill no slot, and are no longer
-- valid after the item.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local BYTES_MAX = 1.2 -- of a slot for each byte that is delivered

local function image(i)
  return neap.tensor("u8", { 256, 256, 3 }, i % 251)
end

local function crop(t)
  local small = neap.empty("u8", { 64, 64, 3 })
  require("ffi").copy(small:ptr(), t:ptr(), small.nbytes)
  return small
end

local function nbytes(x)
  local sum = 0
  if type(x) == "table" then
    for _, field in ipairs(x) do
      sum = sum + nbytes(field)
    end
    return sum + (x.image and nbytes(x.image) or 0)
  end
  return type(x) == "cdata" and x.nbytes or 0
end

-- An item with f(tensor) in place of each tensor.
local function shown(x, f)
  if type(x) ~= "table" then
    return type(x) == "cdata" and f(x) or x
  end
  local copy = {}
  for key, field in pairs(x) do
    copy[key] = shown(field, f)
  end
  return copy
end

local function values(x)
  return shown(x, function(t) return t:totable() end)
end

local function bytes(x)
  return shown(x, function(t)
    return t.dtype .. require("ffi").string(t:ptr(), t.nbytes)
  end)
end

local function crops(n)
  return neap.range(n):map(image):map(crop)
end

local function sum_of(t)
  return t[1][1][1] * 2
end

-- Each a chain of some 100 items, and what it shows.
local chains = {
  { "of a chain of maps", function() return crops(100) end },
  { "of stacked batches", function()
    return crops(400):batch(8, { collate = neap.stack })
  end },
  { "of one large batch", function()
    return crops(800):batch(400, { collate = neap.stack })
  end },
  { "of batches of a dtype", function()
    return crops(400):batch(4, { dtype = "f32" })
  end },
  { "of lists", function() return crops(400):batch(8) end },
  { "of a collate of one's own", function()
    return crops(400):batch(8, { collate = function(list)
      local all = neap.stack(list)
      return { neap.stack({ all, all })[1], all:to("f32") }
    end })
  end },
  { "of fields", function()
    return crops(100):map(function(t) return { image = t, label = 1 } end)
  end },
  { "of batches of batches", function()
    return crops(400):batch(4, { collate = neap.stack })
      :map(function(t) return t:to("f32"):to("i16") end)
      :batch(2, { collate = neap.stack })
  end },
  { "of parts of tensors", function()
    return neap.range(100):map(image):map(function(t) return t[7] end)
  end },
  { "of chains that take two ways in turn", function()
    return neap.range(100):map(image):map(function(t)
      local copy = t[1][1][1] % 3 > 0 and t:clone() or t
      return copy:clone()
    end)
  end },
  { "of several kinds of items", function()
    return neap.range(60):map(image):interleave(crops(60))
  end },
  { "of sizes that vary", function()
    return neap.range(100):map(function(i)
      return neap.tensor("u8", { 1000 + i % 7, 9 }, i):to("u8")
    end)
  end },
  { "of tensors that become numbers later", function()
    return neap.concat(neap.range(10):map(image),
      neap.range(200):map(image):map(sum_of), crops(10))
  end },
}

describe("a slot has little but what is delivered", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  for _, chunk in ipairs({ 1, 5 }) do
    for _, case in ipairs(chains) do
      it(("%s, chunk = %d"):format(case[1], chunk), function()
        local s, delivered = case[2](), 0
        local p = s:prefetch({ workers = 1, chunk = chunk })
        for i, x in p:each() do
          delivered = delivered + nbytes(x)
          if i % 7 == 1 then
            assert.same(bytes(s[i]), bytes(x))
          end
        end
        local ratio = p:stats().bytes / delivered
        p:close()
        assert.truthy(ratio <= BYTES_MAX, ratio)
      end)
    end
  end
end)

describe("a tensor that is not delivered", function()
  local function prefetch(s, options)
    return support.close_later(s:prefetch(options or { workers = 1 }))
  end

  before_each(support.remember)
  after_each(support.check_leaks)

  it("ends with its item", function()
    local last
    local p = prefetch(neap.range(4):map(function(i)
      local ok, why = pcall(function() return last[1] end)
      last = neap.tensor("f32", { 3 }, i)
      return ok and "valid" or tostring(why)
    end))
    for i = 1, 4 do
      local text = p[i]
      assert.truthy(i == 1
        or text:find("this tensor's item has been released", 1, true))
    end
  end)

  it("ends with its item of a batch", function()
    local last
    local p = prefetch(neap.range(6):map(function(i)
      local is_valid = last and pcall(function() return last[1] end) or false
      last = neap.tensor("f32", { 3 }, i)
      return { t = last:to("f64"), is_valid = is_valid }
    end):batch(3, { collate = neap.stack }))
    assert.same({ false, false, false }, p[1].is_valid:totable())
    assert.same({ 5, 5, 5 }, p[2].t[2]:totable())
  end)

  it("is valid for as long as it is kept", function()
    local kept = {}
    local p = prefetch(neap.range(8):map(function(i)
      kept[i] = neap.keep(neap.tensor("f32", { 3 }, i))
      return { kept[1], kept[i], neap.tensor("f32", { 3 }, -1) }
    end), { workers = 1, chunk = 2 })
    for i, x in p:each() do
      assert.same({ { 1, 1, 1 }, { i, i, i }, { -1, -1, -1 } }, values(x))
    end
  end)

  it("is valid in what reads it later: cache and iterators", function()
    local s = neap.range(20):map(function(i)
      return neap.tensor("f32", { 3 }, i)
    end):cache()
    local sums = s:map(function(t) return t[1] + s[1][1] end)
    local total = 0
    for _, x in prefetch(sums, { workers = 1, chunk = 4 }):each() do
      total = total + x
    end
    assert.equal(210 + 20, total)
    local made = neap.from_iter(function()
      local n = 0
      return function()
        n = n + 1
        return n < 10 and neap.tensor("f32", { 2 }, n) or nil
      end
    end, { cache = 3, size = 9 })
    local pairs_of = made:map(function(t)
      return { t, t:to("f64") }
    end)
    for i, x in prefetch(pairs_of, { workers = 2, chunk = 2 }):each() do
      assert.same({ { i, i }, { i, i } }, values(x))
    end
  end)

  it("cannot be sent with a later item", function()
    local first
    local p = prefetch(neap.range(3):map(function(i)
      local t = neap.tensor("f32", { 3 }, i)
      first = first or t
      return { t:to("f64"), i > 1 and first or nil }
    end))
    assert.same({ 1, 1, 1 }, p[1][1]:totable())
    assert.truthy(support.message(function() return p[2] end):find(
      "item[2] is a tensor of an earlier item", 1, true))
  end)

  it("may be larger than the scratch memory", function()
    local p = prefetch(neap.range(3):map(function(i)
      local large = neap.tensor("u8", { 70 * 2 ^ 20 }, i)
      local other = neap.tensor("u8", { 2 ^ 20 }, i + 1)
      return { large[-1], other[-1], neap.tensor("u8", { 2 }, large[1]) }
    end))
    for i, x in p:each() do
      assert.same({ i, i + 1, { i, i } }, values(x))
    end
  end)

  it("may be delivered although it is larger than that", function()
    local p = prefetch(neap.range(3):map(function(i)
      return neap.tensor("u8", { 70 * 2 ^ 20 }, i)
    end))
    for i, x in p:each() do
      assert.equal(i, x[-1])
    end
    assert.truthy(p:stats().bytes < 3 * 70 * 2 ^ 20 + 2 ^ 16)
  end)

  it("does not make a sequence in an item be computed twice", function()
    local calls = 0
    local p = prefetch(neap.range(6):map(function(i)
      neap.tensor("u8", { 2 ^ 16 })
      return neap.range(2):map(function(k)
        calls = calls + 1
        return { neap.tensor("u8", { k == i and 9 or 2 ^ 16 }, calls), calls }
      end)
    end))
    for i, x in p:each() do
      assert.equal(2 * i, x[2][2])
      assert.equal(2 * i, x[2][1][1])
    end
  end)

  it("leaves no other one in a batch whose item was rescued", function()
    local p = prefetch(neap.range(12):map(function(i)
      local t = neap.tensor("u8", { 3 }, i):clone()
      if i % 4 == 2 then
        error("no")
      end
      return t
    end):batch(2, { collate = neap.stack }):rescue(function()
      return neap.tensor("u8", { 2, 3 }, 99)
    end):batch(3, { collate = neap.stack }))
    for b, x in p:each() do
      for k = 1, 3 do
        local i = (b - 1) * 6 + 2 * k
        local bad = i % 4 == 2
        assert.same({ bad and 99 or i - 1, bad and 99 or i },
          { x[k][1][1], x[k][2][3] })
      end
    end
  end)
end)
