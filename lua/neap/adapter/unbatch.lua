-- SPDX-License-Identifier: MIT
--- The items of batches, one by one.
-- @module neap.adapter.unbatch

local check = require("neap.base.check")
local class = require("neap.base.class")
local borrow = require("neap.value.borrow")
local compiler = require("neap.sequence.compile")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local traverse = require("neap.base.traverse")
local turn = require("neap.base.turn")

local Unbatch = class("adapter.unbatch", Node)

local item_of

local function add_field(key, field, item, j)
  item[key] = item_of(field, j)
end

-- Item j of a batch: of a list or a tensor, or field by field of a table.
function item_of(batch, j)
  if type(batch) ~= "table" and type(batch) ~= "cdata" then
    error("the batch must be a list, a tensor or a table of these, got "
      .. check.got(batch), 0)
  elseif type(batch) ~= "table" or type(batch[1]) ~= "nil"
    or type((traverse.after(batch, nil))) ~= "string" then
    return batch[j]
  end
  local item = {}
  traverse.each(batch, add_field, item, j)
  return item
end

local function fetch(flight, source)
  if not flight.is_here then
    flight.batch = compiler.compile(source)(flight.at, flight.epoch)
    flight.is_here = true
  end
  return flight.batch
end

-- Several items may be in work at once, of one batch: the first one reads the
-- batch, and the others wait for it.
local function read_shared(source, state, at, e)
  local flight = state.flights[at]
  if not flight or flight.epoch ~= e then
    flight = {
      at = at, epoch = e, batch = false, is_here = false, items = 0,
      owner = false, bell = false,
    }
    state.flights[at] = flight
  end
  flight.items = flight.items + 1
  local ok, batch = pcall(turn.call, flight, fetch, flight, source)
  flight.items = flight.items - 1
  if flight.items == 0 and state.flights[at] == flight then
    state.flights[at] = nil
  end
  if not ok then
    error(batch, 0)
  end
  return batch
end

local function emit_batch(self, g, state, at, e)
  if not turn.is_needed then
    return g:value(self.source, at, e)
  end
  local batch = g:name()
  g:line("local %s = %s(%s, %s, %s, %s)", batch, g:own(read_shared),
    g:constant(self.source), state, at, e)
  return batch
end

-- Keeps the batch read last, so that reading in order evaluates each batch
-- once.
function Unbatch:emit(g, i, e)
  local state = g:state(self, {
    read = { at = 0, epoch = 0, batch = false }, flights = {},
  })
  local at, x, kept = g:name("i"), g:name(), g:name()
  g:line("local %s = (%s - 1 - (%s - 1) %% %s) / %s + 1", at, i, i,
    g:constant(self.k), g:constant(self.k))
  g:line("local %s = %s.read", kept, state) -- all at once: a finalizer may read
  g:open("if %s.at ~= %s or %s.epoch ~= %s then", kept, at, kept, e)
  local batch = emit_batch(self, g, state, at, e)
  g:line("%s = { at = %s, epoch = %s, batch = %s(%s) }", kept, at, e,
    g:own(borrow.retain), batch)
  g:line("%s.read = %s", state, kept)
  g:close()
  g:staged(self, i, "local %s = %s(%s.batch, %s - (%s - 1) * %s)", x,
    g:own(item_of), kept, i, at, g:constant(self.k))
  return x
end

function Unbatch:origins(i, e)
  local at = math.floor((i - 1) / self.k) + 1
  return { { node = self.source, first = at, last = at, epoch = e } }
end

function Unbatch:describe()
  return ("unbatch(%s, %d)"):format(self.source:describe(), self.k)
end

--- Returns the items of batches: what neap.batch does, undone.
-- @function unbatch
-- @tparam Sequence source batches: lists, tensors, or tables of these
-- @tparam int k items of a batch
-- @tparam[opt=k] int last_k items of the last one
-- @treturn Sequence
local function unbatch(source, k, last_k)
  source = handle.check(1, source)
  check.count(2, k)
  last_k = last_k == nil and k or check.count(3, last_k)
  if last_k > k then
    check.fail(3, ("1..%d expected, got %d"):format(k, last_k))
  end
  local n = source.length
  return handle.wrap(Unbatch:make({
    source = source, k = k, length = n == 0 and 0 or (n - 1) * k + last_k,
  }))
end

return {
  class = Unbatch, make = unbatch,
  example = [[neap.range(5):batch(2):unbatch(2, 1):totable()
    --> 1, 2, 3, 4, 5]],
}
