-- SPDX-License-Identifier: MIT
--- Stacks items into one: k numbers become a tensor of k, k images a tensor of
-- k images, and tables are stacked field by field.
-- The first item says what the others must be. It becomes a tree of nodes, one
-- for each field, each with its part of the result. `put` walks the tree with
-- an item. `leaves` and `row` say beforehand where the item's tensors will lie:
-- put does not copy a tensor that was built there. Where the caller names a
-- dtype, numbers are stored and tensors converted to it.
-- @module neap.tensor.stack

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local lib = require("neap.base.lib")
local memory = require("neap.tensor.memory")
local shape = require("neap.tensor.shape")
local traverse = require("neap.base.traverse")

local DEPTH_MAX = 64  -- tables within tables, before it must be a cycle

local bytes = ffi.typeof("uint8_t *")
local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

local stack = {}

local C = lib.C

local function type_of(value)
  if array.is(value) then
    return "tensor"
  elseif ffi.istype(int64, value) or ffi.istype(uint64, value) then
    return "64-bit integer"
  end
  return (type(value))
end

local function join(path, key)
  if type(key) == "string" then
    return path .. "." .. key
  end
  return path .. "[" .. tostring(key) .. "]"
end

local function raise(format, ...)
  error("cannot stack: " .. format:format(...), 0)
end

-- The same for items that are not alike, with what to do.
local function raise_unlike(help, format, ...)
  error(check.with_help("cannot stack: " .. format:format(...), help), 0)
end

local function at(path)
  return path == "" and "" or " at " .. path
end

-- Nodes ----------------------------------------------------------------------

local make_node

local makers = {}

-- The sizes of a shape as bytes: LuaJIT compares strings in one step, and
-- compiles no loop around one of few turns.
local function dims_of(dims, ndim)
  return ffi.string(dims, ndim * 8)
end

-- A node of numbers that `name` may not hold; `is_cast`: the caller chose it,
-- and booleans are 0 and 1.
local function checked(name, path, what, is_cast, count)
  local result = array.empty(name, { count })
  return { path = path, type = what, kind = dtype.find(name), is_cast = is_cast,
    result = result, data = result:ptr() }
end

local function flat(name, what)
  return function(_, path, _, count, wanted)
    if wanted then
      return checked(wanted, path, what, true, count)
    end
    local result = array.empty(name, { count })
    return { path = path, type = what, result = result, data = result:ptr() }
  end
end

makers.number = flat("f64", "number")
makers.boolean = flat("bool", "boolean")

-- f64 would round some.
makers["64-bit integer"] = function(first, path, _, count, wanted)
  local own = ffi.istype(uint64, first) and "u64" or "i64"
  return checked(wanted or own, path, "64-bit integer", wanted ~= nil, count)
end

makers["string"] = function(_, path, _, _, wanted)
  if wanted then
    raise("item 1 is a string%s, which %s does not hold", at(path), wanted)
  end
  return { path = path, type = "string", result = {} }
end

