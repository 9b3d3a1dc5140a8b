-- SPDX-License-Identifier: MIT
--- Traverses the fields of tables. No other module names `pairs` or `next`,
-- which some LuaJITs compile wrongly: there, nothing in this file is compiled
-- (see luajit.md, *traversals*).
-- @module neap.base.traverse

local luajit = require("neap.base.luajit")

if luajit.is_suspect then
  jit.off(true, true) -- all functions of this file
end

local gsub = string.gsub

local traverse = {}

--- Calls f(key, field, a, b) for each field of a table.
function traverse.each(x, f, a, b)
  for key, field in next, x do
    f(key, field, a, b)
  end
end

--- The keys of a table, in the order of `next`.
function traverse.keys(x)
  local keys = {}
  for key in next, x do
    keys[#keys + 1] = key
  end
  return keys
end

-- What a call of keys_beside() wants; these between calls, so that no table is
-- kept alive. A finalizer that runs meanwhile may make a call of its own.
local NOTHING, NOWHERE = {}, {}
local wanted, wanted_n, wanted_keys = NOTHING, 0, NOWHERE

local function write_keys()
  local n, keys, count = wanted_n, wanted_keys, 0
  for key in next, wanted do
    if not (type(key) == "number" and key >= 1 and key <= n
      and key % 1 == 0) then
      count = count + 1
      keys[count] = key
    end
  end
  keys[0] = count
end

--- Writes the keys of a table that are not 1..n into a list, and how many they
-- are at its 0. A worker does so for each table that it sends: LuaJIT compiles
-- no call of write_keys(), but goes on behind a call of gsub(), which C code
-- does; that alone is 800 ns a table.
-- @treturn int how many they are
function traverse.keys_beside(x, n, keys)
  keys[0] = false
  wanted, wanted_n, wanted_keys = x, n, keys
  gsub("x", "x", write_keys)
  wanted, wanted_keys = NOTHING, NOWHERE
  return keys[0] or traverse.keys_beside(x, n, keys)
end

jit.on(traverse.keys_beside)

--- Returns a key of a table that another table lacks; nil if there is none.
function traverse.key_outside(x, known)
  for key in next, x do
    if known[key] == nil then
      return key
    end
  end
end

--- A table with the same fields.
function traverse.copy(x)
  local copy = {}
  for key, field in next, x do
    copy[key] = field
  end
  return copy
end

--- Takes all fields out of a table.
function traverse.clear(x)
  for key in next, x do
    x[key] = nil
  end
end

--- The key after `key`, and its field; the first for nil.
function traverse.after(x, key)
  return next(x, key)
end

--- Whether a table has no fields.
function traverse.is_empty(x)
  return next(x) == nil
end

return traverse
