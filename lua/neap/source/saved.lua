-- SPDX-License-Identifier: MIT
--- One file of saved items: its path and identity, and how it is read. It
-- travels as these; each process maps the file at its first read.
--
-- Items are read in place: their tensors are views into the mapping, which they
-- keep alive, or into a block that was unpacked.
-- @module neap.source.saved

local ffi = require("ffi")
local array = require("neap.tensor.array")
local class = require("neap.base.class")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local read = require("neap.value.read")
local zstd = require("neap.source.zstd")

local C = lib.C
local NUMBER = C.NEAP_NUMBER
local number_in = read.number
local Identity = ffi.typeof("neap_identity")

local LARGE = 64 * 2^10 -- bytes; smaller blocks need no memory of the heap
local UNPACKED_MAX = 16 -- blocks that are kept unpacked

local out = ffi.new("neap_saved *[1]")
local about = ffi.new("neap_saved_about")

local Saved = class("source.saved")

--- How blocks are packed; a list of shards has the names of files as items.
Saved.PACKING = { none = 0, zstd = 1, shards = 2 }

local PACKED = Saved.PACKING.zstd

-- -- Where the tensors of an item lie ----------------------------------------

local Place = {} -- what read.item() wants for tensors
Place.__index = Place

function Place:tensor(cell, data)
  return (array.view(cell.code, cell.bits, cell.ndim, cell.shape, data,
    self.owner))
end

-- -- Opening -----------------------------------------------------------------

local function open(path, expected)
  lib.check(C.neap_saved_open(path, expected, out, lib.error))
  return ffi.gc(out[0], C.neap_saved_close)
end

-- What belongs to this process: the mapping, and the run that is read.
local function reading(handle)
  return {
    handle = handle, run = ffi.new("neap_run"), first = 0, count = 0,
    cells = false, block = ffi.new("neap_saved_block"),
    place = setmetatable({ owner = handle }, Place),
    unpacked = {}, order = {}, turn = 0, -- blocks, and in which order
    is_busy = false, -- an item is being read, or has failed
  }
end

--- Opens a file of saved items. Raises a failure if it cannot be read.
function Saved.open(path)
  local handle = open(path, nil)
  C.neap_saved_tell(handle, about)
  return Saved:new({
    path = path, items = tonumber(about.items), packing = about.packing,
    identity = ffi.string(C.neap_saved_identity(handle),
      ffi.sizeof(Identity)),
    text = ffi.string(about.text, about.text_bytes),
    here = reading(handle),
  }), about
end

local function open_again(self)
  local expected = Identity()
  ffi.copy(expected, self.identity, ffi.sizeof(Identity))
  self.here = reading(open(self.path, expected))
  return self.here
end

-- -- Blocks ------------------------------------------------------------------

local function unpack_block(self, block)
  local nbytes = tonumber(block.nbytes)
  local t = nbytes < LARGE and memory.inline(nbytes) or memory.in_heap(nbytes)
  if not zstd.unpack(block.data, block.data_bytes, t.d.data, nbytes) then
    error(lib.failure(C.NEAP_EFORMAT,
      ("cannot read %s: the block of items %d to %d is damaged"):format(
      self.path, tonumber(block.first) + 1,
      tonumber(block.first + block.count))), 0)
  end
  return t
end

-- The tensor of an unpacked block; the block unpacked first is dropped.
local function unpacked(self, here, block)
  local number = tonumber(block.number)
  local t = here.unpacked[number]
  if not t then
    t = unpack_block(self, block)
    local at = here.turn % UNPACKED_MAX + 1
    here.unpacked[here.order[at] or -1] = nil
    here.unpacked[number], here.order[at] = t, number
    here.turn = here.turn + 1
  end
  return t
end

local function find_packed(self, here, i)
  local block = here.block
  lib.check(C.neap_saved_find(here.handle, i, block, lib.error))
  local owner = unpacked(self, here, block)
  here.place.owner = owner
  lib.check(C.neap_saved_run(here.handle, block, owner.d.data, i, here.run,
    lib.error))
end

-- Turns to the run of item i, from 0.
local function move(self, here, i)
  here.count = 0
  if self.packing == PACKED then
    find_packed(self, here, i)
  else
    lib.check(C.neap_saved_get(here.handle, i, here.run, lib.error))
  end
  here.cells = here.run.cells
  here.first, here.count = tonumber(here.run.first), here.run.count
end

-- A finalizer that reads an item meanwhile turns to a run of its own.
local function enter(self)
  local here = self.here or open_again(self)
  if here.is_busy then
    here = reading(here.handle)
    self.here = here
  end
  here.is_busy = true
  return here
end

--- Reads item i, from 0.
function Saved:get(i)
  local here = enter(self)
  local k = i - here.first
  if k < 0 or k >= here.count then
    move(self, here, i)
    k = i - here.first
  end
  local x
  if here.cells[k].type == NUMBER then
    x = number_in(here.cells[k])
  else
    x = read.item(here.run, k, here.place)
  end
  here.is_busy = false
  return x
end

return Saved
