-- SPDX-License-Identifier: MIT
--- The one class idiom: a flat method table, copied from its base.
-- A class is known by the module that makes it, so that an object can travel to
-- a worker as that name and its fields.
-- @module neap.base.class

local traverse = require("neap.base.traverse")

local named = {}

local class = {}

local function new(cls, fields)
  return setmetatable(fields, cls)
end

--- Makes a class. `name` is the module without "neap.": "adapter.map".
-- @function class
-- @tparam string name
-- @tparam[opt] table base the class whose methods are copied
-- @treturn table the class; `Class:new(fields)` makes an object of the table
local function make(_, name, base)
  local cls = traverse.copy(base or {})
  cls.__index = cls
  cls.class_name = name:match("[^.]+$")
  cls.new = new
  named[name] = cls
  named[cls] = name
  return cls
end

--- The name of a class, or nil if the value is not one.
function class.name_of(cls)
  return type(cls) == "table" and named[cls] or nil
end

--- The class of that name, loading its module if need be.
function class.find(name)
  if not named[name] then
    require("neap." .. name)
  end
  return named[name]
end

return setmetatable(class, { __call = make })
