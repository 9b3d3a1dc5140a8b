-- SPDX-License-Identifier: MIT
--- Items that are left out of loops, and batches that stay whole.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local function decode(i)
  if i % 5 == 0 then
    error("no image: " .. i)
  end
  return i
end

local function prefetch(s, options)
  return support.close_later(s:prefetch(options))
end

local function pairs_of(s, options)
  local list = {}
  for i, x in s:each(options) do
    x = type(x) == "cdata" and x:totable() or x
    list[#list + 1] = i .. "="
      .. (type(x) == "table" and table.concat(x, ",") or x)
  end
  return table.concat(list, " ")
end

local BATCHES = "1=1,2,3,4 2=6,7,8,9 3=11,12,13,14 4=16,17,18,19 5=21,22,23"

describe("neap.skip", function()
  local s

  before_each(function()
    support.remember()
    s = neap.range(23):map(decode)
  end)
  after_each(support.check_leaks)

  it("leaves bad items out of loops, which keep their indexes", function()
    local good = s:slice(1, 11):skip()
    assert.equal("1=1 2=2 3=3 4=4 6=6 7=7 8=8 9=9 11=11", pairs_of(good))
    assert.same({ 1, 2, 3, 4, 6, 7, 8, 9, 11 }, good:totable())
    assert.equal(11, #good)
    assert.equal(4, good[4])
    local e = support.raised(function() return good[5] end)
    assert.equal("no image: 5", e.message:match("no image.*"))
    assert.equal(5, e.index)
  end)

  it("keeps batches whole", function()
    local batches = s:skip():batch(4)
    assert.equal(BATCHES, pairs_of(batches))
    assert.equal(BATCHES, pairs_of(batches))
    assert.equal(5, #batches:totable())
  end)

  it("keeps a record, of each loop anew", function()
    local good = s:skip()
    local batches = good:map(function(x) return x end):batch(4)
    assert.same({}, batches:skipped())
    for _ = 1, 2 do
      pairs_of(batches)
      local indexes = {}
      for k, e in ipairs(batches:skipped()) do
        indexes[k] = e.index
      end
      assert.same({ 5, 10, 15, 20 }, indexes)
    end
    pairs_of(good)
    assert.equal(4, #good:skipped())
  end)

  it("pads, drops, and collates batches as others", function()
    local good = s:skip()
    assert.equal(BATCHES .. ",0", pairs_of(good:batch(4, { pad = 0 })))
    assert.equal((BATCHES:gsub(" 5=.*", "")),
      pairs_of(good:batch(4, { drop_last = true })))
    assert.equal(BATCHES, pairs_of(good:batch(4, { collate = neap.stack })))
    assert.equal("1=1 2=2 3=3 4=4 5=5", pairs_of(good:batch(4, {
      collate = function(list) return math.ceil(list[1] / 5) end,
    })))
  end)

  for workers = 0, 3 do
    for _, order in ipairs({ "above", "below" }) do
      it(("gives the same %s a prefetch with workers = %d"):format(order,
        workers), function()
          local options = { workers = workers, buffered = 6 }
          local p = prefetch(order == "above" and s or s:skip(), options)
          local good = order == "above" and p:skip() or p
          assert.equal(19, #good:totable())
          local batches = good:batch(4, { collate = neap.stack })
          for _ = 1, 2 do
            assert.equal(BATCHES, pairs_of(batches))
            assert.equal(4, #batches:skipped())
          end
        end)

      it(("resumes %s a prefetch with workers = %d"):format(order, workers),
        function()
          local function open()
            local p = prefetch(order == "above" and s or s:skip(),
              { workers = workers })
            return p, (order == "above" and p:skip() or p):batch(4)
          end
          local p, batches = open()
          for k in batches:each() do
            if k == 2 then
              break
            end
          end
          local position = p:position()
          assert.equal(10, position)
          local later, rest = open()
          later:seek(position)
          assert.equal("1=11,12,13,14 2=16,17,18,19 3=21,22,23", pairs_of(rest))
        end)
    end
  end

  it("draws anew in each epoch", function()
    local p = prefetch(s:shuffle(1):skip(), { workers = 2 })
    local function epoch(n)
      return pairs_of(p:epoch(n):batch(4))
    end
    assert.equal(pairs_of(s:shuffle(1):skip():batch(4):epoch(2)), epoch(2))
    assert.truthy(epoch(1) ~= epoch(2))
  end)

  it("keeps tensors of a prefetch valid until their batch is whole", function()
    local p = prefetch(neap.range(200):map(function(i)
      return i % 3 == 0 and error("three") or neap.tensor("f32", { 50 }, i)
    end):skip(), { workers = 2 })
    local n = 0
    for _, batch in p:batch(60):each() do
      for _, t in ipairs(batch) do
        n = n + 1
        assert.equal(math.ceil(n * 3 / 2) - 1 + (n % 2 == 0 and 0 or 0),
          t[50])
      end
    end
    assert.equal(134, n)
  end)

  it("leaves out an item of which workers die", function()
    local p = prefetch(neap.range(12):map(function(i)
      if i == 5 then
        os.exit(3)
      end
      return i
    end):skip(), { workers = 2, retries = 0 })
    assert.equal("1=1,2,3,4 2=6,7,8,9 3=10,11,12", pairs_of(p:batch(4)))
    local _, batches = nil, p:batch(4)
    pairs_of(batches)
    assert.equal("death", batches:skipped()[1].kind)
  end)

  it("leaves out no errors of stages above it", function()
    local above = s:skip():map(function(x)
      return x == 7 and error("seven") or x
    end)
    local e = support.raised(function() return pairs_of(above:batch(4)) end)
    assert.truthy(e.message:find("seven"), e.message)
    assert.equal("1=1 2=2 3=3 4=4 6=6 8=8", pairs_of(above:slice(1, 8),
      { on_error = "skip" }))
    assert.equal(2, #above:skip():slice(1, 8):batch(2):totable()[1])
  end)

  it("is nothing to a rescue above it", function()
    assert.equal("1=1,2,3,4,0 2=6,7,8,9,0", pairs_of(s:slice(1, 10):skip()
      :rescue(function() return 0 end):batch(5)))
  end)

  it("lets stages of one item follow its batches", function()
    local sums = s:skip():batch(4):map(function(list)
      return #list
    end):debug(function() end):monitor()
    assert.equal("1=4 2=4 3=4 4=4 5=3", pairs_of(sums))
  end)

  it("refuses batches by index, but not in order", function()
    local batches = s:skip():batch(4)
    assert.same({ 1, 2, 3, 4 }, batches[1])
    assert.same({ 6, 7, 8, 9 }, batches[2])
    local e = support.raised(function() return batches[5] end)
    assert.truthy(e.message:find("batch 5 cannot be read by index.*the last "
      .. "one was 2$"), e.message)
    assert.matches("^loop over them", e.help)
  end)

  it("refuses what needs batches in another order", function()
    local batches = s:skip():batch(4)
    assert.error_matches(function() batches:shuffle(1) end,
      "cannot shuffle batches above a skip: .*\nhelp: shuffle before batch")
    for _, workers in ipairs({ 0, 2 }) do
      assert.error_matches(function()
        batches:map(function(x) return x end):prefetch({ workers = workers })
      end, "cannot prefetch batches above a skip: .*\nhelp: prefetch first")
    end
  end)
end)
