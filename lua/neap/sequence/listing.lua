-- SPDX-License-Identifier: MIT
--- Turns sequences that are items into lists, as a worker does when it sends
-- them.
-- @module neap.sequence.listing

local handle = require("neap.sequence.handle")
local iteration = require("neap.sequence.iteration")
local traverse = require("neap.base.traverse")

local listing = {}

local DEPTH_MAX = 64 -- tables within tables; a worker refuses more

--- Returns the list of an item that is a sequence, and any other item as it is.
function listing.item(x)
  if type(x) == "cdata" and handle.is(x) then
    return (listing.within(iteration.list(handle.check_finite(1, x))))
  end
  return x
end

local function has_sequence(x, depth)
  if type(x) ~= "table" or getmetatable(x) ~= nil or depth > DEPTH_MAX then
    return type(x) == "cdata" and handle.is(x)
  end
  for _, key in ipairs(traverse.keys(x)) do
    if has_sequence(x[key], depth + 1) then
      return true
    end
  end
  return false
end

--- The same for an item that may be a table with sequences in it, at any depth.
function listing.within(x)
  if not has_sequence(x, 1) then
    return x
  elseif type(x) == "cdata" then
    return listing.item(x)
  end
  local copy = {}
  for _, key in ipairs(traverse.keys(x)) do
    copy[key] = listing.within(x[key])
  end
  return copy
end

jit.off(has_sequence)
jit.off(listing.within)

return listing
