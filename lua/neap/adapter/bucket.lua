-- SPDX-License-Identifier: MIT
--- Batches of items of alike lengths, in an order drawn from a seed and the
-- epoch.
-- The items are sorted into buckets by length when it is made. In each epoch
-- the items of a bucket are shuffled, and so are the batches of all buckets:
-- both by permutations that C computes, so that any batch is found at once.
-- @module neap.adapter.bucket

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local lib = require("neap.base.lib")
local array = require("neap.tensor.array")
local handle = require("neap.sequence.handle")
local is_collate = require("neap.adapter.batch").options.collate
local ListedBatch = require("neap.adapter.listed_batch")

local C = lib.C

-- Unless boundaries are given: that many buckets, or fewer, so that each has
-- some batches.
local BUCKETS_MAX, BATCHES_MIN = 8, 4

local Bucket = class("adapter.bucket", ListedBatch)

-- Place k (from 0) of n, as a seed and the epoch draw it.
local function draw(n, seed, e, k)
  return (tonumber(C.neap_shuffle_item(n, seed, e, k)))
end

-- Returns the bucket of batch i (from 1), where its items begin in `order`, how
-- many there are, how many of them are in batches before, and in this one.
local function locate(self, i, e)
  local j = self.seed and draw(self.length, self.seed, e, i - 1) + 1 or i
  local b = self.bucket_of[j]
  local start, size = self.starts[b], self.sizes[b]
  local count, before = self.starts[b + 1] - start, (j - 1 - self.befores[b])
    * size
  return b, start, count, before, math.min(size, count - before)
end

function Bucket:members(i, e)
  local b, start, count, before, n = locate(self, i, e)
  local list = {}
  for j = 1, n do
    local k = before + j - 1
    k = self.seed and draw(count, self.seed + b, e, k) or k
    list[j] = self.order[start + k + 1]
  end
  return list
end

function Bucket:emit_members(g, i, e)
  local b, start, count = g:name("b"), g:name("i"), g:name("n")
  local before, n = g:name("i"), g:name("n")
  g:line("local %s, %s, %s, %s, %s = %s(%s, %s, %s)", b, start, count, before,
    n, g:own(locate), g:constant(self), i, e)
  g:keep(self.order) -- what the pointer points to
  local place = before .. " + %s - 1"
  if self.seed then
    place = ("%s(%s, %s + %s, %s, %s)"):format(g:own(draw), count,
      g:constant(self.seed), b, e, place)
  end
  return n, ("%s[%s + %s]"):format(g:constant(self.order:ptr()), start, place)
end

