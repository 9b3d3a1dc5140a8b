-- SPDX-License-Identifier: MIT
--- Several sequences side by side.
-- @module neap.adapter.zip

local ffi = require("ffi")
local arguments = require("neap.sequence.arguments")
local check = require("neap.base.check")
local class = require("neap.base.class")
local lib = require("neap.base.lib")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local traverse = require("neap.base.traverse")

local Zip = class("adapter.zip", Node)

-- Without newlines: an error finds its stage by the line of code.
local function quoted(key)
  return (("%q"):format(key):gsub("\n", "n"))
end

function Zip:emit(g, i, e)
  local parts = {}
  for k, source in ipairs(self.sources) do
    local x = g:value(source, i, e)
    parts[k] = self.keys and ("[%s] = %s"):format(quoted(self.keys[k]), x) or x
  end
  local x = g:name()
  g:line("local %s = {%s}", x, table.concat(parts, ", "))
  return x
end

-- Raises, before anything is stored, unless a value has exactly an item's
-- fields and all sources can store items.
local function check_item(self, value)
  local what, known = self.keys and "field" or "item", {}
  if type(value) ~= "table" or getmetatable(value) ~= nil then
    error(("cannot assign: a table of %d %s%s expected, got %s"):format(
      #self.sources, what, #self.sources == 1 and "" or "s",
      handle.unfit(value)), 0)
  end
  for k, source in ipairs(self.sources) do
    local key = self.keys and self.keys[k] or k
    known[key] = true
    if value[key] == nil then
      error(("cannot assign: the table has no %s '%s'"):format(what, key), 0)
    elseif source.set == Node.set then
      source:set()
    end
  end
  local key = traverse.key_outside(value, known)
  if key ~= nil then
    error(("cannot assign: the table has a %s '%s', items have none"):format(
      what, tostring(key)), 0)
  end
end

--- Stores the items, or the fields, of a table in those of the sources.
function Zip:set(i, value, e)
  check_item(self, value)
  for k, source in ipairs(self.sources) do
    source:set(i, value[self.keys and self.keys[k] or k], e)
  end
end

-- Messages and bindings of native stages find fields by paths: "image.data".
function Zip:not_native()
  for _, key in ipairs(self.keys or {}) do
    if key == "" or key:find("[%z.]") or key:find("^%d+$") then
      return ("the field %q has no name for C"):format(key)
    end
  end
end

function Zip:native(build)
  for _, source in ipairs(self.sources) do
    build:chain(source)
  end
  local names = self.keys
    and ffi.new("const char *[?]", #self.keys, self.keys) or nil
  local sources, count = build:take(#self.sources)
  build:make(self, lib.C.neap_chain_zip, sources, names, count)
end

function Zip:describe()
  local parts = {}
  for k, source in ipairs(self.sources) do
    parts[k] = (self.keys and self.keys[k] .. " = " or "") .. source:describe()
  end
  return ("zip(%s)"):format(table.concat(parts, ", "))
end

-- Also of a table that has some fields beside a list: they would be lost.
local function is_fields(value)
  if type(value) ~= "table" then
    return false
  elseif #value == 0 then
    return not traverse.is_empty(value)
  end
  return type((traverse.after(value, #value))) == "string"
end

-- Returns the common length of the fields. An endless one fits any length.
local function agreed_length(keys, nodes)
  local length = math.huge
  for k, node in ipairs(nodes) do
    if length ~= math.huge and node.length ~= math.huge
      and node.length ~= length then
      check.fail(1, ("field '%s': %d items expected, got %d: lengths must "
        .. "agree"):format(keys[k], length, node.length),
        "s:slice(1, n) cuts the longer one")
    end
    length = math.min(length, node.length)
  end
  return length
end

-- {image = s, label = t} in the order of the names, so that a chain is the
-- same in each process.
local function zip_fields(fields)
  local keys, nodes = traverse.keys(fields), {}
  for _, key in ipairs(keys) do
    if type(key) ~= "string" then
      check.fail(1, "names of fields must be strings, got " .. check.got(key))
    end
  end
  local most = arguments.SIDE_BY_SIDE_MAX
  if #keys > most then
    check.fail(1, ("%d fields at most expected, got %d"):format(most, #keys))
  end
  table.sort(keys)
  for k, key in ipairs(keys) do
    nodes[k] = handle.node(fields[key])
    if not nodes[k] then
      check.fail(1, ("field '%s': sequence expected, got %s"):format(key,
        handle.unfit(fields[key])))
    end
  end
  return Zip:make({
    sources = nodes, keys = keys, length = agreed_length(keys, nodes),
  })
end

--- Returns items {x, y, ...}, or {name = x, ...} for a table of fields.
-- @function zip
-- @tparam Sequence|table ... sequences of equal lengths, or one table of them
-- @treturn Sequence
local function zip(...)
  if select("#", ...) == 1 and is_fields((...)) then
    return handle.wrap(zip_fields((...)))
  elseif select("#", ...) == 0 then
    handle.check(1, nil)
  end
  local sources, length = arguments.agree(1, ...)
  return handle.wrap(Zip:make({ sources = sources, length = length }))
end

return {
  class = Zip, make = zip,
  example = [[neap.zip({ 1, 2 }, { "a", "b" }):totable() --> {1, a}, {2, b}]],
}
