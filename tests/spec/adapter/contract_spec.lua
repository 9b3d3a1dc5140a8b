-- SPDX-License-Identifier: MIT
--- What every source and every adapter keeps, one spec over all of them: a new
--- one is one entry in contract_cases.lua, and without it fails the suite.

local neap = require("neap")
local class = require("neap.base.class")
local support = dofile("tests/spec/support.lua")
local cases = dofile("tests/spec/contract_cases.lua")

local N = cases.N

-- What neap offers besides functions that make sequences.
local OTHERS = {
  _VERSION = true, errors = true, warnings = true, tensor = true, empty = true,
  stack = true, pad = true, keep = true, release = true, each = true,
  per_worker = true, loader = true, open = true, native = true,
  operation = true,
  http = true, sleep = true, limit = true, read = true,
  decode = true, save_image = true, contact_sheet = true,
}

-- Other names for what is covered under its first one.
local ALIASES = { take = "gather" }

-- "zip: in order" is a case of zip.
local function name_of(key)
  return (key:match("^[%w_]+"))
end

local function covered(...)
  local names = {}
  for _, list in ipairs({ ... }) do
    for key in pairs(list) do
      names[name_of(key)] = true
    end
  end
  return names
end

-- The names of both lists of lua/neap/init.lua, and what else neap has.
local function offered()
  local names = {}
  for name in pairs(neap) do
    if not OTHERS[name] and not ALIASES[name] then
      names[name] = true
    end
  end
  for _, list in ipairs({ "SOURCES", "ADAPTERS" }) do
    for _, name in ipairs(support.listed(list)) do
      names[name] = true
    end
  end
  return names
end

describe("the contract covers", function()
  it("each source and adapter that neap has, and no other", function()
    assert.same(offered(), covered(cases.ADAPTERS, cases.SOURCES))
  end)

  it("each of them without an end", function()
    assert.same(offered(), covered(cases.ENDLESS))
  end)
end)

it("another name is the same function", function()
  for alias, name in pairs(ALIASES) do
    assert.equal(neap[name], neap[alias])
  end
end)

local FIELDS = {
  make = "function", class = "table", options = "table",
  function_first = "boolean", is_function = "boolean", example = "string",
  node = "function",
}

describe("the descriptor", function()
  for room, list in pairs({ source = "SOURCES", adapter = "ADAPTERS" }) do
    for _, name in ipairs(support.listed(list)) do
      it("of " .. name .. " has what descriptors have, and no more", function()
        local descriptor = require(("neap.%s.%s"):format(room, name))
        for field, value in pairs(descriptor) do
          assert.equal(FIELDS[field], type(value), field)
        end
        for option, kind in pairs(descriptor.options or {}) do
          assert.equal("function", type(kind), option)
        end
        assert.equal(neap[name], descriptor.make)
        assert.truthy(descriptor.example)
        if descriptor.class then
          assert.equal(room .. "." .. name, class.name_of(descriptor.class))
        end
      end)
    end
  end
end)

-- -- Sources and adapters -----------------------------------------------------

local function nothing() end

-- `tick` that counts.
local function new_counter()
  local counter = { calls = 0 }
  return function()
    counter.calls = counter.calls + 1
  end, counter
end

local function raise_at_three(i)
  return i == 3 and error("no thirty")
end

-- What the contract runs over: `fresh()` makes the sequence; `counted()` as
-- well, and a counter of the items that were computed under it, or nothing.
local function of_adapter(key, case)
  local entry = {
    fresh = function() return case.make(neap.from(cases.tens())) end,
    item = function(i) return case.item(cases.tens(), i) end,
    calls = case.calls or function() return 1 end,
    own = case.own and function() return case.own(cases.tens()) end,
    worker = case.worker,
    is_method = not case.is_function,
  }
  function entry.counted()
    local tick, counter = new_counter()
    return case.make(neap.from(function(i)
      tick(i)
      return i * 10
    end, N)), counter
  end
  function entry.check_text(text)
    assert.truthy(text:find(name_of(key) .. "(", 1, true), text)
    assert.truthy(text:find("from(function)", 1, true), text)
  end
  return entry
end

local function of_source(_, case)
  local entry = {
    fresh = function() return case.make(nothing) end,
    item = case.item,
    calls = function() return case.is_computed and 1 or 0 end,
    own = case.is_computed and function() return case.make(raise_at_three) end,
    is_method = false,
  }
  function entry.counted()
    local tick, counter = new_counter()
    return case.make(tick), counter
  end
  function entry.check_text(text)
    assert.equal(case.shows, (text:gsub(": %d+ items$", "")))
  end
  return entry
