-- SPDX-License-Identifier: MIT
--- A resource of each process: a file, a connection, a C library's handle. What
-- users hold is a function; it travels as its upvalue, which has the functions
-- that open and close the resource, and opens one where it is first called.
--
-- Resources are closed in the opposite order of their opening: in a worker when
-- the host has asked it to exit, in a script when it has run to its end. A Lua
-- state that is closed, or a collection, closes what is still open.
-- @module neap.prefetch.per_worker

local check = require("neap.base.check")
local class = require("neap.base.class")

local PerWorker = class("prefetch.per_worker")

-- The resources of this process, in the order of their opening.
local opened, count = setmetatable({}, { __mode = "v" }), 0

local function complain(resource, why)
  io.stdout:flush()
  io.stderr:write(("neap: cannot close what per_worker opened (%s): %s\n")
    :format(resource.where, tostring(why)))
end

local function close(resource)
  if resource.is_open then
    resource.is_open = false
    local ok, why = pcall(resource.close, resource.value)
    if not ok then
      complain(resource, why)
    end
  end
end

-- Closes a resource when its owner is collected, or the Lua state is closed. A
-- userdata: its finalizer runs before those of older userdata, such as the
-- resource's own.
local function guard(resource)
  local sentinel = newproxy(true)
  getmetatable(sentinel).__gc = function()
    close(resource)
  end
  resource.sentinel = sentinel
end

local function open(self)
  local value, why = self.open()
  if value == nil and why ~= nil then
    local info = debug.getinfo(self.open, "S")
    error(("cannot open: the function at %s:%d returned nil: %s"):format(
      info.short_src, info.linedefined, tostring(why)), 0)
  end
  local resource = {
    value = value, close = self.close, where = self.where,
    is_open = self.close ~= false, sentinel = false,
  }
  if self.close then
    guard(resource)
    count = count + 1
    opened[count] = resource
  end
  self.here = resource
  return value
end

-- (A method: it travels by the name of the class.)
function PerWorker:get()
  local resource = self.here
  if resource then
    return resource.value
  end
  return (open(self))
end

local per_worker = {}

--- Returns a function that returns what `open` returned in this process. It
-- calls `open` where it is first called, and again if that raised, or returned
-- nil and a reason.
-- @function per_worker
-- @tparam function open
-- @tparam[opt] function close gets what `open` returned, when the process ends
-- @treturn function
function per_worker.make(open_it, close_it)
  check.func(1, open_it)
  if close_it ~= nil then
    check.func(2, close_it)
  end
  local self = PerWorker:new({
    open = open_it, close = close_it or false, where = check.where(),
    here = false, -- the resource of this process; does not travel
  })
  return function()
    return (self:get())
  end
end

--- Closes the resources of this process.
function per_worker.close_all()
  for k = count, 1, -1 do
    if opened[k] then
      close(opened[k])
    end
  end
end

return per_worker
