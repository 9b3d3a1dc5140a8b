-- SPDX-License-Identifier: MIT
--- What every adapter keeps, one spec over all of them: a new adapter is one
-- entry of CASES, and one without an entry fails the suite.

local neap = require("neap")
local lib = require("neap.lib")
local random = require("neap.random")
local support = dofile("tests/spec/support.lua")

local N = 12

-- Item i of a shuffle of n items, by the function that C hosts call.
local function shuffled(n, seed, epoch, i)
  return tonumber(lib.C.neap_shuffle_item(n, seed, epoch, i - 1)) + 1
end

-- Each case makes a sequence from a sequence of N numbers, and tells item i of
-- it from the list of those numbers, the plain way. `count`: how many items,
-- N unless told; `calls`: how many items of the source item i takes, 1 unless
-- told; `own`: it makes the same over a function that raises at item 3;
-- `is_eager`: it reads its source when it is made.
local CASES = {
  map = {
    make = function(s)
      return neap.map(function(x) return x + 1 end, s)
    end,
    item = function(t, i) return t[i] + 1 end,
    own = function(s)
      return neap.map(function(x)
        return x == 30 and error("no thirty") or x
      end, s)
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
      return neap.random_map(function(x)
        return x == 30 and error("no thirty") or x
      end, s)
    end,
  },
  zip = {
    make = function(s)
      return neap.zip({ a = s, b = neap.range(N) })
    end,
    item = function(t, i) return { a = t[i], b = i } end,
  },
  gather = {
    make = function(s) return neap.gather(s, { 3, 1, -1, 3 }) end,
    item = function(t, i) return t[({ 3, 1, N, 3 })[i]] end,
    count = 4,
  },
  shuffle = {
    make = function(s) return neap.shuffle(s, 9) end,
    item = function(t, i) return t[shuffled(N, 9, 1, i)] end,
  },
  slice = {
    make = function(s) return neap.slice(s, 12, 2, -3) end,
    item = function(t, i) return t[12 - 3 * (i - 1)] end,
    count = 4,
  },
  batch = {
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
      return neap.starmap(function(x)
        return x == 30 and error("no thirty") or x
      end, neap.zip(s))
    end,
  },
  concat = {
    make = function(s) return neap.concat(s, { 1, 2 }) end,
    item = function(t, i) return t[i] or i - N end,
    count = N + 2,
    calls = function(i) return i <= N and 1 or 0 end,
  },
  interleave = {
    make = function(s) return neap.interleave(s, { 1, 2 }) end,
    item = function(t, i)
      return i == 2 and 1 or i == 4 and 2 or t[i <= 4 and (i + 1) / 2 or i - 2]
    end,
    count = N + 2,
    calls = function(i) return (i == 2 or i == 4) and 0 or 1 end,
  },
  cycle = {
    make = function(s) return neap.cycle(s, 2) end,
    item = function(t, i) return t[(i - 1) % N + 1] end,
    count = 2 * N,
  },
  switch = {
    make = function(s)
      local is_odd = neap.range(N):map(function(i) return i % 2 == 1 end)
      return neap.switch(is_odd, s, neap.range(N))
    end,
    item = function(t, i) return i % 2 == 1 and t[i] or i end,
    calls = function(i) return i % 2 end,
  },
  case = {
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
    make = function(s) return neap.shard(s, 3, 5) end,
    item = function(t, i) return t[3 + (i - 1) * 5] end,
    count = 2,
  },
  window = {
    make = function(s) return neap.window(s, 3, 2) end,
    item = function(t, i) return { unpack(t, 2 * i - 1, 2 * i + 1) } end,
    count = 5,
    calls = function() return 3 end,
  },
  where = {
    make = function(s)
      return neap.where(s, function(x) return x % 30 == 0 end)
    end,
    item = function(_, i) return 3 * i end,
    count = 4,
    is_eager = true,
  },
  cache = {
    make = function(s) return neap.cache(s, 5) end,
    item = function(t, i) return t[i] end,
  },
  rescue = {
    make = function(s)
      return neap.rescue(s, function(e) error(e, 0) end)
    end,
    item = function(t, i) return t[i] end,
  },
  retry = {
    make = function(s) return neap.retry(s, 2) end,
    item = function(t, i) return t[i] end,
  },
  debug = {
    make = function(s) return neap.debug(s, function() end) end,
    item = function(t, i) return t[i] end,
  },
  monitor = {
    make = function(s) return neap.monitor(s) end,
    item = function(t, i) return t[i] end,
  },
  epoch = {
    make = function(s) return neap.epoch(neap.shuffle(s, 9), 4) end,
    item = function(t, i) return t[shuffled(N, 9, 4, i)] end,
  },
  prefetch = {
    make = function(s) return neap.prefetch(s, { workers = 0 }) end,
    item = function(t, i) return t[i] end,
  },
  progress = {
    make = function(s) return neap.progress(s) end,
    item = function(t, i) return t[i] end,
  },
}

