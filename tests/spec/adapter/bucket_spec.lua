-- SPDX-License-Identifier: MIT
local neap = require("neap")
local random = require("neap.base.random")
local support = dofile("tests/spec/support.lua")

local function random_lengths(seed)
  local rng, list = random.new(seed), {}
  for k = 1, rng:integer(0, 400) do
    list[k] = rng:integer(0, 40)
  end
  return list
end

local function refused(text, ...)
  assert.equal("bad argument " .. text, support.message(neap.bucket, ...))
end

describe("bucket", function()
  it("has every item once, in batches of one bucket, in each epoch", function()
    for seed = 1, 30 do
      local lengths = random_lengths(seed)
      local s = neap.range(#lengths):bucket(lengths, {
        boundaries = { 5, 6, 20 }, batch = { 9, 1, 4, 7 }, seed = seed,
      })
      for epoch = 1, 3 do
        local seen, short = {}, 0
        for _, list in s:epoch(epoch):each() do
          local bucket
          for _, i in ipairs(list) do
            assert.is_nil(seen[i])
            seen[i] = true
            local length = lengths[i]
            local own = length <= 5 and 1 or length <= 6 and 2
              or length <= 20 and 3 or 4
            assert.equal(bucket or own, own)
            bucket = own
          end
          local size = ({ 9, 1, 4, 7 })[bucket]
          assert.truthy(#list <= size)
          short = short + (#list < size and 1 or 0)
        end
        assert.equal(#lengths, #seen)
        assert.truthy(short <= 4)
      end
    end
  end)

  it("draws by seed and epoch, and not at all if the seed is false", function()
    local lengths = random_lengths(3)
    local function made(seed)
      return neap.range(#lengths):bucket(lengths, { batch = 8, seed = seed })
    end
    local one = made(1)
    assert.same(one:totable(), made(1):totable())
    assert.same(one:totable(), made():totable())
    assert.not_same(one:totable(), made(2):totable())
    assert.not_same(one:totable(), one:epoch(2):totable())
    assert.same(made(false):totable(), made(false):epoch(2):totable())
    assert.same(neap.range(#lengths):shuffle():bucket(lengths, { batch = 8 })
      :totable(), neap.range(#lengths):shuffle():bucket(lengths, { batch = 8,
      seed = 2 }):totable())
  end)

  it("makes buckets of about as many items unless told", function()
    local lengths = neap.range(800):shuffle(1):totable()
    local s = neap.from(lengths):bucket(lengths, { batch = 10, seed = false })
    assert.truthy(tostring(s):find(", 8 buckets): 80 items", 1, true))
    for _, list in s:each() do
      assert.truthy(math.max(unpack(list)) - math.min(unpack(list)) < 100)
    end
    assert.truthy(tostring(neap.range(9):bucket(neap.range(9):totable(),
      { batch = 5 })):find("1 bucket)", 1, true))
  end)

  it("leaves incomplete batches out if asked", function()
    local s = neap.range(7):bucket({ 1, 1, 1, 9, 9, 9, 9 }, { batch = 2,
      boundaries = { 1 }, drop_last = true, seed = false })
    assert.same({ { 1, 2 }, { 4, 5 }, { 6, 7 } }, s:totable())
  end)

  it("may have no items, and buckets without any", function()
    assert.same({}, neap.bucket({}, {}, { batch = 2 }):totable())
    assert.same({ { 5 } }, neap.bucket({ 5 }, { 2 }, { batch = 2,
      boundaries = { 1, 7, 9 } }):totable())
  end)

  it("takes lengths from a list, a tensor or a sequence", function()
    local words = { "aaa", "b", "cc" }
    local options = { batch = 1, boundaries = { 1, 2 }, seed = false }
    local wanted = { { "b" }, { "cc" }, { "aaa" } }
    for _, lengths in ipairs({ { 3, 1, 2 },
      neap.tensor("u8", { 3 }, { 3, 1, 2 }), neap.lengths(words),
      neap.lengths(words):slice(3, 1, -1):gather({ 3, 2, 1 }) }) do
      assert.same(wanted, neap.bucket(words, lengths, options):totable())
    end
  end)

  it("refuses what does not fit, where it is made", function()
    local computes = "neap.lengths(s, f) computes them once"
    refused("#2 to 'bucket' (2 lengths expected, one for each item, got 1)",
      { 1, 2 }, { 1 }, { batch = 1 })
    refused("#2 to 'bucket' (length of item 2: whole number, 0 or more, "
      .. "expected, got 1.5)", { 1, 2 }, { 1, 1.5 }, { batch = 1 })
    refused("#2 to 'bucket' (length of item 1: whole number, 0 or more, "
      .. "expected, got \"x\")", { 1 }, { "x" }, { batch = 1 })
    refused("#2 to 'bucket' (lengths expected, got a function)\nhelp: "
      .. computes, { 1 }, function() end, { batch = 1 })
    refused("#2 to 'bucket' (1 lengths expected, one for each item, got inf)",
      { 1 }, neap.rep(1), { batch = 1 })
    refused("#2 to 'bucket' (tensor of one dimension expected, got one of 2)",
      { 1 }, neap.tensor("u8", { 1, 1 }), { batch = 1 })
    refused("#3 to 'bucket' (option 'batch' expected: items of a batch, got no "
      .. "value)", { 1 }, { 1 })
    refused("#3 to 'bucket' (option 'boundaries' expected where 'batch' is a "
      .. "list)", { 1 }, { 1 }, { batch = { 1 } })
    refused("#3 to 'bucket' (option 'batch': 3 sizes expected, one more than "
      .. "boundaries, got 2)", { 1 }, { 1 }, { batch = { 1, 2 },
      boundaries = { 1, 2 } })
    refused("#3 to 'bucket' (option 'boundaries': list of lengths, each more "
      .. "than the one before, expected, got table)", { 1 }, { 1 },
      { batch = 1, boundaries = { 2, 2 } })
    assert.equal("cannot bucket batches above a skip: they are read in order, "
      .. "and only a loop finds how many there are\nhelp: leave items out "
      .. "before, with neap.where and gather", support.message(neap.bucket,
      neap.range(4):skip():batch(2), { 1, 1 }, { batch = 1 }))
  end)

  it("says that a second loop has the same order, if it is drawn", function()
    local said = {}
    neap.warnings(function(text) said[#said + 1] = text end)
    for _, seed in ipairs({ 1, false }) do
      local s = neap.bucket({ 1, 2 }, { 1, 1 }, { batch = 1, seed = seed })
      for _ = 1, 2 do
        for _ in s:each() do end -- luacheck: ignore
      end
    end
    neap.warnings()
    assert.equal(1, #said)
  end)
end)

describe("bucket with workers", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("goes on where a seek puts it, and pads", function()
    local rows = neap.range(60):map(function(i)
      return neap.tensor("i32", { i % 13 }, i)
    end)
    local s = rows:bucket(rows:lengths(), { batch = 4, boundaries = { 4, 8 },
      collate = neap.pad({ multiple = 4 }) })
    local wanted = {}
    for i, b in s:epoch(2):each() do
      wanted[i] = b.tensor:totable()
    end
    local p = s:prefetch({ workers = 2 }):epoch(2)
    p:seek(5)
    for i, b in p:each() do
      assert.same(wanted[i], b.tensor:totable())
      wanted[i] = "read"
    end
    assert.equal("read", wanted[5])
    assert.equal("table", type(wanted[4]))
    p:close()
  end)
end)
