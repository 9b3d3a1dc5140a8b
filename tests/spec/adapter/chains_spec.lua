-- SPDX-License-Identifier: MIT
--- Random chains of all adapters, against naive models of them.
--
-- A model is what the chain answers, said the plain way: {n = length,
-- at = function(i, epoch)}. NEAP_SEED repeats a run.

local neap = require("neap")
local random = require("neap.base.random")
local support = dofile("tests/spec/support.lua")
local cases = dofile("tests/spec/contract_cases.lua")

local DEPTH = 6
local ITEMS_MAX = 60
local SIZE_MAX = 3000 -- numbers in all items of a chain

-- -- Models -------------------------------------------------------------------

-- Models of n items of `size` numbers each.
local function model_of(n, size, at)
  return { n = n, size = size, at = at }
end

-- One that takes its items from positions of another.
local function positions(model, list)
  return model_of(#list, model.size, function(i, e)
    return model.at(list[i], e)
  end)
end

local function items_between(model, first, last, e)
  local list = {}
  for i = first, last do
    list[#list + 1] = model.at(i, e)
  end
  return list
end

local function range_of(n)
  local list = {}
  for i = 1, n do
    list[i] = i
  end
  return list
end

-- As string.sub counts, one index after the other.
local function sliced(n, first, last, step)
  first = first < 0 and n + 1 + first or first
  last = last < 0 and n + 1 + last or last
  local low, high = math.max(math.min(first, last), 1),
    math.min(math.max(first, last), n)
  local list = {}
  if (last - first) * step >= 0 then
    for i = step > 0 and low or high, step > 0 and high or low, step do
      list[#list + 1] = i
    end
  end
  return list
end

-- What `take(part, i)` of several models makes of a list of {part, i}.
local function picked(list, size, take)
  return model_of(#list, size, function(i, e)
    return take(list[i][1], list[i][2], e)
  end)
end

local function sorted(count, limit)
  local list = {}
  for k = 1, count do
    list[k] = math.random(0, limit)
  end
  table.sort(list)
  return list
end

-- -- Adapters -----------------------------------------------------------------
--
-- Each of a name's functions puts one more adapter on a chain and its model;
-- k is a number that no other of the chain has. One that cannot use the chain
-- answers nothing.

local function is_odd(i)
  return i % 2 == 1
end

-- For adapters that change no item.
local function same(f)
  return function(s, model)
    return f(s), model_of(model.n, model.size, model.at)
  end
end

local folder, files = support.folder(), 0

-- What `make` keeps in a file, as it is in epoch 1.
local function saved(make)
  return function(s, model)
    if model.may_raise or model.n == math.huge then
      return nil
    end
    files = files + 1
    local function at(i)
      return model.at(i, 1)
    end
    return make(s, folder .. "/" .. files), model_of(model.n, model.size, at)
  end
end

local STEPS = {
  map = {
    function(s, model)
      return s:map(function(x) return { x } end),
        model_of(model.n, model.size, function(i, e)
          return { model.at(i, e) }
        end)
    end,
    function(s, model)
      return neap.map(function(x, y, z) return { z, y, x } end, s,
        neap.range(1, math.huge), s),
        model_of(model.n, 2 * model.size + 1, function(i, e)
          return { model.at(i, e), i, model.at(i, e) }
        end)
    end,
  },
  starmap = { function(s, model)
    return neap.zip(s, neap.range(model.n)):starmap(function(x, y)
      return { y, x }
    end), model_of(model.n, model.size + 1, function(i, e)
      return { i, model.at(i, e) }
    end)
  end },
  random_map = { function(s, model, k)
    return s:random_map(function(x, rng)
      return { rng:integer(1, 99), x }
    end, { seed = k }), model_of(model.n, model.size + 1, function(i, e)
      return { random.new(k, e, i):integer(1, 99), model.at(i, e) }
    end)
  end },
  zip = {
    function(s, model)
      return neap.zip({ a = s, b = neap.range(model.n) }),
        model_of(model.n, model.size + 1, function(i, e)
          return { a = model.at(i, e), b = i }
        end)
    end,
    function(s, model)
      return neap.zip(s, s), model_of(model.n, 2 * model.size, function(i, e)
        return { model.at(i, e), model.at(i, e) }
      end)
    end,
  },
  gather = {
    function(s, model)
      local indexes, list = {}, {}
      for k = 1, model.n > 0 and math.random(0, 20) or 0 do
        list[k] = math.random(model.n)
        indexes[k] = math.random(2) == 1 and list[k] or list[k] - model.n - 1
      end
      return s:gather(indexes), positions(model, list)
    end,
    function(s, model)
      local n, list = model.n, {}
      for k = 1, n do
        list[k] = k * 7 % n + 1
      end
      return s:gather(neap.range(n):map(function(k) return k * 7 % n + 1 end)),
        positions(model, list)
    end,
  },
  concat = {
    function(s, model)
      return s .. { "x", "y" },
        model_of(model.n + 2, model.size, function(i, e)
          return i > model.n and ({ "x", "y" })[i - model.n] or model.at(i, e)
        end)
    end,
    function(s, model)
      return neap.concat({}, s, s, {}),
        model_of(2 * model.n, model.size, function(i, e)
          return model.at(i > model.n and i - model.n or i, e)
        end)
    end,
  },
  interleave = { function(s, model)
    local others = range_of(math.random(0, 9))
    local list = {}
    for i = 1, math.max(model.n, #others) do
      list[#list + 1] = i <= model.n and { 1, i } or nil
      list[#list + 1] = i <= #others and { 2, i } or nil
      list[#list + 1] = i <= model.n and { 1, i } or nil
    end
    return neap.interleave(s, others, s),
      picked(list, model.size, function(part, i, e)
        return part == 2 and i or model.at(i, e)
      end)
  end },
  cycle = { function(s, model)
    local list = {}
    local times = math.random(0, 3)
    for _ = 1, times do
      for i = 1, model.n do
        list[#list + 1] = i
      end
    end
    if model.n > 0 then
      return s:cycle(times), positions(model, list)
    end
  end },
  switch = { function(s, model)
    return neap.switch(neap.range(model.n):map(is_odd), s, neap.rep("else")),
      model_of(model.n, model.size, function(i, e)
        return i % 2 == 0 and "else" or model.at(i, e)
      end)
  end },
  case = { function(s, model)
    return neap.case(neap.range(model.n):map(function(i) return i % 3 + 1 end),
      neap.range(model.n), s, neap.rep(false)),
      model_of(model.n, model.size, function(i, e)
        return i % 3 == 0 and i or i % 3 == 1 and model.at(i, e)
      end)
  end },
  split = {
    function(s, model)
      local edges = sorted(math.random(0, 4), model.n)
      return s:split(edges):map(function(x) return x:totable() end),
        model_of(#edges + 1, model.n * model.size, function(i, e)
          return items_between(model, (edges[i - 1] or 0) + 1,
            edges[i] or model.n, e)
        end)
    end,
    function(s, model)
      local edges = {}
      for k = 1, model.n > 0 and math.random(4) or 0 do
        local first, last = unpack(sorted(2, model.n))
        edges[k] = { first + 1, last }
      end
      return s:split(edges[1] and edges or { model.n })
        :slice(1, math.max(1, #edges))
        :map(function(x) return x:totable() end),
        model_of(math.max(1, #edges), model.n * model.size, function(i, e)
          local edge = edges[i] or { 1, model.n }
          return items_between(model, edge[1], edge[2], e)
        end)
    end,
  },
  batch = {
    function(s, model)
      local k, drop_last = math.random(5), math.random(2) == 1
      local n = drop_last and math.floor(model.n / k) or math.ceil(model.n / k)
      return s:batch(k, { drop_last = drop_last }),
        model_of(n, k * model.size, function(i, e)
          return items_between(model, (i - 1) * k + 1, math.min(i * k, model.n),
            e)
        end)
    end,
    function(s, model)
      local k = math.random(5)
      return s:batch(k, { pad = false }),
        model_of(math.ceil(model.n / k), k * model.size, function(i, e)
          local list = items_between(model, (i - 1) * k + 1,
            math.min(i * k, model.n), e)
          for j = #list + 1, k do
            list[j] = false
          end
          return list
        end)
    end,
  },
  unbatch = { function(s, model)
    local k = math.random(5)
    return s:batch(k):unbatch(k, math.max(model.n - 1, 0) % k + 1),
      model_of(model.n, model.size, function(i, e)
        local first = i - (i - 1) % k
        return items_between(model, first, math.min(first + k - 1, model.n),
          e)[i - first + 1]
      end)
  end },
  shuffle = { function(s, model, k)
    return s:shuffle(k), model_of(model.n, model.size, function(i, e)
      return model.at(cases.shuffled(model.n, k, e, i), e)
    end)
  end },
  shard = { function(s, model)
    local world = math.random(4)
    local rank = math.random(world)
    local even = ({ "keep", "drop", "pad" })[math.random(3)]
    local list = sliced(model.n, rank, math.max(model.n, rank), world)
    if even == "drop" then
      list[math.floor(model.n / world) + 1] = nil
    elseif even == "pad" and #list * world < model.n then
      list[#list + 1] = (rank + #list * world - 1) % model.n + 1
    end
    return s:shard(rank, world, { even = even }), positions(model, list)
  end },
  slice = { function(s, model)
    local n = model.n
    local step = math.random(4) * (math.random(2) * 2 - 3)
    local first, last = math.random(-n - 2, n + 2), math.random(-n - 2, n + 2)
    return s:slice(first, last, step),
      positions(model, sliced(n, first, last, step))
  end },
  window = { function(s, model)
    local k, step = math.random(4), math.random(3)
    return s:window(k, step),
      model_of(math.max(0, math.floor((model.n - k) / step) + 1),
        k * model.size, function(i, e)
          local first = (i - 1) * step + 1
          return items_between(model, first, first + k - 1, e)
        end)
  end },
  where = { function(s, model)
    if model.may_raise then
      return nil
    end
    local function is_short(x)
      return #support.show(x) % 3 > 0
    end
    local list = {}
    for i = 1, model.n do
      list[#list + 1] = is_short(model.at(i, 1)) and i or nil
    end
    return s:gather(s:where(is_short)), positions(model, list)
  end },
  save = { saved(function(s, path)
    return s:save(path, { workers = 0, compress = math.random(2) == 1 })
  end) },
  snapshot = { saved(function(s, path)
    return s:snapshot(path, { workers = 0 })
  end) },
  lengths = { function(s, model)
    if model.may_raise then
      return nil
    end
    return s:lengths(function(x) return #support.show(x) end),
      model_of(model.n, 1, function(i)
        return #support.show(model.at(i, 1))
      end)
  end },
  bucket = { function(s, model, k)
    local lengths, size = {}, math.random(4)
    for i = 1, model.n do
      lengths[i] = math.random(0, 4)
    end
    return s:bucket(lengths, { batch = size, boundaries = { 1, 2 }, seed = k }),
      model_of(#cases.bucketed(lengths, size, k, 1), size * model.size,
        function(i, e)
          local list = {}
          for j, at in ipairs(cases.bucketed(lengths, size, k, e)[i]) do
            list[j] = model.at(at, e)
          end
          return list
        end)
  end },
  pack = { function(s, model)
    local lengths, capacity = {}, math.random(3, 9)
    for i = 1, model.n do
      lengths[i] = i % 3 + 1
    end
    local function row_of(x, i)
      local list = {}
      for k = 1, i % 3 + 1 do
        list[k] = (type(x) == "number" and x or 0) + k
      end
      return list
    end
    local rows = cases.packed(lengths, capacity)
    return neap.map(row_of, s, neap.range(model.n)):pack(lengths, capacity,
      { value = -1 }):map(function(row) return row.tensor:totable() end),
      model_of(#rows, capacity, function(i, e)
        local list = {}
        for _, at in ipairs(rows[i]) do
          for _, x in ipairs(row_of(model.at(at, e), at)) do
            list[#list + 1] = x
          end
        end
        for k = #list + 1, capacity do
          list[k] = -1
        end
        return list
      end)
  end },
  mix = { function(s, model, k)
    local weights = { math.random(9), math.random(9) / 7, math.random() + 0.1 }
    local list = cases.mixed({ model.n, 9, model.n }, weights, k)
    return neap.mix({ s, neap.range(9), s }, weights, { seed = k }),
      picked(list, model.size, function(part, i, e)
        return part == 2 and i or model.at(i, e)
      end)
  end },
  epoch = { function(s, model, k) -- of two in a row the later one counts
    local under = model.under or model
    local result = model_of(model.n, model.size, function(i)
      return under.at(i, k)
    end)
    result.under = under
    return s:epoch(k), result
  end },
  cache = {
    same(function(s) return s:cache(math.random(20)) end),
    same(function(s) return s:cache() end),
  },
  prefetch = { same(function(s) return s:prefetch({ workers = 0 }) end) },
  rescue = { same(function(s)
    return s:rescue(function(e) error(e, 0) end)
  end) },
  retry = { same(function(s) return s:retry(1) end) },
  debug = { same(function(s)
    return s:debug(function() end, { max_calls = 5 })
  end) },
  monitor = { same(function(s) return s:monitor() end) },
  progress = { function(s, model)
    local result = model_of(model.n, model.size, model.at)
    result.under = model.under -- its epoch is that of its source
    return s:progress({ label = "x" }), result
  end },
}

-- -- Sources ------------------------------------------------------------------

local function numbers(n)
  return model_of(n, 1, function(i) return i end)
end

local SOURCES = {
  range = function(n) return neap.range(n), numbers(n) end,
  from = function(n)
    return neap.from(neap.tensor("i32", { n }, range_of(n))), numbers(n)
  end,
  from_iter = function(n)
    return neap.from_iter(function() return ipairs(range_of(n)) end,
      { size = n }), numbers(n)
  end,
  rep = function(n)
    return neap.rep("r", n), model_of(n, 1, function() return "r" end)
  end,
}

-- One of which item `bad` raises.
local function failing(n)
  local bad = math.random(math.max(n, 1))
  local function value(i)
    return i == bad and error("bad item") or i
  end
  local model = model_of(n, 1, value)
  model.may_raise = true
  return neap.from(value, n), model, bad
end

local function names_of(list)
  local names = {}
  for name in pairs(list) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function any(list)
  local names = names_of(list)
  return list[names[math.random(#names)]]
end

-- One more adapter, of those that the chain can have.
local function add_step(s, model, k)
  while true do
    local choices = any(STEPS)
    local longer, longer_model = choices[math.random(#choices)](s, model, k)
    if longer and longer_model.n <= ITEMS_MAX
      and longer_model.n * longer_model.size <= SIZE_MAX then
      longer_model.may_raise = model.may_raise
      return longer, longer_model
    end
  end
end

local function random_chain(source, depth)
  local s, model, bad = source(math.random(0, 30))
  for k = 1, depth do
    s, model = add_step(s, model, k)
  end
  return s, model, bad
end

-- -- Tests --------------------------------------------------------------------

local function model_items(model)
  local items = { n = model.n }
  for i = 1, model.n do
    items[i] = model.at(i, 1)
  end
  return items
end

describe("random chains", function()
  local seed

  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  before_each(support.remember)
  after_each(support.check_leaks)

  setup(function()
    seed = support.seed("chains_spec")
  end)

  local function text_of(s)
    return ("NEAP_SEED=%d: %s"):format(seed, tostring(s))
  end

  local function compare(s, model)
    local text = text_of(s)
    assert.equal(model.n, #s, text)
    local wanted = support.show(model_items(model))
    assert.equal(wanted, support.show(support.items(s)), text)
    assert.equal(wanted, support.show(support.by_index(s)), text)
  end

  -- Each item is the model's, or the error of the one that raises.
  local function compare_errors(s, model, bad)
    local text = text_of(s)
    for i = 1, model.n do
      local is_good, wanted = pcall(model.at, i, 1)
      local ok, x = pcall(function() return s[i] end)
      assert.equal(is_good, ok, text)
      if ok then
        assert.equal(support.show(wanted), support.show(x), text)
      else
        assert.equal(bad, x.index, text)
        assert.truthy(x.stage:find("^from %(tests/spec/adapter/"
          .. "chains_spec"), text)
        assert.truthy(x.message:find(": bad item$"), text)
      end
    end
  end

  -- Batches above a skip are read in order: adapter/skip_spec.lua.
  it("use each adapter that neap has, but skip", function()
    local names = names_of(STEPS)
    names[#names + 1] = "skip"
    table.sort(names)
    local listed = support.listed("ADAPTERS")
    table.sort(listed)
    assert.same(listed, names)
  end)

  it("are what naive models say", function()
    for k = 1, 400 do
      compare(random_chain(any(SOURCES), k % 4 == 0 and math.random(DEPTH)
        or DEPTH))
    end
  end)

  it("tell the item that raises, and its stage", function()
    for _ = 1, 200 do
      compare_errors(random_chain(failing, DEPTH))
    end
  end)

  it("are the same through workers", function()
    for k = 1, 30 do
      local source = k % 3 == 0 and failing or any(SOURCES)
      local s, model, bad = random_chain(source, DEPTH)
      local p = s:prefetch({
        workers = k % 2 == 0 and 1 or 3, buffered = math.random(20),
        chunk = math.random(2) == 1 and "auto" or math.random(9),
      })
      if bad then
        compare_errors(p, model, bad)
      else
        compare(p, model)
      end
      p:close()
    end
  end)
end)
