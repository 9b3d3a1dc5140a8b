-- SPDX-License-Identifier: MIT
--- Opens a loader file in a script.
-- @module neap.loader.open

local check = require("neap.base.check")
local File = require("neap.loader.file")
local handle = require("neap.sequence.handle")
local lib = require("neap.base.lib")
local prefetch = require("neap.adapter.prefetch")

local function make(path, params)
  local file = File.read(path)
  local node, options = file:make(file:values(params))
  return (file:within(prefetch.make, handle.wrap(node), options))
end

--- Opens a loader file: returns its sequence with its prefetch.
-- @function open
-- @tparam string path
-- @tparam[opt] table params name -> value
-- @treturn Sequence the prefetch
-- @usage local digits = neap.open("digits.lua", { batch = 64 })
local function open(path, params)
  check.text(1, path)
  if params ~= nil and type(params) ~= "table" then
    check.fail(2, "table of parameters expected, got " .. check.got(params))
  end
  local ok, x = pcall(make, path, params or {})
  if ok then
    return x
  elseif lib.status_of(x) then
    check.raise(x)
  end
  error(x, 0)
end

return open
