-- SPDX-License-Identifier: MIT
--- What the scripts of fuzz_lua share: looking at what was read, so that a
-- value which is none crashes here and not later; and mistakes.

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path

local ffi = require("ffi")

-- A compiled look at a table may crash.
require("neap.base.luajit").guard()

local common = {}

--- Lets a module be loaded with a mistake: `right` in its text becomes `wrong`.
function common.mistake(path, right, wrong)
  local file = assert(io.open("lua/" .. path))
  local text = file:read("*a")
  file:close()
  local first, last = text:find(right, 1, true)
  assert(first, "cannot make the mistake: the text has changed")
  package.preload[path:gsub("%.lua$", ""):gsub("/", ".")] = assert(loadstring(
    text:sub(1, first - 1) .. wrong .. text:sub(last + 1), "@lua/" .. path))
end

local ROWS_MAX = 4096 -- of a tensor: an empty one may have any number
local VALUES_MAX = 20000

local function look_at_tensor(t)
  assert(#tostring(t) > 0 and #t.dtype > 0 and #t.shape == t.ndim)
  assert(t:clone().nbytes == t.nbytes and t:to("f64").size == t.size)
  local rows = 1
  for _, size in ipairs(t.shape) do
    rows = rows * math.max(size, 1)
  end
  return rows <= ROWS_MAX and t:totable() or nil
end

local look = {}

look["nil"] = function() end

function look.boolean(x)
  assert(x == true or x == false)
end

function look.number(x)
  assert(x ~= x or x == x + 0)
end

-- Those of modules lead to all that there is.
look["function"] = function(f, budget)
  local about = debug.getinfo(f, "Su")
  for k = 1, about.source:find("^@tests/fuzz/") and about.nups or 0 do
    local _, value = debug.getupvalue(f, k)
    budget:spend(value)
  end
end

function look.string(x)
  assert(#(x .. "x") == #x + 1)
end

function look.table(t, budget)
  budget:spend(debug.getmetatable(t))
  for key, value in next, t do
    budget:spend(key)
    budget:spend(value)
  end
end

function look.cdata(x, budget)
  local array = package.loaded["neap.tensor.array"]
  assert(#tostring(ffi.typeof(x)) > 0)
  if array.is(x) then
    budget:spend(look_at_tensor(x))
  end
end

local Budget = {}
Budget.__index = Budget

function Budget:spend(x)
  local kind = type(x)
  local f = look[kind]
  if not f then
    error("a " .. kind .. " was read")
  end
  if kind == "table" or kind == "function" then
    if self.seen[x] then
      return
    end
    self.seen[x] = true
  end
  self.left = self.left - 1
  if self.left > 0 then
    f(x, self)
  end
end

--- Looks at a value and all that it reaches.
function common.look(x)
  setmetatable({ left = VALUES_MAX, seen = {} }, Budget):spend(x)
end

--- Reads, and looks at what was read: once more after a collection, if told.
-- What cannot be read must raise an error whose text matches `refusal`.
-- @return whether it could be read, and what f returns
function common.read(collects, refusal, f, ...)
  local ok, x, more = pcall(f, ...)
  if not ok then
    x = tostring(x)
    assert(x:find(refusal), x)
    return false
  end
  common.look(x)
  if collects then
    collectgarbage()
    common.look(x)
  end
  return true, x, more
end

return common
