-- SPDX-License-Identifier: MIT
--- The parameters of a loader file: what they are by their declarations, and
-- their values, from Lua and from texts.
-- @module neap.loader.parameter

local check = require("neap.base.check")
local suggest = require("neap.base.suggest")
local traverse = require("neap.base.traverse")

local parameter = {}

-- -- Types -------------------------------------------------------------------

local function is_number(v)
  return type(v) == "number" and v == v
end

local function is_text(v)
  return type(v) == "string" and not v:find("%z")
end

local function is_boolean(v)
  return type(v) == "boolean"
end

local WORDS = { ["true"] = true, ["false"] = false }

local function word_of(text)
  return WORDS[text]
end

local function number_text(v)
  local text = ("%.14g"):format(v)
  return tonumber(text) == v and text or ("%.17g"):format(v)
end

-- `read` makes a value of a text, or nil; `show` a text of a value.
local SINGLE = {
  integer = { fits = check.is_integer, read = tonumber, show = number_text },
  number = { fits = is_number, read = tonumber, show = number_text },
  string = { fits = is_text, read = tostring, show = tostring },
  boolean = { fits = is_boolean, read = word_of, show = tostring },
}

-- The type of a list is that of its items in the plural.
local ITEMS = {
  integers = "integer", numbers = "number", strings = "string",
  booleans = "boolean",
}
local TYPES = "integer, number, string, boolean, integers, numbers, strings, "
  .. "booleans"

local function type_of_one(v)
  if is_number(v) then
    return check.is_integer(v) and "integer" or "number"
  end
  local kind = type(v)
  return SINGLE[kind] and SINGLE[kind].fits(v) and kind or nil
end

-- The type of a list is one that all its items have.
local function type_of_list(list)
  local found
  for _, v in ipairs(list) do
    local one = type_of_one(v)
    local is_mixed = found == "number" and one == "integer"
      or found == "integer" and one == "number"
    one = is_mixed and "number" or one
    if not one or found and found ~= one and not is_mixed then
      return nil
    end
    found = one
  end
  return found and found .. "s"
end

local function type_of(v)
  if type(v) == "table" then
    return type_of_list(v)
  end
  return type_of_one(v)
end

-- -- Checks of values --------------------------------------------------------

local function set_of(list)
  local set = {}
  for _, v in ipairs(list) do
    set[v] = true
  end
  return set
end

local function show_one(p, v)
  return SINGLE[ITEMS[p.type] or p.type].show(v)
end

local function show_choices(p)
  local texts = {}
  for k, choice in ipairs(p.choices) do
    texts[k] = show_one(p, choice)
  end
  return table.concat(texts, ", ")
end

-- What is wrong with one value, or nil.
local function wrong_with_one(p, v)
  local item = ITEMS[p.type] or p.type
  if not SINGLE[item].fits(v) then
    return ("%s expected, got %s"):format(item, check.got(v))
  elseif p.choices and not set_of(p.choices)[v] then
    return check.with_help(("one of %s expected, got %s"):format(
      show_choices(p), check.got(v)),
      type(v) == "string" and suggest(v, set_of(p.choices)) or nil)
  elseif p.min and v < p.min then
    return ("%s or more expected, got %s"):format(number_text(p.min),
      number_text(v))
  elseif p.max and v > p.max then
    return ("%s or less expected, got %s"):format(number_text(p.max),
      number_text(v))
  end
end

local function wrong_with(p, v)
  if not ITEMS[p.type] then
    return wrong_with_one(p, v)
  elseif type(v) ~= "table" then
    return ("list of %s expected, got %s"):format(p.type, check.got(v))
  end
  for k, one in ipairs(v) do
    local wrong = wrong_with_one(p, one)
    if wrong then
      return ("item %d: %s"):format(k, wrong)
    end
  end
end

-- -- Declarations ------------------------------------------------------------

local FIELDS = {
  default = true, type = true, help = true, choices = true, min = true,
  max = true,
}

local function is_declaration(v)
  return type(v) == "table" and v[1] == nil and not traverse.is_empty(v)
end

local function refuse(name, why)
  check.fail(1, ("parameter '%s': %s"):format(name, why))
end

local function check_fields(name, declared)
  for _, field in ipairs(traverse.keys(declared)) do
    if not FIELDS[field] then
      refuse(name, ("unknown field '%s'; known are choices, default, help, "
        .. "max, min, type"):format(tostring(field)))
    end
  end
end

