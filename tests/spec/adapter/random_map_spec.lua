-- SPDX-License-Identifier: MIT
local neap = require("neap")
local random = require("neap.base.random")
local support = dofile("tests/spec/support.lua")

local function draw(_, rng)
  return rng:uniform()
end

describe("neap.random_map", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("gives a generator that depends on seed, epoch and index", function()
    local s = neap.random_map(draw, neap.range(9), { seed = 4 })
    for epoch = 1, 3 do
      for i = 1, 9 do
        assert.equal(random.new(4, epoch, i):uniform(), s:epoch(epoch)[i])
      end
    end
  end)

  it("draws the same in any order and any number of times", function()
    local s = neap.random_map(draw, neap.range(20))
    local forward, backward = s:totable(), {}
    for i = 20, 1, -1 do
      backward[i] = s[i]
    end
    assert.same(forward, backward)
    assert.equal(s[7], s[7])
  end)

  it("draws the same however many workers there are", function()
    local s = neap.range(40):random_map(function(x, rng)
      return { x, rng:normal(), rng:integer(1, 6), rng:shuffle({ 1, 2, 3 }) }
    end)
    local wanted = s:epoch(2):totable()
    for _, workers in ipairs({ 0, 1, 2 }) do
      local p = s:prefetch({ workers = workers, chunk = 3 })
      assert.same(wanted, p:epoch(2):totable())
      p:close()
    end
  end)

  it("draws other numbers for each of a chain", function()
    local s = neap.range(5):random_map(draw):random_map(function(x, rng)
      return { x, rng:uniform() }
    end)
    for _, pair in s:each() do
      assert.are_not.equal(pair[1], pair[2])
    end
  end)

  describe("beside another", function()
    local function columns(s)
      local list = {}
      for _, item in s:each() do
        for k, x in ipairs(item) do
          list[k] = list[k] or {}
          table.insert(list[k], x)
        end
      end
      return list
    end

    local function assert_all_differ(list)
      for k = 2, #list do
        for before = 1, k - 1 do
          assert.are_not.same(list[before], list[k])
        end
      end
    end

    local function build()
      local s = neap.range(5)
      return neap.zip(s:random_map(draw), s:random_map(draw),
        neap.range(5):random_map(draw):map(function(x) return x end))
    end

    it("draws other numbers, the same ones each time", function()
      local found = columns(build())
      assert.equal(3, #found)
      assert_all_differ(found)
      assert.same(found, columns(build()))
      for workers = 0, 2 do
        local p = support.close_later(build():prefetch({ workers = workers }))
        assert.same(found, columns(p))
      end
      local run = support.run(([[
        local function draw(_, rng) return rng:uniform() end
        local neap = require("neap")
        neap.zip(neap.range(5):random_map(draw), neap.range(5):random_map(draw))
        local s = neap.range(5):random_map(draw)
        s = neap.zip(s, neap.range(5):random_map(draw))
        io.write(("%.17g"):format(s[5][2]))
      ]]))
      assert.equal(("%.17g"):format(found[2][5]), run.out)
    end)

    it("draws other numbers however they are joined", function()
      local a = neap.range(5):random_map(draw)
      local b = neap.range(5):random_map(draw)
      local function halves(s)
        return { s:slice(1, 5):totable(), s:slice(6, 10):totable() }
      end
      assert_all_differ(halves(a .. b))
      assert_all_differ(columns(neap.interleave(a, b):batch(2)))
      assert_all_differ(columns(neap.map(function(x, y)
        return { x, y }
      end, a, b)))
      assert_all_differ(columns(neap.zip(neap.zip(a, b):map(function(x)
        return x[1]
      end), neap.zip(b, a):map(function(x) return x[1] end))))
      assert_all_differ(columns(neap.zip(a, b):random_map(function(x, rng)
        return { x[1], x[2], rng:uniform() }
      end)))
      assert_all_differ(columns(neap.zip(a:shuffle(3):cache(2):slice(1, 4),
        b:batch(1):unbatch(1):shuffle(3):slice(1, 4))))
    end)

    it("leaves what is joined as it is", function()
      local a = neap.range(5):random_map(draw)
      local b = neap.range(5):random_map(draw)
      local before = b:totable()
      local s = neap.zip(a, b)
      assert.same(before, b:totable())
      assert.equal("random_map(f, range(1, 5), seed 1): 5 items", tostring(b))
      assert.truthy(tostring(s):find("seed 2", 1, true))
      assert.same(a:totable(), columns(s)[1])
    end)

    it("draws the same where it is the same, or its seed is given", function()
      local a = neap.range(5):random_map(draw)
      local b = neap.range(5):random_map(draw, { seed = 1 })
      local c = neap.range(5):random_map(draw, { seed = 1 })
      local found = columns(neap.zip(a, a:map(function(x) return x end)))
      assert.same(found[1], found[2])
      found = columns(neap.zip(a, b, c, a))
      assert.same(found[2], found[3])
      assert.same(found[1], found[4])
      assert.same(b:totable(), found[2])
      assert.are_not.same(found[1], found[2])
      assert.equal(columns(neap.zip(b, c))[1][1], c[1])
    end)

    it("keeps its seed below a prefetch and a monitor", function()
      local p = support.close_later(neap.range(5):random_map(draw):prefetch({
        workers = 1,
      }))
      local m = neap.range(5):random_map(draw):monitor()
      local a = neap.range(5):random_map(draw)
      local found = columns(neap.zip(a, p, m))
      assert.same(found[2], p:totable())
      assert.same(found[3], found[2])
      assert.are_not.same(found[1], found[2])
      assert.truthy(m:throughput() > 0)
    end)

    it("leaves seeds that were given out", function()
      local s = neap.range(5):random_map(draw, { seed = 2 })
        :random_map(function(x, rng) return { x, rng:uniform() } end)
      assert_all_differ(columns(s))
    end)
  end)

  it("has one draw after the other within an item", function()
    local s = neap.random_map(function(_, rng)
      return { rng:uniform(), rng:uniform() }
    end, neap.range(2), { seed = 1 })
    local rng = random.new(1, 1, 2)
    assert.same({ rng:uniform(), rng:uniform() }, s[2])
  end)

  it("is right where it reads itself through another", function()
    local inner = neap.random_map(draw, neap.range(3), { seed = 1 })
    local s = neap.range(3):random_map(function(i, rng)
      local before = rng:uniform()
      return { before, inner[4 - i], rng:uniform() }
    end, { seed = 1 })
    for i = 1, 3 do
      local rng = random.new(1, 1, i)
      assert.same({ rng:uniform(), inner[4 - i], rng:uniform() }, s[i])
    end
  end)

  it("refuses what it does not know", function()
    assert.equal("bad argument #3 to 'random_map' (unknown option 'sed'; known "
      .. "are seed)\nhelp: did you mean 'seed'?", support.message(function()
      local _ = neap.random_map(draw, { 1 }, { sed = 1 })
    end))
    assert.equal("bad argument #2 to 'random_map' (option 'seed': whole number "
      .. "expected, got \"x\")", support.message(function()
      local _ = neap.range(2):random_map(draw, { seed = "x" })
    end))
    assert.equal("bad argument #1 to 'random_map' (function expected, got "
      .. "table)\nhelp: the function comes first: neap.random_map(f, s)",
      support.message(function()
      local _ = neap.random_map({ 1 }, draw)
    end))
  end)

  it("refuses a dot for a colon", function()
    for _, name in ipairs({ "uniform", "integer", "normal", "shuffle" }) do
      local s = neap.random_map(function(_, rng)
        local x = rng[name]()
        return x
      end, neap.range(1))
      assert.truthy(support.message(function() return s[1] end):find(
        "random generator expected, got no value", 1, true))
    end
  end)
end)
