-- SPDX-License-Identifier: MIT
--- Calls of consecutive native stages: a function of an item, which writes what
-- the first stage reads, calls all of them by one call of C, and makes the
-- value of what the last one returned. Its tensors are made by Lua, so they lie
-- where those of other functions lie: in the slot, if the item delivers them.
--
-- The function is generated for the names of fields and results. Its state:
--   pipe, fields, results   of C
--   made                    the tensors among the results
--   item                    kept alive while C reads its memory
-- @module neap.native.pipe

local ffi = require("ffi")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local suggest = require("neap.base.suggest")

local C = lib.C
local failed = lib.error

local AGAIN = C.NEAP_AGAIN
local NIL, BOOLEAN, NUMBER = C.NEAP_NIL, C.NEAP_BOOLEAN, C.NEAP_NUMBER
local INT64, UINT64 = C.NEAP_INT64, C.NEAP_UINT64
local STRING, TENSOR = C.NEAP_STRING, C.NEAP_TENSOR

local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")
local chars, data_pointer = ffi.typeof("const char *"), ffi.typeof("void *")

local pipe = {}

-- -- What the first stage reads ----------------------------------------------

local function refuse(x, name)
  local what = type(x) == "cdata" and tostring(ffi.typeof(x)) or type(x)
  local help = type(x) == "table"
    and "bind parameters to its fields, as in \"image.data\"" or nil
  error(check.with_help(("cannot pass %s to a native stage: it is a %s")
    :format(name == "" and "the item" or "item." .. name, what), help), 0)
end

local function refuse_field(x, name)
  if type(x) ~= "table" then
    error(("cannot pass item.%s to a native stage: the item is %s"):format(name,
      check.got(x)), 0)
  end
  error(check.with_help(("cannot pass item.%s to a native stage: it is nil")
    :format(name), suggest(name, x)), 0)
end

-- The field of an item.
local function field(x, key, name)
  if type(x) ~= "table" or x[key] == nil then
    refuse_field(x, name)
  end
  return x[key]
end

local function put_cdata(state, k, x, name)
  local part = state.fields[k]
  if memory.is(x) then
    memory.check(x)
    C.neap_pipe_put(state.pipe, k, x.d)
  elseif ffi.istype(int64, x) then
    part.type, part.integer = INT64, x
  elseif ffi.istype(uint64, x) then
    part.type, part.integer = UINT64, ffi.cast(int64, x)
  else
    refuse(x, name)
  end
end

-- Writes field k.
local function put(state, k, x, name)
  local part, kind = state.fields[k], type(x)
  if kind == "number" then
    part.type, part.number = NUMBER, x
  elseif kind == "cdata" then
    put_cdata(state, k, x, name)
  elseif kind == "string" then
    part.type, part.count, part.nbytes = STRING, #x, #x
    part.data = ffi.cast(data_pointer, ffi.cast(chars, x))
  elseif kind == "boolean" then
    part.type, part.number = BOOLEAN, x and 1 or 0
  elseif kind == "nil" then
    part.type = NIL
  else
    refuse(x, name)
  end
end

-- -- What the last one makes -------------------------------------------------

-- Gives result k memory, if it is a tensor.
local function make(state, k)
  local part = state.results[k]
  if part.type == TENSOR then
    local t = memory.make(dtype.of(part.code, part.bits), part.ndim, part.shape,
      tonumber(part.count))
    part.data = t.d.data
    state.made[k] = t
  end
end

-- Returns result k.
local function value(state, k)
  local part = state.results[k]
  local kind = part.type
  if kind == NUMBER then
    return part.number
  elseif kind == TENSOR then
    local t = state.made[k]
    state.made[k] = false
    return t
  elseif kind == STRING then
    return (ffi.string(part.data, tonumber(part.count)))
  elseif kind == BOOLEAN then
    return part.number ~= 0
  elseif kind == INT64 then
    return part.integer
  elseif kind == UINT64 then
    return (ffi.cast(uint64, part.integer))
  end
  return nil
