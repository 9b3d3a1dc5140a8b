-- SPDX-License-Identifier: MIT
--- Finds globals of the script in functions that travel. A worker has those
-- that LuaJIT starts with, those that its modules set, and those that on_start
-- or another function of the chain sets. Any other is nil there.
--
-- The bytecode of a function names the globals that it reads and sets. Fields
-- that the script added to a library are found where the code spells them out
-- (`string.trim`), and not in `text:trim()`.
-- @module neap.travel.globals

local bit = require("bit")
local util = require("jit.util")
local check = require("neap.base.check")
local refusal = require("neap.travel.refusal")
local traverse = require("neap.base.traverse")

local band, rshift = bit.band, bit.rshift

local function set_of(words)
  local set = {}
  for word in words:gmatch("%S+") do
    set[word] = true
  end
  return set
end

-- The globals that LuaJIT starts with, those of its 5.2 mode too.
local BUILT_IN = set_of([[
  _G _VERSION assert bit collectgarbage coroutine debug dofile error gcinfo
  getfenv getmetatable io ipairs jit load loadfile loadstring math module
  newproxy next os package pairs pcall print rawequal rawget rawlen rawset
  require select setfenv setmetatable string table tonumber tostring type
  unpack xpcall
]])

-- The libraries to which scripts add fields, and their fields that are neither
-- functions nor files.
local LIBRARIES = set_of("_G bit coroutine debug io math os string table")
local CONSTANTS = set_of("math.pi math.huge")

---- Bytecode ------------------------------------------------------------

-- The numbers of opcodes differ between versions of LuaJIT.
local probe = loadstring("a = b.c b.c = 1")

local function opcode(pc)
  return band(util.funcbc(probe, pc), 0xff)
end

local GGET, TGETS, GSET, TSETS = opcode(1), opcode(2), opcode(3), opcode(6)

local function name_of(library, field)
  return library == "_G" and field or library .. "." .. field
end

-- Calls see(name, is_set, f, pc) for each global, and each field of a library,
-- that f or a function in it reads or sets.
local function scan(f, see)
  local info = util.funcinfo(f)
  local library_in = {} -- register -> the library that was last read into it
  local fresh -- the register that the instruction before filled with one
  for pc = 1, info.bytecodes - 1 do
    local code = util.funcbc(f, pc)
    local op, a = band(code, 0xff), band(rshift(code, 8), 0xff)
    local was_fresh = fresh
    fresh = nil
    if op == GGET or op == GSET then
      local name = util.funck(f, -rshift(code, 16) - 1)
      see(name, op == GSET, f, pc)
      if op == GGET and LIBRARIES[name] then
        library_in[a], fresh = name, a
      end
    elseif op == TGETS or op == TSETS then
      local b = rshift(code, 24)
      local library = library_in[b]
      if library and (op == TSETS or b == was_fresh) then
        local field = util.funck(f, -band(rshift(code, 16), 0xff) - 1)
        see(name_of(library, field), op == TSETS, f, pc)
      end
    end
  end
  if info.children then
    local k = -1
    local constant = util.funck(f, k)
    while constant ~= nil do
      if type(constant) == "proto" then
        scan(constant, see)
      end
      k = k - 1
      constant = util.funck(f, k)
    end
  end
end

-- Whether the constants of f, or of a function in it, have a string.
local function mentions(f, text)
  local k = -1
  local constant = util.funck(f, k)
  while constant ~= nil do
    if constant == text
      or type(constant) == "proto" and mentions(constant, text)
    then
      return true
    end
    k = k - 1
    constant = util.funck(f, k)
  end
  return false
end

---- Whose it is ---------------------------------------------------------

-- A field of a table, or of the tables that stand in for it.
local function lookup(t, key)
  for _ = 1, 10 do
    if type(t) ~= "table" then
      return nil
    end
    local value = rawget(t, key)
    if value ~= nil then
      return value
    end
    local metatable = debug.getmetatable(t)
    t = metatable and rawget(metatable, "__index")
  end
end

-- Whether the script, or a module, added a field to a library.
local function is_added(name, value, files)
  if type(value) == "function" then
    local info = debug.getinfo(value, "S")
    return info.linedefined >= 0 and not files[info.source]
  end
  return value ~= nil and io.type(value) == nil and not CONSTANTS[name]
end

-- Whether the script's value of a name is one that no worker starts with.
local function is_of_script(name, f, files)
  local library, field = name:match("^(.-)%.(.*)$")
  if library then
    return is_added(name, lookup(lookup(_G, library), field), files)
  end
  return not BUILT_IN[name] and lookup(debug.getfenv(f), name) ~= nil
end

-- Whether the file of a loaded module sets a global: the worker's copy does,
-- too.
local function is_set_by_module(name, files)
  for _, source in ipairs(traverse.keys(files)) do
    local chunk = source:find("%.lua$")
      and not check.is_ours({ source = source }) and loadfile(source:sub(2))
    local is_set = false
    if chunk then
      scan(chunk, function(found, sets)
        is_set = is_set or sets and found == name
      end)
    end
    if is_set then
      return true
    end
  end
  return false
end

-- Whether a name's value is a module that a function of the chain requires:
-- some modules of C set a global when they are loaded.
local function is_required(name, f, frames)
  local value = lookup(debug.getfenv(f), name)
  for _, module in ipairs(traverse.keys(package.loaded)) do
    if rawequal(package.loaded[module], value) then
      for _, frame in ipairs(frames) do
        if mentions(frame.value, module) and mentions(frame.value, "require")
        then
          return true
        end
      end
    end
  end
  return false
end

local HELP = "make it a local, put it into a module, or set it in on_start; "
  .. "what each worker opens for itself: neap.per_worker"

local function refuse(frame, use, name)
  local what = use.name:find(".", 1, true) and use.name
    or "the global '" .. use.name .. "'"
  refusal.raise_function(frame, ("line %d uses %s, which only the script has")
    :format(use.line, what), name, HELP)
end

--- Raises if a function that travels needs a global that only the script has.
-- @tparam table frames the packer's, of the functions
-- @tparam table files of modules: {["@path"] = true}
-- @tparam string name what errors call the root
local function check_globals(frames, files, name)
  local uses, sets = {}, {}
  for _, frame in ipairs(frames) do
    scan(frame.value, function(found, is_set, f, pc)
      if is_set then
        sets[found] = true
      elseif is_of_script(found, frame.value, files) then
        uses[#uses + 1] = {
          name = found, frame = frame,
          line = util.funcinfo(f, pc).currentline,
        }
      end
    end)
  end
  for _, use in ipairs(uses) do
    if not sets[use.name] and not is_set_by_module(use.name, files)
      and not is_required(use.name, use.frame.value, frames)
    then
      refuse(use.frame, use, name)
    end
  end
end

jit.off(true, true) -- cold: it runs once for each chain

return check_globals
