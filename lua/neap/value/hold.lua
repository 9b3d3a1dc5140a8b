-- SPDX-License-Identifier: MIT
--- Who holds the slot of a run: tensors of an item borrow their memory here.
--
-- A *loan* stands for one run that is being read: its tensors are valid until
-- the loop advances, which bumps its generation. `keep` moves a tensor to a
-- *grip*, a hold of the slot with a counter of its own, which ends when the
-- last tensor that was kept is released, or it and its views are collected.
-- @module neap.value.hold

local ffi = require("ffi")
local generation = require("neap.tensor.generation")
local lib = require("neap.base.lib")
local tensor = require("neap.tensor.tensor")
local traverse = require("neap.base.traverse")

local C = lib.C

local hold = {}

--- Bytes of tensors that the errors of a loop, or one that is raised, may copy.
hold.ERROR_BYTES_MAX = 64 * 2 ^ 20

-- -- Grips -------------------------------------------------------------------

ffi.cdef([[
  typedef struct neap_grip {
    neap_pool *loader;
    int32_t slot;
    uint64_t *word;
  } neap_grip;
]])

-- Once, though at the end of a Lua state a user's finalizer may release what
-- was finalized before.
local function let_go(guard)
  local slot = guard.slot
  if slot >= 0 then
    guard.slot = -1
    generation.give(guard.word)
    C.neap_pool_release(guard.loader, slot)
  end
end

local Grip = {}
Grip.__index = Grip

local function grip_of(loader, slot)
  if C.neap_pool_retain(loader, slot) < 0 then
    error("cannot keep a tensor: its slot has been given back", 0)
  end
  local word = generation.take()
  local guard = ffi.gc(ffi.new("neap_grip", loader, slot, word), let_go)
  return setmetatable({ guard = guard, word = word, tensors = 0 }, Grip)
end

function Grip:take(t)
  self.tensors = self.tensors + 1
  tensor.keep(t, self, self.word)
end

-- Whether its last tensor has been released, and so the slot.
function Grip:is_over()
  return not self.guard
end

function Grip:drop()
  self.tensors = self.tensors - 1
  if self.tensors == 0 then
    let_go(ffi.gc(self.guard, nil))
    self.guard = false
  end
end

-- -- Loans -------------------------------------------------------------------

local Loan = {}
Loan.__index = Loan

--- A loan, for value.read(); `aim` says of which run's slot.
function hold.new(loader)
  return setmetatable({
    loader = loader, slot = -1, counter = generation.take(), grip = false,
    has_tensors = false, budget = 0, owner = false,
    run = false, -- held by what is lent, if it must be
  }, Loan)
end

--- Ends what was lent of the run before, and turns to a run's slot.
function Loan:aim(slot)
  generation.bump(self.counter)
  self.slot, self.grip, self.has_tensors, self.owner = slot, false, false, false
end

--- What the run's tensors name as their owner.
function Loan:own()
  self.has_tensors = true
  self.owner = self.owner or { loan = self }
  return self.owner
end

--- Ends what was lent of the item before.
function Loan:advance()
  if self.has_tensors then
    self.has_tensors = false
    generation.bump(self.counter)
  end
end

function Loan:keep(t)
  if not self.grip or self.grip:is_over() then
    self.grip = grip_of(self.loader, self.slot)
  end
  self.grip:take(t)
end

-- -- What users call ---------------------------------------------------------

local function visit(_, x, f, seen)
  if tensor.is(x) then
    f(x)
  elseif type(x) == "table" and not seen[x] then
    seen[x] = true
    traverse.each(x, visit, f, seen)
  end
end

local function each_tensor(x, f)
  if tensor.is(x) then
    f(x)
  elseif type(x) == "table" then
    visit(nil, x, f, {})
  end
end

local function keep_one(t)
  local owner = tensor.owner(t)
  tensor.check(t)
  if type(owner) == "table" and owner.loan then
    owner.loan:keep(t)
  elseif owner == nil and tensor.is_lent(t) then
    tensor.detach(t) -- a worker's: its slot will be handed over
  end
end

local room -- bytes that copy_out() may still copy

local function copy_one(t)
  local owner, nbytes = tensor.owner(t), t.nbytes
  local is_lent = type(owner) == "table" and owner.loan
    and t.counter[0] == t.generation
  if is_lent and nbytes <= room then
    room = room - nbytes
    tensor.detach(t)
  end
end

--- Moves the tensors of an error to memory of their own: it outlives the loop,
-- and should hold no slot. What `bytes` has no room for stays lent.
-- @treturn number bytes of the room that is left
function hold.copy_out(e, bytes)
  room = bytes
  each_tensor(e, copy_one)
  return room
end

--- Makes an item's tensors stay valid for as long as Lua holds them.
-- @param x a tensor, a table with tensors in it, or anything else
-- @return x
function hold.keep(x)
  each_tensor(x, keep_one)
  return x
end

local gone = generation.take()
generation.bump(gone)

-- A view ends alone: what it is a view of, and its neighbours, stay valid.
local function release_one(t)
  local owner = tensor.owner(t)
  if getmetatable(owner) == Grip and not owner:is_over() then
    local is_kept = tensor.is_kept(t)
    tensor.lend(t, nil, gone, 0)
    if is_kept then
      owner:drop()
    end
  end
end

--- Gives back now what an item's kept tensors hold; using them raises then. The
-- row of a kept tensor holds nothing by itself, and is the only one to end.
function hold.release(x)
  each_tensor(x, release_one)
end

tensor.methods.keep = hold.keep
tensor.methods.release = hold.release

return hold
