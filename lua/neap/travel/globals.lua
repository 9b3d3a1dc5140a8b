-- SPDX-License-Identifier: MIT
--- Finds globals of the script in functions that travel. A worker has those
-- that LuaJIT starts with, those that its modules set, and those that on_start
-- or another function of the chain sets. Any other is nil there.
--
-- Fields that the script added to a library are found where the code spells
-- them out (`string.trim`), and not in `text:trim()`.
-- @module neap.travel.globals

local bytecode = require("neap.travel.bytecode")
local check = require("neap.base.check")
local refusal = require("neap.travel.refusal")
local traverse = require("neap.base.traverse")

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

-- The fields of libraries that are neither functions nor files.
local CONSTANTS = set_of("math.pi math.huge")

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
      bytecode.scan(chunk, function(found, sets)
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
        local strings = bytecode.strings(frame.value)
        if strings[module] and strings.require then
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
    bytecode.scan(frame.value, function(found, is_set, f, pc)
      if is_set then
        sets[found] = true
      elseif is_of_script(found, frame.value, files) then
        uses[#uses + 1] = {
          name = found, frame = frame, line = bytecode.line(f, pc),
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
