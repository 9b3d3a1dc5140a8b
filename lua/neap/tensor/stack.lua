-- SPDX-License-Identifier: MIT
--- Stacks items into one: k numbers become a tensor of k, k images a tensor of
-- k images, and tables are stacked field by field.
-- The first item says what the others must be. It becomes a tree of nodes, one
-- for each field, each with its part of the result. `put` walks the tree with
-- an item. `leaves` and `row` say beforehand where the item's tensors will lie:
-- put does not copy a tensor that was built there.
-- @module neap.tensor.stack

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local shape = require("neap.tensor.shape")
local traverse = require("neap.base.traverse")

local DEPTH_MAX = 64  -- tables within tables, before it must be a cycle

local bytes = ffi.typeof("uint8_t *")
local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

local stack = {}

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

local function flat(name, path, count)
  local result = array.empty(name, { count })
  return { path = path, type = name == "bool" and "boolean" or "number",
    result = result, data = result:ptr() }
end

function makers.number(_, path, _, count)
  return flat("f64", path, count)
end

function makers.boolean(_, path, _, count)
  return flat("bool", path, count)
end

-- f64 would round some.
makers["64-bit integer"] = function(first, path, _, count)
  local kind = dtype.find(ffi.istype(uint64, first) and "u64" or "i64")
  local result = array.empty(kind.name, { count })
  return { path = path, type = "64-bit integer", kind = kind, result = result,
    data = result:ptr() }
end

makers["string"] = function(_, path)
  return { path = path, type = "string", result = {} }
end

function makers.tensor(first, path, leaves, count)
  local sizes = first.shape
  if #sizes == 8 then
    raise("item 1 has 8 dimensions%s, there is no room for one more", at(path))
  end
  table.insert(sizes, 1, count)
  local result = array.empty(first.dtype, sizes)
  local node = {
    path = path, type = "tensor", result = result, dtype = first.dtype,
    text = shape.text(first.d.ndim, first.dims), nbytes = first.nbytes,
    code = first.d.code, bits = first.d.bits, ndim = first.d.ndim,
    dims = dims_of(first.dims, first.d.ndim),
    data = ffi.cast(bytes, result:ptr()),
    is_given = false,  -- neap.value.rows: whether a tensor has the row's memory
  }
  leaves[#leaves + 1] = node
  return node
end

function makers.table(first, path, leaves, count, depth)
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
      depth + 1)
  end
  return node
end

function make_node(first, path, leaves, count, depth)
  local maker = makers[type_of(first)]
  if not maker then
    raise("item 1 is a %s%s", type_of(first), at(path))
  end
  return maker(first, path, leaves, count, depth)
end

-- Putting --------------------------------------------------------------------

local function check_shape(node, k, value)
  local d = value.d
  if stack.is_like(node, d.code, d.bits, value.dims, d.ndim) then
    return
  elseif value.dtype ~= node.dtype then
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

-- A whole number fits as well: small elements of a 64-bit tensor are numbers.
local function note_wide(node, k, item)
  local kind = node.kind
  local is_held
  if type(item) == "number" then
    is_held = item >= kind.least and item < kind.limit and item % 1 == 0
  else
    is_held = ffi.istype(kind.least == 0 and uint64 or int64, item)
      or ffi.cast(int64, item) >= 0
  end
  if not is_held then
    raise("item %d is %s%s, which %s does not hold", k, tostring(item),
      at(node.path), kind.name)
  end
  kind.write(node.data, k - 1, item)
end

local function note(state, node, k, item)
  local found = type_of(item)
  if node.kind and (found == "number" or found == node.type) then
    note_wide(node, k, item)
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
-- @treturn table a state, whose `leaves` are the tensors of an item: each with
--  path (".image"), dtype and nbytes of a row
function stack.begin(first, count)
  local state = { leaves = {}, copies = {} }
  state.root = make_node(first, "", state.leaves, count, 1)
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

--- Puts item k (from 1) in its place.
function stack.put(state, k, item)
  local copies = state.copies
  for n = #copies, 1, -1 do
    copies[n] = nil  -- left by an item that was refused
  end
  note(state, state.root, k, item)
  for n = 1, #copies do
    local node, value = copies[n].node, copies[n].value
    ffi.copy(stack.row(node, k), value:ptr(), node.nbytes)
    copies[n] = nil
  end
end

--- Returns the result, after every item was put.
function stack.finish(state)
  return (result_of(state.root))
end

local function whole(items)
  local state = stack.begin(items[1], #items)
  for k = 1, #items do
    stack.put(state, k, items[k])
  end
  return (stack.finish(state))
end

--- Stacks a table of items.
-- @function stack
-- @usage local batch = neap.stack({ { x = 1 }, { x = 2 } })  -- batch.x: f64 2
return setmetatable(stack, {
  __call = function(_, items)
    if type(items) ~= "table" or #items == 0 then
      check.fail(1, "table of items expected, got "
        .. (type(items) == "table" and "an empty one" or check.got(items)))
    end
    local ok, result = pcall(whole, items)
    if ok then
      return result
    elseif type(result) == "string" then
      check.raise(result)
    end
    error(result, 0)
  end,
})
