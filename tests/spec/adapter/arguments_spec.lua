-- SPDX-License-Identifier: MIT
--- Each adapter names the argument that it cannot use, at the caller's line.

local neap = require("neap")

local nan = 0 / 0

-- What is called, with which arguments, and what it says.
local REFUSED = {
  { "concat", {}, "#1", "sequence expected, got no value" },
  { "concat", { { 1 }, 5 }, "#2", "sequence expected, got 5" },
  { "concat", { neap.rep(0), { 1 } }, "#2", "after an endless one" },
  { "interleave", {}, "#1", "sequence expected" },
  { "interleave", { { 1 }, "x" }, "#2", 'got "x"' },
  { "cycle", { {}, 2 }, "#1", "got an empty one" },
  { "cycle", { neap.rep(0) }, "#1", "got an endless one" },
  { "cycle", { { 1 }, -1 }, "#2", "whole number, 0 or more" },
  { "cycle", { { 1 }, 1.5 }, "#2", "got 1.5" },
  { "cycle", { { 1 }, nan }, "#2", "whole number" },
  { "switch", { { true }, { 1 } }, "#3", "sequence expected" },
  { "switch", { { true }, { 1, 2 }, { 3 } }, "#2", "lengths must agree" },
  { "case", { { 1 } }, "#2", "sequence expected" },
  { "case", { { 1 }, { 1, 2 } }, "#2", "lengths must agree" },
  { "split", { neap.range(5), 1 }, "#2", "do not divide" },
  { "split", { neap.range(5), { 3, 2 } }, "#2", "edge 2" },
  { "split", { neap.range(5), { { 4, 9 } } }, "#2", "edge 1" },
  { "split", { neap.range(5), "x" }, "#2", "table of edges" },
  { "split", { neap.range(5), { first = 2 } }, "#2", "a table of fields" },
  { "split", { neap.range(5), { { 1, 2 }, 3 } }, "#2",
    "edge 2: {first, last} expected, as edge 1 is, got 3" },
  { "split", { neap.range(5), { 3, { 1, 2 } } }, "#2", "edge 2: whole number" },
  { "map", { print, { 1 }, neap.tensor("u8", {}) }, "#3",
    "got a tensor without dimensions" },
  { "map", { print, { x = 1 } }, "#2", "got a table of fields" },
  { "zip", { { a = { 1 }, b = { x = 1 } } }, "#1",
    "field 'b': sequence expected, got a table of fields" },
  { "split", { neap.rep(0), 1 }, "#1", "endless" },
  { "unbatch", { { { 1 } }, 0 }, "#2", "positive integer" },
  { "unbatch", { { { 1 } }, 2, 3 }, "#3", "1..2 expected, got 3" },
  { "shard", { { 1 } }, "#2", "positive integer" },
  { "shard", { { 1 }, 0, 2 }, "#2", "positive integer" },
  { "shard", { { 1 }, 3, 2 }, "#2", "rank 1..2 expected, got 3" },
  { "shard", { { 1 }, 1, 2, { even = "odd" } }, "#4", "'even'" },
  { "mix", { {}, {} }, "#1", "an empty one" },
  { "mix", { { { 1 }, 5 }, { 1, 1 } }, "#1", "position 2" },
  { "mix", { { { 1 } }, { 1, 2 } }, "#2", "table of 1 weights" },
  { "mix", { { { 1 } }, { 0 } }, "#2", "above 0 expected, got 0" },
  { "mix", { { { 1 } }, { nan } }, "#2", "weight 1" },
  { "window", { { 1 }, 0 }, "#2", "positive integer" },
  { "window", { { 1 }, 1, 0 }, "#3", "positive integer" },
  { "where", { neap.rep(0), print }, "#1", "endless" },
  { "where", { { 1 }, 3 }, "#2", "function expected" },
  { "cache", { { 1 }, 0 }, "#2", "positive integer" },
  { "cache", { { 1 }, "x" }, "#2", 'got "x"' },
  { "rescue", { { 1 } }, "#2", "function expected, got no value" },
  { "retry", { { 1 }, 0 }, "#2", "positive integer" },
  { "retry", { { 1 }, 1, { delay = -1 } }, "#3", "'delay'" },
  { "retry", { { 1 }, 1, { delay = 1 / 0 } }, "#3", "'delay'" },
  { "retry", { { 1 }, 1, { wait = 1 } }, "#3", "unknown option 'wait'" },
  { "debug", { { 1 }, 1 }, "#2", "function expected" },
  { "debug", { { 1 }, print, { max_rate = 0 } }, "#3", "'max_rate'" },
  { "monitor", { 5 }, "#1", "sequence expected" },
  { "starmap", { 1, {} }, "#1", "function expected" },
  { "starmap", { print }, "#2", "sequence expected" },
  { "rep", { 1, -1 }, "#2", "whole number, 0 or more" },
  { "from_iter", { 5 }, "#1", "function expected" },
  { "from_iter", { print, { cache = 0 } }, "#2", "'cache'" },
  { "from_iter", { print, 1, 2, {}, 5 }, "#5", "nothing expected after" },
  { "epoch", { { 1 }, 0 }, "#2", "positive integer" },
  { "progress", { 5 }, "#1", "sequence expected" },
}

