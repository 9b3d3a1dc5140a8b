-- SPDX-License-Identifier: MIT
--- Reading through worker processes: order, loops, jumps, epochs, items that
-- are kept, and the end.

local generation = require("neap.tensor.generation")
local lib = require("neap.base.lib")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local function square(i)
  return i * i
end

local function indexes_of(s, options)
  local list = {}
  for i in s:each(options) do
    list[#list + 1] = i
  end
  return table.concat(list, " ")
end

-- The processes of a prefetch, once all have started.
local function pids_of(p)
  local list = {}
  support.await(5, function()
    for k, worker in ipairs(p:stats().workers) do
      list[k] = worker.pid
    end
    table.sort(list)
    return list[1] > 0
  end)
  return table.concat(list, " ")
end

-- A tensor with its number in each element.
local function block(i)
  return require("neap").tensor("f32", { 100 }, i)
end

describe("a prefetch", function()
  local function prefetch(s, options)
    return support.close_later(neap.prefetch(s, options))
  end

  before_each(support.remember)
  after_each(support.check_leaks)

  describe("delivers", function()
    it("items in order, whatever its options", function()
      local wanted = neap.range(300):map(square):totable()
      for _, options in ipairs({
        {}, { workers = 1 }, { workers = 2, buffered = 1 },
        { workers = 3, buffered = 2, chunk = 1 }, { workers = 2, chunk = 7 },
        { workers = 2, chunk = 1000 }, { workers = 2, buffered = 1000 },
        { workers = 16, buffered = 40 }, { workers = -1000 }, { workers = 0 },
        { workers = 2, buffered = 5, chunk = "auto" },
        { workers = 1, slot_bytes = 2 ^ 16 }, { workers = 2, retries = 0 },
      }) do
        local p = prefetch(neap.range(300):map(square), options)
        local items = support.items(p)
        items.n = nil
        assert.same(wanted, items)
        assert.same(wanted, p:totable())
        p:close()
      end
    end)

    it("by the options that it was made with", function()
      local options = { workers = 2, order = true }
      local p = prefetch(neap.range(100), options)
      options.order, options.buffered = false, "none"
      assert.same(neap.range(100):totable(), p:totable())
    end)

    it("in order where later items are ready first", function()
      local p = prefetch(neap.range(40):map(function(i)
        local until_ = os.clock() + (i % 7 == 1 and 0.01 or 0)
        while os.clock() < until_ do end -- luacheck: ignore
        return i
      end), { workers = 3, chunk = 1 })
      assert.same(neap.range(40):totable(), p:totable())
    end)

    it("what one worker computes run by run, the earliest first", function()
      for _, order in ipairs({ true, false }) do
        local last = 0
        local p = prefetch(neap.from(function(i)
          local is_later = i > last
          last = i
          return is_later
        end, 20000), { workers = 1, chunk = 1, order = order })
        local early = 0
        for _, is_later in p:each() do
          early = early + (is_later and 0 or 1)
        end
        assert.equal(0, early)
        p:close()
      end
    end)

    it("each index once where order does not matter", function()
      for _, options in ipairs({
        { workers = 3 }, { workers = 2, chunk = 5 },
        { workers = 3, buffered = 1 }, { workers = 2, chunk = 1 },
      }) do
        options.order = false
        local p = prefetch(neap.range(500):map(square), options)
        for _ = 1, 2 do
          local seen, count = {}, 0
          for i, x in p:each() do
            assert.is_nil(seen[i])
            assert.equal(i * i, x)
            seen[i], count = true, count + 1
          end
          assert.equal(500, count)
        end
        assert.equal(49, p[7])
        p:close()
      end
    end)

    it("the first that is ready where order does not matter", function()
      local p = prefetch(neap.range(8):map(function(i)
        local until_ = os.clock() + (i == 1 and 0.2 or 0)
        while os.clock() < until_ do end -- luacheck: ignore
        return i
      end), { workers = 2, chunk = 1, order = false })
      local list = {}
      for i in p:each() do
        list[#list + 1] = i
      end
      assert.are_not.equal(1, list[1])
      assert.equal(8, #list)
    end)

    local function five()
      local i = 0
      return function()
        i = i + 1
        return i <= 5 and i or nil
      end
    end

    -- Item 3 of five comes long after a worker has met the end.
    local function late(x)
      local until_ = os.clock() + (x == 3 and 0.05 or 0)
      while os.clock() < until_ do end -- luacheck: ignore
      return x
    end

    it("all that an iterator gives where order does not matter", function()
      for _, options in ipairs({
        { workers = 2, chunk = 1 }, { workers = 3 }, { workers = 2, chunk = 4 },
      }) do
        options.order = false
        local p = prefetch(neap.from_iter(five):map(late), options)
        for _ = 1, 2 do
          local list = {}
          for i, x in p:each() do
            assert.equal(i, x)
            list[#list + 1] = i
          end
          table.sort(list)
          assert.same({ 1, 2, 3, 4, 5 }, list)
        end
        p:close()
      end
    end)

    it("all whole batches of it, and one error for the rest", function()
      for _, workers in ipairs({ 0, 2 }) do
        local p = prefetch(neap.from_iter(five, { cache = 5 }):map(late)
          :batch(2), { workers = workers, chunk = 1, order = false })
        local list = {}
        for i, x in p:each({ on_error = "skip" }) do
          assert.equal(2 * i, x[2])
          list[#list + 1] = i
        end
        table.sort(list)
        assert.same({ 1, 2 }, list)
        assert.same({ "end" }, { p:skipped()[1].kind, p:skipped()[2] })
      end
    end)

    it("nothing of nothing", function()
      local p = prefetch({}, { workers = 2 })
      assert.equal("", indexes_of(p))
      assert.equal(0, #p)
      assert.equal("index 1 is out of range: no items",
        support.message(function() return p[1] end))
    end)

    it("what has no end, for as long as it is asked", function()
      local p = prefetch(neap.from(square), { workers = 2 })
      assert.equal(math.huge, p:len())
      local count = 0
      for i, x in p:each() do
        assert.equal(i * i, x)
        count = count + 1
        if i == 500 then
          break
        end
      end
      assert.equal(500, count)
      assert.equal(2 ^ 40, p[2 ^ 20])
      p:seek(10 ^ 9)
      local step, state = p:each()
      local i, x = step(state)
      assert.same({ 10 ^ 9, 10 ^ 18 }, { i, x })
    end)

    it("items by index, at random", function()
      local p = prefetch(neap.range(1000):map(square), { workers = 2 })
      for k = 1, 200 do
        local i = k * 7919 % 1000 + 1
        assert.equal(i * i, p[i])
      end
      assert.equal(10 ^ 6, p[-1])
    end)

    it("items that finalizers do not spoil which read others", function()
      local p = prefetch(neap.range(50):map(function(i)
        return { n = i, list = { i, { i } }, neap.tensor("f64", { 2 }, i) }
      end), { workers = 1, chunk = 4 })
      local function check(i, x)
        assert(x.n == i and x.list[2][1] == i and x[1][2] == i, i)
      end
      local k, refusals = 0, 0
      local function finalize()
        k = k % 50 + 1
        local ok, x = pcall(function() return p[k] end)
        if ok then
          check(k, x)
        else
          assert.equal("busy", x.kind)
          refusals = refusals + 1
        end
      end
      support.among_finalizers(finalize, function()
        for j = 1, 500 do
          local i = j * 7 % 50 + 1
          check(i, p[i])
        end
        for i, x in p:each() do
          check(i, x)
        end
      end)
      assert.truthy(refusals > 0)
    end)

    it("items that stay in memory where a finalizer closes it", function()
      local function make(i)
        local list = {}
        for j = 1, 50 do
          list[j] = i .. ("x"):rep(200) .. j
        end
        return { list = list, t = neap.tensor("f64", { 50, 20 }, 7) }
      end
      local function loop(p, uses)
        local guard = newproxy(true)
        getmetatable(guard).__gc = function() p:close() end
        guard = nil -- luacheck: ignore
        for _, x in p:each() do
          for _ = 1, uses do
            assert(x.t:totable()[50][20] == 7 and x.t:clone():get(50, 20) == 7)
          end
        end
      end
      for k = 1, 12 do
        local p = prefetch(neap.from(make), { workers = 1 })
        local e = support.raised(loop, p, k % 2 == 0 and 2 ^ 20 or 0)
        assert.truthy(e.kind == "closed"
          or tostring(e):find("has been released", 1, true))
      end
    end)

    it("lists for sequences, by any number of workers", function()
      local pieces = neap.range(6):split(1)
      local fields = neap.zip({ piece = pieces, n = { 7, 8 } })
      local kept = { 1, { x = neap.range(2) } }
      for what, s in pairs({
        ["{{1, 2, 3}, {4, 5, 6}}"] = pieces,
        ["{{n = 7, piece = {1, 2, 3}}, {n = 8, piece = {4, 5, 6}}}"] = fields,
        ["{{{1, 2}, {3}}, {{4, 5}, {6}}}"] = pieces:map(function(piece)
          return piece:split({ 2 })
        end),
        ["{{{n = 7, piece = {1, 2, 3}}, {n = 8, piece = {4, 5, 6}}}}"] =
          fields:batch(2):cache(),
        ["{{{1}, {2}, {3}}, {{4}, {5}, {6}}}"] = pieces:map(function(piece)
          return piece:split(2):prefetch({ workers = 0 }):totable()
        end),
        ["{{1, {x = {1, 2}}}, {1, 2}}"] = neap.concat(
          neap.from({ kept }), neap.from({ neap.range(2) }), pieces)
          :slice(1, 2),
      }) do
        for workers = 0, 2 do
          local p = prefetch(s, { workers = workers })
          assert.equal(what, support.show(p:totable()), workers)
          assert.equal(what:match("^{(.*)}$"), support.show(p[1])
            .. (#p == 2 and ", " .. support.show(p[2]) or ""))
        end
      end
      assert.equal(2, #kept[2].x) -- is what it was
    end)

    it("errors of sequences that are items, with their place", function()
      for workers = 0, 1 do
        neap.errors("passthrough")
        local p = prefetch(neap.range(4):map(function(i)
          return i == 3 and error("three", 0) or i
        end):split(1), { workers = workers })
        assert.same({ n = 1, { 1, 2 } }, support.items(p,
          { on_error = "skip" }))
        neap.errors("wrap")
        local e = p:skipped()[1]
        assert.same({ "three", 2 }, { e.message, e.index })
        assert.truthy(e.stage:find("^split"))
      end
    end)

    it("what tensors were when it was made, whatever their size", function()
      for _, size in ipairs({ 10, 2 ^ 16, 2 ^ 20 + 1 }) do
        local t = neap.tensor("u8", { 2, size }, 1)
        local row = t[2]
        local list = { t[1], row }
        local s = neap.range(4):map(function(i)
          return t[i % 2 + 1][size] * 10 + list[2][1]
        end)
        local first = prefetch(s, { workers = 1, chunk = 1, buffered = 1 })
        row:fill(2)
        assert.equal(11, first[1])
        assert.equal(2, t[2][size]) -- here they are what they are
        local second = prefetch(s, { workers = 1, chunk = 1, buffered = 1 })
        t:fill(3)
        assert.equal(3, row[1])
        assert.equal(22, second[1])
        assert.equal(11, first[2])
        assert.equal(12, second[2])
        local third = prefetch(s, { workers = 2 })
        local fourth = prefetch(s, { workers = 1 })
        collectgarbage()
        assert.same({ 33, 33, 33, 33 }, third:totable())
        assert.same({ 33, 33, 33, 33 }, fourth:totable())
        assert.equal(11, first[3])
        assert.equal(22, second[3])
      end
    end)

    it("many large tensors by few maps, until they are written", function()
      local list = {}
      for k = 1, 300 do
        list[k] = neap.tensor("u8", { 2 ^ 16 }, k % 200)
      end
      local p = prefetch(neap.range(300):map(function(k)
        return list[k][2 ^ 16]
      end), { workers = 1 })
      local maps = select(2, support.read("/proc/self/maps")
        :gsub("/memfd:neap%-heap", ""))
      assert.truthy(maps < 60, maps)
      for k = 1, 300 do
        assert.equal(k % 200, list[k][1])
        list[k]:fill(255)
      end
      assert.equal(199, p[199])
      assert.equal(255, list[199][2 ^ 16])
    end)

    it("items by index in order, computed ahead", function()
      local p = prefetch(neap.range(500):map(square), { workers = 2 })
      for i = 1, 500 do
        assert.equal(i * i, p[i])
      end
      for i = 500, 1, -1 do
        assert.equal(i * i, p[i])
      end
      for i = 100, 200 do
        assert.equal(i * i, p[i])
      end
    end)
  end)

  describe("is iterated", function()
    it("from the start again after a break", function()
      local p = prefetch(neap.range(50):map(square), { workers = 2 })
      for round = 1, 5 do
        for i, x in p:each() do
          assert.equal(i * i, x)
          if i == 9 * round then
            break
          end
        end
      end
      assert.equal(50, #p:totable())
    end)

    it("by two loops at once, both right", function()
      local p = prefetch(neap.range(30):map(square), { workers = 2, chunk = 4 })
      local count = 0
      for i, x in p:each() do
        assert.equal(i * i, x)
        if i % 10 == 0 then
          for j, y in p:each() do
            assert.equal(j * j, y)
            count = count + 1
            if j == 7 then
              break
            end
          end
        end
        count = count + 1
      end
      assert.equal(30 + 3 * 7, count)
    end)

    it("by loops and by index, which end no item of another loop", function()
      local p = prefetch(neap.range(20):map(block), { workers = 1, chunk = 3 })
      local last
      for i, x in p:each() do
        assert.is_true(last == nil or not pcall(last.get, last, 100))
        last = x
        local step, other = p:each()
        assert.equal(1, select(2, step(other))[100])
        assert.same({ i, 3, 4, 5 }, { x[100], p[3][100], p[4][100], p[5][100] })
        assert.equal(i, x[100])
      end
      assert.is_false(pcall(last.get, last, 100))
    end)

    it("by many loops that are left with an item", function()
      local p = prefetch(neap.range(20):map(block), { workers = 1, chunk = 1 })
      local function first()
        local step, reader = p:each()
        return select(2, step(reader))
      end
      local items = {}
      for k = 1, 10 do
        items[k] = first()
      end
      for _ = 1, 100 do
        assert.equal(1, first()[100])
      end
      for k = 1, 10 do
        assert.equal(1, items[k][100])
      end
    end)

    it("past items that a worker writes over", function()
      local function scribble(i)
        if i % 4 == 0 then -- the run's second cell, as of no known type
          local slot = require("neap.value.context").now.writer.base
          require("ffi").cast("uint32_t *", slot)[4] = 99
        end
        return { i, neap.tensor("u8", { 1 }) }
      end
      local p = prefetch(neap.range(12):map(scribble), { workers = 2,
        chunk = 4 })
      local seen = {}
      for i, x in p:each({ on_error = "skip" }) do
        assert.equal(i, x[1])
        seen[#seen + 1] = i
      end
      assert.same({ 1, 3, 4, 5, 7, 8, 9, 11, 12 }, seen)
      local e = p:skipped()[2]
      assert.same({ "damaged", 6, lib.C.NEAP_EDAMAGED },
        { e.kind, e.index, e.status })
      assert.equal("cannot read an item: its slot is damaged (a type)",
        e.message)
    end)

    it("past items whose strings a worker writes over", function()
      local function scribble(i)
        if i % 4 == 0 then -- the run's second cell, beyond the slot
          local slot = require("neap.value.context").now.writer.base
          require("ffi").cast("uint64_t *", slot)[3] = 2 ^ 40
        end
        return ("text"):rep(i)
      end
      local p = prefetch(neap.range(8):map(scribble), { workers = 1,
        chunk = 4 })
      local count = 0
      for i, x in p:each({ on_error = "skip" }) do
        assert.equal(("text"):rep(i), x)
        count = count + 1
      end
      assert.equal(6, count)
      for k, e in ipairs(p:skipped()) do
        assert.same({ "damaged", 4 * k - 2, lib.C.NEAP_EDAMAGED },
          { e.kind, e.index, e.status })
      end
    end)

    it("by two loops in turn, both right", function()
      local p = prefetch(neap.range(20):map(block), { workers = 1, chunk = 3 })
      local step, one = p:each()
      local _, two = p:each()
      for i = 1, 20 do
        local k, x = step(one)
        assert.same({ i, i }, { k, x[100] })
        local l, y = step(two)
        assert.same({ i, i }, { l, y[100] })
      end
      assert.is_nil(step(one))
      assert.is_nil(step(two))
      assert.is_nil(step(one))
    end)

    it("by one loop alone where order does not matter", function()
      local p = prefetch(neap.range(50), { workers = 2, order = false,
        chunk = 1, buffered = 4 })
      local step, one = p:each()
      step(one)
      local count = 0
      for _ in p:each() do
        count = count + 1
      end
      assert.equal(50, count)
      assert.equal("cannot go on: another loop has begun, and this prefetch is "
        .. "read as completed (order = false)\n"
        .. "help: end a loop before the next one, or leave order as it is",
        support.message(step, one))
    end)

    it("while single items are read", function()
      local p = prefetch(neap.range(60):map(square), { workers = 2 })
      for i, x in p:each() do
        assert.equal(i * i, x)
        assert.equal((61 - i) ^ 2, p[61 - i])
      end
    end)

    it("within a map over it", function()
      local p = prefetch(neap.range(40):map(block), { workers = 2 })
      local s = p:map(function(t) return t[1] + 1 end)
      assert.same(neap.range(2, 41):totable(), s:totable())
      assert.equal(8, s[7])
    end)

    it("beside another, and inside another", function()
      local p = prefetch(neap.range(30):map(square), { workers = 1 })
      local q = prefetch(neap.range(30):map(function(x) return -x end),
        { workers = 2 })
      assert.same(neap.range(30):map(function(x)
        return x * x - x
      end):totable(), neap.map(function(x, y) return x + y end, p, q):totable())
      local outer = prefetch(prefetch(neap.range(9):map(square),
        { workers = 3 }):map(function(x) return x + 1 end), { workers = 1 })
      assert.same(neap.range(9):map(function(x)
        return x * x + 1
      end):totable(), outer:totable())
      assert.equal(1, #outer:stats().workers)
    end)

    it("to the same end at any length", function()
      for n = 0, 40 do
        local p = prefetch(neap.range(n), { workers = 2, buffered = 5 })
        assert.same(neap.range(n):totable(), p:totable())
        p:close()
      end
    end)
  end)

  describe("has a position", function()
    for _, workers in ipairs({ 0, 2 }) do
      it("that is the next item's, with workers = " .. workers, function()
        local p = prefetch(neap.range(20):map(square), { workers = workers })
        assert.equal(1, p:position())
        for i in p:each() do
          assert.equal(i + 1, p:position())
          if i == 5 then
            break
          end
        end
        assert.equal(6, p:position())
        p:seek(11)
        assert.equal("11 12 13 14 15 16 17 18 19 20", indexes_of(p))
        assert.equal(20, #p:totable())
      end)

      it("to which it resumes exactly, with workers = " .. workers, function()
        local function make()
          return prefetch(neap.range(30):shuffle(5):random_map(function(x, rng)
            return x * 1000 + rng:integer(0, 999)
          end), { workers = workers, chunk = 3 })
        end
        local whole, parts = make():epoch(4):totable(), {}
        for stop = 1, 30, 4 do
          local p = make()
          p:seek(#parts + 1)
          for i, x in p:epoch(4):each() do
            parts[i] = x
            if i == stop then
              break
            end
          end
          assert.equal(stop + 1, p:position())
          p:close()
        end
        local p = make()
        p:seek(#parts + 1)
        for i, x in p:epoch(4):each() do
          parts[i] = x
        end
        assert.same(whole, parts)
      end)

      it("that may be the end, with workers = " .. workers, function()
        local p = prefetch(neap.range(5), { workers = workers })
        p:seek(6)
        assert.equal("", indexes_of(p))
        assert.equal("1 2 3 4 5", indexes_of(p))
      end)
    end

    -- Begins a loop and returns the index of its first item.
    local function begin(p)
      local step, state, i = p:each()
      return (step(state, i))
    end

    -- The positions that a function is to return, and the function.
    local TABLE = {
      ["at first"] = { { 1 }, function(p) return { p:position() } end },
      ["in a loop"] = { { 2, 3, 4 }, function(p)
        local list = {}
        for i in p:each() do
          list[i] = p:position()
          if i == 3 then
            return list
          end
        end
      end },
      ["after a loop"] = { { 1, 1 }, function(p)
        p:totable()
        local first = p:position()
        p:seek(7)
        p:totable()
        return { first, p:position() }
      end },
      ["after a loop that was left"] = { { 6, 6, 1 }, function(p)
        for i in p:each() do
          if i == 5 then
            break
          end
        end
        local left = p:position()
        local _ = p[1] + p[2] + p[3] + p[19]
        return { left, p:position(), begin(p) }
      end },
      ["after reads by index"] = { { 1, 1, 1, 1 }, function(p)
        local list = {}
        for i = 1, 3 do
          list[i] = p[i] and p:position()
        end
        list[4] = begin(p)
        return list
      end },
      ["in a loop after reads by index"] = { { 6, 6, 7, 20 }, function(p)
        local list = {}
        for i in p:each() do
          if i == 5 then
            local _ = p[1] + p[2] + p[3]
            list[1] = p:position()
            _ = p[17]
            list[2] = p:position()
          elseif i == 6 or i == 19 then
            list[#list + 1] = p:position()
          end
        end
        return list
      end },
      ["after a seek"] = { { 11, 11, 12, 3, 3, 4 }, function(p)
        local list = {}
        p:seek(11)
        list[1] = p:position()
        list[2] = p[1] and p[2] and p:position()
        list[3] = begin(p) and p:position()
        p:seek(3)
        list[4] = p:position()
        list[5] = p[8] and p:position()
        list[6] = begin(p) and p:position()
        return list
      end },
      ["in a loop that goes on after a seek"] = { { 11, 7, 11 }, function(p)
        local list = {}
        for i in p:each() do
          if i == 5 then
            p:seek(11)
            list[1] = p:position()
          elseif i == 6 then
            list[2] = p:position()
          end
        end
        list[3] = p:position()
        return list
      end },
      ["of a loop that has not begun"] = { { 9, 10, 1 }, function(p)
        p:seek(9)
        local step, state, i = p:each()
        local list = { p:position() }
        step(state, i)
        list[2] = p:position()
        p:each()
        list[3] = p:position()
        return list
      end },
      ["in a loop around others"] = { { 3, 5, 1, 6 }, function(p)
        local list = {}
        for i in p:each() do
          if i == 3 then
            for j in p:each() do
              if j == 2 then
                list[1] = p:position()
                break
              end
            end
          elseif i == 4 then
            list[2] = p:position()
            p:totable()
            list[3] = p:position()
          elseif i == 5 then
            list[4] = p:position()
          end
        end
        return list
      end },
      ["after a loop over an adapter"] = { { 1, 1 }, function(p)
        local list = {}
        for i in p:map(square):each() do
          list[1] = p:position()
          if i == 4 then
            break
          end
        end
        list[2] = p:position()
        return list
      end },
      ["of loops of several epochs"] = { { 4, 4, 3, 3 }, function(p)
        local q, list = p:epoch(2), {}
        for i in q:each() do
          if i == 3 then
            list = { p:position(), q:position() }
            break
          end
        end
        for i in p:each() do
          if i == 2 then
            break
          end
        end
        return { list[1], list[2], p:position(), q:position() }
      end },
      ["after close"] = { { 5 }, function(p)
        for i in p:each() do
          if i == 4 then
            break
          end
        end
        p:close()
        return { p:position() }
      end },
    }

    for name, row in pairs(TABLE) do
      it(name .. ", whatever the number of workers", function()
        for _, options in ipairs({
          { workers = 0 }, { workers = 1 }, { workers = 1, chunk = 1 },
          { workers = 4 }, { workers = 4, chunk = 3 },
        }) do
          local p = prefetch(neap.range(20):map(square), options)
          assert.same(row[1], row[2](p))
          p:close()
        end
      end)
    end

    it("after an item that raises, whatever the number of workers", function()
      for _, workers in ipairs({ 0, 1, 4 }) do
        local p = prefetch(neap.range(20):map(function(i)
          return i % 5 > 0 and i or error("five")
        end), { workers = workers })
        local e = support.raised(function() p:totable() end)
        assert.same({ 5, 6 }, { e.index, p:position() })
        local list = {}
        for i in p:each({ on_error = "skip" }) do
          list[#list + 1] = p:position()
          assert.is_false((pcall(function() return p[i - i % 5 + 5] end)))
          assert.equal(i + 1, p:position())
        end
        assert.same({ 2, 3, 4, 5, 7 }, { unpack(list, 1, 5) })
        assert.equal(1, p:position())
      end
    end)

    it("to which it jumps while items are computed", function()
      local p = prefetch(neap.range(200):map(square), { workers = 2,
        chunk = 3 })
      for k = 1, 60 do
        local start = k * 37 % 190 + 1
        p:seek(start)
        local count = 0
        for i, x in p:each() do
          assert.equal(start + count, i)
          assert.equal(i * i, x)
          count = count + 1
          if count == k % 11 + 1 then
            break
          end
        end
      end
    end)
  end)

  describe("at another epoch", function()
    it("keeps its workers", function()
      local s = neap.range(100):shuffle(2)
      local p = prefetch(s, { workers = 2 })
      local seen = {}
      local _ = p[1]
      local pids = pids_of(p)
      for epoch = 1, 4 do
        local q = p:epoch(epoch)
        assert.same(s:epoch(epoch):totable(), q:totable())
        assert.equal(s:epoch(epoch)[50], q[50])
        seen[table.concat(q:totable(), " ")] = true
        assert.equal(pids, pids_of(q))
      end
      assert.same(s:totable(), p:totable())
      local count = 0
      for _ in pairs(seen) do
        count = count + 1
      end
      assert.equal(4, count)
    end)

    it("has the same items with and without workers", function()
      local s = neap.range(40):shuffle(3):random_map(function(x, rng)
        return x + rng:uniform()
      end)
      local in_place = prefetch(s, { workers = 0 })
      local p = prefetch(s, { workers = 2 })
      for epoch = 1, 3 do
        local wanted = s:epoch(epoch):totable()
        assert.same(wanted, in_place:epoch(epoch):totable())
        assert.same(wanted, p:epoch(epoch):totable())
      end
    end)
  end)

  describe("keeps items", function()
    it("valid until the loop advances, and no longer", function()
      local p = prefetch(neap.range(10):map(block), { workers = 1, chunk = 3 })
      local before, row
      for i, x in p:each() do
        if before then
          for _, t in ipairs({ before, row }) do
            assert.equal("this tensor's item has been released\n"
              .. "help: keep it with neap.keep(item) or item:clone() before "
              .. "the loop goes on",
              support.message(function() return t[1] end))
            assert.truthy(tostring(t):find("released", 1, true))
          end
        end
        assert.equal(i, x[100])
        before, row = x, x:reshape(2, 50)[2]
        assert.equal(i, row[50])
      end
      assert.truthy(support.message(function() return before[1] end))
    end)

    it("that were kept, after the loop has gone on and after close",
      function()
        local p = prefetch(neap.range(12):map(function(i)
          return { block(i), { n = block(-i) } }
        end), { workers = 2, chunk = 2 })
        local kept = {}
        for i, x in p:each() do
          kept[i] = i % 2 == 0 and neap.keep(x) or nil
        end
        p:close()
        for i = 2, 12, 2 do
          assert.equal(i, kept[i][1][100])
          assert.equal(-i, kept[i][2].n:totable()[1])
        end
        neap.release(kept[2])
        assert.truthy(support.message(function() return kept[2][1][1] end))
        assert.equal(4, kept[4][1][1])
      end)

    it("that were read by index, for as long as they are held", function()
      local p = prefetch(neap.range(12):map(block), { workers = 2 })
      local items = {}
      for i = 1, 12 do
        items[i] = p[i]
      end
      for i = 1, 12 do
        assert.equal(i, items[i][100])
      end
      p:close()
      for i = 1, 12 do
        assert.equal(i, items[i][1])
      end
    end)

    it("that are clones, numbers, strings or tables, without more", function()
      local p = prefetch(neap.range(40):map(function(i)
        return { i, "item " .. i, { i }, block(i) }
      end), { workers = 1 })
      local list, clones = {}, {}
      for i, x in p:each() do
        clones[i], list[i] = x[4]:clone(), x
      end
      p:close()
      for i = 1, 40 do
        assert.equal(i, clones[i][1])
        assert.same({ i, "item " .. i, { i } }, { unpack(list[i], 1, 3) })
      end
    end)

    it("not for a table that could not be filled", function()
      local p = prefetch(neap.range(100):map(block), { workers = 1,
        chunk = 1 })
      -- Where the table stood on the stack may be a place without a value next.
      for places = 1, 12 do
        local read = assert(loadstring(([[
          local p = ...
          pcall(p.totable, p)
          local a%s
          return p[40]
        ]]):format((", a"):rep(places))))
        assert.equal(40, read(p)[1])
      end
    end)

    it("until there are no slots, and says so", function()
      local p = prefetch(neap.range(1000):map(block), { workers = 1,
        chunk = 1 })
      local kept = {}
      local message = support.message(function()
        for i, x in p:each() do
          kept[i] = x:keep()
        end
      end)
      assert.equal("cannot read on: all 32 slots that may be held are held",
        message)
      assert.truthy(#kept >= 31)
      local e = support.raised(function() return p[500] end)
      assert.same({ "held", lib.C.NEAP_EHELD }, { e.kind, e.status })
      assert.truthy(e.message:find("all 32 slots", 1, true))
      assert.truthy(support.message(p.totable, p):find("all 32 slots", 1, true))
      for i = 1, #kept do
        assert.equal(i, kept[i][100])
        kept[i]:release()
      end
      kept = nil -- luacheck: ignore
      assert.equal(500, p[500][1])
    end)

    it("again after garbage collection, when slots are short", function()
      local p = prefetch(neap.range(1000):map(block), { workers = 1,
        chunk = 1 })
      local sum = 0
      for _, x in p:each() do
        sum = sum + x:keep()[1]
      end
      assert.equal(500500, sum)
      for i = 1, 1000 do
        sum = sum - p[i][1]
      end
      assert.equal(0, sum)
    end)

    it("alive through their rows", function()
      local p = prefetch(neap.range(40):map(function(i)
        return require("neap").tensor("f32", { 4, 25 }, i)
      end), { workers = 1, chunk = 1 })
      local rows = {}
      for i, x in p:each() do
        if i % 5 == 0 then
          x:keep()
          rows[i] = x[3]
        end
      end
      for _ = 1, 3 do
        collectgarbage()
      end
      p:close()
      for i = 5, 40, 5 do
        assert.equal(i, rows[i][25])
      end
    end)
  end)

  describe("has room", function()
    it("for items that grow and shrink", function()
      local sizes = { 0, 1, 100, 2 ^ 16, 2 ^ 20, 64 * 2 ^ 20, 0, 2 ^ 22, 10,
        64 * 2 ^ 20, 5, 0 }
      local p = prefetch(neap.from(sizes):map(function(n)
        return require("neap").tensor("u8", { n }, n % 251)
      end), { workers = 1, buffered = 3 })
      for i, x in p:each() do
        assert.equal(sizes[i], #x)
        if #x > 0 then
          assert.equal(sizes[i] % 251, x[1])
          assert.equal(sizes[i] % 251, x[-1])
        end
      end
    end)

    it("for no more slots than there are addresses, and says so", function()
      local p = prefetch({ 1 }, { workers = 1, slot_bytes = 2 ^ 45 })
      local text = tostring(support.raised(function() return p[1] end))
      assert.truthy(text:find(
        "cannot reserve %d+ slots of 35184372088832 bytes of address space: "
        .. "[^\n]+\nhelp: raise the limit %(ulimit %-v%), or set slot_bytes, "
        .. "buffered or workers lower"), text)
    end)
  end)

  describe("raises at the line where it is made", function()
    it("for options out of range", function()
      for message, options in pairs({
        ["option 'workers': 512 at most expected, got 513"] = {
          workers = 513,
        },
        ["option 'slot_bytes': 2^16 to 2^46 expected, got 5"] = {
          slot_bytes = 5,
        },
      }) do
        assert.equal("bad argument #2 to 'prefetch' (" .. message .. ")",
          support.message(function() return (prefetch({ 1 }, options)) end))
      end
    end)
  end)

  describe("ends", function()
    for _, workers in ipairs({ 0, 2 }) do
      it("once, and is not used after that, with workers = " .. workers,
        function()
          local p = prefetch(neap.range(9):map(square), { workers = workers })
          local q = p:epoch(2)
          assert.equal(9, #p:totable())
          p:close()
          p:close()
          q:close()
          local closed = "cannot read: the prefetch is closed"
          for _, s in ipairs({ p, q, p:map(math.abs) }) do
            assert.equal(closed, support.message(function() return s[1] end))
            assert.equal(closed, support.message(function()
              return s:totable()
            end))
            for _, mode in ipairs({ "raise", "skip" }) do
              local e = support.raised(function()
                for _ in s:each({ on_error = mode }) do end -- luacheck: ignore
              end)
              assert.equal("closed", e.kind)
              assert.equal(e.message .. "\nhelp: make a prefetch of the same "
                .. "chain anew", tostring(e))
            end
          end
          assert.equal("cannot seek: the prefetch is closed\nhelp: make a "
            .. "prefetch of the same chain anew",
            support.message(function() p:seek(1) end))
          assert.equal(9, #p)
          assert.truthy(tostring(p):find("^prefetch%("))
        end)

      it("within a loop, which then cannot go on, with workers = " .. workers,
        function()
          local p = prefetch(neap.range(90):map(square), { workers = workers })
          local seen = 0
          assert.equal("cannot read: the prefetch is closed",
            support.message(function()
              for i in p:each() do
                seen = i
                if i == 20 then
                  p:close()
                end
              end
            end))
          assert.equal(20, seen)
        end)
    end

    it("before it has begun", function()
      prefetch(neap.range(9), { workers = 2 }):close()
      local p = prefetch(neap.range(9), { workers = 2 })
      local _ = p:each()
      p:close()
    end)

    it("at once while workers are busy", function()
      local p = prefetch(neap.range(9):map(function(i)
        while i > 1 do end -- luacheck: ignore
        return i
      end), { workers = 2, chunk = 1 })
      assert.equal(1, p[1])
      local step, state = p:each()
      assert.equal(1, step(state))
      local since = os.time()
      p:close()
      assert.truthy(os.time() - since < 3)
    end)

    it("with the last that holds it, without close", function()
      for k = 1, 3 do
        local p = neap.range(100):map(block):prefetch({ workers = 2 })
        local q = neap.range(100):map(square):prefetch({ workers = 1 })
        for i in p:each() do
          if i == 3 * k then
            break
          end
        end
        assert.equal(4, q[2])
        pcall(function()
          for i in q:each() do
            error(i)
          end
        end)
      end
    end)

    it("without a generation counter left behind", function()
      local function next_counter()
        for _ = 1, 4 do -- some are given back cycles later
          collectgarbage()
        end
        local counter = generation.take()
        generation.give(counter)
        return counter
      end
      local before = next_counter()
      local p = neap.range(3):prefetch({ workers = 1 })
      assert.equal(1, p[1])
      p:close()
      assert.is_true(before == next_counter())
      p = neap.range(3):prefetch({ workers = 1 })
      assert.equal(1, p[1])
      p = nil -- luacheck: ignore
      assert.is_true(before == next_counter())
    end)

    it("with a loop that was left, and its kept item", function()
      local step, state = neap.range(50):map(block):prefetch({ workers = 1 })
        :each()
      local _, x = step(state)
      x:keep()
      local _, y = step(state)
      assert.equal(2, y[1])
      state = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      assert.equal(1, x[100])
    end)
  end)

  it("starts nothing before the first read", function()
    local before = #support.leaks()
    local p = prefetch(neap.range(5):map(square), { workers = 3 })
    local _ = #p + p:position() .. tostring(p) .. tostring(p:epoch(2))
    p:seek(2)
    assert.equal(before, #support.leaks())
    assert.same({}, p:stats().workers)
  end)

  it("counts what it does", function()
    local p = prefetch(neap.range(200):map(block), { workers = 2 })
    assert.equal(0, p:stats().items)
    for _ in p:each() do end -- luacheck: ignore
    local stats = p:stats()
    assert.equal(200, stats.items)
    assert.equal(2, #stats.workers)
    for pid in pids_of(p):gmatch("%d+") do
      assert.is_true(support.is_alive(tonumber(pid)))
    end
    assert.equal(200, stats.workers[1].items + stats.workers[2].items)
    assert.truthy(stats.bytes >= 200 * 400)
    assert.truthy(stats.runs >= 1 and stats.runs <= 200)
    assert.truthy(stats.busy > 0 and stats.wait >= 0)
    assert.equal(0, stats.restarts)
    assert.equal(0, stats.retries)
    assert.equal(16 + 2 + 32, stats.slots)
    assert.equal(2 ^ 30, stats.slot_bytes)
  end)

  it("computes two items ahead for each of many workers", function()
    local p = prefetch(neap.range(10), { workers = 12 })
    local _ = p[1]
    assert.equal(2 * 12 + 12 + 32, p:stats().slots)
  end)

  describe("with NEAP_DEBUG=1", function()
    local SCRIPT = [[
      local neap = require("neap")
      local function make(i) return neap.tensor("u8", { 10 }, i) end
      local p = neap.range(50):map(make):prefetch({ workers = 2 })
      local pointers, kept = {}, {}
      for i, t in p:each() do
        pointers[i] = t:ptr()
        %s
      end
      print("read", pointers[1][0], pointers[50][0])
    ]]

    local function run(keep, debug)
      return support.run(SCRIPT:format(keep and "kept[i] = neap.keep(t)" or ""),
        { env = "NEAP_DEBUG=" .. debug })
    end

    it("stops a read of what was released", function()
      local stale = run(false, "1")
      assert.not_equal(0, stale.status) -- a signal, or a sanitizer's report
      assert.equal("", stale.out)
    end)

    it("lets what is kept be read", function()
      local script = SCRIPT:format("if i % 40 == 1 then kept[i] = neap.keep(t) "
        .. "end"):gsub("%[50%]", "[41]")
      local kept = support.run(script, { env = "NEAP_DEBUG=1" })
      assert.equal(0, kept.status)
      assert.equal("read\t1\t41\n", kept.out)
    end)

    it("or 0, or without it, stops no read", function()
      for _, debug in ipairs({ "", "0" }) do
        assert.equal(0, run(false, debug).status)
      end
    end)
  end)

  it("lets functions in workers use sequences by methods alone", function()
    local inner = neap.range(10)
    local p = neap.range(3):map(function(i)
      return inner:slice(i, 5)[1]
    end):prefetch({ workers = 1 })
    assert.same({ 1, 2, 3 }, p:totable())
    p:close()
  end)

  it("reads the last of more than 2^53 items", function()
    local p = neap.range(10):cycle(10 ^ 15):prefetch({ workers = 1 })
    assert.equal(10, p[-1])
    p:close()
  end)
end)
