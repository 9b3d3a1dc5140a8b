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

local check = require("neap.base.check")
local errors = require("neap.base.errors")
local borrow = require("neap.value.borrow")
local handle = require("neap.sequence.handle")
local array = require("neap.tensor.array")
local traverse = require("neap.base.traverse")

local SOURCES = { "range", "from", "from_iter", "rep", "idx" }
local ADAPTERS = {
  "map", "starmap", "random_map", "zip", "gather", "concat", "interleave",
  "cycle", "switch", "case", "split", "batch", "unbatch", "shuffle", "shard",
  "slice", "window", "mix", "where", "epoch", "cache", "prefetch", "rescue",
  "retry", "debug", "monitor", "progress",
}

-- Files of the room codec, whose descriptors are those of sources: functions in
-- neap.decode, and in neap.
local DECODERS = { "image", "audio", "json", "npy", "gzip", "zstd" }
local ENCODERS = { "save_image", "contact_sheet" }

local neap = {
  _VERSION = "neap " .. require("neap.base.version"),
  errors = errors.mode,
  tensor = array.new,
  empty = array.empty,
  stack = require("neap.tensor.stack"),
  keep = borrow.keep,
  release = borrow.release,
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

-- neap.map(f, s, ...) is s:map(f, ...).
local function swapped(make)
  return function(s, f, ...)
    return (make(f, s, ...))
  end
end

for _, name in ipairs(SOURCES) do
  add("source", name)
end

for _, name in ipairs(ADAPTERS) do
  local adapter = add("adapter", name)
  local method = adapter.make
  if adapter.function_first then
    method = swapped(method)
    check.register(name, method, true)
  end
  if not adapter.is_function then
    handle.method(name, method)
  end
end

-- A codec's function, of up to three arguments. The first call loads its file:
-- most processes need none of these files.
local function codec(name)
  local make
  return function(a, b, c)
    if not make then
      make = require("neap.codec." .. name).make
      check.register(name, make)
    end
    return make(a, b, c)
  end
end

neap.decode = traverse.copy(require("neap.codec.limits"))
for _, name in ipairs(DECODERS) do
  neap.decode[name] = codec(name)
end
for _, name in ipairs(ENCODERS) do
  neap[name] = codec(name)
end

neap.take = neap.gather
handle.method("take", neap.gather)

--- neap.each(s) is s:each(), for arrays and tensors too.
neap.each = handle.each
check.register("each", neap.each)

return neap
