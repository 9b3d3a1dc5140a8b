-- SPDX-License-Identifier: MIT
--- Patterns of paths: the folder that is listed, and what its files must fit.
-- @module neap.source.pattern

local check = require("neap.base.check")

local WILD = "[%*%?%[{]"
local ALTERNATIVES_MAX = 1000

local pattern = {}

-- Replaces the first {a,b} by each of its parts, and so on.
local function expand(text, list)
  local before, parts, after = text:match("^(.-){([^{}]*)}(.*)$")
  if not before then
    list[#list + 1] = text
    if #list > ALTERNATIVES_MAX then
      check.fail(1, ("pattern of %d alternatives at most expected"):format(
        ALTERNATIVES_MAX))
    end
    return
  end
  for part in (parts .. ","):gmatch("(.-),") do
    expand(before .. part .. after, list)
  end
end

-- A ** at the end stands for all files.
local function complete(text)
  return (text:gsub("^%*%*$", "**/*"):gsub("/%*%*$", "/**/*"))
end

--- Takes a path or pattern apart.
-- @treturn string the folder to list: all before the first component with a
--   wildcard
-- @treturn table patterns of paths below it; empty: all files
-- @treturn string what comes before these paths: "" or the folder and a slash
function pattern.parse(text)
  local wild = text:find(WILD)
  if not wild then
    local folder = text:gsub("(.)/+$", "%1")
    return folder, {}, folder:find("/$") and folder or folder .. "/"
  end
  local prefix = text:sub(1, wild - 1):match("^.*/") or ""
  local list = {}
  expand(text:sub(#prefix + 1), list)
  for k, each in ipairs(list) do
    list[k] = complete(each)
  end
  local folder = prefix:gsub("(.)/+$", "%1")
  return folder == "" and "." or folder, list, prefix
end

return pattern
