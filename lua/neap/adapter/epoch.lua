-- SPDX-License-Identifier: MIT
--- The same chain at another epoch: shuffles and random maps draw anew.
-- @module neap.adapter.epoch

local check = require("neap.base.check")
local class = require("neap.base.class")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local Epoch = class("adapter.epoch", Node)

Epoch.is_timed = false

function Epoch:emit(g, i)
  local e = g:name("e")
  g:line("local %s = %s", e, g:constant(self.epoch))
  return g:value(self.source, i, e)
end

function Epoch:origins(i)
  return { { node = self.source, first = i, last = i, epoch = self.epoch } }
end

function Epoch:set(i, value)
  self.source:set(i, value, self.epoch)
end

function Epoch:describe()
  return ("epoch(%s, %d)"):format(self.source:describe(), self.epoch)
end

--- Returns a node that reads another at epoch n; for adapters.
local function node_of(source, n)
  return Epoch:make({ source = source, epoch = n, length = source.length })
end

-- The last of several epochs counts: a loop may say `s = s:epoch(n)`.
function Epoch:at_epoch(n)
  return node_of(self.source, n)
end

--- Returns the chain as it is in epoch n. By default a chain is in epoch 1.
-- @function epoch
-- @tparam Sequence source
-- @tparam int n 1 or more
-- @treturn Sequence
local function epoch(source, n)
  source = handle.check(1, source)
  check.count(2, n, n == 0 and "epochs count from 1" or nil)
  if source.at_epoch then
    return handle.wrap(source:at_epoch(n))
  end
  return handle.wrap(node_of(source, n))
end

return {
  class = Epoch, make = epoch, node = node_of,
  example = [[neap.range(3):epoch(2):totable() --> 1, 2, 3]],
}
