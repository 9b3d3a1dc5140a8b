-- SPDX-License-Identifier: MIT
--- Whether the LuaJIT that runs neap has bug 829, and the guard against it; and
-- how long its traces may be.
--
-- From September 2021 to April 2022 LuaJIT for x86-64 compiled traversals (a
-- `for` over `pairs` or `next`, and `next` itself) so that a pointer lost its
-- upper half now and then: the process crashes, or reads other memory. Debian
-- 12 has a LuaJIT of that time. The version does not tell: it is the same from
-- 2017 to August 2023. https://github.com/LuaJIT/LuaJIT/issues/829
-- @module neap.base.luajit

local bit = require("bit")
local util = require("jit.util")

local luajit = {}

--- Whether this LuaJIT may have the bug.
luajit.is_suspect = jit.arch == "x64" and jit.version_num == 20100
  and jit.version:find("beta", 1, true) ~= nil

local function go_over(t)
  local count = 0
  for _ in next, t do
    count = count + 1
  end
  return count
end

--- Whether this LuaJIT compiles traversals; those from 2017 to 2021 do not.
function luajit.compiles_traversals()
  local is_compiled, t = false, {}
  local function look(what, _, func)
    is_compiled = is_compiled or what == "stop" and func == go_over
  end
  for k = 1, 200 do
    t[k] = k
  end
  jit.attach(look, "trace")
  go_over(t)
  go_over(t)
  jit.attach(look)
  return is_compiled
end

-- The opcode of a `for` over `next`: the third instruction from the end. It
-- has another number in other versions.
local function traversal_opcode()
  local instruction = util.funcbc(go_over,
    util.funcinfo(go_over).bytecodes - 3)
  return bit.band(instruction, 0xff)
end

--- Keeps a LuaJIT that may have the bug from compiling traversals from now on,
-- in all functions of this process. They are interpreted then, and so is the
-- code around them. LuaJIT tells of each instruction that it is about to
-- record; a change of its settings, whichever, makes it give up the trace, and
-- so does an error. The stack may be full when it tells: what calls C functions
-- is called by pcall, or LuaJIT would print the error.
function luajit.guard()
  if not luajit.is_suspect then
    return
  end
  local opcode, band, funcbc = traversal_opcode(), bit.band, util.funcbc
  local next, off, pcall = next, jit.off, pcall
  local check
  function check(func, pc)
    if func == next or pc >= 0 and band(funcbc(func, pc), 0xff) == opcode then
      off(check)
    end
  end
  local function look(_, func, pc)
    pcall(check, func, pc)
  end
  jit.off(look)
  jit.off(check)
  jit.attach(look, "record")
end

--- Lets a trace have as many constants as computing and writing an item needs:
-- a trace with more is given up, and its code interpreted. By default it is 500
-- words, 250 functions, tables and field names.
function luajit.allow_long_traces()
  require("jit.opt").start("maxirconst=2000")
end

return luajit