end

local function expected(entry)
  local items = { n = entry.count }
  for i = 1, entry.count do
    items[i] = entry.item(i)
  end
  return items
end

local function check_reads(name, entry)
  it("nothing is evaluated when it is made", function()
    local s, counter = entry.counted()
    local _ = #s + s:len() .. tostring(s)
    assert.equal(0, counter.calls)
  end)

  it("an access reads each item that it needs, once", function()
    local s, counter = entry.counted()
    for i = 1, entry.count do
      counter.calls = 0
      local _ = s[i]
      assert.equal(entry.calls(i), counter.calls)
    end
  end)

  it("a loop reads each item that it needs, once", function()
    local s, counter = entry.counted()
    local wanted = 0
    for i in s:each() do
      wanted = wanted + entry.calls(i)
      assert.equal(wanted, counter.calls)
    end
  end)

  it("it shows what it is, and its length", function()
    local text = tostring((entry.counted()))
    assert.truthy(text:find(": " .. entry.count .. " items$"), text)
    entry.check_text(text, name)
  end)
end

local function check_own_error(name, entry)
  local function check(e)
    assert.equal(3, e.index)
    assert.equal(entry.worker, e.worker)
    assert.truthy(e.stage:find("^" .. name
      .. " %(tests/spec/adapter/contract_%a+%.lua:%d+%)$"), e.stage)
    assert.truthy(e.message:find(": no thirty$"))
  end

  it("a failure of its own tells the item and the stage", function()
    check(support.raised(function() return entry.own()[3] end))
  end)

  it("so it does in a loop", function()
    check(support.raised(function() entry.own():totable() end))
  end)
end

local function check_workers(entry)
  describe("with workers:", function()
    before_each(support.remember)
    after_each(support.check_leaks)

    for _, workers in ipairs({ 0, 1, 3 }) do
      it(("its items are the same through %d workers"):format(workers),
        function()
          local p = entry.fresh():prefetch({ workers = workers })
          assert.same(expected(entry), support.items(p))
          assert.same(expected(entry), support.by_index(p))
          assert.same(expected(entry)[entry.count], p[-1])
          p:close()
        end)
    end
  end)
end

