-- SPDX-License-Identifier: MIT
--- Writes a blob.
-- A walk in depth over everything reachable emits what makes an object when it
-- is met and what completes it when all that it holds is complete. The walk
-- keeps its own frames, so depth costs memory alone. Upvalues wait until the
-- rest is done: functions refer to each other in circles, and need nothing but
-- their bytecode to be made.
-- @module neap.travel.pack

local ffi = require("ffi")
local changes = require("neap.travel.changes")
local class = require("neap.base.class")
local check_globals = require("neap.travel.globals")
local format = require("neap.travel.format")
local names = require("neap.travel.names")
local refusal = require("neap.travel.refusal")
local traverse = require("neap.base.traverse")

local TAG, SHORT = format.tags, format.SHORT
local u32, f64 = format.pointers.uint32_t, format.pointers.double
local describe = refusal.describe
local new_bytes = ffi.typeof("uint8_t[?]")

-- Strings have no more bytes than this in LuaJIT.
local BYTES_MAX = 0x7fffff00

local REFERENCES = {
  table = true, ["function"] = true, cdata = true, userdata = true,
  thread = true,
}

local function refuse(packer, frame, what)
  refusal.raise(frame, what, packer.name)
end

---- Bytes ---------------------------------------------------------------

-- Returns the address for n more bytes.
local function room(packer, n)
  local start = packer.size
  local size = start + n
  if size > packer.capacity then
    if size > BYTES_MAX then
      error(("cannot send %s to workers: it takes more than 2 GiB")
        :format(packer.name or "the value"), 0)
    end
    packer.capacity = math.min(2 * size, BYTES_MAX)
    local bytes = new_bytes(packer.capacity)
    ffi.copy(bytes, packer.bytes, start)
    packer.bytes = bytes
  end
  packer.size = size
  return packer.bytes + start
end

local function put_u8(packer, value)
  room(packer, 1)[0] = value
end

local function put_u32(packer, value)
  ffi.cast(u32, room(packer, 4))[0] = value
end

local function put_number(packer, value)
  if value - value == 0 then
    local at = room(packer, 9)
    at[0] = TAG.number
    ffi.cast(f64, at + 1)[0] = value
  elseif value ~= value then
    put_u8(packer, TAG.nan)
  else
    put_u8(packer, value > 0 and TAG.inf or TAG.minus_inf)
  end
end

