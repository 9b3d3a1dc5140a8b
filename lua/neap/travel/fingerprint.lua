-- SPDX-License-Identifier: MIT
--- Two numbers that tell one chain from another: of its stages, the code of its
-- functions, their upvalues, its tensors and the identities of its files. Other
-- processes get the same numbers for the same chain. Lines and names of files
-- do not count, nor does the order in which a table has its keys.
--
-- The value is written as a text, and that is hashed. An object met again is
-- its number in the order met. A module of the script is its file's text.
-- @module neap.travel.fingerprint

local ffi = require("ffi")
local array = require("neap.tensor.array")
local bytecode = require("neap.travel.bytecode")
local class = require("neap.base.class")
local format = require("neap.travel.format")
local lib = require("neap.base.lib")
local names = require("neap.travel.names")
local refusal = require("neap.travel.refusal")
local traverse = require("neap.base.traverse")
local util = require("jit.util")

local C = lib.C

-- Fields of nodes that say nothing of the items.
local SKIPPED = { getter = true, here = true, where = true }
local NONE = {}

local put -- below

local function say(self, ...)
  for k = 1, select("#", ...) do
    self.parts[#self.parts + 1] = tostring((select(k, ...)))
  end
end

local function say_string(self, text)
  say(self, "s", #text, ":", text)
end

local function say_bytes(self, data, nbytes)
  say(self, C.neap_hash(data, nbytes, 1), C.neap_hash(data, nbytes, 2))
end

local function refuse(_, value)
  error(("cannot tell the chain from others: it has %s"):format(
    refusal.describe(value)), 0)
end

-- -- Modules -----------------------------------------------------------------

local function is_own(name)
  return name:find("^neap%f[.%z]") ~= nil
end

-- A module of the script counts with its file; a library only with its name.
local function put_module(self, name, field)
  say(self, "m", name, ".", field or "")
  if is_own(name) or self.modules[name] then
    return
  end
  self.modules[name] = true
  local path = package.searchpath(name, package.path)
  local file = path and io.open(path, "rb")
  if file then
    say_string(self, file:read("*a"))
    file:close()
  end
end

local function put_required(self, f)
  local strings = bytecode.strings(f)
  for k = 1, strings.require and #strings or 0 do
    if package.loaded[strings[k]] then
      put_module(self, strings[k])
    end
  end
end

-- -- Functions ---------------------------------------------------------------

-- The instructions of a function that has not run yet: LuaJIT writes into those
-- that have.
local function put_code(self, f)
  local info = util.funcinfo(f)
  say(self, "f", info.params, info.isvararg, info.upvalues)
  for pc = 1, info.bytecodes - 1 do
    say(self, (util.funcbc(f, pc)), " ")
  end
  for k = 0, info.nconsts - 1 do
    put(self, util.funck(f, k))
  end
  for k = -1, -info.gcconsts, -1 do
    local constant = util.funck(f, k)
    if type(constant) == "proto" then
      put_code(self, constant)
    else
      put(self, constant)
    end
  end
end

local function put_function(self, f)
  local ok, code = pcall(string.dump, f)
  if not ok then
    refuse(self, f)
  end
  put_code(self, load(code))
  put_required(self, f)
  local which = 1
  local name, value = debug.getupvalue(f, which)
  while name do
    local id = debug.upvalueid(f, which)
    if self.upvalues[id] then
      say(self, "j", self.upvalues[id])
    else
      self.count = self.count + 1
      self.upvalues[id] = self.count
      put(self, value)
    end
    which = which + 1
    name, value = debug.getupvalue(f, which)
  end
end

-- -- Tables and cdata --------------------------------------------------------

local RANK = { boolean = 1, number = 2, string = 3 }

local function comes_before(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a ~= kind_b then
    return RANK[kind_a] < RANK[kind_b]
  elseif kind_a == "boolean" then
    return not a and b
  end
  return a < b
end

local function put_table(self, t)
  local metatable = debug.getmetatable(t)
  local name = class.name_of(metatable)
  local skipped = name and SKIPPED or NONE
  local keys = {}
  for _, key in ipairs(traverse.keys(t)) do
    if not RANK[type(key)] then
      refuse(self, key)
    elseif not skipped[key] then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, comes_before)
  say(self, "t", name or "", "{")
  put(self, not name and metatable or nil)
  for _, key in ipairs(keys) do
    put(self, key)
    put(self, rawget(t, key))
  end
  say(self, "}")
end

local function put_cdata(self, x)
  if array.is(x) then
    say(self, "a", x.dtype, table.concat(x.shape, "x"), ":")
    say_bytes(self, x.d.data, x.nbytes)
    return
  elseif refusal.ctype(x) or ffi.istype("int64_t", x)
    or ffi.istype("uint64_t", x) then
    say(self, "c", ffi.typeof(x), x)
    return
  end
  for _, module in ipairs(self.kinds) do
    local kind = format.kinds[module]
    if kind.matches(x) then
      say(self, "k", module)
      put(self, kind.pack(x))
      return
    end
  end
  refuse(self, x)
end

-- -- Any value ---------------------------------------------------------------

local enter = { table = put_table, ["function"] = put_function,
  cdata = put_cdata, userdata = refuse, thread = refuse }

local function put_object(self, x)
  local named = self.names[x]
  if named then
    put_module(self, named[1], named[2])
  elseif self.ids[x] then
    say(self, "o", self.ids[x])
  else
    self.count = self.count + 1
    self.ids[x] = self.count
    enter[type(x)](self, x)
  end
  say(self, ";")
end

function put(self, x)
  local kind = type(x)
  if kind == "string" then
    say_string(self, x)
  elseif kind == "number" then
    say(self, "n", ("%.17g"):format(x), ";")
  elseif kind == "boolean" or kind == "nil" then
    say(self, kind == "nil" and "_" or x, ";")
  else
    put_object(self, x)
  end
end

--- Returns the numbers of a value, as uint64_t[2].
local function fingerprint(value)
  local kinds = traverse.keys(format.kinds)
  table.sort(kinds)
  local self = {
    parts = {}, ids = {}, upvalues = {}, modules = {}, count = 0,
    names = names(), kinds = kinds,
  }
  put(self, value)
  local text = table.concat(self.parts, "\0")
  return ffi.new("uint64_t[2]", C.neap_hash(text, #text, 1),
    C.neap_hash(text, #text, 2))
end

jit.off(true, true) -- cold: it runs once for each chain

return fingerprint