local function check_choices(p)
  if p.choices == nil then
    return
  elseif type(p.choices) ~= "table" or #p.choices == 0 then
    refuse(p.name, "choices must be a list of values")
  end
  local item = ITEMS[p.type] or p.type
  for _, choice in ipairs(p.choices) do
    if not SINGLE[item].fits(choice) then
      refuse(p.name, ("choice %s is no %s"):format(check.got(choice), item))
    end
  end
end

local function declare(name, value)
  local declared = is_declaration(value) and value or { default = value }
  check_fields(name, declared)
  local default = declared.default
  local p = {
    name = name, default = default,
    type = declared.type or default ~= nil and type_of(default)
      or declared.choices and type_of_one(declared.choices[1]) or nil,
    help = declared.help, choices = declared.choices,
    min = declared.min, max = declared.max,
  }
  if not SINGLE[p.type] and not ITEMS[p.type] then
    refuse(name, p.type == nil
      and "its default tells no type; say type = one of " .. TYPES
      or ("unknown type %s; known are %s"):format(check.got(p.type), TYPES))
  end
  check_choices(p)
  local wrong = default ~= nil and wrong_with(p, default)
  if wrong then
    refuse(name, "its default: " .. wrong)
  end
  return p
end

--- Reads the declarations of a loader: name -> default, or -> a table with
-- `default`, `type`, `help`, `choices`, `min`, `max`. Raises at the caller's
-- line.
-- @treturn table a list of parameters, by name: {name =, type =, default =,
--   help =, choices =, min =, max =}
function parameter.declare(params)
  local list = {}
  for _, name in ipairs(traverse.keys(params)) do
    if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
      check.fail(1, ("parameter %s: a name expected"):format(check.got(name)))
    end
    list[#list + 1] = declare(name, params[name])
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

-- -- Texts -------------------------------------------------------------------

-- The items of a list are separated by commas; `\` quotes the next character.
local function split(text)
  local items, item = {}, ""
  if text == "" then
    return items
  end
  for quoted, plain in (text .. ","):gmatch("(\\?)(.)") do
    if plain == "," and quoted == "" then
      items[#items + 1], item = item, ""
    else
      item = item .. plain
    end
  end
  return items
end

-- Returns a text as a value of the parameter's type, or as it is.
local function read(p, text)
  local item = SINGLE[ITEMS[p.type] or p.type]
  local function read_one(one)
    local v = item.read(one)
    return v == nil and one or v
  end
  if not ITEMS[p.type] then
    return read_one(text)
  end
  local items = split(text)
  for k, one in ipairs(items) do
    items[k] = read_one(one)
  end
  return items
end

--- Returns a value as the text that parameter.values() reads.
function parameter.text(p, v)
  if not ITEMS[p.type] then
    return show_one(p, v)
  end
  local texts = {}
  for k, one in ipairs(v) do
    texts[k] = show_one(p, one):gsub("[\\,]", "\\%0")
  end
  return table.concat(texts, ",")
end

-- -- Values ------------------------------------------------------------------

local function names_of(list)
  local names = {}
  for k, p in ipairs(list) do
    names[k] = p.name
  end
  return names
end

local function unknown(list, name)
  local names = names_of(list)
  local text = ("unknown parameter '%s'; %s"):format(name, #names == 0
    and "the loader has none" or "known are " .. table.concat(names, ", "))
  return check.with_help(text, suggest(name, set_of(names)))
end

-- Lists are copied: build may write to them.
local function copy(v)
  return type(v) == "table" and traverse.copy(v) or v
end

--- Returns the values of all parameters.
-- @tparam table list of parameter.declare
-- @tparam table given name -> value
-- @tparam boolean are_texts whether the given values are texts
-- @treturn table name -> value; nil if one is refused
-- @treturn string why
function parameter.values(list, given, are_texts)
  local values, known = {}, {}
  for _, p in ipairs(list) do
    local v = given[p.name]
    known[p.name] = true
    if v ~= nil and are_texts then
      v = read(p, v)
    end
    local wrong = v ~= nil and wrong_with(p, v)
    if v == nil and p.default == nil then
      wrong = "it has no default, so it must be given"
    end
    if wrong then
      return nil, ("parameter '%s': %s"):format(p.name, wrong)
    end
    if v == nil then
      v = p.default
    end
    values[p.name] = copy(v)
  end
  for _, name in ipairs(traverse.keys(given)) do
    if not known[name] then
      return nil, unknown(list, tostring(name))
    end
  end
  return values
end

return parameter
