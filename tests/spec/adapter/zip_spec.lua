-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

describe("neap.zip", function()
  it("answers the items side by side", function()
    assert.same({ { 1, "a" }, { 2, "b" } },
      neap.zip(neap.range(2), { "a", "b" }):totable())
    assert.same({ { 1, "a" }, { 2, "b" } },
      neap.range(2):zip({ "a", "b" }):totable())
    assert.same({ { 1 }, { 2 } }, neap.zip(neap.range(2)):totable())
  end)

  it("answers the items by name", function()
    local s = neap.zip({ image = { "i", "j" }, label = neap.range(2) })
    assert.same({ { image = "i", label = 1 }, { image = "j", label = 2 } },
      s:totable())
    assert.equal("zip(image = from(table), label = range(1, 2)): 2 items",
      tostring(s))
  end)

  it("takes names of all kinds", function()
    for _, name in ipairs({ "end", "a b", "", "1", "a\nb", "a\0b", "%s", "ä",
      "a\rb", "\\" }) do
      local s = neap.zip({ [name] = { 5 } })
      assert.same({ { [name] = 5 } }, s:totable())
    end
  end)

  it("tells the stage that fails, whatever the names", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local s = neap.map(function() error("no") end,
      neap.zip({ ["a\nb"] = { 1, 2 }, ["c\nd"] = { 1, 2 } }))
    local e = support.raised(function() return s[2] end)
    assert.equal("map (tests/spec/adapter/"
      .. "zip_spec.lua:" .. line .. ")", e.stage)
    assert.equal(2, e.index)
  end)

  it("keeps a place for nil", function()
    local s = neap.zip(neap.from(function() end, 2), { 5, 6 })
    assert.is_nil(s[1][1])
    assert.equal(5, s[1][2])
  end)

  it("answers another table each time", function()
    local s = neap.zip({ 1 }, { 2 })
    assert.are_not.equal(s[1], s[1])
  end)

  it("takes a hundred sequences", function()
    local all, named = {}, {}
    for k = 1, 100 do
      all[k] = neap.range(k, k + 1)
      named["f" .. k] = all[k]:map(function(x) return x + 1 end)
    end
    local item = neap.zip(unpack(all))[2]
    assert.equal(100, #item)
    assert.equal(101, item[100])
    assert.equal(78, neap.zip(named)[1].f77)
  end)

  it("ends with the finite ones", function()
    local endless = neap.from(function(i) return i end)
    assert.equal(2, #neap.zip(endless, { "a", "b" }))
    assert.equal(math.huge, neap.zip(endless, endless):len())
  end)

  it("refuses lengths that differ, when it is made", function()
    assert.equal("bad argument #2 to 'zip' (2 items expected, got 3: lengths "
      .. "must agree)\n"
      .. "help: s:slice(1, n) cuts the longer one", support.message(function()
      local _ = neap.zip({ 1, 2 }, { 1, 2, 3 })
    end))
    assert.equal("bad argument #1 to 'zip' (field 'label': 2 items expected, "
      .. "got 3: lengths must agree)\n"
      .. "help: s:slice(1, n) cuts the longer one", support.message(function()
      local _ = neap.zip({ image = { 1, 2 }, label = { 1, 2, 3 } })
    end))
  end)

  it("refuses fields that are no sequences, and names that are none",
    function()
      assert.equal("bad argument #1 to 'zip' (field 'label': sequence "
        .. "expected, got 5)", support.message(function()
        local _ = neap.zip({ image = { 1 }, label = 5 })
      end))
      assert.equal("bad argument #1 to 'zip' (names of fields must be strings,"
        .. " got boolean)", support.message(function()
        local _ = neap.zip({ [true] = { 1 } })
      end))
    end)

  it("takes an empty array for a sequence without items", function()
    assert.equal(0, #neap.zip({}))
    assert.equal(0, #neap.zip({}, {}))
  end)
end)