-- The names that lua/neap/init.lua lists.
local function adapters()
  local file = assert(io.open(lib.lua_dir .. "/neap/init.lua"))
  local text = file:read("*a")
  file:close()
  local names = {}
  for name in text:match("local ADAPTERS = (%b{})"):gmatch('"([%w_]+)"') do
    names[#names + 1] = name
  end
  assert(#names > 0)
  return names
end

local function numbers()
  local t = {}
  for k = 1, N do
    t[k] = k * 10
  end
  return t
end

-- A sequence of those numbers that counts how often it is asked.
local function counted()
  local counter = { calls = 0 }
  local s = neap.from(function(i)
    counter.calls = counter.calls + 1
    return i * 10
  end, N)
  return s, counter
end

local function expected(case)
  local items = { n = case.count or N }
  for i = 1, items.n do
    items[i] = case.item(numbers(), i)
  end
  return items
end

describe("the contract covers", function()
  it("each adapter that neap lists", function()
    for _, name in ipairs(adapters()) do
      assert.truthy(CASES[name], name .. " has no case in contract_spec.lua")
    end
  end)

  it("nothing that neap does not list", function()
    local listed = {}
    for _, name in ipairs(adapters()) do
      listed[name] = true
    end
    for name in pairs(CASES) do
      assert.truthy(listed[name], name)
    end
  end)
end)

for name, case in pairs(CASES) do
  describe("contract of " .. name .. ":", function()
    local count = case.count or N

    it("it is a function of neap and a method of sequences", function()
      assert.truthy(neap.range(1)[name])
      assert.truthy(neap[name])
    end)

    it("it has a length, both ways", function()
      local s = case.make(neap.from(numbers()))
      assert.equal(count, #s)
      assert.equal(count, s:len())
    end)

    it("its items are the model's, one by one, in a loop and in a table",
      function()
        local s = case.make(neap.from(numbers()))
        assert.same(expected(case), support.by_index(s))
        assert.same(expected(case), support.items(s))
        local list = s:totable()
        list.n = #list
        assert.same(expected(case), list)
      end)

    it("negative indexes count from the end", function()
      local s = case.make(neap.from(numbers()))
      for i = 1, count do
        assert.same(s[i], s[i - count - 1])
      end
    end)

    it("indexes out of range raise at the caller", function()
      local s = case.make(neap.from(numbers()))
      for _, i in ipairs({ 0, count + 1, -count - 1, 2 ^ 53, -2 ^ 53 }) do
        local line = debug.getinfo(1, "l").currentline + 1
        local ok, e = pcall(function() return s[i] end)
        assert.is_false(ok)
        assert.equal(("tests/spec/contract_spec.lua:%d: index %d is out of "
          .. "range 1..%d"):format(line, i, count), e)
      end
      for _, i in ipairs({ 1.5, -0.5, 0 / 0, 1 / 0, -1 / 0 }) do
        local _, e = pcall(function() return s[i] end)
        assert.truthy(e:find(": index %S+ is not a whole number$"), e)
      end
    end)

    if not case.is_eager then
      it("nothing is evaluated when it is made", function()
        local source, counter = counted()
        local s = case.make(source)
        local _ = #s + s:len() .. tostring(s)
        assert.equal(0, counter.calls)
      end)

      it("an access reads each item that it needs, once", function()
        local source, counter = counted()
        local s = case.make(source)
        for i = 1, count do
          counter.calls = 0
          local _ = s[i]
          assert.equal(case.calls and case.calls(i) or 1, counter.calls)
        end
      end)

      it("a loop reads each item that it needs, once", function()
        local source, counter = counted()
        local wanted = 0
        for i in case.make(source):each() do
          wanted = wanted + (case.calls and case.calls(i) or 1)
          assert.equal(wanted, counter.calls)
        end
      end)

      it("it shows its name, its source and its length", function()
        local text = tostring(case.make(neap.range(N)))
        assert.truthy(text:find(name .. "(", 1, true), text)
        assert.truthy(text:find("range(1, 12)", 1, true), text)
        assert.truthy(text:find((": %d items$"):format(count)), text)
      end)
    end

    it("a failure of its source tells the item and the stage", function()
      local line = debug.getinfo(1, "l").currentline + 1
      local source = neap.map(function(x)
        return x == 3 and error("no three") or x
      end, neap.range(N))
      local e = support.raised(function()
        local _ = case.make(source):totable()
      end)
      assert.equal(3, e.index)
      assert.equal(("map (tests/spec/contract_spec.lua:%d)"):format(line),
        e.stage)
      assert.truthy(e.message:find(": no three$"))
      assert.truthy(tostring(e):find(("item 3 of map (tests/spec/"
        .. "contract_spec.lua:%d)"):format(line), 1, true))
    end)

    if case.own then
      it("a failure of its own tells the item and the stage", function()
        local s = case.own(neap.from(numbers()))
        local e = support.raised(function() return s[3] end)
        assert.equal(3, e.index)
        assert.truthy(e.stage:find("^" .. name
          .. " %(tests/spec/contract_spec%.lua:%d+%)$"), e.stage)
        assert.truthy(e.message:find(": no thirty$"))
        assert.falsy(e.worker)
      end)
    end

    describe("with workers:", function()
      before_each(support.remember)
      after_each(support.check_leaks)

      for _, workers in ipairs({ 0, 1, 3 }) do
        it(("its items are the same through %d workers"):format(workers),
          function()
            local p = case.make(neap.from(numbers()))
              :prefetch({ workers = workers })
            assert.same(expected(case), support.items(p))
            assert.same(expected(case), support.by_index(p))
            assert.same(expected(case)[count], p[-1])
            p:close()
          end)
      end

      it("it works on top of a prefetch", function()
        local p = neap.prefetch(numbers(), { workers = 1 })
        local s = case.make(p)
        assert.same(expected(case), support.items(s))
        assert.same(expected(case), support.by_index(s))
        p:close()
      end)
    end)

    it("it takes a Lua array and a tensor for a sequence", function()
      local data = numbers()
      assert.same(expected(case), support.items(case.make(data)))
      assert.same(expected(case), support.items(
        case.make(neap.tensor("f64", { N }, data))))
    end)

    it("it is the same after a collection", function()
      local s = case.make(neap.from(numbers()):slice(1, -1))
      local step, state, i = s:each()
      s = nil -- luacheck: ignore
      for k = 1, count do
        if k % 4 == 2 then
          collectgarbage()
          collectgarbage()
        end
        local x
        i, x = step(state, i)
        assert.same(expected(case)[k], x)
      end
    end)
  end)
end

-- -- Random chains ------------------------------------------------------------

-- A model is {n = length, at = function(i, epoch)}.
local function model_items(model)
  local items = { n = model.n }
  for i = 1, model.n do
    items[i] = model.at(i, 1)
  end
  return items
end

local function positions(model, list)
  return { n = #list, at = function(i, e) return model.at(list[i], e) end }
end

local function pick_slice(n)
  local step = math.random(4) * (math.random(2) * 2 - 3)
  local first, last = math.random(-n - 2, n + 2), math.random(-n - 2, n + 2)
  return first, last, step
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

local STEPS = {
  function(s, model)
    return s:map(function(x) return { x } end),
      { n = model.n, at = function(i, e) return { model.at(i, e) } end }
  end,
  function(s, model, k)
    return s:random_map(function(x, rng)
      return { rng:integer(1, 99), x }
    end, { seed = k }), { n = model.n, at = function(i, e)
      return { random.new(k, e, i):integer(1, 99), model.at(i, e) }
    end }
  end,
  function(s, model)
    return neap.zip({ a = s, b = neap.range(model.n) }),
      { n = model.n, at = function(i, e)
        return { a = model.at(i, e), b = i }
      end }
  end,
  function(s, model)
    return neap.zip(s, s), { n = model.n, at = function(i, e)
      return { model.at(i, e), model.at(i, e) }
    end }
  end,
  function(s, model)
    local indexes, list = {}, {}
    for k = 1, model.n > 0 and math.random(0, 20) or 0 do
      list[k] = math.random(model.n)
      indexes[k] = math.random(2) == 1 and list[k] or list[k] - model.n - 1
    end
    return s:gather(indexes), positions(model, list)
  end,
  function(s, model, k)
    return s:shuffle(k), { n = model.n, at = function(i, e)
      return model.at(shuffled(model.n, k, e, i), e)
    end }
  end,
  function(s, model)
    local first, last, step = pick_slice(model.n)
    return s:slice(first, last, step),
      positions(model, sliced(model.n, first, last, step))
  end,
  function(s, model)
    local k, drop_last = math.random(5), math.random(2) == 1
    local n = drop_last and math.floor(model.n / k) or math.ceil(model.n / k)
    return s:batch(k, { drop_last = drop_last }), { n = n, at = function(i, e)
      local list = {}
      for j = (i - 1) * k + 1, math.min(i * k, model.n) do
        list[#list + 1] = model.at(j, e)
      end
      return list
    end }
  end,
  function(s, model, k) -- of two in a row the later one counts
    local source = model.under or model
    return s:epoch(k), { n = model.n, under = source, at = function(i)
      return source.at(i, k)
    end }
  end,
  function(s, model)
    return s:prefetch({ workers = 0 }), { n = model.n, at = model.at }
  end,
}

local function random_chain()
  local n = math.random(0, 30)
  local s, model = neap.range(n), { n = n, at = function(i) return i end }
  for k = 1, math.random(8) do
    s, model = STEPS[math.random(#STEPS)](s, model, k)
  end
  return s, model
end

describe("random chains", function()
  local seed

  before_each(support.remember)
  after_each(support.check_leaks)

  setup(function()
    seed = support.seed("contract_spec")
  end)

  local function compare(s, model)
    local text = ("NEAP_SEED=%d: %s"):format(seed, tostring(s))
    assert.equal(model.n, #s, text)
    local wanted = support.show(model_items(model))
    assert.equal(wanted, support.show(support.items(s)), text)
    assert.equal(wanted, support.show(support.by_index(s)), text)
  end

  it("are what naive models say", function()
    for _ = 1, 300 do
      compare(random_chain())
    end
  end)

  it("are the same through workers", function()
    for k = 1, 30 do
      local s, model = random_chain()
      local p = s:prefetch({
        workers = k % 2 == 0 and 1 or 3, buffered = math.random(20),
        chunk = math.random(2) == 1 and "auto" or math.random(9),
      })
      compare(p, model)
      p:close()
    end
  end)
end)
