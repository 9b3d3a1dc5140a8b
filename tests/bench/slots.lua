-- SPDX-License-Identifier: MIT
--- Bytes of slots for each byte that is delivered, where most tensors are only
-- on the way to an item: images of 3 MB that are cropped.

local ffi = require("ffi")
local measure = require("measure")
local neap = require("neap")

local BATCHES = 8

local function decode(i)
  return neap.tensor("u8", { 1024, 1024, 3 }, i % 256)
end

local function crop(image)
  local t = neap.empty("u8", { 64, 64, 3 })
  ffi.copy(t:ptr(), image:ptr(), t.nbytes)
  return t
end

local function row(name, size, collate)
  return {
    name = "slot bytes a byte, crops in " .. name, unit = "",
    target = "1.2", limit_name = "what is delivered",
    run = function()
      local p = neap.range(size * measure.count(BATCHES)):map(decode):map(crop)
        :batch(size, { collate = collate }):prefetch({ workers = 2 })
      local delivered = 0
      for _, t in p:each() do
        delivered = delivered + t.nbytes
      end
      local bytes = p:stats().bytes
      p:close()
      return bytes / delivered
    end,
    limit = function()
      return 1
    end,
  }
end

local function own(list)
  return (neap.stack(list))
end

return {
  row("batches of 32", 32, neap.stack),
  row("batches of 32, own collate", 32, own),
  row("batches of 400", 400, neap.stack),
}
