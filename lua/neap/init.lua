-- SPDX-License-Identifier: MIT
--- neap: data loading for LuaJIT. What `require("neap")` returns.
--
-- Each name in SOURCES and ADAPTERS is that of a function and its file, which
-- returns a *descriptor*: a table of
--   make             the function, of an adapter a method of sequences too
--   class            of the nodes that it makes
--   options          {name = kind}, of its table of options (neap.base.check)
--   function_first   it takes a function first: make(f, s) is s:name(f)
--   is_function      an adapter that is no method
--   example          code, and after "-->" what the code returns
--   node             makes a node of nodes, for other adapters
-- A new adapter is one file and one name here.
-- @module neap

if not rawget(_G, "jit") then
  error("cannot load neap: it needs LuaJIT 2.1, and this is " .. _VERSION
    .. "\nhelp: run the script with `neap` or `luajit`", 0)
end

local add_folder = require("neap.base.beside")
local check = require("neap.base.check")
local errors = require("neap.base.errors")
local borrow = require("neap.value.borrow")
local elsewhere = require("neap.sequence.elsewhere")
local handle = require("neap.sequence.handle")
local array = require("neap.tensor.array")
local suggest = require("neap.base.suggest")
local traverse = require("neap.base.traverse")
local warnings = require("neap.base.warnings")

local SOURCES = {
  "range", "from", "from_iter", "rep", "idx", "files", "lines",
  "csv", "jsonl", "npy", "npz", "raw", "load", "tar", "sqlite", "lmdb", "url",
}
local ADAPTERS = {
  "map", "starmap", "random_map", "zip", "gather", "concat", "interleave",
  "cycle", "switch", "case", "split", "batch", "unbatch", "shuffle", "shard",
  "slice", "window", "mix", "where", "epoch", "lengths", "bucket", "pack",
  "cache", "prefetch", "rescue", "skip", "retry", "debug", "monitor",
  "progress", "save", "snapshot",
}

-- Files of the room codec, whose descriptors are those of sources: functions in
-- neap.decode, and in neap.
local DECODERS = { "image", "audio", "json", "npy", "gzip", "zstd" }
local ENCODERS = { "save_image", "contact_sheet" }

local neap = {
  _VERSION = "neap " .. require("neap.base.version"),
  errors = errors.mode,
  warnings = warnings.set,
  tensor = array.new,
  empty = array.empty,
  stack = require("neap.tensor.stack"),
  pad = require("neap.tensor.pad").make,
  keep = borrow.keep,
  release = borrow.release,
  per_worker = require("neap.prefetch.per_worker").make,
  sleep = require("neap.waiting.sleep"),
  limit = require("neap.waiting.limit").make,
  read = require("neap.waiting.read"),
}
traverse.each(neap, check.register)
check.register("stack", getmetatable(neap.stack).__call)

-- Makes neap.name what a file of a room returns; returns its descriptor.
local function add(room, name)
  local descriptor = require(("neap.%s.%s"):format(room, name))
  neap[name] = descriptor.make
  check.register(name, descriptor.make)
  return descriptor
end

for _, name in ipairs(SOURCES) do
  add("source", name)
  handle.no_method(name)
end

for _, name in ipairs(ADAPTERS) do
  local adapter = add("adapter", name)
  if adapter.is_function then
    handle.no_method(name)
  else
    handle.method(name, adapter.make, adapter.function_first)
  end
end

neap.loader = require("neap.loader.describe").make
neap.open = require("neap.loader.open")
check.register("loader", neap.loader)
check.register("open", neap.open)

-- A function of up to four arguments, by the name that users know. The first
-- call loads its file: most processes need none of these files.
local function late(module, known_as)
  local make
  return function(a, b, c, d)
    if not make then
      make = require(module).make
      check.register(known_as, make)
    end
    return make(a, b, c, d)
  end
end

neap.decode = traverse.copy(require("neap.codec.limits"))
for _, name in ipairs(DECODERS) do
  neap.decode[name] = late("neap.codec." .. name, "decode." .. name)
end
for _, name in ipairs(ENCODERS) do
  neap[name] = late("neap.codec." .. name, name)
end
neap.native = late("neap.native.make", "native")
neap.operation = late("neap.native.operation", "operation")

-- A script of a plain LuaJIT. (`neap` has done so for its own; workers have no
-- script.)
if type(arg) == "table" and type(arg[0]) == "string" then
  add_folder(arg[0])
end

neap.take = neap.gather
handle.method("take", neap.gather)

--- neap.each(s) is s:each(), for arrays and tensors too.
neap.each = handle.each
check.register("each", neap.each)

neap.http = require("neap.waiting.http")
check.register("http.get", neap.http.get)
check.register("http.request", neap.http.request)

-- For a name that is not there; to look whether it is, use rawget().
local function raise_unknown(name)
  check.raise(("neap has no function '%s'"):format(tostring(name)),
    elsewhere[name] and "write " .. elsewhere[name]
      or suggest(tostring(name), neap))
end

-- Operations on tensors are loaded when one is first asked for.
local has_operations = false

local function find(_, name)
  if not has_operations then
    has_operations = true
    traverse.each(require("neap.tensor.operations").functions, function(key, f)
      neap[key] = f
    end)
  end
  local found = rawget(neap, name)
  if found == nil then
    raise_unknown(name)
  end
  return found
end

setmetatable(neap.decode, { __index = function(decode, name)
  check.raise(("neap.decode has no function '%s'"):format(tostring(name)),
    suggest(tostring(name), decode))
end })

local METHOD = "neap.http.request({ url = url, method = '%s' }) sends it"

setmetatable(neap.http, { __index = function(http, name)
  name = tostring(name)
  check.raise(("neap.http has no function '%s'"):format(name),
    suggest(name, http) or METHOD:format(name:upper()))
end })

return setmetatable(neap, { __index = find })
