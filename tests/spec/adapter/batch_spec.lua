-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

describe("neap.batch", function()
  it("answers k items at a time, the rest last", function()
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 }, { 7 } },
      neap.batch(neap.range(7), 3):totable())
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, neap.range(6):batch(3):totable())
    assert.same({ { 1 } }, neap.range(1):batch(1000):totable())
    assert.equal(0, #neap.batch({}, 3))
  end)

  it("leaves an incomplete batch out if told", function()
    local s = neap.range(7):batch(3, { drop_last = true })
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, s:totable())
    assert.equal(0, #neap.range(2):batch(3, { drop_last = true }))
  end)

  it("fills an incomplete batch up if told", function()
    local t = {}
    for _, pad in ipairs({ 0, "x", false, t }) do
      local last = neap.range(4):batch(3, { pad = pad })[-1]
      assert.equal(4, last[1])
      assert.equal(pad, last[2])
      assert.equal(pad, last[3])
    end
    assert.same({ { 1, 2 } }, neap.range(2):batch(2, { pad = 0 }):totable())
  end)

  it("keeps nil and false among its items", function()
    local s = neap.from(function(i) return i ~= 2 and i == 3 end, 3):batch(3)
    assert.same({ false, false, true }, s[1])
    local holes = neap.from(function(i) return i == 3 and i or nil end, 3)
      :batch(3)[1]
    assert.is_nil(holes[1])
    assert.equal(3, holes[3])
  end)

  it("collates with a function, once a batch", function()
    local calls = 0
    local s = neap.range(5):batch(2, { collate = function(list)
      calls = calls + 1
      return #list * 100 + list[1]
    end })
    assert.same({ 201, 203, 105 }, s:totable())
    assert.equal(3, calls)
  end)

  it("stacks to a dtype, in workers too", function()
    local s = neap.range(5):map(function(i)
      return { image = neap.tensor("u8", { 2 }, i), label = i }
    end):batch(2, { dtype = { image = "f32", label = "i64" } })
    local p = s:prefetch({ workers = 1 })
    for _, b in ipairs({ s[2], p[2] }) do
      assert.equal("tensor f32 2x2 {3, 3, 4, 4}", tostring(b.image))
      assert.equal("tensor i64 2 {3, 4}", tostring(b.label))
    end
    p:close()
    local padded = neap.range(3):batch(2, { dtype = "i32", pad = -1 })
    assert.equal("tensor i32 2 {3, -1}", tostring(padded[2]))
  end)

  it("refuses a dtype for a function that collates", function()
    local ok, e = pcall(neap.batch, { 1 }, 2, { dtype = "i64",
      collate = function(list) return list end })
    assert.is_false(ok)
    assert.equal("option 'dtype' goes with collate = neap.stack, got a "
      .. "function)\nhelp: call neap.stack(items, { dtype = ... }) in the "
      .. "function", e:match("%((.*)$"))
  end)

  it("collates padded batches, complete", function()
    local s = neap.range(5):batch(3, { pad = 0, collate = table.concat })
    assert.same({ "123", "450" }, s:totable())
  end)

  it("stacks numbers, tensors, strings and tables of them", function()
    local s = neap.range(5):map(function(i)
      return { x = neap.tensor("u8", { 2 }, { i, 2 * i }), n = i,
        name = "item " .. i, is_odd = i % 2 == 1 }
    end):batch(2, { collate = neap.stack })
    local b = s[2]
    assert.same({ { 3, 6 }, { 4, 8 } }, b.x:totable())
    assert.equal("u8", b.x.dtype)
    assert.same({ 3, 4 }, b.n:totable())
    assert.equal("f64", b.n.dtype)
    assert.same({ "item 3", "item 4" }, b.name)
    assert.same({ true, false }, b.is_odd:totable())
    assert.same({ 1, 2 }, s[3].x.shape)
  end)

  it("stacks padded batches", function()
    local s = neap.range(4):batch(3, { collate = neap.stack, pad = -1 })
    assert.same({ 1, 2, 3 }, s[1]:totable())
    assert.same({ 4, -1, -1 }, s[2]:totable())
  end)

  it("tells which batch cannot be stacked, and why", function()
    local line = debug.getinfo(1, "l").currentline + 3
    local s = neap.range(6):map(function(i)
      return i == 5 and "five" or i
    end):batch(2, { collate = neap.stack })
    assert.same({ 3, 4 }, s[2]:totable())
    local e = support.raised(function() return s[3] end)
    assert.equal("cannot stack: item 2 is a number, item 1 is a string",
      e.message)
    assert.equal(3, e.index)
    assert.equal(("batch (tests/spec/adapter/"
      .. "batch_spec.lua:%d)"):format(line), e.stage)
  end)

  it("batches batches", function()
    assert.same({ { { 1, 2 }, { 3, 4 } }, { { 5 } } },
      neap.range(5):batch(2):batch(2):totable())
    local s = neap.range(8):batch(2, { collate = neap.stack })
      :batch(2, { collate = neap.stack })
    assert.same({ { 5, 6 }, { 7, 8 } }, s[2]:totable())
  end)

  it("batches what has no end", function()
    local s = neap.from(function(i) return i end):batch(3)
    assert.equal(math.huge, s:len())
    assert.same({ 2998, 2999, 3000 }, s[1000])
  end)

  it("tells the item of its source that fails", function()
    local s = neap.range(7):map(function(i)
      return i == 5 and error("no five") or i
    end):batch(3)
    local e = support.raised(function() return s[2] end)
    assert.equal(5, e.index)
    assert.truthy(e.stage:find("^map "))
  end)

  it("refuses what is no size, and options that are none", function()
    local s = neap.range(3)
    for message, words in pairs({
      ["#1 to 'batch' (positive integer expected, got 0)"] = { 0 },
      ["#1 to 'batch' (positive integer expected, got -1)"] = { -1 },
      ["#1 to 'batch' (positive integer expected, got 2.5)"] = { 2.5 },
      ["#1 to 'batch' (positive integer expected, got no value)"] = {},
      ["#2 to 'batch' (table of options expected, got boolean)"] = { 2, true },
      ["#2 to 'batch' (option 'collate': function or neap.stack expected, got "
        .. "table)"] = { 2, { collate = {} } },
      ["#2 to 'batch' (option 'drop_last': boolean expected, got 1)"] =
        { 2, { drop_last = 1 } },
      ["#2 to 'batch' (unknown option 'droplast'; known are collate, drop_last,"
        .. " dtype, pad)\nhelp: did you mean 'drop_last'?"] =
        { 2, { droplast = true } },
    }) do
      assert.equal("bad argument " .. message,
        support.message(function() local _ = s:batch(unpack(words)) end))
    end
  end)

  it("never lets a tensor that outlives its item spoil another's row",
    function()
      local kept
      local s = neap.range(4):map(function(i)
        if i == 1 then
          return neap.tensor("f32", { 1000 }, i)
        end
        kept = kept or neap.empty("f32", { 1000 })
        kept:fill(i)
        return kept
      end):batch(4, { collate = neap.stack })
      local p = s:prefetch({ workers = 1 })
      local ok, e = pcall(function() return p[1] end)
      p:close()
      assert.is_false(ok)
      assert.truthy(e.message:find("has been released", 1, true))
    end)

  it("nor where a batch within that item failed", function()
    local kept
    local rescued = neap.range(6):map(function(i)
      return i == 4 and error("four") or i
    end):batch(2, { collate = neap.stack }):rescue(function() return 0 end)
    local p = neap.zip(neap.range(3):map(function(i)
      local t = neap.tensor("i32", { 3 }, i)
      kept = i == 2 and t or kept
      return t
    end), rescued):map(function(pair)
      local ok, e = true, nil
      if pair[1][1] == 3 then
        ok, e = pcall(kept.fill, kept, -1)
      end
      return { x = pair[1], refusal = ok and "" or tostring(e) }
    end):batch(3, { collate = neap.stack }):prefetch({ workers = 1 })
    local x = p[1]
    assert.same({ { 1, 1, 1 }, { 2, 2, 2 }, { 3, 3, 3 } }, x.x:totable())
    assert.truthy(x.refusal[3]:find("has been released", 1, true))
    p:close()
  end)

  it("stacks batches where one is the first item of another", function()
    local function check(k)
      local s = neap.range(8):map(function(i)
        return neap.tensor("f64", { 2 }, i)
      end):batch(2, { collate = neap.stack })
        :batch(k, { collate = neap.stack })
      local p = s:prefetch({ workers = 1, chunk = 1 })
      for i = 1, #s do
        assert.same(s[i]:totable(), p[i]:totable())
      end
      p:close()
    end
    check(1)
    check(2)
  end)

  it("places batches of batches in their rows", function()
    local function image(i)
      return neap.tensor("f32", { 1000 }, i)
    end
    local s = neap.zip({
      a = neap.range(6):map(image),
      b = neap.range(12):map(image):batch(2, { collate = neap.stack }),
      c = neap.range(101, 106):map(image),
    }):batch(3, { collate = neap.stack })
    local p = s:prefetch({ workers = 2 })
    for k, x in p:each() do
      for j = 1, 3 do
        local i = 3 * (k - 1) + j
        assert.equal(i, x.a[j][1000])
        assert.equal(2 * i, x.b[j][2][1])
        assert.equal(100 + i, x.c[j][500])
      end
    end
    p:close()
  end)

  it("asks about the map whose item it cannot stack, a nil", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local mapped = neap.range(4):map(function(x)
      return x ~= 2 and x or nil
    end)
    for _, s in ipairs({ mapped, mapped:slice(2):cache() }) do
      local e = support.raised(function()
        return s:batch(2, { collate = neap.stack })[1]
      end)
      assert.truthy(e.message:find("^cannot stack: item %d is nil"))
      assert.truthy(tostring(e):find(("\nhelp: does the function of map "
        .. "(tests/spec/adapter/batch_spec.lua:%d) return a value?"):format(
        line), 1, true), tostring(e))
    end
  end)

  it("is taken apart where its first item is nil", function()
    local s = neap.range(4):map(function(x)
      return x % 2 == 0 and x or nil
    end):batch(2):unbatch(2)
    assert.is_nil(s[1])
    assert.equal(2, s[2])
    assert.equal(4, s[4])
  end)
end)
