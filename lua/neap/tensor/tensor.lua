-- SPDX-License-Identifier: MIT
--- Tensors: arrays of one dtype and up to eight dimensions, in C order.
-- A tensor is a cdata: a neap_tensor, the shape that it points to, and where
-- its memory comes from. That is one of:
--   * the tail of the cdata itself, for less than 64 KiB,
--   * a block of this process's shared heap, which a finaliser frees,
--   * a mapped block of another process's heap, which a finaliser unmaps,
--   * what the allocator hook answered (a worker's slot), or foreign memory,
--   * another tensor's memory, for rows and reshapes.
-- A cdata cannot hold a Lua reference, so a weak table keeps the owner alive.
-- The owner must not lead back to the tensor, or neither is ever collected.
-- @module neap.tensor.tensor

local ffi = require("ffi")
local check = require("neap.base.check")
local dtype = require("neap.tensor.dtype")
local generation = require("neap.tensor.generation")
local heap = require("neap.tensor.heap")
local lib = require("neap.base.lib")

local C = lib.C
local kinds = dtype.list
local floor = math.floor

local LARGE = 64 * 2^10  -- bytes; from here on memory comes from the heap
local ALIGNMENT = 64
local SHOWN = 8  -- elements that tostring() shows
local DIMS = C.NEAP_DIMS_MAX

local STALE = "this tensor's item has been released: keep it with "
  .. "neap.keep(item) or item:clone() before the loop goes on"

-- What a view shares with its base stands first, to be copied in one go.
local struct = ffi.typeof([[
  struct {
    neap_tensor d;
    const uint64_t *counter;
    uint64_t generation;
    int32_t kind;
    int32_t unused;
    int64_t dims[8];
    int64_t steps[8];
    void *block;
    uint64_t block_nbytes;
    int64_t heap_offset;
    bool owns;
    bool is_kept;
    bool in_heap;
    bool is_shared;
    uint8_t memory[?];
  }
]])
local SHARED = ffi.offsetof(struct, "dims")
local ROW_DIMS = (DIMS - 1) * ffi.sizeof("int64_t")

local bytes = ffi.typeof("uint8_t *")
local word = ffi.typeof("uintptr_t")
local out_managed = ffi.new("neap_managed_tensor *[1]")
local one_element = ffi.new("double[1]")
local wanted = ffi.new("int64_t[?]", DIMS)  -- the shape that is being made

local owners = setmetatable({}, { __mode = "k" })
local mapped = setmetatable({}, { __mode = "v" })
local allocator

local Tensor  -- the ctype, once its metatable is complete
local methods, properties = {}, {}

--- The methods of all tensors, for modules that add some.
local tensor = { methods = methods }

local function is(value)
  return type(value) == "cdata" and ffi.istype(Tensor, value)
end

local function raise_stale()
  check.raise(STALE)
end

local function check_valid(t)
  if t.counter[0] ~= t.generation then
    raise_stale()
  end
end

local function count_of(t)
  return (tonumber(C.neap_tensor_count(t.d)))
end

local function nbytes_of(t)
  return (tonumber(C.neap_tensor_nbytes(t.d)))
end

local function shape_text(ndim, dims)
  local sizes = {}
  for k = 1, ndim do
    sizes[k] = ("%d"):format(tonumber(dims[k - 1]))
  end
  return ndim == 0 and "scalar" or table.concat(sizes, "x")
end

-- Making ----------------------------------------------------------------

-- Writes what is the same for every origin; dims may be t's own.
local function describe(t, kind, ndim, dims)
  local d = t.d
  t.kind = kind.index
  d.device_type = 1
  d.ndim = ndim
  d.code, d.bits, d.lanes = kind.code, kind.bits, 1
  d.shape, d.strides = t.dims, t.steps
  ffi.copy(t.dims, dims, ndim * 8)
  C.neap_tensor_strides(ndim, t.dims, t.steps)
end

local function keep_owner(t, base)
  if base.owns then
    owners[t] = base
  else
    local owner = owners[base]
    if owner ~= nil then
      owners[t] = owner
    end
  end
end

local function free_block(t)
  heap.free(t.block, tonumber(t.heap_offset), tonumber(t.block_nbytes),
    t.is_shared)
end

local function unmap_block(t)
  heap.unmap(t.block, t.block_nbytes)
end

local function inline(nbytes)
  local t = Tensor(nbytes + ALIGNMENT - 1)
  local address = tonumber(ffi.cast(word, t.memory))
  t.d.data = t.memory + -address % ALIGNMENT
  return t, true
end

local function in_heap(nbytes)
  local block, offset, is_zero = heap.alloc(nbytes)
  if not block then
    return inline(nbytes)
  end
  local t = ffi.gc(Tensor(0), free_block)
  t.d.data = block
  t.block, t.block_nbytes, t.heap_offset = block, nbytes, offset
  t.in_heap = true
  return t, is_zero
end

-- Answers a tensor, and whether its memory is known to be zero.
local function make(kind, ndim, dims, count)
  local nbytes = count * kind.size
  if allocator then
    local data, counter, current =
      allocator(nbytes, kind.code, kind.bits, dims, ndim)
    if data ~= nil then
      local t = Tensor(0)
      t.d.data, t.counter, t.generation = data, counter, current
      describe(t, kind, ndim, dims)
      return t, false
    end
  end
  local place = nbytes < LARGE and inline or in_heap
  local t, is_zero = place(nbytes)
  t.owns = true
  t.counter, t.generation = generation.forever, 0
  describe(t, kind, ndim, dims)
  return t, is_zero
end

local function read_size(shape, k)
  local size = shape[k]
  if type(size) ~= "number" or size < 0 or size ~= floor(size)
      or size > 2^53 then
    check.raise(("size %d of a shape must be a whole number from 0, got %s")
      :format(k, tostring(size)))
  end
  wanted[k - 1] = size
end

-- Checks a shape; the result stands in `wanted` until the next call.
local function read_shape(shape)
  if type(shape) ~= "table" then
    check.raise("a shape is a table of sizes, got " .. type(shape))
  end
  local ndim = #shape
  if ndim > DIMS then
    check.raise(("a tensor has %d dimensions at most, got %d"):format(DIMS,
      ndim))
  end
  -- LuaJIT compiles no loop around one of so few turns.
  if ndim >= 1 then read_size(shape, 1) end
  if ndim >= 2 then read_size(shape, 2) end
  if ndim >= 3 then read_size(shape, 3) end
  if ndim >= 4 then read_size(shape, 4) end
  for k = 5, ndim do
    read_size(shape, k)
  end
  local count = tonumber(C.neap_tensor_strides(ndim, wanted, nil))
  if count < 0 then
    check.raise("a tensor of shape " .. shape_text(ndim, wanted)
      .. " is too large")
  end
  return ndim, count
end

-- A view of the same memory, dimensions not yet described.
local function share(t)
  local v = Tensor(0)
  ffi.copy(v, t, SHARED)
  v.d.shape, v.d.strides = v.dims, v.steps
  keep_owner(v, t)
  return v
end

-- Row k, from 0, of a tensor of two or more dimensions.
local function row(t, k)
  local v = share(t)
  v.d.ndim = t.d.ndim - 1
  v.d.data = ffi.cast(bytes, t.d.data)
    + k * tonumber(t.steps[0]) * (t.d.bits / 8)
  ffi.copy(v.dims, t.dims + 1, ROW_DIMS)
  ffi.copy(v.steps, t.steps + 1, ROW_DIMS)
  return v
end

-- Assigning ---------------------------------------------------------------

local assign

local function same_shape(t, u)
  local same = t.d.ndim == u.d.ndim
  for k = 0, t.d.ndim - 1 do
    same = same and t.dims[k] == u.dims[k]
  end
  return same
end

local function kind_text(t)
  return kinds[t.kind].name .. " " .. shape_text(t.d.ndim, t.dims)
end

local function assign_tensor(t, from)
  if from.counter[0] ~= from.generation then
    check.raise(STALE)
  end
  if from.kind ~= t.kind or not same_shape(t, from) then
    check.raise(("a tensor %s is expected, got %s"):format(kind_text(t),
      kind_text(from)))
  end
  local nbytes = nbytes_of(t)
  local target, source = ffi.cast(bytes, t.d.data),
    ffi.cast(bytes, from.d.data)
  if target < source + nbytes and source < target + nbytes then
    from = from:clone()
  end
  ffi.copy(target, from.d.data, nbytes)
end

local function assign_rows(t, rows)
  local n = tonumber(t.dims[0])
  if #rows ~= n then
    check.raise(("%d rows are expected, got %d"):format(n, #rows))
  end
  for k = 1, n do
    local value = rows[k]
    if type(value) ~= "table" and not is(value) then
      check.raise(("row %d must be a table or a tensor, got %s"):format(k,
        type(value)))
    end
    assign(row(t, k - 1), value)
  end
end

local function assign_table(t, values)
  local first = values[1]
  if t.d.ndim > 1 and (type(first) == "table" or is(first)) then
    assign_rows(t, values)
    return
  end
  local count, write, data = count_of(t), kinds[t.kind].write, t.d.data
  if #values ~= count then
    check.raise(("%d values are expected for %s, got %d"):format(count,
      kind_text(t), #values))
  end
  for k = 1, count do
    write(data, k - 1, values[k])
  end
end

local function assign_string(t, value)
  local nbytes = nbytes_of(t)
  if #value ~= nbytes then
    check.raise(("a string of %d bytes is expected for %s, got %d"):format(
      nbytes, kind_text(t), #value))
  end
  ffi.copy(t.d.data, value, nbytes)
end

local function fill(t, value)
  local write = kinds[t.kind].write
  write(one_element, 0, value)  -- raises what C would refuse
  if type(value) == "boolean" then
    value = value and 1 or 0
  end
  if type(value) == "number" then
    lib.check(C.neap_tensor_fill(t.d, value, lib.error))
  else
    for k = 0, count_of(t) - 1 do
      write(t.d.data, k, value)
    end
  end
end

-- Sets all of t: to a tensor, a table (nested or flat), bytes, or a value.
function assign(t, value)
  if is(value) then
    assign_tensor(t, value)
  elseif type(value) == "table" then
    assign_table(t, value)
  elseif type(value) == "string" then
    assign_string(t, value)
  else
    fill(t, value)
  end
end

-- Access --------------------------------------------------------------------

local function raise_range(index, n)
  if index ~= floor(index) then
    check.raise(("index %.14g is not a whole number"):format(index))
  end
  check.raise(("index %d is out of range 1..%d"):format(index, n))
end

local function raise_scalar()
  check.raise("a scalar tensor has no rows: use t:get() and t:set(v)")
end

local function get_index(t, key)
  if type(key) ~= "number" then
    local property = properties[key]
    if property then
      return property(t)
    end
    return methods[key]
  end
  if t.counter[0] ~= t.generation then
    raise_stale()
  end
  local ndim, n = t.d.ndim, tonumber(t.dims[0])
  local k = key < 0 and key + n or key - 1
  if ndim == 0 then
    raise_scalar()
  end
  if not (k >= 0 and k < n and k == floor(k)) then
    raise_range(key, n)
  end
  if ndim == 1 then
    return (kinds[t.kind].read(t.d.data, k))
  end
  return (row(t, k))
end

local function set_index(t, key, value)
  if type(key) ~= "number" then
    check.raise(("a tensor has no field '%s' to set"):format(tostring(key)))
  end
  if t.counter[0] ~= t.generation then
    raise_stale()
  end
  local ndim, n = t.d.ndim, tonumber(t.dims[0])
  local k = key < 0 and key + n or key - 1
  if ndim == 0 then
    raise_scalar()
  end
  if not (k >= 0 and k < n and k == floor(k)) then
    raise_range(key, n)
  end
  if ndim == 1 then
    kinds[t.kind].write(t.d.data, k, value)
  else
    assign(row(t, k), value)
  end
end

-- Index `key` of dimension `dim` (from 0), as elements from the start.
local function step(t, dim, key)
  local n = tonumber(t.dims[dim])
  if type(key) ~= "number" then
    check.raise(("index %d must be a number, got %s"):format(dim + 1,
      type(key)))
  end
  local k = key < 0 and key + n or key - 1
  if not (k >= 0 and k < n and k == floor(k)) then
    raise_range(key, n)
  end
  return k * tonumber(t.steps[dim])
end

-- The place of the element that all of `indexes` name.
local function place_of(t, indexes)
  local at = 0
  if #indexes ~= t.d.ndim then
    check.raise(("%d indexes are expected for %s, got %d"):format(t.d.ndim,
      kind_text(t), #indexes))
  end
  for k = 1, #indexes do
    at = at + step(t, k - 1, indexes[k])
  end
  return at
end

--- The element at i, j, ...
function methods.get(t, i, j, k, ...)
  check_valid(t)
  local ndim = t.d.ndim
  local at
  if ndim == 1 and j == nil then
    at = step(t, 0, i)
  elseif ndim == 2 and k == nil then
    at = step(t, 0, i) + step(t, 1, j)
  elseif ndim == 3 and select("#", ...) == 0 then
    at = step(t, 0, i) + step(t, 1, j) + step(t, 2, k)
  else
    at = place_of(t, { i, j, k, ... })
  end
  return (kinds[t.kind].read(t.d.data, at))
end

--- Sets the element at i, j, ... to the last argument.
function methods.set(t, i, j, k, value, ...)
  check_valid(t)
  local ndim = t.d.ndim
  local at
  if ndim == 1 and k == nil then
    at, value = step(t, 0, i), j
  elseif ndim == 2 and value == nil then
    at, value = step(t, 0, i) + step(t, 1, j), k
  elseif ndim == 3 and select("#", ...) == 0 then
    at = step(t, 0, i) + step(t, 1, j) + step(t, 2, k)
  else
    local indexes = { i, j, k, value, ... }
    value = table.remove(indexes)
    at = place_of(t, indexes)
  end
  kinds[t.kind].write(t.d.data, at, value)
end

--- Sets every element.
function methods.fill(t, value)
  check_valid(t)
  fill(t, value)
end

--- A tensor with memory of its own and the same elements.
function methods.clone(t)
  check_valid(t)
  local copy = make(kinds[t.kind], t.d.ndim, t.dims, count_of(t))
  ffi.copy(copy.d.data, t.d.data, nbytes_of(t))
  return copy
end

-- The elements from `at` on, of dimension `dim` (from 0) and those after it.
local function nested(t, dim, at)
  local read, data = kinds[t.kind].read, t.d.data
  if dim == t.d.ndim then
    return (read(data, at))
  end
  local n, stride = tonumber(t.dims[dim]), tonumber(t.steps[dim])
  local values = {}
  for k = 1, n do
    values[k] = nested(t, dim + 1, at + (k - 1) * stride)
  end
  return values
end

--- The elements as nested Lua tables.
function methods.totable(t)
  check_valid(t)
  return (nested(t, 0, 0))
end

local function raise_reshape(t, sizes)
  check.raise(("cannot reshape %s into %s"):format(kind_text(t),
    #sizes == 0 and "scalar" or table.concat(sizes, "x")))
end

--- A view of the same elements in another shape; one size may be -1.
function methods.reshape(t, ...)
  check_valid(t)
  local sizes, known, open = { ... }, 1, nil
  for k = 1, #sizes do
    if sizes[k] == -1 and not open then
      open = k
    elseif type(sizes[k]) == "number" then
      known = known * sizes[k]
    end
  end
  local count = count_of(t)
  if open then
    if known <= 0 or count % known ~= 0 then
      raise_reshape(t, sizes)
    end
    sizes[open] = count / known
  end
  local ndim, wanted_count = read_shape(sizes)
  if wanted_count ~= count then
    raise_reshape(t, sizes)
  end
  local v = share(t)
  describe(v, kinds[t.kind], ndim, wanted)
  return v
end

--- A typed pointer to the first element. It does not keep the tensor alive.
function methods.ptr(t)
  check_valid(t)
  return (ffi.cast(kinds[t.kind].pointer, t.d.data))
end

--- A tensor of another dtype with every element times scale plus offset.
function methods.to(t, name, scale, offset)
  check_valid(t)
  local kind = dtype.find(name)
  local converted = make(kind, t.d.ndim, t.dims, count_of(t))
  lib.check(C.neap_tensor_convert(t.d, converted.d, scale or 1, offset or 0,
    lib.error))
  return converted
end

--- A DLManagedTensor with a copy of the elements; its deleter frees it.
function methods.dlpack(t)
  check_valid(t)
  lib.check(C.neap_tensor_dlpack(t.d, out_managed, lib.error))
  return out_managed[0]
end

function properties.dtype(t)
  return kinds[t.kind].name
end

function properties.shape(t)
  local shape = {}
  for k = 1, t.d.ndim do
    shape[k] = tonumber(t.dims[k - 1])
  end
  return shape
end

function properties.ndim(t)
  return t.d.ndim
end

properties.size = count_of
properties.nbytes = nbytes_of

local function show(t)
  local head = ("tensor %s "):format(kind_text(t))
  if t.counter[0] ~= t.generation then
    return head .. "(released)"
  end
  local count, kind, shown = count_of(t), kinds[t.kind], {}
  for k = 1, math.min(count, SHOWN) do
    local value = kind.read(t.d.data, k - 1)
    shown[k] = type(value) == "number"
      and (kind.is_float and "%.6g" or "%d"):format(value) or tostring(value)
  end
  shown[#shown + 1] = count > SHOWN and "..." or nil
  return head .. "{" .. table.concat(shown, ", ") .. "}"
end

local function length(t)
  if t.d.ndim == 0 then
    check.raise("a scalar tensor has no length")
  end
  return (tonumber(t.dims[0]))
end

Tensor = ffi.metatype(struct, {
  __index = get_index, __newindex = set_index,
  __len = length, __tostring = show,
})

-- The module ------------------------------------------------------------------

--- Whether a value is a tensor.
tensor.is = is

--- Makes a tensor: of zeros, or of what `data` says.
-- @function new
-- @tparam string name the dtype
-- @tparam table shape sizes; {} for a scalar
-- @param[opt] data a table, nested or flat; a number or boolean for every
--  element; a string of all the bytes; a tensor of that dtype and shape
-- @treturn tensor
-- @usage local t = neap.tensor("f32", { 2, 3 }, { 1, 2, 3, 4, 5, 6 })
function tensor.new(name, shape, data)
  local kind = dtype.find(name)
  local ndim, count = read_shape(shape)
  local t, is_zero = make(kind, ndim, wanted, count)
  if data ~= nil then
    assign(t, data)
  elseif not is_zero then
    ffi.fill(t.d.data, nbytes_of(t))
  end
  return t
end

--- Makes a tensor whose elements are still to be written.
function tensor.empty(name, shape)
  local kind = dtype.find(name)
  local ndim, count = read_shape(shape)
  return (make(kind, ndim, wanted, count))
end

--- Makes a tensor over memory that is not its own.
-- @param owner kept alive with the tensor; it must not lead back to it
-- @param counter of the memory's generations, or nil if it has only one
-- @param current the generation in which the tensor is valid
function tensor.view(code, bits, ndim, shape, data, owner, counter, current)
  local kind = dtype.of(code, bits)
  if not kind then
    check.raise(("no dtype has code %d and %d bits"):format(code, bits))
  end
  local t = Tensor(0)
  t.d.data = ffi.cast(bytes, data)
  t.counter, t.generation = counter or generation.forever, current or 0
  describe(t, kind, ndim, shape)
  if owner ~= nil then
    owners[t] = owner
  end
  return t
end

--- Lets `f(nbytes, code, bits, shape, ndim)` say where new tensors lie: it
-- returns an address, a counter and its generation, or nil to decline. It must
-- make no tensor itself. nil takes the hook away.
function tensor.set_allocator(f)
  allocator = f
end

-- While a chain is packed: the tensor of a block -> that of what others see.
local frozen

--- Says where pack() notes what must be kept beside the tensors themselves, for
-- as long as a worker may unpack them; nil when all is packed.
-- @tparam table|nil kept
function tensor.keep_packed(kept)
  frozen = kept
end

-- A tensor of a block that others see as `base` is now, whatever is written to
-- it later: its own, or of a copy if it was written since it was frozen.
local function freeze(base)
  local shared = frozen and frozen[base]
  if not shared then
    shared = base
    if base.is_shared
      and heap.is_changed(base.block, tonumber(base.block_nbytes)) then
      shared = in_heap(tonumber(base.block_nbytes))
      ffi.copy(shared.block, base.block, base.block_nbytes)
    end
    if not shared.is_shared then
      heap.freeze(shared.block, shared.heap_offset, shared.block_nbytes)
      shared.is_shared = true
    end
    if frozen then
      frozen[base] = shared
    end
  end
  return shared
end

--- What stands for a tensor on its way to a worker, a plain table: its bytes,
-- or where its block lies in this process's heap.
function tensor.pack(t)
  if t.counter[0] ~= t.generation then
    error(STALE, 0)
  end
  local packed = { dtype = t.dtype, shape = t.shape }
  local base = t.owns and t or owners[t]
  if is(base) and base.in_heap and not heap.is_inherited() then
    packed.heap_offset = tonumber(freeze(base).heap_offset)
    packed.nbytes = tonumber(base.block_nbytes)
    packed.offset = lib.distance(base.d.data, t.d.data)
  else
    packed.bytes = ffi.string(t.d.data, nbytes_of(t))
  end
  return packed
end

-- One mapping for all tensors within a block, for as long as one is alive.
local function map_block(fd, offset, nbytes)
  local key = fd .. ":" .. offset
  local base = mapped[key]
  if not base then
    local block = heap.map(fd, offset, nbytes)
    base = ffi.gc(Tensor(0), unmap_block)
    base.block, base.block_nbytes = block, nbytes
    base.d.data = block
    base.owns = true
    base.counter, base.generation = generation.forever, 0
    wanted[0] = nbytes
    describe(base, dtype.find("u8"), 1, wanted)
    mapped[key] = base
  end
  return base
end

--- Makes a packed tensor again; `fd` is the packing process's heap_fd().
-- Writing to it changes this process's pages alone.
function tensor.unpack(packed, fd)
  if packed.bytes then
    return (tensor.new(packed.dtype, packed.shape, packed.bytes))
  end
  local kind = dtype.find(packed.dtype)
  local base = map_block(fd, packed.heap_offset, packed.nbytes)
  local ndim, count = read_shape(packed.shape)
  local room = tonumber(base.block_nbytes) - packed.offset
  if packed.offset < 0 or count * kind.size > room then
    error("cannot unpack a tensor: it is larger than its block", 0)
  end
  return (tensor.view(kind.code, kind.bits, ndim, wanted,
    ffi.cast(bytes, base.d.data) + packed.offset, base))
end

-- Lending -------------------------------------------------------------------

--- What keeps a tensor's memory alive, or nil.
function tensor.owner(t)
  return owners[t]
end

--- Whether its memory will move on to another item.
function tensor.is_lent(t)
  return t.counter ~= generation.forever
end

--- Raises if its memory has moved on.
tensor.check = check_valid

--- Puts a tensor under another owner and counter; its views keep theirs.
function tensor.lend(t, owner, counter, current)
  owners[t] = owner
  t.is_kept = false
  t.counter, t.generation = counter, current
end

--- Whether it holds its slot by itself; a view does not, nor one that is lent.
function tensor.is_kept(t)
  return t.is_kept
end

--- Puts a tensor under another owner and counter, as one that holds its slot.
function tensor.keep(t, owner, counter)
  tensor.lend(t, owner, counter, counter[0])
  t.is_kept = true
end

--- Moves a lent tensor's elements to memory of its own.
function tensor.detach(t)
  local nbytes = nbytes_of(t)
  local memory = ffi.new("uint8_t[?]", nbytes + ALIGNMENT)
  local address = tonumber(ffi.cast(word, memory))
  local data = ffi.cast(bytes, memory) + -address % ALIGNMENT
  ffi.copy(data, t.d.data, nbytes)
  t.d.data = data
  tensor.lend(t, memory, generation.forever, 0)
end

--- Makes a tensor of a neap_tensor's dtype and shape, still to be written.
function tensor.empty_like(about)
  local kind = dtype.of(about.code, about.bits)
  local count = tonumber(C.neap_tensor_count(about))
  return (make(kind, about.ndim, about.shape, count))
end

--- The descriptor that workers inherit to unpack tensors, or -1 for none.
tensor.heap_fd = heap.fd

return tensor
