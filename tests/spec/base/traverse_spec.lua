-- SPDX-License-Identifier: MIT
--- Traversals: that only neap.traverse has any, and that where LuaJIT compiles
-- them wrongly none is compiled.

local ffi = require("ffi")
local util = require("jit.util")
local lib = require("neap.base.lib")
local luajit = require("neap.base.luajit")
local support = dofile("tests/spec/support.lua")
local traverse = require("neap.base.traverse")

local MAY_TRAVERSE = { ["traverse.lua"] = true, ["luajit.lua"] = true }
local FORBIDDEN = { pairs = true, next = true }

local GLOBAL = bit.band(util.funcbc(loadstring("return x"), 1), 0xff)

-- The traversals that a function or those in it name, as "line: name".
local function find_traversals(func, found)
  local info = util.funcinfo(func)
  for pc = 1, info.bytecodes - 1 do
    local instruction = util.funcbc(func, pc)
    if bit.band(instruction, 0xff) == GLOBAL then
      local name = util.funck(func, -1 - bit.rshift(instruction, 16))
      if FORBIDDEN[name] then
        found[#found + 1] = util.funcinfo(func, pc).currentline .. ": " .. name
      end
    end
  end
  for k = 1, info.gcconsts do
    local constant = util.funck(func, -k)
    if type(constant) == "proto" then
      find_traversals(constant, found)
    end
  end
  return found
end

local function modules()
  local pipe = assert(io.popen("find " .. support.quote(lib.lua_dir)
    .. "/neap -name '*.lua'"))
  local paths = {}
  for path in pipe:lines() do
    paths[#paths + 1] = path
  end
  pipe:close()
  return paths
end

describe("the modules", function()
  it("name pairs and next in neap.traverse alone", function()
    assert.same({ "1: next", "1: pairs" }, find_traversals(loadstring(
      "local x = next return function() return pairs({}) end"), {}))
    local paths, all = modules(), {}
    assert.is_true(#paths > 60)
    for _, path in ipairs(paths) do
      if not MAY_TRAVERSE[path:match("[^/]+$")] then
        for _, line in ipairs(find_traversals(assert(loadfile(path)), {})) do
          all[#all + 1] = path .. ":" .. line
        end
      end
    end
    assert.same({}, all)
  end)
end)

describe("traverse", function()
  local x = { 1, 2, 3, a = 1, [0.5] = 2, [-1] = 3, [10] = false }

  local function sorted(list)
    table.sort(list, function(a, b) return tostring(a) < tostring(b) end)
    return list
  end

  it("calls a function for each field", function()
    local copy = {}
    traverse.each(x, function(key, field, a, b)
      assert.same({ "a", "b" }, { a, b })
      copy[key] = field
    end, "a", "b")
    assert.same(x, copy)
    assert.same(x, traverse.copy(x))
  end)

  it("finds keys", function()
    assert.same(sorted({ 1, 2, 3, "a", 0.5, -1, 10 }), sorted(traverse.keys(x)))
    assert.same({}, traverse.keys({}))
    local known = { true, true, true, a = 1, [0.5] = 1, [-1] = 1 }
    assert.equal(10, traverse.key_outside(x, known))
    known[10] = false
    assert.is_nil(traverse.key_outside(x, known))
    assert.is_true(traverse.is_empty({}))
    assert.is_false(traverse.is_empty({ false }))
    assert.same({ "a", 1 }, { traverse.after({ a = 1 }, nil) })
    assert.is_nil((traverse.after({ a = 1 }, "a")))
  end)

  it("finds the keys beside a list", function()
    local keys = {}
    assert.equal(4, traverse.keys_beside(x, 3, keys))
    assert.same(sorted({ "a", 0.5, -1, 10 }),
      sorted({ unpack(keys, 1, 4) }))
    assert.equal(7, traverse.keys_beside(x, 0, keys))
    assert.equal(0, traverse.keys_beside({ 1, 2 }, 2, keys))
    assert.equal(0, traverse.keys_beside({}, 0, keys))
  end)

  it("finds them while finalizers do so, too", function()
    local own, calls = {}, 0
    local function look()
      assert(traverse.keys_beside({ p = 1, q = 2, r = 3 }, 0, own) == 3)
      calls = calls + 1
    end
    local keys = {}
    collectgarbage("setpause", 100)
    finally(function() collectgarbage("setpause", 200) end)
    for k = 1, 20000 do
      ffi.gc(ffi.new("int[1]"), look)
      local count = traverse.keys_beside({ k, k, name = k }, 2, keys)
      if count ~= 1 or keys[1] ~= "name" then
        error(("%d keys, the first is %s"):format(count, tostring(keys[1])))
      end
    end
    assert.is_true(calls > 1000)
  end)

  it("takes all fields out", function()
    local y = traverse.copy(x)
    traverse.clear(y)
    assert.same({}, y)
  end)
end)

describe("a LuaJIT with bug 829", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  -- Prints the functions of which LuaJIT has compiled something.
  local SCRIPT = [[
    local function by_pairs(t)
      local sum = 0
      for _, x in pairs(t) do sum = sum + x end
      return sum
    end
    local function by_next(t)
      local sum, key, x = 0, next(t)
      while key do
        sum = sum + x
        key, x = next(t, key)
      end
      return sum
    end
    local function by_index(t)
      local sum = 0
      for k = 1, #t do sum = sum + t[k] end
      return sum
    end
    local names = { "by_pairs", "by_next", "by_index" }
    local functions = { by_pairs, by_next, by_index }
    local function compiled()
      local found, t = {}, {}
      for k = 1, 300 do t[k] = k end
      jit.attach(function(what, _, func)
        if what == "stop" then found[func] = true end
      end, "trace")
      for _ = 1, 20 do
        assert(by_pairs(t) == 45150)
        assert(by_next(t) == 45150)
        assert(by_index(t) == 45150)
      end
      local text = ""
      for k = 1, #names do
        text = text .. (found[functions[k] ] and names[k] .. " " or "")
      end
      return text
    end
  ]]
  local EXPECTED = luajit.is_suspect and "by_index "
    or "by_pairs by_next by_index "

  it("compiles no traversal of a script", function()
    local ran = support.run(SCRIPT .. "io.write(compiled())")
    assert.equal("", ran.err)
    assert.equal(EXPECTED, ran.out)
  end)

  it("compiles no traversal of a worker", function()
    local ran = support.run(SCRIPT .. [[
      local neap = require("neap")
      io.write(neap.range(1):map(compiled):prefetch({ workers = 1 })[1])
    ]])
    assert.equal("", ran.err)
    assert.equal(EXPECTED, ran.out)
  end)

  it("compiles nothing of neap.traverse", function()
    local ran = support.run([[
      local luajit = require("neap.base.luajit")
      jit.attach(function() end, "record") -- takes luajit.guard() away
      local traverse = require("neap.base.traverse")
      local compiled = {}
      jit.attach(function(what, _, func)
        if what == "stop" then compiled[func] = true end
      end, "trace")
      local t, keys = { 1, 2, x = 1, y = 1, z = 1 }, {}
      local function count(_, _, counter) counter.n = counter.n + 1 end
      local counter = { n = 0 }
      for _ = 1, 1000 do
        traverse.each(t, count, counter)
        traverse.keys(t)
        traverse.key_outside(t, t)
        traverse.keys_beside(t, 2, keys)
        traverse.copy(t)
        traverse.is_empty(t)
        traverse.after(t, "x")
      end
      assert(counter.n == 5000)
      assert(compiled[count])
      for name, f in pairs(traverse) do
        if luajit.is_suspect and compiled[f] and f ~= traverse.keys_beside then
          io.write(name)
        end
      end
    ]])
    assert.equal("", ran.err)
    assert.equal("", ran.out)
  end)

  it("keeps no table alive", function()
    local alive = setmetatable({}, { __mode = "k" })
    local function sort_keys()
      local t = { 1, x = 2 }
      alive[t] = true
      return traverse.keys_beside(t, 1, {})
    end
    assert.equal(1, sort_keys())
    collectgarbage()
    collectgarbage()
    assert.is_true(traverse.is_empty(alive))
  end)

  it("is told of by --version", function()
    local path = os.tmpname()
    local said = support.shell(support.NEAP .. " --version 2>" .. path)
    local warned = support.read(path)
    os.remove(path)
    assert.matches("^neap %d+%.%d+%.%d+\n" .. jit.version:gsub("%p", "%%%0")
      .. "\n$", said)
    if warned == "" then
      local ran = support.run([[
        jit.attach(function() end, "record") -- takes luajit.guard() away
        local known = require("neap.base.luajit")
        io.write(tostring(known.is_suspect and known.compiles_traversals()))
      ]])
      assert.equal("false", ran.out)
    else
      assert.is_true(luajit.is_suspect)
      assert.matches("^neap: this LuaJIT compiles pairs%(%) and next%(%)",
        warned)
      assert.matches("\nhelp: ", warned)
    end
  end)
end)
