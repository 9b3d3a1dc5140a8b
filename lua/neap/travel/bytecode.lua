-- SPDX-License-Identifier: MIT
--- What the bytecode of a function, and of those in it, tells: the globals that
-- it reads and sets, and its strings.
-- @module neap.travel.bytecode

local bit = require("bit")
local util = require("jit.util")

local band, rshift = bit.band, bit.rshift

local bytecode = {}

-- The libraries whose fields are looked at.
local LIBRARIES = {
  _G = true, bit = true, coroutine = true, debug = true, io = true, math = true,
  os = true, string = true, table = true,
}

-- The numbers of opcodes differ between versions of LuaJIT.
local probe = loadstring("a = b.c b.c = 1")

local function opcode(pc)
  return band(util.funcbc(probe, pc), 0xff)
end

local GGET, TGETS, GSET, TSETS = opcode(1), opcode(2), opcode(3), opcode(6)

local function field_name(library, field)
  return library == "_G" and field or library .. "." .. field
end

-- Calls visit(constant, a) for each constant that is an object.
local function each_constant(f, visit, a)
  local k = -1
  local constant = util.funck(f, k)
  while constant ~= nil do
    visit(constant, a)
    k = k - 1
    constant = util.funck(f, k)
  end
end

local function scan_own(f, see)
  local library_in = {} -- register -> the library that was last read into it
  local fresh -- the register that the instruction before read one into
  for pc = 1, util.funcinfo(f).bytecodes - 1 do
    local code, was_fresh = util.funcbc(f, pc), fresh
    local op, a = band(code, 0xff), band(rshift(code, 8), 0xff)
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
        see(field_name(library, field), op == TSETS, f, pc)
      end
    end
  end
end

local function scan_inner(constant, see)
  if type(constant) == "proto" then
    bytecode.scan(constant, see)
  end
end

--- Calls see(name, is_set, f, pc) for each global ("helper"), and each field of
-- a library that is spelled out ("string.trim"), that a function reads or sets.
function bytecode.scan(f, see)
  scan_own(f, see)
  each_constant(f, scan_inner, see)
end

--- The line of an instruction that scan() saw.
function bytecode.line(f, pc)
  return util.funcinfo(f, pc).currentline
end

local function add_string(constant, strings)
  if type(constant) == "proto" then
    each_constant(constant, add_string, strings)
  elseif type(constant) == "string" and not strings[constant] then
    strings[constant] = true
    strings[#strings + 1] = constant
  end
end

--- The strings that a function has: a list, and {[string] = true}.
function bytecode.strings(f)
  local strings = {}
  each_constant(f, add_string, strings)
  return strings
end

jit.off(true, true) -- cold: it runs once for each chain

return bytecode
