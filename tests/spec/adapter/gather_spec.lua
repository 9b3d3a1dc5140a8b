-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

describe("neap.gather", function()
  it("answers the items that the indexes name, in their order", function()
    assert.same({ "c", "a", "c" },
      neap.gather({ "a", "b", "c" }, { 3, 1, 3 }):totable())
    assert.same({ "c", "a" },
      neap.take({ "a", "b", "c" }, { -1, -3 }):totable())
    assert.same({ 30 }, neap.range(0, 100, 10):take({ 4 }):totable())
    assert.equal(0, #neap.gather({ 1, 2 }, {}))
    assert.equal(0, #neap.gather({}, {}))
  end)

  it("takes tensors for indexes", function()
    for _, dtype in ipairs({ "u8", "i32", "i64", "u64", "f64" }) do
      local indexes = neap.tensor(dtype, { 3 }, { 2, 1, 2 })
      assert.same({ 20, 10, 20 },
        neap.gather({ 10, 20 }, indexes):totable())
    end
  end)

  it("has a copy of a table of indexes", function()
    local indexes = { 1, 2 }
    local s = neap.gather({ "a", "b", "c" }, indexes)
    indexes[1] = 3
    assert.same({ "a", "b" }, s:totable())
  end)

  it("reads computed indexes when it reads an item", function()
    local calls = 0
    local indexes = neap.range(3):map(function(i)
      calls = calls + 1
      return -i
    end)
    local s = neap.gather({ "a", "b", "c" }, indexes)
    assert.equal(0, calls)
    assert.equal("a", s[3])
    assert.equal(1, calls)
    assert.same({ "c", "b", "a" }, s:totable())
  end)

  it("is right through several of its kind", function()
    local s = neap.range(100):gather(neap.range(100, 1, -1))
      :gather(neap.range(1, 100, 2):totable()):gather({ 1, -1, 25 })
    assert.same({ 100, 2, 52 }, s:totable())
  end)

  it("reads an endless source", function()
    local s = neap.gather(neap.from(function(i) return -i end), { 5, 2 ^ 40 })
    assert.same({ -5, -2 ^ 40 }, s:totable())
  end)

  it("stores where its items come from", function()
    local t = { 1, 2, 3 }
    local s = neap.gather(t, { 3, 1, 3 })
    s[1], s[2] = "c", "a"
    assert.same({ "a", 2, "c" }, t)
    assert.equal("c", s[3])
  end)

  it("keeps its indexes for as long as anything reads them", function()
    local indexes = {}
    for k = 1, 20000 do
      indexes[k] = k
    end
    local step, state, i = neap.gather(neap.range(20000), indexes)
      :slice(2, -1):each()
    for k = 2, 20000 do
      if k % 4000 == 0 then
        for _ = 1, 3 do
          collectgarbage()
        end
        for _ = 1, 5 do
          neap.tensor("i64", { 20000 }, 5)
        end
      end
      local x
      i, x = step(state, i)
      assert.truthy(x == k)
    end
  end)

  it("refuses indexes that are none, where they are a table", function()
    for message, indexes in pairs({
      ["index at position 2: 4 is out of range 1..3"] = { 1, 4 },
      ["index at position 1: -4 is out of range 1..3"] = { -4 },
      ["index at position 1: 0 is out of range 1..3"] = { 0 },
      ["index at position 1: whole number expected, got 1.5"] = { 1.5 },
      ['index at position 1: whole number expected, got "1"'] = { "1" },
      ["index at position 1: whole number expected, got nan"] = { 0 / 0 },
    }) do
      assert.equal("bad argument #2 to 'gather' (" .. message .. ")",
        support.message(function()
          local _ = neap.gather({ 1, 2, 3 }, indexes)
        end))
    end
    assert.equal("bad argument #2 to 'gather' (index at position 1: -1 is out "
      .. "of range 1..inf)", support.message(function()
      local _ = neap.gather(neap.from(print), { -1 })
    end))
  end)

  it("raises for the item whose computed index is none", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local s = neap.gather({ "a", "b" }, neap.range(3))
    assert.same({ "a", "b" }, { s[1], s[2] })
    local e = support.raised(function() return s[3] end)
    assert.equal("index: 3 is out of range 1..2", e.message)
    assert.equal(3, e.index)
    assert.equal(("gather (tests/spec/adapter/"
      .. "gather_spec.lua:%d)"):format(line),
      e.stage)
  end)
end)
