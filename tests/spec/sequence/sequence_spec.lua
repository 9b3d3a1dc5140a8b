-- SPDX-License-Identifier: MIT
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

describe("a sequence", function()
  it("is iterated by a for, from 1 to its length", function()
    local seen = {}
    for i, x in neap.range(3, 5):each() do
      seen[#seen + 1] = i .. ":" .. x
    end
    assert.same({ "1:3", "2:4", "3:5" }, seen)
  end)

  it("is iterated several times at once", function()
    local s, seen = neap.range(3), {}
    for _, x in s:each() do
      for _, y in s:each() do
        seen[#seen + 1] = x * 10 + y
      end
    end
    assert.same({ 11, 12, 13, 21, 22, 23, 31, 32, 33 }, seen)
  end)

  it("goes on to be what it is after a loop was left", function()
    local s = neap.range(5)
    for i in s:each() do
      if i == 2 then
        break
      end
    end
    assert.same({ 1, 2, 3, 4, 5 }, s:totable())
  end)

  it("does not end a loop at nil or false", function()
    local s = neap.from(function(i) return i == 2 and "two" or nil end, 3)
    assert.same({ n = 3, [2] = "two" }, support.items(s))
    assert.same({ n = 2, false, false },
      support.items(neap.from({ false, false })))
  end)

  it("may be a temporary value", function()
    local sum = 0
    for _, x in neap.range(2000):map(function(x) return x end):slice(1, -1)
      :each() do
      if x % 100 == 0 then
        collectgarbage()
      end
      sum = sum + x
    end
    assert.equal(2000 * 2001 / 2, sum)
    assert.equal(9, neap.range(10):map(function(x)
      collectgarbage()
      return x
    end):slice(2):batch(9)[1][8])
  end)

  it("gives arrays and tensors each() as a function", function()
    local seen = {}
    for i, x in neap.each({ "a", "b" }) do
      seen[i] = x
    end
    for i, x in neap.each(neap.tensor("u8", { 2 }, { 7, 8 })) do
      seen[2 + i] = x
    end
    assert.same({ "a", "b", 7, 8 }, seen)
  end)

  it("goes past bad items if told, and keeps their errors", function()
    local s = neap.range(6):map(function(x)
      return x % 2 == 0 and error("even " .. x) or x
    end)
    local seen = {}
    for i, x in s:each({ on_error = "skip" }) do
      seen[i] = x
    end
    assert.same({ [1] = 1, [3] = 3, [5] = 5 }, seen)
    local skipped = s:skipped()
    assert.equal(3, #skipped)
    for k, e in ipairs(skipped) do
      assert.equal(2 * k, e.index)
      assert.truthy(e.message:find("even " .. 2 * k .. "$"))
    end
  end)

  it("has skipped nothing before, and forgets at the next loop", function()
    local s = neap.from({ 1, 2 })
    assert.same({}, s:skipped())
    local bad = neap.range(1):map(function() error("no") end)
    for _ = 1, 2 do
      for _ in bad:each({ on_error = "skip" }) do
        error("no item expected")
      end
      assert.equal(1, #bad:skipped())
    end
    support.raised(function()
      for _ in bad:each() do
        error("no item expected")
      end
    end)
    assert.same({}, bad:skipped())
  end)

  it("raises at a bad item unless told", function()
    local s = neap.range(3):map(function(x)
      return x == 2 and error("two") or x
    end)
    local seen = {}
    local e = support.raised(function()
      for i in s:each() do
        seen[i] = true
      end
    end)
    assert.same({ true }, seen)
    assert.equal(2, e.index)
    assert.equal(2, support.raised(s.totable, s).index)
  end)

  it("is a handle that compares by identity", function()
    local s, t = neap.range(3), neap.range(3)
    assert.is_true(s == s)
    assert.is_false(s == t)
    assert.equal("cdata", type(s))
  end)

  it("gives its place back when it is collected, for others", function()
    local kept = neap.range(7)
    for _ = 1, 20 do
      for k = 1, 200 do
        local _ = neap.range(k):map(math.abs)
      end
      collectgarbage()
      collectgarbage()
      assert.equal(7, #kept)
      assert.equal("range(1, 7): 7 items", tostring(kept))
    end
  end)

  it("may be an item of another", function()
    local s = neap.from({ neap.range(2), neap.range(3) })
    assert.equal(3, #s[2])
    assert.same({ 1, 2 }, s[1]:totable())
    assert.same({ 2, 3 }, s:map(function(x) return #x end):totable())
  end)

  it("stores through whatever leads to an array by index alone", function()
    local t = {}
    for k = 1, 20 do
      t[k] = k
    end
    local s = neap.from(t):shuffle(3):slice(2, -2):epoch(4):gather({ 5, 1, 9 })
    for i = 1, 3 do
      local before = s[i]
      s[i] = before + 100
      assert.equal(before + 100, s[i])
      assert.equal(before + 100, t[before])
    end
  end)

  describe("stores what goes to several items:", function()
    local function numbers()
      return { 1, 2, 3, 4, 5 }
    end

    -- Assigns, and answers the array below; or the message.
    local function after(make, i, value)
      local t = numbers()
      return support.message(function() make(t)[i] = value end)
        or support.show(t)
    end

    it("a batch", function()
      local function batches(t) return neap.batch(t, 2) end
      assert.equal("{1, 2, 8, 9, 5}", after(batches, 2, { 8, 9 }))
      assert.equal("{1, 2, 3, 4, 9}", after(batches, -1, { 9 }))
      assert.equal("{8, 7, 3, 4, 5}",
        after(batches, 1, neap.tensor("u8", { 2 }, { 8, 7 })))
      assert.equal("{2, 1, 3, 4, 5}", after(function(t)
        local b = neap.batch(t, 2)
        b[1] = neap.from(t):slice(2, 1, -1)
        return b
      end, 3, { 5 }))
      assert.equal("cannot assign: a list of 2 items expected, got 3",
        after(batches, 1, { 1, 2, 3 }))
      assert.equal("cannot assign: a list of 1 item expected, got 2",
        after(batches, 3, { 1, 2 }))
      assert.equal("cannot assign: a list of 2 items expected, got 7",
        after(batches, 1, 7))
    end)

    it("a batch with padding, stacked, or collated", function()
      local function padded(t) return neap.batch(t, 3, { pad = 0 }) end
      assert.equal("{1, 2, 3, 8, 9}", after(padded, 2, { 8, 9, 0 }))
      assert.equal("{1, 2, 3, 8, 9}", after(padded, 2, { 8, 9 }))
      assert.equal("cannot assign: a list of 3 items expected, got 2",
        after(padded, 1, { 8, 9 }))
      assert.equal("{8, 9, 3, 4, 5}", after(function(t)
        return neap.batch(t, 2, { collate = neap.stack })
      end, 1, neap.stack({ 8, 9 })))
      assert.matches("^cannot assign: the items of batch .* are computed",
        after(function(t)
          return neap.batch(t, 2, { collate = unpack })
        end, 1, { 8, 9 }))
    end)

    it("a window and a piece of a split", function()
      assert.equal("{1, 7, 8, 9, 5}", after(function(t)
        return neap.window(t, 3)
      end, 2, { 7, 8, 9 }))
      assert.equal("{1, 2, 7, 8, 9}", after(function(t)
        return neap.split(t, { 2 })
      end, 2, { 7, 8, 9 }))
      assert.equal("cannot assign: a list of 3 items expected, got 1",
        after(function(t) return neap.split(t, { 2 }) end, 2, { 7 }))
    end)

    it("a zip", function()
      local other = numbers()
      local function pairs_of(t) return neap.zip(t, other) end
      local function fields(t) return neap.zip({ x = t, y = other }) end
      assert.equal("{1, 9, 3, 4, 5}", after(pairs_of, 2, { 9, 8 }))
      assert.equal(8, other[2])
      assert.equal("{1, 2, 7, 4, 5}", after(fields, 3, { x = 7, y = 6 }))
      assert.equal(6, other[3])
      for message, value in pairs({
        ["a table of 2 fields expected, got 5"] = 5,
        ["the table has no field 'y'"] = { x = 1 },
        ["the table has a field 'z', items have none"] =
          { x = 1, y = 2, z = 3 },
      }) do
        assert.equal("cannot assign: " .. message, after(fields, 3, value))
      end
      assert.equal("cannot assign: the table has no item '2'",
        after(pairs_of, 1, { 1 }))
      local t = numbers()
      assert.matches("^cannot assign: the items of range .* are computed",
        support.message(function()
          neap.zip(t, neap.range(5))[1] = { 9, 9 }
        end))
      assert.same(numbers(), t)
      assert.same({ 1, 8, 6, 4, 5 }, other)
    end)

    it("a rep, whose one value it is", function()
      local s = neap.rep({ 1 }, 3)
      assert.equal(1, s[2][1])
      s[3] = false
      assert.same({ false, false, false }, s:totable())
      local endless = neap.rep("a"):batch(2)
      endless[7] = { "b", "c" }
      assert.same({ "c", "c" }, endless[1])
      assert.matches("out of range", support.message(function()
        neap.rep(1, 0)[1] = 2
      end))
    end)
  end)

  it("says why it cannot store", function()
    for _, s in ipairs({
      neap.range(3), neap.range(3):map(math.abs), neap.range(3):cache(),
      neap.range(3):slice(2), neap.from(math.abs, 3):shuffle(),
    }) do
      assert.truthy(support.message(function() s[1] = 5 end)
        :find("^cannot assign: the items of %a+ %(.+%) are computed, not "
        .. "stored$"))
    end
  end)

  it("blames the caller for what cannot be stored", function()
    local rows = neap.from(neap.tensor("f32", { 3, 2 }))
    for message, value in pairs({
      ["a tensor f32 2 is expected, got f32 3"] = neap.tensor("f32", { 3 }),
      ["a string of 8 bytes is expected for f32 2, got 1"] = "x",
    }) do
      local line = debug.getinfo(1, "l").currentline + 1
      local _, e = pcall(function() rows:slice(2)[1] = value end)
      assert.equal(("tests/spec/sequence/sequence_spec.lua:%d: %s"):format(line,
        message), e)
    end
  end)

  it("tells the stage that fails on the way to what is stored", function()
    local line = debug.getinfo(1, "l").currentline + 2
    for _, cause in ipairs({ "no", { code = 3 } }) do
      local bad = neap.range(2):map(function() error(cause, 0) end)
      for _, s in ipairs({
        neap.switch(bad, { 1, 2 }, { 3, 4 }), neap.case(bad, { 1, 2 }),
        neap.gather({ 1, 2 }, bad),
      }) do
        local e = support.raised(function() s[2] = 5 end)
        assert.equal(2, e.index)
        assert.equal(("map (tests/spec/sequence/"
          .. "sequence_spec.lua:%d)"):format(line),
          e.stage)
        assert.equal(cause, e.cause)
      end
    end
  end)

  it("tells the stage that was made in a loop by its line", function()
    local line = debug.getinfo(1, "l").currentline + 3
    local s = neap.range(3)
    for k = 1, 3 do
      s = s:map(function(x)
        return x == 2 and k == 2 and error("here") or x
      end)
    end
    local e = support.raised(function() return s[2] end)
    assert.equal(("map (tests/spec/sequence/"
      .. "sequence_spec.lua:%d)"):format(line),
      e.stage)
  end)

  it("ends, endless, where indexes have no 64 bits", function()
    local s = neap.range(10):shuffle(1) .. neap.from(function(i) return i end)
    for _, i in ipairs({ 2 ^ 63, 2 ^ 64 }) do
      for _ = 1, 2 do
        assert.equal(("index %.0f is out of range 1..2^63"):format(i),
          support.message(function() return s[i] end))
      end
    end
  end)
end)

describe("a sequence in a worker", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  local function in_worker(f)
    local p = neap.range(1):map(f):prefetch({ workers = 1 })
    local x = p[1]
    p:close()
    return x
  end

  it("has methods that no stage of its chain has loaded", function()
    local pieces = neap.range(4):split(1)
    assert.same({ { 4, 3 }, { 3, 4, 1 } }, in_worker(function()
      return {
        pieces[2]:slice(nil, nil, -1):totable(),
        (pieces[2] .. { 1 }):totable(),
      }
    end))
  end)

  it("takes a list for a sequence", function()
    local zeros = neap.rep(0, 4):split(1)
    assert.same({ 7, 7 }, in_worker(function()
      zeros[1] = { 7, 7 }
      return zeros[1]:totable()
    end))
  end)

  it("begins without what its host has read of it", function()
    local cached = neap.from(tostring, 2):map(function(x)
      return x .. (package.loaded.neap and " host" or " worker")
    end):cache()
    assert.equal("1 host", cached[1])
    assert.equal("1 worker", in_worker(function() return cached[1] end))
  end)
end)
