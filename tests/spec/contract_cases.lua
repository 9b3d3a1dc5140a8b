-- SPDX-License-Identifier: MIT
--- What the contract of tests/spec/contract_spec.lua runs over: each source and
-- each adapter, and what a plain loop over tables answers in its place.
--
-- A key is the name of a function of neap, and after ": " what is special, if
-- there are several of one function.

local ffi = require("ffi")
local neap = require("neap")
local archive = dofile("tests/spec/archive.lua")
local database = dofile("tests/spec/database.lua")
local lib = require("neap.base.lib")
local random = require("neap.base.random")

local C = lib.C
local N = 12

local function nothing() end

-- -- Models that ask C -------------------------------------------------------

-- Item i of a shuffle of n items, by the function that C hosts call.
local function shuffled(n, seed, epoch, i)
  return tonumber(C.neap_shuffle_item(n, seed, epoch, i - 1)) + 1
end

local function tree(constructor, ...)
  local out = ffi.new("neap_seq *[1]")
  local arguments = { ... }
  arguments[#arguments + 1] = out
  arguments[#arguments + 1] = lib.error
  lib.check(constructor(unpack(arguments)))
  return out[0]
end

-- Which sources a mixture takes from, as C says: the numbers of the first n
-- turns, from 1.
local function turns(weights, seed, n)
  local count = #weights
  local leaves = ffi.new("neap_seq *[?]", count)
  for k = 1, count do
    leaves[k - 1] = tree(C.neap_seq_leaf, C.NEAP_ENDLESS, k)
  end
  local mix = tree(C.neap_seq_mix, leaves, ffi.new("double[?]", count, weights),
    count, seed)
  local list, leaf = {}, ffi.new("int32_t[1]")
  for i = 1, n do
    C.neap_seq_resolve_one(mix, 1, i - 1, leaf)
    list[i] = leaf[0]
  end
  C.neap_seq_free(mix)
  return list
end

-- A mixture in short: {source, index in it} of each item, until a source is due
-- that has no more of its `lengths`.
local function mixed(lengths, weights, seed)
  local total, taken, list = 0, {}, {}
  for k, length in ipairs(lengths) do
    total, taken[k] = total + length, 0
  end
  for i, k in ipairs(turns(weights, seed, total + 1)) do
    taken[k] = taken[k] + 1
    if taken[k] > lengths[k] then
      break
    end
    list[i] = { k, taken[k] }
  end
  return list
end

-- The lengths of the items of bucket and pack, and the items of such lengths.
local LENGTHS = { 3, 1, 2, 3, 1, 2, 4, 1, 2, 4, 1, 3 }

local function long(x)
  local list = {}
  for k = 1, LENGTHS[x / 10] or 1 do
    list[k] = x + k
  end
  return list
end

-- The batches of bucket{batch = size, boundaries = {1, 2}, seed = seed}: the
-- indexes of the items of each.
local function bucketed(lengths, size, seed, epoch)
  local buckets, batches, mixed_up = { {}, {}, {} }, {}, {}
  for i, length in ipairs(lengths) do
    table.insert(buckets[math.max(1, math.min(length, 3))], i)
  end
  for b, bucket in ipairs(buckets) do
    for k = 1, #bucket, size do
      local batch = {}
      for j = k, math.min(k + size - 1, #bucket) do
        batch[#batch + 1] = bucket[shuffled(#bucket, seed + b, epoch, j)]
      end
      batches[#batches + 1] = batch
    end
  end
  for i = 1, #batches do
    mixed_up[i] = batches[shuffled(#batches, seed, epoch, i)]
  end
  return mixed_up
end

-- The rows of pack, first fit: the indexes of the items of each.
local function packed(lengths, capacity)
  local rows = {}
  for i, length in ipairs(lengths) do
    local k = 1
    while rows[k] and rows[k].size + length > capacity do
      k = k + 1
    end
    rows[k] = rows[k] or { size = 0 }
    rows[k].size = rows[k].size + length
    table.insert(rows[k], i)
  end
  return rows
end

local BUCKETED, PACKED = bucketed(LENGTHS, 2, 5, 1), packed(LENGTHS, 5)

local function no_thirty(x)
  return x == 30 and error("no thirty") or x
end

-- Files that a case reads are there until the tests end.
local folder
local cleaner = newproxy(true)
getmetatable(cleaner).__gc = function()
  if folder then
    os.execute("rm -r " .. folder)
  end
end

local function path_of(name)
  if not folder then
    folder = os.tmpname()
    os.execute(("rm %s && mkdir %s"):format(folder, folder))
  end
  return folder .. "/" .. name
end

local paths = 0

-- A path that is not there yet.
local function new_path()
  paths = paths + 1
  return path_of("new" .. paths)
end

local function file_of(name, text)
  local path = path_of(name)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

-- -- Adapters ----------------------------------------------------------------
--
-- Each makes a sequence from a sequence of N numbers, and tells item i of it
-- from the list of those numbers, the plain way. `count`: how many items, N
-- unless told; `calls`: how many items of the source item i takes, 1 unless
-- told; `stores`: its items can be assigned (or which of them, a function);
-- `own`: it makes the same over a function that raises at item 3, in
-- process `worker`, or in this one;
-- `is_eager`: it reads its source when it is made; `is_function`: it is no
-- method of sequences.

local ADAPTERS = {
  map = {
    make = function(s)
      return neap.map(function(x) return x + 1 end, s)
    end,
    item = function(t, i) return t[i] + 1 end,
    own = function(s)
      return neap.map(no_thirty, s)
    end,
  },
  random_map = {
    make = function(s)
      return neap.random_map(function(x, rng)
        return { x, rng:integer(1, 1000), rng:uniform() }
      end, s, { seed = 5 })
    end,
    item = function(t, i)
      local rng = random.new(5, 1, i)
      return { t[i], rng:integer(1, 1000), rng:uniform() }
    end,
    own = function(s)
      return neap.random_map(no_thirty, s)
    end,
  },
  zip = {
    make = function(s)
      return neap.zip({ a = s, b = neap.range(N) })
    end,
    item = function(t, i) return { a = t[i], b = i } end,
  },
  gather = {
    stores = true,
    make = function(s) return neap.gather(s, { 3, 1, -1, 3 }) end,
    item = function(t, i) return t[({ 3, 1, N, 3 })[i]] end,
    count = 4,
  },
  shuffle = {
    stores = true,
    make = function(s) return neap.shuffle(s, 9) end,
    item = function(t, i) return t[shuffled(N, 9, 1, i)] end,
  },
  slice = {
    stores = true,
    make = function(s) return neap.slice(s, 12, 2, -3) end,
    item = function(t, i) return t[12 - 3 * (i - 1)] end,
    count = 4,
  },
  batch = {
    stores = true,
    make = function(s) return neap.batch(s, 5) end,
    item = function(t, i) return { unpack(t, 5 * i - 4, 5 * i) } end,
    count = 3,
    calls = function(i) return i == 3 and 2 or 5 end,
    own = function(s)
      return neap.batch(s, 1, { collate = function(list)
        return list[1] == 30 and error("no thirty") or list
      end })
    end,
  },
  starmap = {
    make = function(s)
      return neap.starmap(function(x, y) return x - y end, neap.zip(s, s))
    end,
    item = function() return 0 end,
    calls = function() return 2 end,
    own = function(s)
      return neap.starmap(no_thirty, neap.zip(s))
    end,
  },
  concat = {
    stores = true,
    make = function(s) return neap.concat(s, { 1, 2 }) end,
    item = function(t, i) return t[i] or i - N end,
    count = N + 2,
    calls = function(i) return i <= N and 1 or 0 end,
  },
  interleave = {
    stores = true,
    make = function(s) return neap.interleave(s, { 1, 2 }) end,
    item = function(t, i)
      return i == 2 and 1 or i == 4 and 2 or t[i <= 4 and (i + 1) / 2 or i - 2]
    end,
    count = N + 2,
    calls = function(i) return (i == 2 or i == 4) and 0 or 1 end,
  },
  cycle = {
    stores = true,
    make = function(s) return neap.cycle(s, 2) end,
    item = function(t, i) return t[(i - 1) % N + 1] end,
    count = 2 * N,
  },
  switch = {
    stores = function(i) return i % 2 == 1 end,
    make = function(s)
      local is_odd = neap.range(N):map(function(i) return i % 2 == 1 end)
      return neap.switch(is_odd, s, neap.range(N))
    end,
    item = function(t, i) return i % 2 == 1 and t[i] or i end,
    calls = function(i) return i % 2 end,
  },
  case = {
    stores = function(i) return i % 3 ~= 1 end,
    make = function(s)
      local which = neap.range(N):map(function(i) return i % 3 + 1 end)
      return neap.case(which, s, neap.range(N), s)
    end,
    item = function(t, i) return i % 3 == 1 and i or t[i] end,
    calls = function(i) return i % 3 == 1 and 0 or 1 end,
  },
  split = {
    make = function(s)
      return neap.split(s, { 5, 6 }):map(function(x) return x:totable() end)
    end,
    item = function(t, i)
      return { unpack(t, ({ 1, 6, 7 })[i], ({ 5, 6, N })[i]) }
    end,
    count = 3,
    calls = function(i) return ({ 5, 1, N - 6 })[i] end,
  },
  unbatch = { -- it keeps the batch that it read
    make = function(s) return neap.unbatch(neap.batch(s, 4), 4) end,
    item = function(t, i) return t[i] end,
    calls = function(i) return i % 4 == 1 and 4 or 0 end,
  },
  shard = {
    stores = true,
    make = function(s) return neap.shard(s, 3, 5) end,
    item = function(t, i) return t[3 + (i - 1) * 5] end,
    count = 2,
  },
  window = {
    stores = true,
    make = function(s) return neap.window(s, 3, 2) end,
    item = function(t, i) return { unpack(t, 2 * i - 1, 2 * i + 1) } end,
    count = 5,
    calls = function() return 3 end,
  },
  where = {
    stores = true, -- in the indexes
    make = function(s)
      return neap.where(s, function(x) return x % 30 == 0 end)
    end,
    item = function(_, i) return 3 * i end,
    count = 4,
    own = function(s)
      return neap.where(s, no_thirty)
    end,
    is_eager = true,
  },
  lengths = {
    stores = true, -- in the lengths
    make = function(s)
      return neap.lengths(s, function(x) return x * 10 end)
    end,
    item = function(t, i) return t[i] * 10 end,
    own = function(s)
      return neap.lengths(s, no_thirty)
    end,
    is_eager = true,
  },
  bucket = {
    make = function(s)
      return neap.bucket(s, LENGTHS, { batch = 2, boundaries = { 1, 2 },
        seed = 5 })
    end,
    item = function(t, i)
      local list = {}
      for k, j in ipairs(BUCKETED[i]) do
        list[k] = t[j]
      end
      return list
    end,
    count = #BUCKETED,
    calls = function(i) return #BUCKETED[i] end,
    own = function(s)
      return neap.bucket(s, LENGTHS, { batch = 1, seed = false,
        boundaries = { 4 }, collate = function(list)
          return no_thirty(list[1])
        end })
    end,
  },
  pack = {
    make = function(s)
      return neap.pack(neap.map(long, s), LENGTHS, 5):map(function(row)
        return { row.tensor:totable(), row.segments:totable(),
          row.positions:totable() }
      end)
    end,
    item = function(t, i)
      local row = { {}, {}, {} }
      for k, j in ipairs(PACKED[i]) do
        for n, x in ipairs(long(t[j])) do
          table.insert(row[1], x)
          table.insert(row[2], k)
          table.insert(row[3], n - 1)
        end
      end
      for k = #row[1] + 1, 5 do
        row[1][k], row[2][k], row[3][k] = 0, 0, 0
      end
      return row
    end,
    count = #PACKED,
    calls = function(i) return #PACKED[i] end,
  },
  cache = {
    stores = true,
    make = function(s) return neap.cache(s, 5) end,
    item = function(t, i) return t[i] end,
  },
  rescue = {
    stores = true,
    make = function(s)
      return neap.rescue(s, function(e) error(e, 0) end)
    end,
    item = function(t, i) return t[i] end,
  },
  skip = {
    stores = true, leaves_out = true, -- of loops
    make = function(s) return neap.skip(s) end,
    item = function(t, i) return t[i] end,
  },
  retry = {
    stores = true,
    make = function(s) return neap.retry(s, 2) end,
    item = function(t, i) return t[i] end,
  },
  debug = {
    stores = true,
    make = function(s) return neap.debug(s, function() end) end,
    item = function(t, i) return t[i] end,
  },
  monitor = {
    stores = true,
    make = function(s) return neap.monitor(s) end,
    item = function(t, i) return t[i] end,
  },
  epoch = {
    stores = true,
    make = function(s) return neap.epoch(neap.shuffle(s, 9), 4) end,
    item = function(t, i) return t[shuffled(N, 9, 4, i)] end,
  },
  prefetch = {
    make = function(s) return neap.prefetch(s, { workers = 0 }) end,
    item = function(t, i) return t[i] end,
  },
  progress = {
    stores = true,
    make = function(s) return neap.progress(s) end,
    item = function(t, i) return t[i] end,
  },
  save = {
    make = function(s)
      return neap.save(s, new_path(), { workers = 0 })
    end,
    item = function(t, i) return t[i] end,
    is_eager = true,
  },
  snapshot = {
    make = function(s)
      return neap.snapshot(s, new_path(), { workers = 0 })
    end,
    item = function(t, i) return t[i] end,
    is_eager = true,
  },
  mix = {
    stores = function(i) return mixed({ N, 4 }, { 3, 1 }, 7)[i][1] == 1 end,
    make = function(s)
      return neap.mix({ s, neap.range(4) }, { 3, 1 }, { seed = 7 })
    end,
    item = function(t, i)
      local turn = mixed({ N, 4 }, { 3, 1 }, 7)[i]
      return turn[1] == 1 and t[turn[2]] or turn[2]
    end,
    count = #mixed({ N, 4 }, { 3, 1 }, 7),
    calls = function(i)
      return mixed({ N, 4 }, { 3, 1 }, 7)[i][1] == 1 and 1 or 0
    end,
    is_function = true,
  },

  ["where: asked in a worker"] = {
    stores = true, -- in the indexes
    make = function(s)
      return neap.where(s, function(x) return x % 30 == 0 end, { workers = 1 })
    end,
    item = function(_, i) return 3 * i end,
    count = 4,
    own = function(s)
      return neap.where(s, no_thirty, { workers = 1 })
    end,
    worker = 1,
    is_eager = true,
  },
  ["lengths: computed in a worker"] = {
    stores = true, -- in the lengths
    make = function(s)
      return neap.lengths(s, function(x) return x * 10 end, { workers = 1 })
    end,
    item = function(t, i) return t[i] * 10 end,
    own = function(s)
      return neap.lengths(s, no_thirty, { workers = 1 })
    end,
    worker = 1,
    is_eager = true,
  },
  ["bucket: in order, stacked"] = {
    make = function(s)
      return neap.bucket(s, LENGTHS, { batch = { 4, 3, 5 }, seed = false,
        boundaries = { 1, 2 }, drop_last = true, collate = neap.stack })
        :map(function(b) return b:totable() end)
    end,
    item = function(t, i)
      local list = {}
      for k, j in ipairs(({ { 2, 5, 8, 11 }, { 3, 6, 9 },
        { 1, 4, 7, 10, 12 } })[i]) do
        list[k] = t[j]
      end
      return list
    end,
    count = 3,
    calls = function(i) return ({ 4, 3, 5 })[i] end,
  },
  ["save: in workers, packed, in shards"] = {
    make = function(s)
      return neap.save(s, new_path(), {
        workers = 1, shards = 3, compress = true,
      })
    end,
    item = function(t, i) return t[i] end,
    is_eager = true,
  },
  ["map: of two"] = {
    make = function(s)
      return neap.map(function(x, y) return x * y end, s, neap.range(N))
    end,
    item = function(t, i) return t[i] * i end,
  },
  ["zip: in order"] = {
    make = function(s) return neap.zip(s, neap.range(N)) end,
    item = function(t, i) return { t[i], i } end,
  },
  ["zip: of what can be assigned"] = {
    stores = true,
    make = function(s) return neap.zip(s, neap.slice(s, 1, -1)) end,
    item = function(t, i) return { t[i], t[i] } end,
    calls = function() return 2 end,
  },
  ["zip: of fields that can be assigned"] = {
    stores = true,
    make = function(s)
      return neap.zip({ a = s, b = neap.rep("x") }):batch(4)
    end,
    item = function(t, i)
      local list = {}
      for k = 1, 4 do
        list[k] = { a = t[4 * i - 4 + k], b = "x" }
      end
      return list
    end,
    count = 3,
    calls = function() return 4 end,
  },
  ["gather: by computed indexes"] = {
    stores = true,
    make = function(s)
      return neap.gather(s, neap.range(5):map(function(i)
        return i % 2 == 0 and -i or i
      end))
    end,
    item = function(t, i) return t[i % 2 == 0 and N + 1 - i or i] end,
    count = 5,
  },
  ["slice: forwards"] = {
    stores = true,
    make = function(s) return neap.slice(s, 3, -3) end,
    item = function(t, i) return t[i + 2] end,
    count = N - 4,
  },
  ["concat: of many"] = {
    stores = true,
    make = function(s) return neap.concat(s, { 1 }, { 2 }, {}, { 4 }, s) end,
    item = function(t, i)
      return t[i] or ({ 1, 2, 4 })[i - N] or t[i - N - 3]
    end,
    count = 2 * N + 3,
    calls = function(i) return (i <= N or i > N + 3) and 1 or 0 end,
  },
  ["batch: padded"] = {
    stores = true,
    make = function(s) return neap.batch(s, 5, { pad = false }) end,
    item = function(t, i)
      return i < 3 and { unpack(t, 5 * i - 4, 5 * i) }
        or { t[11], t[12], false, false, false }
    end,
    count = 3,
    calls = function(i) return i == 3 and 2 or 5 end,
  },
  ["batch: stacked"] = {
    make = function(s)
      return neap.batch(s, 5, { collate = neap.stack, drop_last = true })
        :map(function(b) return b:totable() end)
    end,
    item = function(t, i) return { unpack(t, 5 * i - 4, 5 * i) } end,
    count = 2,
    calls = function() return 5 end,
  },
  ["shard: of equal lengths"] = {
    stores = true,
    make = function(s) return neap.shard(s, 3, 5, { even = "drop" }) end,
    item = function(t, i) return t[3 + (i - 1) * 5] end,
    count = 2,
  },
  ["shard: filled up"] = {
    stores = true,
    make = function(s) return neap.shard(s, 3, 5, { even = "pad" }) end,
    item = function(t, i) return t[({ 3, 8, 1 })[i]] end,
    count = 3,
  },
  ["split: by first and last"] = {
    make = function(s)
      return neap.split(s, { { 3, 4 }, { 1, N } })
        :map(function(x) return x:totable() end)
    end,
    item = function(t, i) return i == 1 and { t[3], t[4] } or t end,
    count = 2,
    calls = function(i) return i == 1 and 2 or N end,
  },
  ["cache: of all"] = {
    stores = true,
    make = function(s) return neap.cache(s) end,
    item = function(t, i) return t[i] end,
  },
}

-- -- Sources -----------------------------------------------------------------
--
-- Each makes a sequence of N items, and tells item i of it. `is_computed`: it
-- calls `tick` with 1, 2, ... for each item that it computes; `shows`: its text
-- but for its length.

-- The sequence of an IDX file of these bytes.
local function idx_of(...)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(string.char(...))
  file:close()
  local s = neap.idx(path)
  os.remove(path)
  return s
end

local function tens()
  local t = {}
  for k = 1, N do
    t[k] = k * 10
  end
  return t
end

local function index_itself(i)
  return i
end

local function times_ten(i)
  return i * 10
end

-- An iterator with its state and control value, as `ipairs` answers one.
local function counter(tick, last)
  return function(state, i)
    i = i + 1
    if i <= state.last then
      tick(i)
      return i
    end
  end, { last = last }, 0
end

-- A function that makes iterators which keep their own state.
local function counters(tick, last)
  return function()
    local i = 0
    return function()
      i = i + 1
      if i <= last then
        tick(i)
        return i * 10
      end
    end
  end
end

local function lines_from(first)
  local list = {}
  for i = first, N do
    list[#list + 1] = "line " .. i
  end
  return table.concat(list, "\r\n")
end

for i = 1, N do
  file_of(("photo%02d"):format(i), "photo " .. i)
end

local PHOTOS = folder .. "/photo*"
local function table_of(field)
  local list = { "a,b" }
  for i = 1, N do
    list[#list + 1] = field:format(i, i)
  end
  return table.concat(list, "\n")
end

local TENS = file_of("tens.bin", string.char(unpack(tens())))
local JSON = file_of("values.jsonl", (table_of('{"a": %d}'):gsub("^a,b\n", "")))

-- An npy file of the numbers 10, 20, ... as bytes.
local function npy_of(sizes)
  local header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" .. sizes
    .. "), }"
  header = header .. (" "):rep(117 - #header) .. "\n"
  return "\147NUMPY\1\0\118\0" .. header .. string.char(unpack(tens()))
end

local NPY = file_of("tens.npy", npy_of(N .. ","))

local function le(n, bytes)
  local list = {}
  for k = 1, bytes do
    list[k] = string.char(math.floor(n / 256 ^ (k - 1)) % 256)
  end
  return table.concat(list)
end

-- A zip archive of one entry, not packed.
local function zip_of(name, data)
  local about = "\0\0\0\0\0\0\0\0\0\0\0\0" .. le(#data, 4) .. le(#data, 4)
    .. le(#name, 2) .. "\0\0"
  local entry = "PK\3\4\20\0" .. about .. name .. data
  local directory = "PK\1\2\20\0\20\0" .. about .. ("\0"):rep(14) .. name
  return entry .. directory .. "PK\5\6\0\0\0\0\1\0\1\0" .. le(#directory, 4)
    .. le(#entry, 4) .. "\0\0"
end

local NPZ = file_of("tens.npz", zip_of("x.npy", npy_of(N .. ", 1")))
local TABLE = file_of("table.csv", table_of('%d,"b\n%d"'))
local LINES = file_of("lines", lines_from(1))

local SAVED = path_of("saved")
neap.save(tens(), SAVED, { workers = 0 })

local function samples_from(first, last)
  local list = {}
  for i = first, last do
    list[#list + 1] = { i .. ".txt", "text " .. i }
  end
  return archive.of(list)
end

local TAR = file_of("samples.tar", samples_from(1, N))
file_of("samples-1.tar", samples_from(1, 5))
file_of("samples-2.tar", samples_from(6, N))

local SQLITE = path_of("rows.db")
database.sqlite(SQLITE, "CREATE TABLE t(i INTEGER);")
for i = 1, N do
  database.sqlite(SQLITE, ("INSERT INTO t VALUES (%d);"):format(i * 10))
end

local ENTRIES = {}
for i = 1, N do
  ENTRIES[i] = { ("key %02d"):format(i), "value " .. i }
end
local LMDB = path_of("entries.mdb")
database.lmdb(LMDB, ENTRIES, true)

-- Pages that no server is asked for.
local PAGES, CACHE = {}, path_of("cache")
require("neap.waiting.http_cache").make(CACHE)
for i = 1, N do
  PAGES[i] = ("http://127.0.0.1:1/%d"):format(i)
  local cache = require("neap.waiting.http_cache")
  cache.put(CACHE, cache.key(PAGES[i]), "page " .. i, {}, 2 ^ 20)
end
local KEPT = { cache = CACHE, max_age = math.huge }

local function page(i)
  return "page " .. (i - 1) % N + 1
end

local function sample(i)
  return { __key__ = tostring(i), txt = "text " .. i }
end

local SOURCES = {
  range = {
    make = function() return neap.range(N) end,
    item = index_itself,
    shows = "range(1, 12)",
  },
  ["range: of fractions, downwards"] = {
    make = function() return neap.range(3, -2.5, -0.5) end,
    item = function(i) return 3.5 - i / 2 end,
    shows = "range(3, -2.5, -0.5)",
  },
  ["from: an array"] = {
    make = function() return neap.from(tens()) end,
    item = times_ten,
    shows = "from(table)",
  },
  ["from: a tensor of one dimension"] = {
    make = function() return neap.from(neap.tensor("u16", { N }, tens())) end,
    item = times_ten,
    shows = "from(tensor u16 12)",
  },
  ["from: the rows of a tensor"] = {
    make = function()
      return neap.from(neap.tensor("f32", { N, 2 }, 7)):map(function(row)
        return row:totable()
      end)
    end,
    item = function() return { 7, 7 } end,
    shows = "map(f, from(tensor f32 12x2))",
  },
  ["from: a function"] = {
    make = function(tick)
      return neap.from(function(i)
        tick(i)
        return i * 10
      end, N)
    end,
    item = times_ten,
    shows = "from(function)",
    is_computed = true,
  },
  ["from_iter: an iterator"] = {
    make = function(tick)
      local f, state, first = counter(tick, N)
      return neap.from_iter(f, state, first, { cache = N, size = N })
    end,
    item = index_itself,
    shows = "from_iter",
    is_computed = true,
  },
  ["from_iter: a function that makes one"] = {
    make = function(tick)
      return neap.from_iter(counters(tick, N), { size = N })
    end,
    item = times_ten,
    shows = "from_iter",
    is_computed = true,
  },
  rep = {
    make = function() return neap.rep("x", N) end,
    item = function() return "x" end,
    shows = "rep",
  },
  ["idx: numbers"] = {
    make = function()
      return idx_of(0, 0, 8, 1, 0, 0, 0, N, unpack(tens()))
    end,
    item = times_ten,
    shows = "from(tensor u8 12)",
  },
  ["idx: rows"] = {
    make = function()
      return idx_of(0, 0, 8, 2, 0, 0, 0, N, 0, 0, 0, 1, unpack(tens()))
        :map(function(row) return row:totable() end)
    end,
    item = function(i) return { i * 10 } end,
    shows = "map(f, from(tensor u8 12x1))",
  },
  csv = {
    make = function() return neap.csv(TABLE) end,
    item = function(i) return { a = i, b = "b\n" .. i } end,
    shows = ("csv(%s: a i64, b string)"):format(TABLE),
  },
  jsonl = {
    make = function() return neap.jsonl(JSON) end,
    item = function(i) return { a = i } end,
    shows = ("jsonl(%s)"):format(JSON),
  },
  npy = {
    make = function() return neap.npy(NPY) end,
    item = times_ten,
    shows = ("npy(%s: u8)"):format(NPY),
  },
  npz = {
    make = function()
      return neap.npz(NPZ):map(function(item) return item.x:totable() end)
    end,
    item = function(i) return { i * 10 } end,
    shows = ("map(f, npz(%s: x))"):format(NPZ),
  },
  ["raw: numbers"] = {
    make = function() return neap.raw(TENS, "u8", {}) end,
    item = times_ten,
    shows = ("raw(%s: u8)"):format(TENS),
  },
  ["raw: rows"] = {
    make = function()
      return neap.raw(TENS, "u8", { 1 }):map(function(row)
        return row:totable()
      end)
    end,
    item = function(i) return { i * 10 } end,
    shows = ("map(f, raw(%s: u8 1))"):format(TENS),
  },
  files = {
    make = function() return neap.files(PHOTOS) end,
    item = function(i)
      local path = ("%s/photo%02d"):format(folder, i)
      return { path = path, bytes = "photo " .. i }
    end,
    shows = ("files(%s)"):format(PHOTOS),
  },
  lines = {
    make = function() return neap.lines(LINES) end,
    item = function(i) return "line " .. i end,
    shows = ("lines(%s)"):format(LINES),
  },
  ["lines: of two files"] = {
    make = function()
      return neap.lines({ file_of("one", "line 1\nline 2"),
        file_of("rest", lines_from(3)) })
    end,
    item = function(i) return "line " .. i end,
    shows = "lines(2 files)",
  },
  load = {
    make = function() return neap.load(SAVED) end,
    item = times_ten,
    shows = ("load(%s: from(table))"):format(SAVED),
  },
  tar = {
    make = function() return neap.tar(TAR) end,
    item = sample,
    shows = ("tar(%s)"):format(TAR),
  },
  ["tar: of two shards"] = {
    make = function()
      return neap.tar(path_of("samples-{1..2}.tar"), { index = true })
    end,
    item = sample,
    shows = "tar(2 shards)",
  },
  sqlite = {
    make = function()
      return neap.sqlite(SQLITE, "SELECT i FROM t", { key = "i" })
    end,
    item = function(i) return { i = i * 10 } end,
    shows = ("sqlite(%s, SELECT i FROM t)"):format(SQLITE),
  },
  ["sqlite: without a key"] = {
    make = function() return neap.sqlite(SQLITE, "SELECT i FROM t") end,
    item = function(i) return { i = i * 10 } end,
    shows = ("sqlite(%s, SELECT i FROM t)"):format(SQLITE),
  },
  lmdb = {
    make = function() return neap.lmdb(LMDB) end,
    item = function(i)
      return { key = ENTRIES[i][1], value = ENTRIES[i][2] }
    end,
    shows = ("lmdb(%s)"):format(LMDB),
  },
  url = {
    make = function() return neap.url(PAGES, KEPT) end,
    item = page,
    shows = "url(from(table))",
  },
}

-- -- Endless sequences -------------------------------------------------------
--
-- What each makes without an end, or over something without an end, and item i
-- of that; `refuse`: it needs a source with an end; false: it has no source.

local naturals = neap.range(1, math.huge)

local function same(make)
  return { make = make, item = index_itself }
end

local function is_odd(i)
  return i % 2 == 1
end

local ENDLESS = {
  range = same(function() return naturals end),
  from = {
    make = function() return neap.from(times_ten) end, item = times_ten,
  },
  from_iter = {
    make = function() return neap.from_iter(counters(nothing, math.huge)) end,
    item = times_ten,
  },
  rep = {
    make = function() return neap.rep("x") end,
    item = function() return "x" end,
  },
  idx = false,
  csv = false,
  jsonl = false,
  npy = false,
  npz = false,
  raw = false,
  files = false,
  lines = false,
  load = false,
  tar = false,
  sqlite = false,
  lmdb = false,
  url = {
    make = function() return neap.url(neap.cycle(PAGES), KEPT) end,
    item = page,
  },

  map = {
    make = function() return neap.map(times_ten, naturals) end,
    item = times_ten,
  },
  starmap = {
    make = function()
      return neap.starmap(function(x, y) return x - y end,
        neap.zip(naturals, neap.rep(5)))
    end,
    item = function(i) return i - 5 end,
  },
  random_map = {
    make = function()
      return neap.random_map(function(x, rng)
        return { x, rng:integer(1, 1000) }
      end, naturals, { seed = 5 })
    end,
    item = function(i) return { i, random.new(5, 1, i):integer(1, 1000) } end,
  },
  zip = {
    make = function() return neap.zip(naturals, neap.rep("x")) end,
    item = function(i) return { i, "x" } end,
  },
  gather = {
    make = function() return neap.gather({ 7, 8 }, neap.cycle({ 2, 1 })) end,
    item = function(i) return is_odd(i) and 8 or 7 end,
  },
  concat = {
    make = function() return { 7, 8 } .. naturals end,
    item = function(i) return i <= 2 and i + 6 or i - 2 end,
  },
  interleave = {
    make = function() return neap.interleave(naturals, { "x" }) end,
    item = function(i) return i == 2 and "x" or i == 1 and 1 or i - 1 end,
  },
  cycle = {
    make = function() return neap.cycle(neap.range(N)) end,
    item = function(i) return (i - 1) % N + 1 end,
  },
  switch = {
    make = function()
      return neap.switch(naturals:map(is_odd), naturals, neap.rep("x"))
    end,
    item = function(i) return is_odd(i) and i or "x" end,
  },
  case = {
    make = function()
      return neap.case(neap.cycle({ 2, 1 }), neap.rep("x"), naturals)
    end,
    item = function(i) return is_odd(i) and i or "x" end,
  },
  split = { refuse = function(s) return neap.split(s, 1) end },
  batch = {
    make = function() return neap.batch(naturals, 2) end,
    item = function(i) return { 2 * i - 1, 2 * i } end,
  },
  unbatch = same(function() return naturals:batch(3):unbatch(3) end),
  shuffle = { refuse = function(s) return neap.shuffle(s) end },
  shard = {
    make = function() return neap.shard(naturals, 2, 3) end,
    item = function(i) return 3 * i - 1 end,
  },
  slice = {
    make = function() return neap.slice(naturals, 5, nil, 2) end,
    item = function(i) return 2 * i + 3 end,
  },
  window = {
    make = function() return neap.window(naturals, 2, 3) end,
    item = function(i) return { 3 * i - 2, 3 * i - 1 } end,
  },
  where = { refuse = function(s) return neap.where(s, is_odd) end },
  lengths = { refuse = function(s) return neap.lengths(s) end },
  bucket = { refuse = function(s)
    return neap.bucket(s, { 1 }, { batch = 1 })
  end },
  pack = { refuse = function(s) return neap.pack(s, { 1 }, 1) end },
  epoch = same(function() return naturals:epoch(3) end),
  cache = same(function() return naturals:cache(3) end),
  prefetch = same(function() return naturals:prefetch({ workers = 0 }) end),
  save = { refuse = function(s) return neap.save(s, "x") end },
  snapshot = { refuse = function(s) return neap.snapshot(s, "x") end },
  rescue = same(function() return naturals:rescue(error) end),
  skip = same(function() return naturals:skip() end),
  retry = same(function() return naturals:retry(2) end),
  debug = same(function() return naturals:debug(nothing) end),
  monitor = same(function() return naturals:monitor() end),
  progress = same(function() return naturals:progress() end),
  mix = {
    make = function()
      return neap.mix({ naturals, neap.rep("x") }, { 2, 1 }, { seed = 7 })
    end,
    item = function(i)
      local turn = mixed({ i, i }, { 2, 1 }, 7)[i]
      return turn[1] == 1 and turn[2] or "x"
    end,
  },
}

return {
  N = N, ADAPTERS = ADAPTERS, SOURCES = SOURCES, ENDLESS = ENDLESS,
  tens = tens, shuffled = shuffled, mixed = mixed, cleaner = cleaner,
  bucketed = bucketed, packed = packed,
}
