-- SPDX-License-Identifier: MIT
--- What a loader file returns: parameters, a function that builds a sequence
-- from them, and the options of the prefetch.
-- @module neap.loader.describe

local check = require("neap.base.check")
local class = require("neap.base.class")
local parameter = require("neap.loader.parameter")
local prefetch = require("neap.adapter.prefetch")

local Description = class("loader.describe")

local function is_table(v)
  return type(v) == "table", "table"
end

local OPTIONS = { params = is_table, build = check.kinds.func,
  prefetch = is_table }

--- Describes a loader, for neap.open, `neap run` and hosts. Nothing is built.
-- @function loader
-- @tparam table description `params` (name -> default, or a table with
--   `default`, `type`, `help`, `choices`, `min`, `max`), `build` (a function of
--   the parameters' values that returns a sequence), `prefetch` (the options of
--   neap.prefetch)
local function describe(description)
  local o = check.options(1, description, OPTIONS)
  if not o.build then
    check.fail(1, "build is missing: a function that returns a sequence")
  end
  return Description:new({
    parameters = parameter.declare(o.params or {}),
    build = o.build,
    options = check.options(1, o.prefetch, prefetch.options),
  })
end

--- Whether a value is what neap.loader made.
local function is(value)
  return getmetatable(value) == Description
end

--- Describes a sequence as a loader without parameters.
local function of_sequence(s)
  return Description:new({
    parameters = {}, options = {},
    build = function()
      return s
    end,
  })
end

return { make = describe, is = is, of_sequence = of_sequence }
