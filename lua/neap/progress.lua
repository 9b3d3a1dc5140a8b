-- SPDX-License-Identifier: MIT
--- A progress bar on a terminal while a sequence is iterated.
-- @module neap.progress

local class = require("neap.class")
local check = require("neap.check")
local sequence = require("neap.sequence")

local Progress = class("progress", sequence.class)

function Progress:emit(g, i, e)
  return g:value(self.source, i, e)
end

local function progress(source)
  source = check.sequence(1, source)
  return sequence.wrap(Progress:make({ source = source,
    length = source.length }))
end

return progress
