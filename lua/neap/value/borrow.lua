-- SPDX-License-Identifier: MIT
--- How long the tensors of an item are valid: they borrow a slot's memory.
--
-- A *borrow* stands for one run that is read. Its tensors are valid until the
-- loop advances, which bumps its generation. `keep` moves a tensor to a *pin*,
-- which holds the slot and has a generation of its own. A pin ends when the
-- last tensor that was kept is released, or it and its views are collected.
-- @module neap.value.borrow

local ffi = require("ffi")
local array = require("neap.tensor.array")
local generation = require("neap.tensor.generation")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local methods = require("neap.tensor.methods")
local retain = require("neap.value.retain")
local traverse = require("neap.base.traverse")

local C = lib.C
local owners = memory.owners

local borrow = {}

--- Bytes of tensors that the errors of a loop, or one that is raised, may copy.
borrow.ERROR_BYTES_MAX = 64 * 2 ^ 20

local move, move_into, detach = memory.move, memory.move_into, memory.detach

-- -- Pins --------------------------------------------------------------------

ffi.cdef([[
  typedef struct neap_pin {
    neap_pool *loader;
    int32_t slot;
    uint64_t *counter;
  } neap_pin;
]])

-- Once, though at the end of a Lua state a user's finalizer may release what
-- was finalized before.
local function unpin(guard)
  local slot = guard.slot
  if slot >= 0 then
    guard.slot = -1
    generation.give(guard.counter)
    C.neap_pool_release(guard.loader, slot)
  end
end

local stats = ffi.new("neap_stats")

-- Whether its pool is closed; the pool exists as long as the slot is held.
local function is_closed(guard)
  if guard.slot < 0 then
    return true
  end
  C.neap_pool_read_stats(guard.loader, stats)
  return stats.workers == 0
end

local Pin = {}
Pin.__index = Pin

-- Whether its last tensor has been released, and so the slot.
function Pin:is_over()
  return not self.guard
end

local function pin_of(loader, slot)
  if C.neap_pool_retain(loader, slot) < 0 then
    error("cannot keep a tensor: its slot has been given back", 0)
  end
  local counter = generation.take()
  local guard = ffi.gc(ffi.new("neap_pin", loader, slot, counter), unpin)
  return setmetatable({ guard = guard, counter = counter, tensors = 0 }, Pin)
end

function Pin:take(t)
  self.tensors = self.tensors + 1
  move(t, self, self.counter, self.counter[0])
  t.is_pinned = true
end

-- The last release of a closed pool unmaps its slots. A finalizer may call it
-- where one of the tensors is in use: so it waits until they are collected.
function Pin:drop()
  self.tensors = self.tensors - 1
  if self.tensors > 0 then
    return
  elseif is_closed(self.guard) then
    generation.bump(self.counter)
  else
    unpin(ffi.gc(self.guard, nil))
    self.guard = false
  end
end

-- -- Borrows -----------------------------------------------------------------

local Borrow = {}
Borrow.__index = Borrow

--- A borrow, for value.read(); `aim` says of which run's slot.
-- @param loader neap_pool
-- @param watch of neap.value.retain
function borrow.new(loader, watch)
  return setmetatable({
    loader = loader, watch = watch, slot = -1, pin = false,
    counter = generation.take(), has_tensors = false,
    run = false, -- a borrowed tensor keeps it alive, if there is one
  }, Borrow)
end

--- Ends what was borrowed of the run before, and turns to another run's slot.
function Borrow:aim(slot)
  generation.bump(self.counter)
  self.slot, self.pin, self.has_tensors = slot, false, false
end

--- Makes a tensor over the slot's memory at `data`, as a neap_tensor_cell says.
function Borrow:tensor(about, data)
  self.has_tensors = true
  return (array.view(about.code, about.bits, about.ndim, about.shape, data,
    self, self.counter, self.counter[0]))
end

--- Ends what was borrowed of the item before.
function Borrow:advance()
  if self.has_tensors then
    self.has_tensors = false
    generation.bump(self.counter)
  end
end

function Borrow:has_pin()
  return self.pin and not self.pin:is_over()
end

function Borrow:keep(t)
  if not self:has_pin() then
    self.pin = pin_of(self.loader, self.slot)
  end
  self.pin:take(t)
end

function Borrow:retain(t)
  if self:has_pin() or not retain.is_due(self.watch, t) then
    self:keep(t)
  else
    move_into(t, retain.copy(t))
  end
end

-- -- What users call ---------------------------------------------------------

local function visit(_, x, f, seen)
  if array.is(x) then
    f(x)
  elseif type(x) == "table" and not seen[x] then
    seen[x] = true
    traverse.each(x, visit, f, seen)
  end
end

local function each_tensor(x, f)
  if array.is(x) then
    f(x)
  elseif type(x) == "table" then
    visit(nil, x, f, {})
  end
end

local function keep_one(t)
  local owner = owners[t]
  memory.check(t)
  if getmetatable(owner) == Borrow then
    owner:keep(t)
  elseif owner == nil and t.counter ~= generation.forever then
    detach(t) -- a worker's: the slot will be published
  end
end

local function retain_one(t)
  local owner = owners[t]
  if getmetatable(owner) == Borrow then
    memory.check(t)
    owner:retain(t)
  else
    keep_one(t)
  end
end

local room -- bytes that copy_out() may still copy

local function copy_one(t)
  local nbytes = t.nbytes
  if getmetatable(owners[t]) == Borrow and t.counter[0] == t.generation
    and nbytes <= room then
    room = room - nbytes
    detach(t)
  end
end

--- Moves the tensors of an error to memory of their own: it outlives the loop,
-- and should hold no slot. What `bytes` has no room for stays borrowed.
-- @treturn number bytes of the room that is left
function borrow.copy_out(e, bytes)
  room = bytes
  each_tensor(e, copy_one)
  return room
end

--- Makes an item's tensors stay valid for as long as Lua holds them.
-- @param x a tensor, a table with tensors in it, or anything else
-- @return x
function borrow.keep(x)
  each_tensor(x, keep_one)
  return x
end

--- The same on behalf of a caller that does not know how many items it keeps:
-- where few slots are left, tensors are copied.
function borrow.retain(x)
  each_tensor(x, retain_one)
  return x
end

local released = generation.take() -- past the generation 0
generation.bump(released)

-- A view ends alone: what it is a view of, and its neighbours, stay valid.
local function release_one(t)
  local owner = owners[t]
  if getmetatable(owner) == Pin and not owner:is_over() then
    local is_pinned = t.is_pinned
    move(t, is_pinned and owner or nil, released, 0)
    if is_pinned then
      owner:drop()
    end
  end
end

--- Gives back now what an item's kept tensors hold; using them raises then. The
-- row of a kept tensor holds nothing by itself, and is the only one to end.
function borrow.release(x)
  each_tensor(x, release_one)
end

methods.keep = borrow.keep
methods.release = borrow.release

return borrow