function Bucket:describe()
  return ("bucket(%s, %d bucket%s)"):format(self.source:describe(), #self.sizes,
    #self.sizes == 1 and "" or "s")
end

-- -- Making ------------------------------------------------------------------

-- Lengths that cut the items into buckets of about as many.
local function quantiles(lengths, n, batch)
  local count = math.min(BUCKETS_MAX, math.floor(n / (BATCHES_MIN * batch)))
  local sorted, list = {}, {}
  for i = 1, n do
    sorted[i] = lengths[i - 1]
  end
  table.sort(sorted)
  for k = 1, count - 1 do
    local length = sorted[math.ceil(n * k / count)]
    if length ~= list[#list] and length ~= sorted[n] then
      list[#list + 1] = length
    end
  end
  return list
end

-- The bucket of a length, from 0: how many boundaries are below it.
local function bucket_of(boundaries, length)
  local first, last = 1, #boundaries + 1
  while first < last do
    local middle = math.floor((first + last) / 2)
    if boundaries[middle] < length then
      first = middle + 1
    else
      last = middle
    end
  end
  return first - 1
end

local function sort(lengths, n, boundaries)
  local groups = ffi.new("uint32_t[?]", n)
  for k = 0, n - 1 do
    groups[k] = bucket_of(boundaries, lengths[k])
  end
  return ListedBatch.sort(groups, n, #boundaries + 1)
end

local function sizes_of(batch, count)
  local sizes = {}
  for b = 1, count do
    sizes[b] = type(batch) == "table" and batch[b] or batch
  end
  return sizes
end

-- Returns the bucket of each batch, and how many batches are in those before.
local function count_batches(starts, sizes, drop_last)
  local round, befores, total = drop_last and math.floor or math.ceil, {}, 0
  for b, size in ipairs(sizes) do
    befores[b] = total
    total = total + round((starts[b + 1] - starts[b]) / size)
  end
  befores[#sizes + 1] = total
  local buckets = array.new("u32", { total })
  for b = 1, #sizes do
    for j = befores[b] + 1, befores[b + 1] do
      buckets[j] = b
    end
  end
  return buckets, befores, total
end

local function is_list(v, fits)
  local is_so = type(v) == "table" and getmetatable(v) == nil and #v > 0
  for k = 1, is_so and #v or 0 do
    is_so = is_so and fits(v[k], v[k - 1])
  end
  return is_so
end

local OPTIONS = {
  boundaries = function(v)
    return is_list(v, function(x, before)
      return check.kinds.number(x) and (before == nil or x > before)
    end), "list of lengths, each more than the one before,"
  end,
  batch = function(v)
    return check.kinds.count(v) or is_list(v, check.kinds.count),
      "positive integer, or a list of them"
  end,
  seed = function(v)
    return v == false or check.is_integer(v), "whole number or false"
  end,
  drop_last = check.kinds.boolean, collate = is_collate,
}

local function check_sizes(options)
  local batch, boundaries = options.batch, options.boundaries
  if not batch then
    check.fail(3, "option 'batch' expected: items of a batch, got no value")
  elseif type(batch) == "table" and not boundaries then
    check.fail(3, "option 'boundaries' expected where 'batch' is a list")
  elseif type(batch) == "table" and #batch ~= #boundaries + 1 then
    check.fail(3, ("option 'batch': %d sizes expected, one more than "
      .. "boundaries, got %d"):format(#boundaries + 1, #batch))
  end
end

--- Returns batches of items of alike lengths, in a random order.
-- @function bucket
-- @tparam Sequence source with an end
-- @param lengths one for each item: a list, a tensor or a sequence, which is
--   read at once
-- @tparam table options batch (items of a batch, or a list of them, one for
--   each bucket), boundaries (a bucket has the items longer than the boundary
--   before and up to its own, the last one those that are longer; default: up
--   to 8 buckets of about as many items), seed (default: 1 more than the number
--   of shuffles below; false: no shuffling), drop_last (leave out the
--   incomplete last batch of each bucket), collate (f(list), or neap.stack;
--   default: the list)
-- @treturn Sequence
local function bucket(source, lengths, options)
  local list
  source, list = ListedBatch.read_arguments(source, lengths, 0, math.huge)
  options = check.options(3, options, OPTIONS)
  check_sizes(options)
  local boundaries = options.boundaries or quantiles(list, source.length,
    options.batch)
  local order, starts = sort(list, source.length, boundaries)
  local sizes = sizes_of(options.batch, #boundaries + 1)
  local buckets, befores, count = count_batches(starts, sizes,
    options.drop_last)
  local seed = options.seed
  if seed == nil then
    seed = source:count_stages("shuffle") + 1
  end
  return handle.wrap(Bucket:make({
    source = source, length = count, order = order, starts = starts,
    sizes = sizes, bucket_of = buckets, befores = befores, seed = seed,
    draws = seed ~= false, collate = options.collate,
  }))
end

return {
  class = Bucket, make = bucket, options = OPTIONS,
  example = [[neap.bucket({ "a", "bbb", "c", "ddd" }, { 1, 3, 1, 3 },
    { batch = 2, boundaries = { 1 }, seed = false }):totable()
    --> {a, c}, {bbb, ddd}]],
}
