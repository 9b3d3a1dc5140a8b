-- SPDX-License-Identifier: MIT
--- A file of one saved item: what a source has found and keeps beside a file.
-- @module neap.source.one_item

local ffi = require("ffi")
local context = require("neap.value.context")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local Saved = require("neap.source.saved")
local write = require("neap.value.write")

local C = lib.C
local ROOM = 2 ^ 16 -- bytes, besides those of tensors and strings

local out = ffi.new("neap_saver *[1]")
local size_out = ffi.new("uint64_t[1]")

local one_item = {}

-- Bytes that a value may take in a slot.
local function room_of(x)
  if memory.is(x) then
    return x.nbytes + 256
  elseif type(x) == "string" then
    return #x + 32
  elseif type(x) ~= "table" then
    return 0
  end
  local sum = 32 * #x
  for k = 1, #x do
    sum = sum + room_of(x[k])
  end
  return sum
end

local function write_run(x, nbytes)
  local item, slot = context.new(), memory.in_heap(nbytes)
  local run = ffi.new("neap_run", { count = 1, base = slot.d.data,
    cells = slot.d.data })
  lib.check(C.neap_writer_begin(item.writer, slot.d.data, nbytes, 1, lib.error))
  write.item(item, 0, x)
  run.bytes = C.neap_writer_end(item.writer)
  return run, slot
end

local function save_run(saver, run)
  lib.check(C.neap_saver_add(saver, run, 1, lib.error))
  local block = C.neap_saver_block(saver, size_out)
  lib.check(C.neap_saver_write(saver, block, size_out[0], lib.error))
  lib.check(C.neap_saver_finish(saver, lib.error))
end

--- Saves a list of values.
-- @tparam string path
-- @tparam table list its tensors are large, or it is small
-- @tparam string text what it is, for people
function one_item.save(path, list, text)
  local run, slot = write_run(list, ROOM + room_of(list))
  lib.check(C.neap_saver_open(ffi.new("neap_saver_options", {
    path = path, text = text, items = 1,
  }), out, lib.error))
  local saver = ffi.gc(out[0], C.neap_saver_close)
  local ok, e = pcall(save_run, saver, run)
  C.neap_saver_close(ffi.gc(saver, nil))
  return slot and (ok or error(e, 0))
end

--- Reads it again; raises a failure if there is none.
function one_item.load(path)
  local saved = Saved.open(path)
  return saved.items == 1 and saved:get(0) or nil
end

return one_item