-- Puts a value; an object that it refers to has been made before.
local function put(packer, value)
  local kind = type(value)
  if kind == "number" then
    put_number(packer, value)
  elseif kind == "string" and #value <= SHORT then
    local at = room(packer, 2 + #value)
    at[0], at[1] = TAG.short, #value
    ffi.copy(at + 2, value, #value)
  elseif REFERENCES[kind] or kind == "string" then
    put_u8(packer, TAG.object)
    put_u32(packer, packer.ids[value])
  else
    put_u8(packer, TAG[tostring(value)])
  end
end

-- (Objects are never compared with nil: a cdata may have its own equality.)
local function is_unmade(packer, value)
  local kind = type(value)
  return (REFERENCES[kind] or kind == "string" and #value > SHORT)
    and not packer.ids[value]
end

local function assign(packer, object, tag)
  packer.count = packer.count + 1
  packer.ids[object] = packer.count
  put_u8(packer, tag)
end

local function make_string(packer, text)
  assign(packer, text, TAG.string)
  put_u32(packer, #text)
  ffi.copy(room(packer, #text), text, #text)
end

-- Makes an object from operands, of which long strings are made before it.
local function make(packer, object, tag, ...)
  for k = 1, select("#", ...) do
    local operand = select(k, ...)
    if is_unmade(packer, operand) then
      make_string(packer, operand)
    end
  end
  assign(packer, object, tag)
  for k = 1, select("#", ...) do
    put(packer, (select(k, ...)))
  end
end

local function complete(packer, value, tag)
  put_u8(packer, tag)
  put_u32(packer, packer.ids[value])
end

---- Objects -------------------------------------------------------------

local BASIC = {}
for word in ([[
  void bool char short int long float double complex signed unsigned
  const volatile int64_t uint64_t
]]):gmatch("%S+") do
  BASIC[word] = true
end

-- Whether any LuaJIT understands the text of a ctype: no structs, and no
-- functions, whose text lacks their arguments.
local function is_basic(text)
  for word in text:gmatch("[%a_][%w_]*") do
    if not BASIC[word] then
      return false
    end
  end
  return not text:find("()", 1, true)
end

local function custom(value)
  for _, module in ipairs(traverse.keys(format.kinds)) do
    local kind = format.kinds[module]
    if kind.matches(value) then
      return kind
    end
  end
end

local function enter_custom(packer, frame, kind)
  local ok, plain = pcall(kind.pack, frame.value)
  if not ok then
    refuse(packer, frame, ("%s that cannot be packed: %s"):format(
      describe(frame.value), tostring(plain)))
  end
  frame.kind, frame.plain = kind, plain
  packer.ids[frame.value] = false  -- met, not made
  return frame
end

local function enter_scalar(packer, value)
  for k, scalar in ipairs(format.scalars) do
    if ffi.istype(scalar.ctype, value) then
      make(packer, value, TAG.scalar)
      put_u8(packer, k)
      if scalar.is_complex then
        put_number(packer, value.re)
        put_number(packer, value.im)
      else
        ffi.cast(scalar.pointer, room(packer, 8))[0] = value
      end
      return true
    end
  end
end

local visit -- below

-- Puts the changes of a module that workers load, and of those that it uses:
-- before anything of it is used. (A module of a kind counts its own values.)
local function put_changes(packer, name)
  if not packer.changeable[name] or format.kinds[name] then
    return
  end
  packer.changeable[name] = nil
  local module = package.loaded[name]
  local shadow = changes.of(module, packer.names, packer.files)
  if shadow then
    visit(packer, module)
    visit(packer, shadow, { value = module }, refusal.MODULE .. name)
    complete(packer, module, TAG.patch)
    put(packer, shadow)
  end
  changes.used(module, packer.names, put_changes, packer)
end

local function enter_named(packer, value)
  local name = packer.names[value]
  if name then
    put_changes(packer, name[1])
    if is_unmade(packer, value) then
      make(packer, value, TAG.named, name[1], name[2])
    end
  end
  return name
end

local enter = {}

function enter.string(packer, frame)
  make_string(packer, frame.value)
end

function enter.table(packer, frame)
  local value = frame.value
  if enter_named(packer, value) then
    return nil
  elseif class.name_of(value) then
    make(packer, value, TAG.class, class.name_of(value))
    return nil
  end
  make(packer, value, TAG.table)
  return frame
end

enter["function"] = function(packer, frame)
  local value = frame.value
  if enter_named(packer, value) then
    return nil
  end
  local ok, bytecode = pcall(string.dump, value)
  if not ok then
    refusal.raise_own(frame, packer.name)
  end
  changes.required(value, packer.changeable, put_changes, packer)
  make(packer, value, TAG.closure, bytecode)
  packer.closures[#packer.closures + 1] = frame
end

function enter.cdata(packer, frame)
  local value = frame.value
  local is_ctype, text = refusal.ctype(value)
  if is_ctype and is_basic(text) then
    make(packer, value, TAG.ctype, text)
    return nil
  end
  local kind = not is_ctype and custom(value)
  if kind then
    return enter_custom(packer, frame, kind)
  elseif not enter_scalar(packer, value) and not enter_named(packer, value) then
    refusal.raise_own(frame, packer.name)
  end
end

function enter.userdata(packer, frame)
  if not enter_named(packer, frame.value) then
    refusal.raise_own(frame, packer.name)
  end
end

function enter.thread(packer, frame)
  refusal.raise_own(frame, packer.name)
end

---- The walk ------------------------------------------------------------

local NONE, START = {}, {}

-- Fields of objects of a class that stay in this process (neap.sequence.node).
local LOCAL = { getter = true, here = true }

local function local_keys(object)
  return class.name_of(debug.getmetatable(object)) and LOCAL or NONE
end

-- An object that the frame's object needs and that is not made yet, and the
-- step to it.
local function unmade(packer, frame)
  if frame.kind then
    if is_unmade(packer, frame.plain) then
      return frame.plain, refusal.PLAIN
    end
    return nil
  end
  local object = frame.value
  local metatable = debug.getmetatable(object)
  if metatable and is_unmade(packer, metatable) then
    return metatable, refusal.METATABLE
  end
  local skipped = local_keys(object)
  local key, value
  if rawequal(frame.key, START) then
    key, value = traverse.after(object, nil)
  else
    key, value = traverse.after(object, frame.key)
  end
  while type(key) ~= "nil" do
    if is_unmade(packer, key) then
      return key, refusal.KEY
    elseif not skipped[key] and is_unmade(packer, value) then
      return value, key
    end
    frame.key = key
    key, value = traverse.after(object, key)
  end
end

local function fill(packer, object)
  complete(packer, object, TAG.fill)
  put(packer, debug.getmetatable(object))
  local n = 0
  while type(rawget(object, n + 1)) ~= "nil" do
    n = n + 1
  end
  put_u32(packer, n)
  for k = 1, n do
    put(packer, rawget(object, k))
  end
  local skipped = local_keys(object)
  local keys = {}
  for k = 1, traverse.keys_beside(object, n, keys) do
    local key = keys[k]
    if not skipped[key] then
      put(packer, key)
      put(packer, rawget(object, key))
    end
  end
  put(packer, nil)
end

local function leave(packer, frame)
  if frame.kind then
    make(packer, frame.value, TAG.custom, frame.kind.module, frame.plain)
  else
    fill(packer, frame.value)
  end
end

-- Makes an object that is met first; returns its frame if more is to be made
-- before it is complete. For its fields see luajit.md, *fields from birth*.
local function meet(packer, value, parent, step)
  local frame = {
    value = value, parent = parent, step = step,
    key = START, -- the one looked at last
    kind = false, plain = false,
  }
  if packer.ids[value] == false then
    refuse(packer, frame, describe(value) .. " that contains itself")
  end
  return enter[type(value)](packer, frame)
end

-- Makes and completes a value and all that it reaches, but upvalues.
function visit(packer, value, parent, step)
  local frame = is_unmade(packer, value) and meet(packer, value, parent, step)
  while frame and frame ~= parent do
    local child, child_step = unmade(packer, frame)
    if type(child) ~= "nil" then
      frame = meet(packer, child, frame, child_step) or frame
    else
      leave(packer, frame)
      frame = frame.parent
    end
  end
end

-- Upvalues that functions share are sent once and joined again.
local function put_upvalues(packer, frame)
  local fn, which = frame.value, 1
  local name, value = debug.getupvalue(fn, which)
  while name do
    local id = debug.upvalueid(fn, which)
    local first = packer.upvalues[id]
    if first then
      complete(packer, fn, TAG.join)
      put_u8(packer, which)
      put_u32(packer, packer.ids[first.fn])
      put_u8(packer, first.which)
    else
      packer.upvalues[id] = { fn = fn, which = which }
      visit(packer, value, frame, which)
      complete(packer, fn, TAG.upvalue)
      put_u8(packer, which)
      put(packer, value)
    end
    which = which + 1
    name, value = debug.getupvalue(fn, which)
  end
end

local function finish(packer)
  room(packer, -packer.size % 4)
  local header = ffi.cast(format.header_pointer, packer.bytes)
  ffi.copy(header.magic, format.MAGIC, 8)
  header.size = packer.size
  header.checksum = format.checksum(packer.bytes, packer.size)
  return ffi.string(packer.bytes, packer.size)
end

local function pack(value, name)
  local named, files, changeable = names()
  local packer = {
    name = name,
    bytes = new_bytes(4096), capacity = 4096, size = format.HEADER_BYTES,
    names = named, files = files,
    changeable = changeable, -- modules whose changes are not put yet
    ids = {},       -- object -> its number; false while it is being made
    count = 0,
    closures = {},  -- their frames, in the order met
    upvalues = {},  -- upvalue -> the first function that has it
  }
  visit(packer, value)
  local done = 0
  while done < #packer.closures do
    done = done + 1
    put_upvalues(packer, packer.closures[done])
  end
  check_globals(packer.closures, files, name)
  put_u8(packer, TAG.answer)
  put(packer, value)
  return finish(packer)
end

return pack