local function check_contract(key, entry)
  local name, count = name_of(key), entry.count

  it("it is a function of neap, and a method of sequences", function()
    assert.truthy(neap[name])
    assert.equal(entry.is_method, (pcall(function()
      return neap.range(1)[name]
    end)))
  end)

  it("it has a length, both ways", function()
    local s = entry.fresh()
    assert.equal(count, #s)
    assert.equal(count, s:len())
  end)

  it("its items are the model's, one by one, in a loop and in a table",
    function()
      local s = entry.fresh()
      assert.same(expected(entry), support.by_index(s))
      assert.same(expected(entry), support.items(s))
      local list = s:totable()
      list.n = #list
      assert.same(expected(entry), list)
    end)

  it("negative indexes count from the end", function()
    local s = entry.fresh()
    for i = 1, count do
      assert.same(s[i], s[i - count - 1])
    end
  end)

  it("indexes out of range raise at the caller", function()
    local s = entry.fresh()
    for _, i in ipairs({ 0, count + 1, -count - 1, 2 ^ 53, -2 ^ 53 }) do
      local line = debug.getinfo(1, "l").currentline + 1
      local ok, e = pcall(function() return s[i] end)
      assert.is_false(ok)
      assert.equal(("tests/spec/adapter/"
        .. "contract_spec.lua:%d: index %d is out of "
        .. "range 1..%d%s"):format(line, i, count,
        i == 0 and "\nhelp: indexes count from 1" or ""), e)
    end
    for _, i in ipairs({ 1.5, -0.5, 0 / 0, 1 / 0, -1 / 0 }) do
      local _, e = pcall(function() return s[i] end)
      assert.truthy(e:find(": index %S+ is not a whole number$"), e)
    end
  end)

  it("it is the same after a collection", function()
    local s = entry.fresh():slice(1, -1)
    local step, state, i = s:each()
    s = nil -- luacheck: ignore
    for k = 1, count do
      if k % 4 == 2 then
        collectgarbage()
        collectgarbage()
      end
      local x
      i, x = step(state, i)
      assert.same(expected(entry)[k], x)
    end
  end)

  if entry.own then
    check_own_error(name, entry)
  end
  check_workers(entry)
end

for key, case in pairs(cases.SOURCES) do
  describe("contract of " .. key .. ":", function()
    local entry = of_source(key, case)
    entry.count = N
    check_contract(key, entry)
    check_reads(key, entry)
  end)
end

-- -- Adapters alone -----------------------------------------------------------

for key, case in pairs(cases.ADAPTERS) do
  describe("contract of " .. key .. ":", function()
    local entry = of_adapter(key, case)
    entry.count = case.count or N
    check_contract(key, entry)
    if not case.is_eager then
      check_reads(key, entry)
    end

    it("a failure of its source tells the item and the stage", function()
      local line = debug.getinfo(1, "l").currentline + 1
      local source = neap.map(function(x)
        return x == 3 and error("no three") or x
      end, neap.range(N))
      local e = support.raised(function()
        local made = case.make(source)
        return case.leaves_out and made[3] or made:totable()
      end)
      assert.equal(3, e.index)
      assert.equal(("map (tests/spec/adapter/"
        .. "contract_spec.lua:%d)"):format(line),
        e.stage)
      assert.truthy(e.message:find(": no three$"))
      assert.truthy(tostring(e):find(("item 3 of map (tests/spec/adapter/"
        .. "contract_spec.lua:%d)"):format(line), 1, true))
    end)

    it("what is assigned is stored, or refused with the reason", function()
      local data = cases.tens()
      local s = case.make(neap.from(data))
      for i = 1, entry.count do
        local stores = case.stores
        if type(stores) == "function" then
          stores = stores(i)
        end
        local before = s[i]
        local message = support.message(function() s[i] = before end)
        assert.equal(stores or false, message == nil, message)
        assert.truthy(stores or message:find("^cannot assign: "), message)
        assert.same(before, s[i])
      end
      assert.same(cases.tens(), data)
    end)

    describe("on top of workers:", function()
      before_each(support.remember)
      after_each(support.check_leaks)

      it("its items are the same", function()
        local p = neap.prefetch(cases.tens(), { workers = 1 })
        local s = case.make(p)
        assert.same(expected(entry), support.items(s))
        assert.same(expected(entry), support.by_index(s))
        p:close()
      end)
    end)

    it("it takes a Lua array and a tensor for a sequence", function()
      local data = cases.tens()
      assert.same(expected(entry), support.items(case.make(data)))
      assert.same(expected(entry), support.items(
        case.make(neap.tensor("f64", { N }, data))))
    end)
  end)
end

-- -- Endless sequences --------------------------------------------------------

local SOME = 20

local function some(case)
  local items = {}
  for i = 1, SOME do
    items[i] = case.item(i)
  end
  return items
end

local function first_of(s)
  local items = {}
  for i, x in s:each() do
    items[i] = x
    if i == SOME then
      return items
    end
  end
  error("it ended", 0)
end

local function check_endless(case)
  it("it has no length, and says so where one is wanted", function()
    local s = case.make()
    assert.equal(math.huge, s:len())
    assert.equal("cannot count: the sequence is endless\n"
      .. "help: s:len() returns math.huge, and s:slice(1, n) has n items",
      support.message(function() return #s end))
    assert.equal("index -1 counts from the end, and there is none",
      support.message(function() return s[-1] end))
    assert.equal("index 0 is out of range 1..inf\nhelp: indexes count from 1",
      support.message(function() return s[0] end))
    assert.equal("calling 'totable' on bad self (sequence with an end "
      .. "expected, got an endless one)\nhelp: s:slice(1, n) has an end",
      support.message(function() s:totable() end))
    assert.truthy(tostring(s):find(": endless$"))
  end)

  it("its items are the model's, by index and in a loop", function()
    local s = case.make()
    for i = 1, SOME do
      assert.same(case.item(i), s[i])
    end
    assert.same(some(case), first_of(case.make()))
  end)

  describe("with workers:", function()
    before_each(support.remember)
    after_each(support.check_leaks)

    it("its items are the same", function()
      local p = case.make():prefetch({ workers = 2 })
      assert.same(some(case), first_of(p))
      p:close()
    end)
  end)
end

for key, case in pairs(cases.ENDLESS) do
  if case and case.refuse then
    it(key .. " refuses what has no end", function()
      assert.equal(("bad argument #1 to '%s' (sequence with an end expected, "
        .. "got an endless one)\nhelp: s:slice(1, n) has an end"):format(key),
        support.message(case.refuse, neap.rep(0)))
    end)
  elseif case then
    describe("contract of an endless " .. key .. ":", function()
      check_endless(case)
    end)
  end
end
