-- SPDX-License-Identifier: MIT
--- The way of an item in an error: all stages, each with its index.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local FILE = "tests/spec/sequence/way_spec.lua"
local BAD = 7 -- the file that cannot be read

local function fail(x)
  return x ~= BAD and x or error("no luck")
end

-- Twelve items; the map fails for item BAD of the source.
local MADE = debug.getinfo(1, "l").currentline
local function mapped()
  local s = neap.from({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 })
  s = s:shuffle(3):map(fail)
  return s
end

local function list(e)
  local parts = {}
  for k, at in ipairs(e.way or {}) do
    assert.truthy(at.where:find(FILE .. ":%d+$"), at.where)
    parts[k] = at.stage .. " " .. at.index .. (at.last and "-" .. at.last or "")
  end
  return table.concat(parts, ", ")
end

local function error_of(s)
  local read = {}
  for i = 1, #s do
    local ok, e = pcall(function() return s[i] end)
    if not ok then
      read[#read + 1] = { e, i }
    end
  end
  assert.truthy(#read >= 1)
  return unpack(read[1])
end

-- In place, in workers, and with the last stage above them.
local function each_place(make, f)
  for _, s in ipairs({
    make(mapped()), make(mapped()):prefetch({ workers = 1 }),
    make(mapped():prefetch({ workers = 1 })),
  }) do
    f(error_of(s))
  end
end

-- Name -> what is made of the mapped sequence, and its stages above the map.
local STAGES = {
  map = { function(s) return s:map(tostring) end, "map %d" },
  slice = { function(s) return s:slice(2, -1) end, "slice %d" },
  shuffle = { function(s) return s:shuffle(5) end, "shuffle %d" },
  gather = { function(s) return s:gather({ 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2,
    1 }) end, "gather %d" },
  concat = { function(s) return neap.range(3) .. s end, "concat %d" },
  interleave = { function(s) return neap.interleave(neap.range(4), s) end,
    "interleave %d" },
  cycle = { function(s) return s:slice(3, -1):cycle(2) end,
    "cycle %d, slice .+" },
  mix = { function(s) return neap.mix({ neap.range(12), s }, { 1, 2 }) end,
    "mix %d" },
  shard = { function(s) return s:shard(2, 2):concat(s:shard(1, 2)) end,
    "concat %d, shard .+" },
  batch = { function(s) return s:batch(5) end, "batch %d" },
  stack = { function(s) return s:batch(5, { collate = neap.stack }) end,
    "batch %d" },
  window = { function(s) return s:window(3, 2) end, "window %d" },
  unbatch = { function(s) return s:batch(3):unbatch(3) end,
    "unbatch %d, batch .+" },
  zip = { function(s) return neap.zip(neap.range(12), s) end, "zip %d" },
  case = { function(s) return neap.case(neap.rep(2, 12), neap.range(12), s) end,
    "case %d" },
  switch = { function(s) return neap.switch(neap.rep(false, 12), s, s) end,
    "switch %d" },
  cache = { function(s) return s:cache() end, "cache %d" },
  retry = { function(s) return s:retry(1) end, "retry %d" },
  rescue = { function(s) return s:rescue(error) end, "rescue %d" },
  monitor = { function(s) return s:monitor() end, "monitor %d" },
}

describe("an error's way", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  for name, stage in pairs(STAGES) do
    it("leads from the item that was read to the source: " .. name, function()
      each_place(stage[1], function(e, i)
        local below = ("map %d, shuffle %d, from %d"):format(e.index, e.index,
          BAD)
        assert.truthy(list(e):find("^" .. stage[2]:format(i) .. ", " .. below
          .. "$"), list(e))
      end)
      collectgarbage()
    end)
  end

  it("is shown where an index changes", function()
    local line = debug.getinfo(1, "l").currentline + 3
    for _, workers in ipairs({ 0, 1 }) do
      local s = mapped()
      s = s:batch(5):prefetch({ workers = workers })
      local e, i = error_of(s)
      local text = tostring(e)
      assert.truthy(text:find(("\n  item %d of map (%s:%d) -> item 7 of from "
        .. "(%s:%d)\n  for item %d of batch (%s:%d)\n"):format(e.index, FILE,
        MADE + 3, FILE, MADE + 2, i, FILE, line), 1, true), text)
      s:close()
    end
  end)

  it("is not shown where the index is the same", function()
    local e = error_of(neap.range(9):map(fail))
    assert.truthy(tostring(e):find("\n  item 7 of map %([^>]+%)\nstack"))
    assert.equal("map 7, range 7", list(e))
  end)

  it("ends where several items are read for one", function()
    local e = error_of(neap.range(6):batch(2):map(function()
      error("no luck")
    end))
    assert.equal("map 1, batch 1, range 1-2", list(e))
    assert.truthy(tostring(e):find("-> items 1 to 2 of range", 1, true))
  end)

  it("ends at a stage that chooses", function()
    local s = neap.switch(neap.rep(true, 3), neap.range(3), neap.range(3))
    assert.equal("map 1, switch 1", list(error_of(s:map(error))))
    local lazy = neap.gather(neap.range(3), neap.rep(2, 2))
    assert.equal("map 1, gather 1", list(error_of(lazy:map(error))))
  end)

  it("is that of the epoch that was read", function()
    for workers = 0, 1 do
      local s = mapped():epoch(4):prefetch({ workers = workers })
      local e = error_of(s)
      local index = e.index
      assert.equal(("epoch %d, map %d, shuffle %d, from 7"):format(index, index,
        index), list(e))
      s:close()
    end
  end)

  it("leads from an item whose worker died", function()
    local p = neap.range(9):slice(3, 8):map(function(x)
      return x ~= 5 and x or os.exit(3)
    end):prefetch({ workers = 1, retries = 0 })
    local e = support.raised(function() return p[3] end)
    assert.equal("death", e.kind)
    assert.equal("prefetch 3, map 3, slice 3, range 5", list(e))
    p:close()
  end)

  it("is that of the sequence that failed, not of one that reads it", function()
    local inner = mapped()
    local outer = neap.range(12):map(function(i) return inner[i] end)
    local e = error_of(outer)
    assert.equal(("map %d, shuffle %d, from 7"):format(e.index, e.index),
      list(e))
  end)

  it("is given up where a search would take too long", function()
    local s = neap.range(200000):map(function(x)
      return x ~= 150000 and x or error("no luck")
    end):batch(200000)
    local e = support.raised(function() return s[1] end)
    assert.equal(150000, e.index)
    assert.equal("map 150000, range 150000", list(e))
  end)

  it("is none where a worker reports no list of stages", function()
    local p = neap.range(2):map(function()
      local write = require("neap.value.write")
      local failure = write.failure
      function write.failure(item, k, fields)
        fields.way = { { stage = 5 } }
        return failure(item, k, fields)
      end
      error("no luck")
    end):prefetch({ workers = 1 })
    local e = support.raised(function() return p[2] end)
    assert.equal("map 2, range 2", list(e))
    p:close()
  end)
end)
