-- SPDX-License-Identifier: MIT
--- A native stage: what neap.native returns. It is called like a function, and
-- travels to workers as what it was made of.
-- @module neap.native.stage

local class = require("neap.base.class")
local check = require("neap.base.check")
local lib = require("neap.base.lib")
local opened = require("neap.native.opened")
local pipe = require("neap.native.pipe")

local Stage = class("native.stage")

--- What this process has of the stage.
function Stage:open()
  local here = self.here
  if not here then
    here = opened.open(self)
    here.call = pipe.make({ here })
    self.here = here
  end
  return here
end

--- Writes the code of a map.
function Stage.emit(_, node, g, i, e)
  return require("neap.native.join").emit(node, g, i, e)
end

--- Adds a map to a chain of C's.
function Stage:native(node, build)
  if self.init then
    build:check_alone(node)
  end
  local options, kept = opened.options(self)
  build:keep(kept)
  build:make(node, lib.C.neap_chain_map, build:take_one(), options)
end

local function refuse_more(self)
  check.raise(("cannot call %s with several values: a native stage takes one")
    :format(tostring(self)),
    "pass a table, and bind parameters to its fields: \"image.data\"")
end

local function refuse_index(self)
  check.raise(("cannot call %s: it reads the %s of an item, which map tells it")
    :format(tostring(self), self.needs), "write s:map(f)")
end

-- f(x)
function Stage.__call(self, x, more)
  if more ~= nil then
    refuse_more(self)
  elseif self.needs then
    refuse_index(self)
  end
  local y, is_failed = self:open().call(x, 1, 1)
  if is_failed then
    check.raise(lib.failure())
  end
  return y
end

function Stage.__tostring(self)
  return "native " .. self.name
end

--- Whether a value is a native stage.
function Stage.is(value)
  return getmetatable(value) == Stage
end

return Stage