end

-- -- The calls ---------------------------------------------------------------

local function run(state, i, e)
  return (C.neap_pipe_run(state.pipe, e, i - 1, failed))
end

local function finish(state, i, e)
  return (C.neap_pipe_finish(state.pipe, e, i - 1, failed))
end

-- The number of the stage that failed.
local function failed_stage(state)
  state.item = false
  return C.neap_pipe_failed(state.pipe) + 1
end

local TEMPLATE = [[
local put, field, make, value, run, finish, failed_stage, AGAIN = ...
return function(state)
  return function(x, i, e)
    state.item = x
    $PUT
    local status = run(state, i, e)
    if status == AGAIN then
      $MAKE
      status = finish(state, i, e)
    end
    if status < 0 then
      return nil, failed_stage(state)
    end
    state.item = false
    return $VALUE, nil
  end
end
]]

-- The expression of a field of x: "image" is x.image, "2" is x[2].
local function field_text(name)
  local text, at = "x", {}
  for word in name:gmatch("[^.]+") do
    at[#at + 1] = word
    text = ("field(%s, %s, %q)"):format(text,
      word:find("^%d+$") and word or ("%q"):format(word),
      table.concat(at, "."))
  end
  return text
end

-- Sets a field of nested lists {name, list or text}: "point.x" is x of point.
local function add_path(list, path, text)
  local first, rest = path:match("^([^.]+)%.(.+)$")
  first = first or path
  local found = list[#list]
  if not found or found[1] ~= first then
    found = { first, rest and {} or text }
    list[#list + 1] = found
  end
  if rest then
    add_path(found[2], rest, text)
  end
end

local function constructor(list)
  local parts = {}
  for k, field_of in ipairs(list) do
    local inner = field_of[2]
    parts[k] = ("[%q] = %s"):format(field_of[1],
      type(inner) == "table" and constructor(inner) or inner)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function value_text(names)
  if #names == 0 then
    return "nil"
  elseif #names == 1 and names[1] == "" then
    return "value(state, 0)"
  end
  local root = {}
  for k, name in ipairs(names) do
    add_path(root, name, ("value(state, %d)"):format(k - 1))
  end
  return constructor(root)
end

local function text_of(fields, results)
  local puts, makes = {}, {}
  for k, name in ipairs(fields) do
    puts[k] = ("put(state, %d, %s, %q)"):format(k - 1, field_text(name), name)
  end
  for k in ipairs(results) do
    makes[k] = ("make(state, %d)"):format(k - 1)
  end
  return (TEMPLATE:gsub("%$(%u+)", {
    PUT = table.concat(puts, "\n    "), MAKE = table.concat(makes, "\n      "),
    VALUE = value_text(results),
  }))
end

local texts = {} -- text -> what makes a function for a state

local function maker(text)
  if not texts[text] then
    texts[text] = assert(loadstring(text, "=neap: native"))(put, field, make,
      value, run, finish, failed_stage, AGAIN)
  end
  return texts[text]
end

--- Makes a function f(item, index, epoch) of stages that this process has
-- opened. It returns the last one's value, or nil and the number of the stage
-- that failed, of which lib.error tells.
-- @tparam table list of what neap.native.opened returns
function pipe.make(list)
  local natives = ffi.new("neap_native *[?]", #list)
  local out = ffi.new("neap_pipe *[1]")
  for k, one in ipairs(list) do
    natives[k - 1] = one.native
  end
  lib.check(C.neap_pipe_open(natives, #list, out, failed))
  local own = ffi.gc(out[0], C.neap_pipe_close)
  local state = {
    pipe = own, stages = list, made = {}, item = false,
    fields = C.neap_pipe_fields(own), results = C.neap_pipe_results(own),
  }
  return maker(text_of(list[1].fields, list[#list].results))(state)
end

return pipe
