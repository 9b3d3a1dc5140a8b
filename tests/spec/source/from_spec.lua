-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

describe("neap.from", function()
  it("reads a table, as it is when it is read", function()
    local t = { 1, "two", false, { 4 } }
    local s = neap.from(t)
    assert.same({ 1, "two", false, { 4 } }, s:totable())
    t[1] = 5
    assert.equal(5, s[1])
    assert.equal(t[4], s[4])
  end)

  it("writes into its table", function()
    local t = { 1, 2, 3 }
    local s = neap.from(t)
    s[1], s[-1] = "a", "c"
    assert.same({ "a", 2, "c" }, t)
    assert.equal("index 4 is out of range 1..3",
      support.message(function() s[4] = 1 end))
  end)

  it("reads and writes the rows of a tensor", function()
    local t = neap.tensor("f32", { 3, 2 }, { 1, 2, 3, 4, 5, 6 })
    local s = neap.from(t)
    assert.equal(3, #s)
    assert.same({ 3, 4 }, s[2]:totable())
    s[2] = { 7, 8 }
    assert.same({ { 1, 2 }, { 7, 8 }, { 5, 6 } }, t:totable())
  end)

  it("reads and writes the numbers of a tensor of one dimension", function()
    local t = neap.tensor("u8", { 3 }, { 1, 2, 3 })
    local s = neap.from(t)
    s[3] = 200
    assert.same({ 1, 2, 200 }, s:totable())
    assert.truthy(support.message(function() s[1] = 300 end):find("300", 1,
      true))
  end)

  it("keeps its tensor alive", function()
    local s = neap.from(neap.tensor("f64", { 20000 }, 7))
    for _ = 1, 3 do
      collectgarbage()
    end
    neap.tensor("f64", { 20000 }, 8)
    assert.equal(7, s[20000])
  end)

  it("calls a function with 1 to n", function()
    assert.same({ 1, 4, 9 }, neap.from(function(i)
      return i * i
    end, 3):totable())
    assert.equal(0, #neap.from(function() end, 0))
  end)

  it("keeps nil and false among a function's items", function()
    local s = neap.from(function(i)
      if i == 2 then
        return false
      end
    end, 3)
    assert.same({ n = 3, [2] = false }, support.items(s))
  end)

  it("takes the first value that a function answers", function()
    local s = neap.from(function(i) return i, i + 1 end, 2)
    assert.equal(1, select("#", s[1]))
    assert.same({ 1, 2 }, s:totable())
  end)

  it("is endless over a function without a length", function()
    local s = neap.from(function(i) return -i end)
    assert.equal(math.huge, s:len())
    assert.equal(-2 ^ 50, s[2 ^ 50])
    assert.equal("cannot count: the sequence is endless\nhelp: s:len() returns "
      .. "math.huge, and s:slice(1, n) has n items",
      support.message(function() return #s end))
    assert.equal("index -1 counts from the end, and there is none",
      support.message(function() return s[-1] end))
    assert.equal("index 0 is out of range 1..inf\nhelp: indexes count from 1",
      support.message(function() return s[0] end))
    assert.truthy(tostring(s):find(": endless$"))
    local sum = 0
    for i, x in s:each() do
      sum = sum + x
      if i == 10 then
        break
      end
    end
    assert.equal(-55, sum)
  end)

  it("refuses to put an endless sequence into a table", function()
    assert.equal("calling 'totable' on bad self (sequence with an end expected,"
      .. " got an endless one)\n"
      .. "help: s:slice(1, n) has an end", support.message(function()
      local _ = neap.from(math.abs):totable()
    end))
  end)

  it("answers a sequence as it is", function()
    local s = neap.range(3)
    assert.equal(s, neap.from(s))
  end)

  it("refuses what is no source", function()
    for what, value in pairs({
      ["\"abc\""] = "abc", ["5"] = 5, boolean = true,
      thread = coroutine.create(print),
    }) do
      assert.equal(("bad argument #1 to 'from' (sequence expected, got %s)")
        :format(what), support.message(function()
        local _ = neap.from(value)
      end))
    end
    assert.equal("bad argument #1 to 'from' (sequence expected, got no value)",
      support.message(function() local _ = neap.from() end))
  end)

  it("refuses a length that is none, or where none is wanted", function()
    for _, n in ipairs({ -1, 1.5, "3", 2 ^ 60 }) do
      assert.truthy(support.message(function()
        local _ = neap.from(print, n)
      end):find("bad argument #2 to 'from' (whole number, 0 or more,", 1, true))
    end
    assert.equal("bad argument #2 to 'from' (no length expected: only a "
      .. "function takes one)\n"
      .. "help: s:slice(1, n) has n items", support.message(function()
      local _ = neap.from({ 1 }, 1)
    end))
  end)

  it("refuses what has no items to count", function()
    local function refuses(what, value, help)
      assert.equal("bad argument #1 to 'from' (sequence expected, got "
        .. what .. ")" .. (help or ""), support.message(function()
        local _ = neap.from(value)
      end))
    end
    refuses("a tensor without dimensions", neap.tensor("f32", {}, 1))
    refuses("a table of fields", { image = 1 }, "\n"
      .. "help: neap.zip(fields) joins "
      .. "the sequences in a table of fields")
    refuses("a table with a metatable", setmetatable({ 1 }, {}))
  end)
end)
