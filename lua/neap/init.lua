-- SPDX-License-Identifier: MIT
--- neap: data loading for LuaJIT. What `require("neap")` answers.
--
-- Each name of ADAPTERS is a module that answers a function over sequences,
-- which is a method of every sequence too. A new adapter is one module and
-- one word here.
-- @module neap

local array = require("neap.tensor.array")
local borrow = require("neap.value.borrow")
local check = require("neap.base.check")
local errors = require("neap.base.errors")
local sequence = require("neap.sequence.sequence")

local SOURCES = { "range", "from", "from_iter", "rep", "idx" }
local ADAPTERS = {
  "map", "starmap", "random_map", "zip", "gather", "concat", "interleave",
  "cycle", "switch", "case", "split", "batch", "unbatch", "shuffle", "shard",
  "slice", "window", "where", "epoch", "cache", "prefetch", "rescue", "retry",
  "debug", "monitor", "progress",
}

local neap = {
  _VERSION = "neap " .. require("neap.base.version"),
  errors = errors.mode,
  tensor = array.new,
  empty = array.empty,
  stack = require("neap.tensor.stack"),
  keep = borrow.keep,
  release = borrow.release,
  mix = require("neap.adapter.mix"),
}

for _, name in ipairs(SOURCES) do
  neap[name] = require("neap.source." .. name)
end

-- neap.map(f, s, ...) is s:map(f, ...); the others take s first.
local function as_method(name, f)
  if not check.function_first[name] then
    return f
  end
  return function(s, func, ...)
    return (f(func, s, ...))
  end
end

for _, name in ipairs(ADAPTERS) do
  local f = require("neap.adapter." .. name)
  neap[name] = f
  sequence.method(name, as_method(name, f))
end

neap.take = neap.gather
sequence.method("take", neap.gather)

--- neap.each(s) is s:each(), for arrays and tensors too.
neap.each = sequence.class.methods.each

return neap