describe("an adapter's argument that cannot be used", function()
  for k, case in ipairs(REFUSED) do
    local name, arguments, number, what = unpack(case)
    it(("is named by %s (%d)"):format(name, k), function()
      local call = loadstring(("local neap, a = ... \n"
        .. "local s = neap.%s(unpack(a, 1, %d)) return s"):format(name,
          table.maxn(arguments)), "@user.lua")
      local ok, message = pcall(call, neap, arguments)
      assert.is_false(ok)
      assert.equal(("user.lua:2: bad argument %s to '%s' ("):format(number,
        name), message:sub(1, #("user.lua:2: bad argument %s to '%s' ("):format(
        number, name)))
      assert.truthy(message:find(what, 1, true), message)
    end)
  end
end)

-- What is called, on which items, and what it says.
local UNFIT = {
  { "starmap", { math.max, { 7 } },
    "the item must be a list of arguments, got 7" },
  { "starmap", { math.max, { "ab" } },
    'the item must be a list of arguments, got "ab"' },
  { "unbatch", { { "ab" }, 2 },
    'the batch must be a list, a tensor or a table of these, got "ab"' },
  { "unbatch", { { { x = { 1, 2 }, y = 3 } }, 2 },
    "the batch must be a list, a tensor or a table of these, got 3" },
  { "case", { { 3 }, { 1 }, { 2 } }, "the selector must be 1..2, got 3" },
  { "gather", { { 1 }, neap.rep(2, 1) }, "index: 2 is out of range 1..1" },
}

describe("an item that an adapter cannot use", function()
  for k, case in ipairs(UNFIT) do
    local name, arguments, message = unpack(case)
    it(("is told by %s (%d)"):format(name, k), function()
      local s = neap[name](unpack(arguments))
      local _, e = pcall(function() return s[1] end)
      assert.equal(message, e.message)
      assert.equal(1, e.index)
      assert.truthy(e.stage:find("^" .. name .. " %("), e.stage)
    end)
  end
end)

describe("a monitor's methods", function()
  it("want a monitor", function()
    local m = neap.monitor({ 1 })
    for name, call in pairs({
      throughput = function() local _ = m.throughput(5) end,
      read_delay = function() local _ = m.read_delay({ 1 }) end,
      reset = function() m.reset() end,
    }) do
      local _, e = pcall(call)
      assert.truthy(e:find(("^tests/spec/adapter/"
        .. "arguments_spec.lua:%%d+: calling '%s' on "
        .. "bad self %%(monitor expected, got "):format(name)), e)
    end
  end)
end)

describe("mix", function()
  it("is the same through workers, and from anywhere", function()
    local m = neap.mix({ neap.range(50), neap.range(-50, -1) }, { 3, 1 })
    local items = m:totable()
    assert.same(items, m:prefetch({ workers = 2 }):totable())
    for i = #items, 1, -7 do
      assert.equal(items[i], m[i])
    end
    assert.equal("index 1000 is out of range 1.." .. #m,
      (select(2, pcall(function() return m[1000] end)):gsub("^.-:%d+: ", "")))
  end)

  it("ends where a source is due that has ended", function()
    assert.equal(0, #neap.mix({ {}, { 1 } }, { 1, 1e-9 }))
    assert.equal(math.huge, neap.mix({ neap.rep(1) }, { 1 }):len())
  end)
end)
