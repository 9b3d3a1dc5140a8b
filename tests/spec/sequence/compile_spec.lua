-- SPDX-License-Identifier: MIT
--- A chain becomes one function of Lua; its text is what LuaJIT compiles.

local neap = require("neap")
local compiler = require("neap.sequence.compile")
local handle = require("neap.sequence.handle")
local support = dofile("tests/spec/support.lua")

local function text(s)
  return compiler.text(handle.node(s))
end

local function double(x)
  return 2 * x
end

-- A list of n values that f makes.
local function many(n, f)
  local list = {}
  for k = 1, n do
    list[k] = f(k)
  end
  return list
end

describe("neap.compile", function()
  it("writes a call of the user's function on a line of its own", function()
    local code = text(neap.range(3):map(double))
    assert.truthy(code:find("\n  local x%d+ = k1%(x%d+%) do local _ = i end\n"),
      code)
    assert.truthy(code:find("\n  return x%d+$"), code)
  end)

  it("writes one function for a chain", function()
    local code = text(neap.range(9):map(double):batch(2):map(unpack))
    local _, calls = code:gsub("do local _ = ", "")
    assert.equal(2, calls)
    assert.is_nil(code:find("function", 1, true))
  end)

  it("needs one call for any number of rearranging stages", function()
    local one = text(neap.range(9):shuffle(1))
    local many_of_them = text(neap.range(9):shuffle(1):slice(2):gather({ 1, 2 })
      :slice(1):shuffle(2))
    local _, lines = one:gsub("\n", "")
    local _, more_lines = many_of_them:gsub("\n", "")
    assert.equal(lines, more_lines)
  end)

  it("writes the same text for chains of the same shape", function()
    assert.equal(text(neap.range(2, 9):map(double):slice(3)),
      text(neap.range(3, 50):map(math.abs):slice(1)))
  end)

  it("compiles a sequence once", function()
    local node = handle.node(neap.range(3):map(double))
    assert.equal(compiler.compile(node), compiler.compile(node))
  end)

  it("lets LuaJIT compile a chain's function by itself", function()
    -- The caller is not compiled, and a fresh process has nothing else hot.
    local run = support.run([[
      local neap = require("neap")
      local errors = require("neap.base.errors")
      local handle = require("neap.sequence.handle")
      local s = neap.range(9):slice(2):map(function(x) return 2 * x end)
      local item = require("neap.sequence.compile").compile(handle.node(s))
      local function read()
        for _ = 1, 2000 do
          errors.try(item, 2, 1)
        end
      end
      jit.off(read)
      local util, hot = require("jit.util"), nil
      jit.attach(function(what, _, f, pc)
        if what == "start" then
          hot = util.funcinfo(f, pc).loc
        elseif what ~= "flush" then
          print(what, hot)
        end
      end, "trace")
      read()
    ]])
    assert.equal(0, run.status)
    assert.is_nil(run.out:find("abort", 1, true), run.out)
    assert.truthy(run.out:find("stop\tneap: map:3", 1, true), run.out)
  end)

  it("lets LuaJIT compile the end of a chain's loop", function()
    local run = support.run([[
      local neap = require("neap")
      local s = neap.range(3200):map(function(x) return 2 * x end)
        :batch(32, { collate = neap.stack })
      local told = require("jit.vmdef").traceerr
      jit.attach(function(what, _, _, _, code)
        if what == "abort" then
          print(told[code])
        end
      end, "trace")
      for _ = 1, 20 do
        for _ in s:each() do
        end
      end
    ]])
    assert.equal(0, run.status)
    assert.is_nil(run.out:find("lower frame", 1, true), run.out)
  end)

  it("bounds what it asks of LuaJIT, in depth", function()
    local s = neap.range(3)
    for _ = 1, 3000 do
      s = s:map(function(x) return x + 1 end)
    end
    assert.equal(3002, s[2])
  end)

  it("bounds what it asks of LuaJIT, in width", function()
    local s = neap.zip(unpack(many(100, function(j)
      return neap.zip(unpack(many(100, function(k)
        return neap.range(3):map(function(x) return x * j * k end)
      end)))
    end)))
    assert.equal(3 * 7 * 9, s[3][7][9])
    assert.equal(2 * 100 * 100, s[2][100][100])
  end)

  it("bounds what it asks of LuaJIT, in both", function()
    local s = neap.range(64)
    for k = 1, 12 do
      s = s:random_map(function(x) return x + 1 end):batch(2, { pad = k })
        :map(function(list) return list[1] end):gather(many(64, function(i)
          return math.min(i, 32)
        end))
      s = neap.map(function(x, ...)
        return x + select("#", ...)
      end, s, unpack(many(99, function() return neap.rep(k, 64) end)))
    end
    assert.equal(1 + 12 * 100, s[1])
  end)

  it("tells the stage and its index from any of the functions", function()
    local s = neap.range(10):map(function(x)
      return x == 5 and error("five") or x
    end)
    for k = 1, 50 do
      s = k % 5 == 0 and s:slice(1) or s:map(function(x) return x end)
    end
    for _, f in ipairs({
      function() return s[5] end,
      function() return s:slice(5)[1] end,
      function() return s:batch(4)[2] end,
      function() return neap.zip(s, neap.range(10))[5] end,
    }) do
      local e = support.raised(f)
      assert.equal(5, e.index)
      assert.truthy(e.stage:find("^map "))
    end
  end)

  it("tells the index of the failing stage, not of those around it", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local s = neap.range(40):batch(4):map(function(list)
      return list[1] == 21 and error("no") or list
    end):shuffle(1)
    local failing
    for i = 1, 10 do
      local e = support.raised(function() return s[i] end)
      if e then
        failing = e
      end
    end
    assert.equal(6, failing.index)
    assert.equal(("map (tests/spec/sequence/compile_spec.lua:%d)"):format(line),
      failing.stage)
  end)
end)