function makers.tensor(first, path, leaves, count, wanted)
  local sizes = first.shape
  if #sizes == 8 then
    raise("item 1 has 8 dimensions%s, there is no room for one more", at(path))
  end
  table.insert(sizes, 1, count)
  local result = array.empty(wanted or first.dtype, sizes)
  local d = result.d
  local node = {
    path = path, type = "tensor", result = result, dtype = result.dtype,
    text = shape.text(first.d.ndim, first.dims),
    nbytes = first.size * d.bits / 8, is_cast = wanted ~= nil,
    code = d.code, bits = d.bits, ndim = first.d.ndim,
    dims = dims_of(first.dims, first.d.ndim),
    data = ffi.cast(bytes, result:ptr()),
    is_given = false,  -- neap.value.rows: whether a tensor has the row's memory
  }
  leaves[#leaves + 1] = node
  return node
end

-- The dtype wanted of a field: one for a whole item leaves strings alone.
local function wanted_of(wanted, key, value)
  if type(wanted) == "table" then
    return wanted[key]
  end
  return type(value) ~= "string" and wanted or nil
end

function makers.table(first, path, leaves, count, wanted, depth)
  if getmetatable(first) ~= nil then
    raise("item 1 is a table with a metatable%s", at(path))
  elseif depth > DEPTH_MAX then
    raise("item 1 is nested more than %d deep", DEPTH_MAX)
  end
  local node = {
    path = path, type = "table", keys = traverse.keys(first), nodes = {},
    known = {},
  }
  for n, key in ipairs(node.keys) do
    node.known[key] = true
    node.nodes[n] = make_node(first[key], join(path, key), leaves, count,
      wanted_of(wanted, key, first[key]), depth + 1)
  end
  local key = type(wanted) == "table"
    and traverse.key_outside(wanted, node.known)
  if key then
    raise("dtype names %s, which item 1 has not", join(path, key))
  end
  return node
end

function make_node(first, path, leaves, count, wanted, depth)
  local found = type_of(first)
  local maker = makers[found]
  if not maker then
    raise("item 1 is a %s%s", found, at(path))
  elseif type(wanted) == "table" and found ~= "table" then
    raise("item 1 is a %s%s, and dtype is a table of fields", found, at(path))
  end
  return maker(first, path, leaves, count, wanted, depth)
end

-- Putting --------------------------------------------------------------------

local function check_shape(node, k, value)
  local d = value.d
  if stack.is_like(node, d.code, d.bits, value.dims, d.ndim)
    or node.is_cast and d.ndim == node.ndim
    and dims_of(value.dims, d.ndim) == node.dims then
    return
  elseif value.dtype ~= node.dtype and not node.is_cast then
    raise_unlike(("convert them in a map: t:to(%q)"):format(node.dtype),
      "item %d is of dtype %s%s, item 1 of %s", k, value.dtype, at(node.path),
      node.dtype)
  end
  raise_unlike("bring them to one shape in a map, or collate by a function of "
    .. "your own", "item %d has shape %s%s, item 1 has %s", k,
    shape.text(d.ndim, value.dims), at(node.path), node.text)
end

local function within(node, data)
  return data >= node.data and data < node.data + node.result.nbytes
end

-- Whether a tensor lies where the stack writes, which could overwrite it.
local function lies_in_result(state, data)
  for k = 1, #state.leaves do
    if within(state.leaves[k], data) then
      return true
    end
  end
  return false
end

-- Notes what to copy, and from where. A tensor that lies in the result, but not
-- in its own row, is copied aside before any row is written.
local function note_tensor(state, node, k, value)
  check_shape(node, k, value)
  local data = ffi.cast(bytes, value:ptr())
  if data == stack.row(node, k) then
    return
  end
  local copies = state.copies
  if lies_in_result(state, data) then
    value = value:clone()
  end
  copies[#copies + 1] = { node = node, value = value }
end

local function check_fields(node, k, item)
  local key = traverse.key_outside(item, node.known)
  if key ~= nil then
    raise("item %d has %s, item 1 has not", k, join(node.path, key))
  end
end

--- Whether a dtype holds a number, 64-bit integer or boolean. A whole number
-- fits a 64-bit dtype as well: small elements of a 64-bit tensor are numbers.
function stack.is_held(kind, value)
  if type(value) == "boolean" then
    return kind.name == "bool"
  elseif kind.is_float then
    return true
  elseif type(value) ~= "number" and kind.bits == 64 then
    return ffi.istype(kind.least == 0 and uint64 or int64, value)
      or ffi.cast(int64, value) >= 0
  end
  value = tonumber(value)
  return value >= kind.least and value < kind.limit and value % 1 == 0
end

local function note_checked(node, k, item)
  local kind, value = node.kind, item
  if type(item) == "boolean" and kind.name ~= "bool" then
    value = item and 1 or 0
  end
  if not stack.is_held(kind, value) then
    raise("item %d is %s%s, which %s does not hold", k, tostring(item),
      at(node.path), kind.name)
  end
  kind.write(node.data, k - 1, value)
end

local function takes(node, found)
  return found == node.type or found == "number"
    or node.is_cast and (found == "boolean" or found == "64-bit integer")
end

local function note(state, node, k, item)
  local found = type_of(item)
  if node.kind and takes(node, found) then
    note_checked(node, k, item)
    return
  elseif found ~= node.type then
    if item == nil and node.path ~= "" then
      raise("item %d has no %s, item 1 has", k, node.path)
    end
    raise("item %d is a %s%s, item 1 is a %s", k, found, at(node.path),
      node.type)
  end
  if found == "number" or found == "boolean" then
    node.data[k - 1] = item
  elseif found == "tensor" then
    note_tensor(state, node, k, item)
  elseif found == "string" then
    node.result[k] = item
  else
    if getmetatable(item) ~= nil then
      raise("item %d is a table with a metatable%s", k, at(node.path))
    end
    for n = 1, #node.keys do
      note(state, node.nodes[n], k, item[node.keys[n]])
    end
    check_fields(node, k, item)
  end
end

local function result_of(node)
  if node.type ~= "table" then
    return node.result
  end
  local result = {}
  for n, key in ipairs(node.keys) do
    result[key] = result_of(node.nodes[n])
  end
  return result
end

--- Begins a stack of `count` items that are like `first`, without putting it.
-- @param first
-- @tparam int count
-- @param[opt] wanted a dtype, or a table of them by field
-- @tparam[opt] string path of the items in what messages are about: ".label"
-- @treturn table a state, whose `leaves` are the tensors of an item: each with
--  path (".image"), dtype and nbytes of a row
function stack.begin(first, count, wanted, path)
  local state = { leaves = {}, copies = {} }
  state.root = make_node(first, path or "", state.leaves, count, wanted, 1)
  return state
end

--- Whether a tensor is of a row's dtype and shape (int64_t *).
function stack.is_like(leaf, code, bits, dims, ndim)
  return ndim == leaf.ndim and code == leaf.code and bits == leaf.bits
    and dims_of(dims, ndim) == leaf.dims
end

--- The address of row k (from 1) of a leaf, a `uint8_t *`.
function stack.row(leaf, k)
  return leaf.data + (k - 1) * leaf.nbytes
end

local function copy(node, k, value)
  if value.dtype == node.dtype then
    ffi.copy(stack.row(node, k), value:ptr(), node.nbytes)
  else
    lib.check(C.neap_tensor_convert(value.d, memory.row(node.result, k - 1).d,
      1, 0, lib.error))
  end
  memory.check(value)
end

--- Puts item k (from 1) in its place.
function stack.put(state, k, item)
  local copies = state.copies
  for n = #copies, 1, -1 do
    copies[n] = nil  -- left by an item that was refused
  end
  note(state, state.root, k, item)
  for n = 1, #copies do
    copy(copies[n].node, k, copies[n].value)
    copies[n] = nil
  end
end

--- Returns the result, after every item was put.
function stack.finish(state)
  return (result_of(state.root))
end

local function whole(items, wanted)
  local state = stack.begin(items[1], #items, wanted)
  for k = 1, #items do
    stack.put(state, k, items[k])
  end
  return (stack.finish(state))
end

--- Whether a value is a dtype, or a table of them by field: a kind of option.
function stack.is_dtype(value)
  local fits = dtype.is_name(value)
  if type(value) == "table" and getmetatable(value) == nil then
    fits = true
    for _, key in ipairs(traverse.keys(value)) do
      fits = fits and stack.is_dtype(value[key])
    end
  end
  return fits, "dtype, or table of dtypes by field,", dtype.advice(value)
end

local OPTIONS = { dtype = stack.is_dtype }

local function check_arguments(items, options)
  if type(items) ~= "table" or #items == 0 then
    check.fail(1, "table of items expected, got "
      .. (type(items) == "table" and "an empty one" or check.got(items)))
  elseif dtype.is_name(options) then
    check.fail(2, "table of options expected, got " .. check.got(options),
      ("write { dtype = %q }"):format(options))
  end
  return check.options(2, options, OPTIONS)
end

--- Stacks a table of items.
-- @function stack
-- @tparam table items
-- @tparam[opt] table options dtype: of numbers and tensors, or a table of
--   dtypes by field; by default f64 for numbers, and for others their own
-- @usage local batch = neap.stack({ { x = 1 }, { x = 2 } })  -- batch.x: f64 2
return setmetatable(stack, {
  __call = function(_, items, options)
    options = check_arguments(items, options)
    local ok, result = pcall(whole, items, options.dtype)
    if ok then
      return result
    elseif type(result) == "string" then
      check.raise(result)
    end
    error(result, 0)
  end,
})
