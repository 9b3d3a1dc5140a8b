-- SPDX-License-Identifier: MIT
--- How much memory an adapter takes: little, and the same however long its
-- source is.
--
-- Many nodes of one kind are made, so that what is made once for all of them
-- does not count, and a second time, so that tables have grown before.

local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

ffi.cdef([[
  typedef struct spec_mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks,
      fordblks, keepcost;
  } spec_mallinfo;
  spec_mallinfo mallinfo(void);
]])

local COUNT = 100
local NODE_MAX = 1152 -- bytes of a node, of one that was read too: with its
-- function, its tree, and what is resolved ahead
local SPREAD = 16 -- bytes that chance may add to a node
local ATTEMPTS = 5
local LENGTHS = { 10, 1e6 }

local function id(...)
  return ...
end

-- Each makes a node over a sequence of n numbers; false: it reads its source
-- when it is made, and keeps what it read.
local ADAPTERS = {
  map = function(s) return s:map(id) end,
  starmap = function(s) return s:starmap(id) end,
  random_map = function(s) return s:random_map(id) end,
  zip = function(s) return neap.zip({ a = s, b = s }) end,
  gather = function(s) return s:gather({ 3, 1 }) end,
  concat = function(s) return s .. s end,
  interleave = function(s) return s:interleave(s) end,
  cycle = function(s) return s:cycle(2) end,
  switch = function(s) return s:switch(s, s) end,
  case = function(s) return s:case(s, s) end,
  split = function(s) return s:split(1) end,
  batch = function(s) return s:batch(2) end,
  unbatch = function(s) return s:unbatch(2) end,
  shuffle = function(s) return s:shuffle(2) end,
  shard = function(s) return s:shard(2, 3, { even = "pad" }) end,
  slice = function(s) return s:slice(2, -1) end,
  window = function(s) return s:window(2) end,
  where = false,
  lengths = false,
  bucket = false,
  pack = false,
  save = false,
  snapshot = false,
  epoch = function(s) return s:epoch(2) end,
  cache = function(s) return s:cache(2) end,
  prefetch = function(s) return s:prefetch({ workers = 0 }) end,
  rescue = function(s) return s:rescue(id) end,
  skip = function(s) return s:skip() end,
  retry = function(s) return s:retry(2) end,
  debug = function(s) return s:debug(id) end,
  monitor = function(s) return s:monitor() end,
  progress = function(s) return s:progress() end,
  mix = function(s) return neap.mix({ s, s }, { 1, 2 }) end,
}

-- The same of sources of n items.
local SOURCES = {
  range = function(n) return neap.range(n) end,
  from = function(n) return neap.from(id, n) end,
  from_iter = function(n) return neap.from_iter(id, { size = n }) end,
  rep = function(n) return neap.rep(0, n) end,
  url = false, -- its node has a table of options
  -- Of these, the index or the file is read.
  idx = false, files = false, lines = false, csv = false, jsonl = false,
  npy = false, npz = false, raw = false, load = false, tar = false,
  sqlite = false, lmdb = false,
}

local function collect() -- a node goes a cycle after its handle
  for _ = 1, 4 do
    collectgarbage()
  end
end

local kept = {} -- luacheck: ignore

local function fill(make, source, is_read)
  for k = 1, COUNT do
    local s = make(source)
    if is_read then
      pcall(function() return s[1] end)
    end
    kept[k] = s
  end
end

local function clear()
  for k = 1, COUNT do
    kept[k] = false
  end
  collect()
end

local function bytes()
  return collectgarbage("count") * 1024 + ffi.C.mallinfo().uordblks
end

-- Bytes of Lua's and of C's that one node takes.
local function cost(make, source, is_read)
  for _ = 1, 2 do
    fill(make, source, is_read)
    clear()
  end
  local before = bytes()
  fill(make, source, is_read)
  collect()
  local taken = bytes() - before
  clear()
  return taken / COUNT
end

-- Lua's own tables grow and shrink as they will; what nodes take shows in each
-- of several attempts.
local function check(make, source_of, is_read, limit)
  local text
  for _ = 1, ATTEMPTS do
    local short = cost(make, source_of(LENGTHS[1]), is_read)
    local long = cost(make, source_of(LENGTHS[2]), is_read)
    if short > 0 and short < limit and math.abs(short - long) <= SPREAD then
      return
    end
    text = ("%g and %g bytes"):format(short, long)
  end
  error(text, 0)
end

local function check_all(list, source_of)
  for name, make in pairs(list) do
    if make then
      it("of " .. name .. " is small, however many items it has", function()
        check(make, source_of, false, NODE_MAX)
      end)

      it("of " .. name .. " is small after a read too", function()
        check(make, source_of, true, NODE_MAX)
      end)
    end
  end
end

describe("the memory", function()
  setup(jit.off) -- traces are kept for later ones
  teardown(jit.on)

  it("of each adapter and source is told", function()
    for _, name in ipairs(support.listed("ADAPTERS")) do
      assert(ADAPTERS[name] ~= nil, name)
    end
    for _, name in ipairs(support.listed("SOURCES")) do
      assert(SOURCES[name] ~= nil, name)
    end
  end)

  check_all(ADAPTERS, neap.range)
  check_all(SOURCES, id)

  it("of a gather is that of its indexes", function()
    local function make(n)
      return neap.gather({ 1 }, neap.tensor("i64", { n }, 1))
    end
    local small, large = cost(make, 10), cost(make, 1010)
    assert(math.abs(large - small - 8 * 1000) < 64,
      ("%g and %g bytes"):format(small, large))
  end)

  it("of a bucket and a pack is four bytes an item", function()
    local makers = {
      function(n, lengths)
        return neap.range(n):bucket(lengths, { batch = n })
      end,
      function(n, lengths)
        return neap.range(n):pack(lengths, n)
      end,
    }
    for _, make in ipairs(makers) do
      local function made(n)
        return make(n, neap.tensor("u8", { n }, 1))
      end
      local small, large = cost(made, 10), cost(made, 1010)
      assert(math.abs(large - small - 4 * 1000) < 64,
        ("%g and %g bytes"):format(small, large))
    end
  end)
end)
