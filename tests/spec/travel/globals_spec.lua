-- SPDX-License-Identifier: MIT
--- A function that needs a global which only the script has is refused where
-- the prefetch is made; what a worker has all the same is not. Each script runs
-- in a process of its own.

local support = dofile("tests/spec/support.lua")

local PRELUDE = [[
local neap = require("neap")
local function try(f, on_start)
  local p
  local ok, x = pcall(function()
    p = neap.range(3):map(f):prefetch({ workers = 1, on_start = on_start })
    return p[1]
  end)
  print(ok and x or type(x) == "table" and x.message
    .. (x.help and "\nhelp: " .. x.help or "") or x)
  if p then p:close() end
end
]]
local LINES = select(2, PRELUDE:gsub("\n", ""))

-- What a script prints, its own path left out.
local function printed(script)
  local run = support.run(PRELUDE .. script)
  assert.equal("", run.err)
  return (run.out:gsub(run.path:gsub("%p", "%%%0"), "train.lua"):gsub("\n$",
    ""))
end

local HELP = "help: make it a local, put it into a module, or set it in "
  .. "on_start; what each worker opens for itself: neap.per_worker"

-- The message for a function at one line of the script that uses a global at
-- another.
local function refused(defined, line, what)
  return ("train.lua:5: cannot send the function at train.lua:%d to a worker: "
    .. "line %d uses %s, which only the script has; that is the function of "
    .. "map (train.lua:5)\n%s"):format(defined + LINES, line + LINES, what,
    HELP)
end

describe("a global of the script", function()
  it("is refused: function, line and global are named", function()
    assert.equal(refused(3, 4, "the global 'helper'"), printed([[
function helper(x) return x end
try(
function(x)
  return helper(x)
end)]]))
  end)

  it("is refused in a function within, as a field of _G, as `arg`", function()
    assert.equal(refused(2, 2, "the global 'LIMIT'"), printed([[
LIMIT = 3
try(function(x) return function() return LIMIT end end)]]))
    assert.equal(refused(2, 2, "the global 'LIMIT'"), printed([[
LIMIT = 3
try(function(x) return _G.LIMIT end)]]))
    assert.equal(refused(1, 1, "the global 'arg'"), printed([[
try(function(x) return arg[1] end)]]))
  end)

  it("is refused with the way to the function that uses it", function()
    assert.equal(("train.lua:5: cannot send the function at train.lua:%d to a "
      .. "worker: line %d uses the global 'helper', which only the script has; "
      .. "that function is reached from the function of map (train.lua:5) by "
      .. "its upvalue 'tools'.inner\n%s"):format(LINES + 2, LINES + 2, HELP),
      printed([[
function helper(x) return x end
local tools = { inner = function(x) return helper(x) end }
try(function(x) return tools.inner(x) end)]]))
    assert.matches("that is on_start\n", printed([[
function helper(x) return x end
try(math.abs, function() helper(1) end)]]))
  end)

  it("in a function's own environment is refused, too", function()
    assert.equal(refused(1, 1, "the global 'helper'"), printed([[
local function f(x) return helper(x) end
setfenv(f, setmetatable({ helper = math.abs }, { __index = _G }))
try(f)]]))
  end)

  it("that on_start or the function itself sets is none", function()
    assert.equal("7\n1\n4\n5", printed([[
LIMIT = 3
try(function(x) return LIMIT end, function() LIMIT = 7 end)
CACHE = {}
try(function(x)
  CACHE = CACHE or { 1 }
  return CACHE[1]
end)
try(function(x) return _G.LIMIT end, function() _G.LIMIT = 4 end)
local function set() LIMIT = 5 end
try(function(x) set() return LIMIT end)]]))
  end)

  it("that is not there, or one of LuaJIT's, is none", function()
    assert.equal("nil\nfunction", printed([[
try(function(x) return tostring(NOTHING) end)
try(function(x) return type(print) end)]]))
  end)

  it("that a module sets is none, in Lua or in C", function()
    local folder = support.folder()
    finally(function() os.execute("rm -r " .. folder) end)
    support.write(folder .. "/setter.lua", "SET = 9 return { f = print }")
    assert.equal("9\nfunction", printed(([[
package.path = %q .. "/?.lua;" .. package.path
local setter = require("setter")
try(function(x) return setter and SET end)
require("lfs")
try(function(x) return type(lfs.dir) end, function() require("lfs") end)]])
      :format(folder)))
  end)

  it("that is a module is refused, unless a function requires it", function()
    assert.equal(refused(2, 2, "the global 'unit'") .. "\ntable", printed([[
unit = require("jit.util")
try(function(x) return unit.funcinfo end)
function name() end
try(function(x) return type(unit or require("jit.util")) end)]]))
  end)
end)

describe("a field that the script adds to a library", function()
  it("is refused where the code spells it out", function()
    assert.equal(refused(2, 2, "string.trim"), printed([[
function string.trim(x) return x end
try(function(x) return string.trim(x) end)]]))
    assert.equal(refused(2, 2, "math.tau"), printed([[
math.tau = 2 * math.pi
try(function(x) return math.tau end)]]))
  end)

  it("that is set there, or built in, is none", function()
    assert.equal("1!\n3.14\nfile\nfunction", printed([[
function string.trim(x) return x end
try(function(x) return string.trim(x) end, function()
  function string.trim(x) return x .. "!" end
end)
try(function(x) return ("%.2f"):format(math.pi) end)
try(function(x) return io.type(io.stdout) end)
try(function(x) return type(table.concat) end)]]))
  end)
end)

describe("the globals that count as LuaJIT's", function()
  it("are those that a worker has", function()
    local known = support.read("lua/neap/travel/globals.lua")
      :match("BUILT_IN = set_of%(%[%[(.-)%]%]")
    for name in printed([[
local traverse = require("neap.base.traverse")
try(function(x) return table.concat(traverse.keys(_G), " ") end)]])
      :gmatch("%S+")
    do
      assert(known:find("%f[%w_]" .. name .. "%f[^%w_]"), name)
    end
  end)
end)

describe("in a worker, an error", function()
  local GLOBAL = "\nhelp: a worker has no globals of the script: make it a "
    .. "local, put it into a module, or set it in on_start"
  local DECLARED = "\nhelp: a worker has no C declarations of the script: put "
    .. "ffi.cdef into a module that the function requires, into on_start, or "
    .. "into a neap.per_worker"

  it("of a missing global has help", function()
    assert.equal(("train.lua:%d: attempt to call global 'late' (a nil value)")
      :format(LINES + 1) .. GLOBAL, printed([[
try(function(x) return late(x) end)]]))
    assert.matches("attempt to call global 'late' %(a nil value%)\n.*" .. GLOBAL
      :gsub("%p", "%%%0"), printed([[
try(math.abs, function() late() end)]]))
  end)

  it("of a missing C declaration has help", function()
    local said = printed([[
local ffi = require("ffi")
ffi.cdef("typedef struct { int x; } pt_t; struct pt { int x; }; int abs(int);")
try(function() return ffi.new("pt_t").x end)
try(function() return ffi.new("struct pt").x end)
try(function() return ffi.C.abs(-3) end)]])
    for _, what in ipairs({ "declaration specifier expected near 'pt_t'",
      "undeclared or implicit tag 'pt'",
      "missing declaration for symbol 'abs'" })
    do
      assert.truthy(said:find(what .. DECLARED, 1, true), said)
    end
  end)

  it("of another kind has none", function()
    assert.equal(("train.lua:%d: no"):format(LINES + 1), printed([[
try(function(x) error("no") end)]]))
  end)
end)
