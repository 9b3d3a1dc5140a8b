-- SPDX-License-Identifier: MIT
--- Bytes that one adapter takes, of Lua's and of C's: as it is made, and after
-- it was read, which makes its function and its tree. Beside it, the closure
-- that one would write by hand, in a table with the length.

local ffi = require("ffi")
local neap = require("neap")

ffi.cdef([[
  typedef struct bench_mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks,
      fordblks, keepcost;
  } bench_mallinfo;
  bench_mallinfo mallinfo(void);
]])

local COUNT = 1000 -- made at once: what they share does not show
local ITEMS = 1000

local function double(x)
  return x * 2
end

local function number(i)
  return i
end

local function in_turn(a, b)
  return { length = 2 * ITEMS, item = function(i)
    return i % 2 == 1 and a((i + 1) / 2) or b(i / 2)
  end }
end

-- Each makes an adapter of `s`, and what does the same by hand.
local adapters = {
  {
    name = "map",
    make = function(s) return s:map(double) end,
    hand = function()
      return { length = ITEMS, item = function(i)
        return double(number(i))
      end }
    end,
  },
  {
    name = "slice",
    make = function(s) return s:slice(2, -1, 3) end,
    hand = function()
      local first, step = 2, 3
      return { length = ITEMS / 3, item = function(i)
        return number(first + (i - 1) * step)
      end }
    end,
  },
  {
    name = "concat of 2",
    make = function(s) return s .. s end,
    hand = function()
      local a, b = number, number
      return { length = 2 * ITEMS, item = function(i)
        return i <= ITEMS and a(i) or b(i - ITEMS)
      end }
    end,
  },
  {
    name = "interleave of 2",
    make = function(s) return s:interleave(s) end,
    hand = function() return in_turn(number, number) end,
  },
  {
    name = "shuffle", hand_name = "array of 1000 indexes",
    make = function(s) return s:shuffle(1) end,
    hand = function()
      local order = {}
      for k = 1, ITEMS do
        order[k] = k
      end
      return order
    end,
  },
  {
    name = "one of six in a chain", count = 6,
    make = function(s)
      return s:map(double):slice(2):shuffle(1):map(double):cycle(2):map(double)
    end,
    hand = function()
      local item = number
      for _ = 1, 6 do
        local source = item
        item = function(i) return double(source(i)) end
      end
      return item
    end,
    hand_name = "one of six closures",
  },
}

local function bytes()
  for _ = 1, 4 do -- a node goes a cycle after its handle
    collectgarbage()
  end
  return collectgarbage("count") * 1024 + ffi.C.mallinfo().uordblks
end

local kept = {} -- luacheck: ignore

local function clear()
  for k = 1, COUNT do
    kept[k] = false
  end
end

local function fill(make, source, is_read)
  for k = 1, COUNT do
    local s = make(source)
    kept[k] = s
    local _ = is_read and s[1]
  end
end

-- The second time, when tables have grown.
local function cost(make, source, is_read)
  fill(make, source, is_read)
  clear()
  local before = bytes()
  fill(make, source, is_read)
  local taken = bytes() - before
  clear()
  return taken / COUNT
end

local function row(adapter, is_read)
  local count = adapter.count or 1
  local source = neap.range(ITEMS)
  return {
    name = ("memory of %s, %s"):format(adapter.name,
      is_read and "read" or "unread"),
    unit = "B", target = "1024 B",
    limit_name = adapter.hand_name or "closure by hand",
    run = function()
      jit.off() -- traces are no adapter's
      local taken = cost(adapter.make, source, is_read) / count
      jit.on()
      return taken
    end,
    limit = function()
      return cost(adapter.hand) / count
    end,
  }
end

local rows = {}
for _, adapter in ipairs(adapters) do
  rows[#rows + 1] = row(adapter, false)
  rows[#rows + 1] = row(adapter, true)
end
return rows
