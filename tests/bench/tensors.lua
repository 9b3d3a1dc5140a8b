-- SPDX-License-Identifier: MIT
--- Large tensors through two workers: what the way through a slot costs
-- beside the writing of their bytes.

local ffi = require("ffi")
local measure = require("measure")
local neap = require("neap")

local SHAPE = { 3, 224, 224 }
local NBYTES = 4 * 3 * 224 * 224
local SOURCE = 256 -- images to make batches from
local BATCH = 32
local BUFFERED = 16

-- Reads s, which is endless enough, until `warm` and then `count` items have
-- gone by. Answers the seconds of the latter, and how many slots were used.
local function read(s, warm, count)
  local p = s:prefetch({ workers = 2, buffered = BUFFERED })
  local step, state, at = p:each()
  local slots, used, since = {}, 0, nil
  for i, x in step, state, at do
    local data = x:ptr()
    local address = tonumber(ffi.cast("uintptr_t", data))
    if not slots[address] then
      slots[address] = true
      used = used + 1
    end
    assert(data[0] >= 0)
    if i == warm then
      since = measure.now()
    elseif i == warm + count then
      break
    end
  end
  local seconds = measure.now() - since
  p:close()
  return seconds, used
end

local function filled(count)
  return neap.map(function(i)
    local t = neap.empty("f32", SHAPE)
    t:fill(i)
    return t
  end, neap.range(count))
end

-- As many batches as are wanted, of a few images again and again.
local function batches(count)
  local images = neap.tensor("u8", { SOURCE, unpack(SHAPE) }, 1)
  local indexes = {}
  for k = 1, count * BATCH do
    indexes[k] = (k - 1) % SOURCE + 1
  end
  return neap.from(images):gather(indexes)
    :map(function(x)
      return x:to("f32", 1 / 255)
    end)
    :batch(BATCH, { collate = neap.stack })
end

-- `limit` is what is run with the number of slots that were used.
local function row(name, target, limit_name, limit, make, rows, warm, total)
  local used
  local function gigabytes(items_a_second)
    return items_a_second * NBYTES / 1e9
  end
  return {
    name = name, unit = "GB/s", target = target,
    limit_name = limit_name,
    run = function()
      local count = measure.count(total)
      local seconds
      seconds, used = read(make(warm + count + 1), warm, count)
      return gigabytes(count * rows / seconds)
    end,
    limit = function()
      return gigabytes(limit(used, measure.count(total)))
    end,
  }
end

local FILLING = "2 processes, as many warm buffers"
local HANDING = "the same and a reader woken for each"

local function fill(used, count)
  return measure.limit("limit_fill fill 2 %d 1 %d %d", used, SOURCE, count)
end

local function hand(used, count)
  return measure.limit("limit_hand 2 %d %d %d 0", used, BUFFERED, count)
end

local function convert(used, count)
  return measure.limit("limit_fill convert 2 %d %d %d %d", used, BATCH, SOURCE,
    count * BATCH)
end

local NAME = "tensors, filled in their slots"

return {
  row(NAME, "ratio 0.9", FILLING, fill, filled, 1, 500, 10000),
  row(NAME .. ", and read", "ratio 0.9", HANDING, hand, filled, 1, 500, 10000),
  row("batches of 32, u8 to f32", "ratio 0.85", FILLING, convert, batches,
    BATCH, 60, 240),
}
