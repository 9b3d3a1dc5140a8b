-- SPDX-License-Identifier: MIT
--- Batches of rows of different lengths, padded in one worker, beside memcpy
-- of as many bytes.

local ffi = require("ffi")
local measure = require("measure")
local neap = require("neap")

local ROWS, LEAST, MOST = 64, 3000, 4096 -- elements of f32
local BUFFERED = 16
local SLOTS = BUFFERED + 2
local WARM, TOTAL = 100, 2000 -- batches

local function rows()
  local list = {}
  for k = 1, ROWS do
    local size = k == 1 and MOST or LEAST + k * 7919 % (MOST - LEAST)
    list[k] = neap.tensor("f32", { size }, k)
  end
  return list
end

local function gigabytes(count, seconds)
  return count * ROWS * MOST * 4 / seconds / 1e9
end

local function read(count)
  local p = neap.from(rows()):cycle():batch(ROWS, { collate = neap.pad() })
    :prefetch({ workers = 1, buffered = BUFFERED })
  local since
  for i, batch in p:each() do
    assert(batch.tensor:ptr()[0] == 1)
    if i == WARM then
      since = measure.now()
    elseif i == WARM + count then
      break
    end
  end
  local seconds = measure.now() - since
  p:close()
  return gigabytes(count, seconds)
end

-- Rows as long as the longest into as many warm buffers.
local function copy(count)
  local from, buffers = neap.tensor("f32", { ROWS, MOST }, 1), {}
  for k = 1, SLOTS do
    buffers[k] = neap.tensor("f32", { ROWS, MOST }, k)
  end
  local since = measure.now()
  for k = 1, count do
    ffi.copy(buffers[k % SLOTS + 1]:ptr(), from:ptr(), from.nbytes)
  end
  return gigabytes(count, measure.now() - since)
end

return {
  {
    name = "padding a batch of 64, f32", unit = "GB/s", target = "ratio 0.9",
    limit_name = "memcpy of as many bytes, 18 warm buffers",
    run = function()
      return read(measure.count(TOTAL))
    end,
    limit = function()
      return copy(measure.count(TOTAL))
    end,
  },
}
