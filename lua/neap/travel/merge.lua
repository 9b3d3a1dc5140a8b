-- SPDX-License-Identifier: MIT
--- Makes the tables of a module, which this worker has just loaded, equal to
-- those of the script. See neap.travel.changes.
-- @module neap.travel.merge

local traverse = require("neap.base.traverse")

local PLAIN = { number = true, string = true, boolean = true }

local function is_shadow(x)
  return type(x) == "table" and type(x.set) == "table"
    and type(x.sub) == "table" and type(x.keep) == "table"
end

local function merge(t, shadow, done)
  done[shadow] = t
  for _, key in ipairs(traverse.keys(t)) do
    if PLAIN[type(key)] and shadow.set[key] == nil and not shadow.sub[key]
      and not shadow.keep[key]
    then
      rawset(t, key, nil)
    end
  end
  for _, key in ipairs(traverse.keys(shadow.set)) do
    rawset(t, key, shadow.set[key])
  end
  for _, key in ipairs(traverse.keys(shadow.sub)) do
    local inner, sub = rawget(t, key), shadow.sub[key]
    if type(inner) ~= "table" then
      inner = done[sub] or {}
      rawset(t, key, inner)
    end
    if done[sub] ~= inner and is_shadow(sub) then
      merge(inner, sub, done)
    end
  end
end

--- Returns whether the shadow is one.
local function merge_module(module, shadow)
  local is_whole = is_shadow(shadow)
  if is_whole then
    merge(module, shadow, {})
  end
  return is_whole
end

return merge_module
