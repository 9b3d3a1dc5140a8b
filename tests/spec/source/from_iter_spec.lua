-- SPDX-License-Identifier: MIT
local clock = require("neap.base.clock")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

-- An iterator of 1 .. n that raises at its calls in `bad`.
local function counting(n, bad)
  local k, calls = 0, 0
  return function()
    calls = calls + 1
    if bad and bad[calls] then
      error("call " .. calls)
    end
    k = k + 1
    return k <= n and k or nil
  end
end

describe("from_iter", function()
  it("ends where its iterator does, if its size is not known", function()
    local s = neap.from_iter(counting(4))
    assert.equal(math.huge, s:len())
    assert.same({ n = 4, 1, 2, 3, 4 }, support.items(s))
    assert.equal("index 9 is out of range: the iterator ended after 4 items",
      support.message(function() return s[9] end))
  end)

  it("raises where its iterator ends before its size", function()
    local s = neap.from_iter(counting(1), { size = 3 })
    local e = support.raised(support.items, s)
    assert.equal("index 2 is out of range: the iterator ended after 1 item",
      e.message)
    assert.equal(2, e.index)
  end)

  it("takes what a for takes, and of each answer the first value", function()
    assert.same({ n = 2, 1, 2 }, support.items(neap.from_iter(
      ipairs({ "a", "b" }))))
    assert.same({ n = 2, "a", "b" }, support.items(neap.from_iter(
      ("a b"):gmatch("%a"))))
  end)

  it("goes back as far as its cache", function()
    local s = neap.from_iter(counting(9), { cache = 3 })
    assert.equal(5, s[5])
    assert.same({ 3, 4, 5 }, { s[3], s[4], s[5] })
    assert.equal("item 2 has gone by: the iterator stands at 5 and cache = 3",
      support.message(function() return s[2] end))
    assert.equal(6, s[6])
  end)

  it("starts again with a function that makes the iterator", function()
    local s = neap.from_iter(function() return counting(9) end)
    assert.equal(5, s[5])
    assert.equal(2, s[2])
    assert.same(support.items(s), support.items(s))
  end)

  it("starts again with that function where an item has gone by", function()
    local made, calls = 0, 0
    local s = neap.from_iter(function()
      made = made + 1
      local step, invariant, control = counting(9)
      return function(...)
        calls = calls + 1
        return step(...)
      end, invariant, control
    end, { cache = 2, size = 9 })
    assert.same({ 5, 4 }, { s[5], s[4] }) -- which is kept
    assert.same({ 1, 5 }, { made, calls })
    assert.same({ 3, 1, 2, 9, 9 }, { s[3], s[1], s[2], s[9], s[-1] })
    assert.same({ 3, 5 + 3 + 9 }, { made, calls })
    for workers = 0, 2 do
      local p = s:prefetch({ workers = workers, chunk = 2 })
      local list = p:totable()
      assert.same({ list[7], list[1], 9 }, { p[7], p[1], #p })
      p:close()
    end
  end)

  it("raises error objects in a loop as by index", function()
    for _, read in ipairs({
      function(s) return s[3] end,
      function(s) return support.items(s) end,
      function(s) return support.items(s:map(function(x) return x end)) end,
    }) do
      local line = debug.getinfo(1, "l").currentline + 1
      local s = neap.from_iter(counting(9, { [3] = true }))
      local e = support.raised(read, s)
      assert.equal(3, e.index)
      assert.equal(("from_iter (tests/spec/source/"
        .. "from_iter_spec.lua:%d)"):format(
        line), e.stage)
      assert.truthy(e.message:find(": call 3$"))
    end
  end)

  -- What a loop that skips delivers: item by index.
  local function delivered(s)
    local items = {}
    for i, x in s:each({ on_error = "skip" }) do
      items[i] = x
    end
    return items
  end

  local function id(x)
    return x
  end

  it("loses no item when it goes past an error", function()
    for _, over in ipairs({
      id,
      function(s) return s:map(id) end,
      function(s) return s:cache(2):progress() end,
      function(s) return s:map(id):prefetch({ workers = 0 }) end,
      function(s) return s:map(id):prefetch({ workers = 1 }) end,
    }) do
      local s = over(neap.from_iter(function()
        return counting(4, { [3] = true, [6] = true })
      end))
      assert.same({ 1, 2, [4] = 3, [5] = 4 }, delivered(s))
      assert.equal(2, #s:skipped())
      assert.equal(3, s:skipped()[1].index)
    end
  end)

  it("does not go past errors for ever", function()
    for _, over in ipairs({
      id,
      function(s) return s:map(id) end,
      function(s) return s:rescue(error) end,
      function(s) return s:map(id):prefetch({ workers = 1 }) end,
    }) do
      local s = over(neap.from_iter(function()
        return coroutine.wrap(function() error("early") end)
      end))
      local e = support.raised(delivered, s)
      assert.truthy(e.message:find("cannot resume dead coroutine"))
      assert.truthy(s:skipped()[1].message:find("early"))
    end
  end)

  it("raises again for an item that has failed", function()
    local s = neap.from_iter(counting(4, { [2] = true }), { cache = 9 })
    assert.equal(1, s[1])
    for _ = 1, 2 do
      local e = support.raised(function() return s[2] end)
      assert.truthy(e.message:find(": call 2$"))
      assert.equal(2, e.index)
    end
    assert.equal(2, s[3])
    assert.truthy(support.message(function() return s[2] end):find("call 2$"))
  end)

  it("has an item whatever failed on the way to it", function()
    local s = neap.from_iter(counting(9, { [3] = true, [4] = true }),
      { cache = 8 })
    assert.equal(4, s[6])
    assert.same({ 3, 2 }, { s[5], s[2] })
    local e = support.raised(function() return s[3] end)
    assert.truthy(e.message:find("call 3$"))
    assert.equal(3, e.index)
  end)

  it("takes no iterator for an item if what makes it fails first", function()
    local calls = 0
    local s = neap.from_iter(function()
      calls = calls + 1
      return calls == 1 and error("not yet") or counting(3)
    end, { size = 4 })
    assert.same({ nil, 1, 2, 3 }, delivered(s))
    assert.truthy(s:skipped()[1].message:find("not yet$"))
  end)

  it("takes a nil after the function for nothing", function()
    assert.same({ n = 3, 1, 2, 3 }, support.items(neap.from_iter(function()
      return counting(3)
    end, nil)))
  end)

  it("may be tried again", function()
    local s = neap.from_iter(counting(4, { [3] = true }), { size = 4 })
    assert.same({ 1, 2, 3, 4 }, s:retry(1):totable())
  end)

  it("keeps what a retry reads again, which begins in its middle", function()
    local s = neap.from_iter(counting(20, { [14] = true }), { cache = 3 })
    assert.same({ 10, 8 }, { s[10], s[8] })
    local retried = s:batch(5):retry(1)
    assert.same({ 11, 12, 13, 14, 15 }, retried[3])
    assert.same({ 11, 8 }, { s[11], s[8] })
    assert.equal("item 7 has gone by: the iterator stands at 15 and cache = 3",
      support.message(function() return s[7] end))
    assert.same({ 16, 17, 18, 19, 20 }, retried[4])
  end)

  describe("through workers", function()
    before_each(support.remember)
    after_each(support.check_leaks)

    local N = 300

    local function step(_, i)
      return i < N and i + 1 or nil
    end

    local function plain(options)
      return neap.from_iter(step, nil, 0, options)
    end

    local WAYS = {
      { workers = 1, chunk = 1 }, { workers = 1 }, { workers = 2, chunk = 1 },
      { workers = 2 }, { workers = 2, buffered = 1 }, { workers = 16 },
      { workers = 2, chunk = 7, buffered = 50 },
    }

    -- Of each five calls the third raises, and some in a row.
    local function failing()
      local calls, k = 0, 0
      return function()
        calls = calls + 1
        if calls % 5 == 3 or calls > 40 and calls < 50 then
          error("call " .. calls, 0)
        end
        k = k + 1
        return k <= N and k or nil
      end
    end

    local function raise_at_seven(x)
      return x % 7 == 0 and error("seven", 0) or x
    end

    local function twice(x)
      return { x, x }
    end

    local OVER = {
      nothing = id,
      map = function(s) return s:map(raise_at_seven) end,
      cache = function(s) return s:cache(3) end,
      retry = function(s) return s:retry(1) end,
      ["retries of retries"] = function(s) return s:retry(1):retry(1) end,
      ["retry over map"] = function(s) return s:map(id):retry(20) end,
      rescue = function(s) return s:rescue(function() return -1 end) end,
      ["retry over rescue"] = function(s)
        return s:rescue(function(e) error(e, 0) end):retry(2)
      end,
      batch = function(s) return s:batch(4) end,
      window = function(s) return s:window(3, 2) end,
      ["retry over batch"] = function(s) return s:batch(6):retry(2) end,
      ["retry over window"] = function(s) return s:window(5, 3):retry(2) end,
      ["batch of retries"] = function(s) return s:retry(2):batch(3) end,
      zip = function(s) return neap.zip(s, neap.range(#s)) end,
      starmap = function(s) return s:map(twice):starmap(math.max) end,
      slice = function(s) return s:slice(2, -1, 3) end,
      concat = function(s) return s:slice(1, 100) .. s:slice(101, 200) end,
      unbatch = function(s) return s:map(twice):unbatch(2) end,
      interleave = function(s) return s:interleave(neap.range(50)) end,
    }

    for name, over in pairs(OVER) do
      it("skips no good item, under " .. name, function()
        local function make()
          return over(neap.from_iter(failing(), { size = 200, cache = 3 }))
        end
        local s = make()
        local wanted, errors = delivered(s), {}
        for k, e in ipairs(s:skipped()) do
          errors[k] = ("%s: %d %s"):format(e.message, e.index, e.stage)
        end
        for _, options in ipairs({
          { workers = 1 }, { workers = 2, chunk = 1 }, { workers = 3 },
        }) do
          local p = support.close_later(make():prefetch(options))
          assert.same(wanted, delivered(p))
          for k, e in ipairs(p:skipped()) do
            local text = ("%s: %d %s"):format(e.message, e.index, e.stage)
            assert.equal((errors[k]:gsub(":%d+%)$", "")),
              (text:gsub(":%d+%)$", "")))
          end
          assert.equal(#errors, #p:skipped())
          p:close()
        end
      end)
    end

    it("raises the same again for an item that has failed", function()
      for workers = 0, 2 do
        local p = support.close_later(neap.from_iter(function()
          local k = 0
          return function()
            k = k + 1
            local t = neap.tensor("f64", { 2 }, k)
            return k == 3 and error({ t = t }) or t
          end
        end, { size = 6 }):rescue(function(e) return e.cause.t end)
          :prefetch({ workers = workers, chunk = 1 }))
        for _ = 1, 3 do
          assert.equal(5, p[5][1])
          assert.equal(3, p[3][2])
          assert.equal(6, #p:totable())
        end
        p:close()
      end
    end)

    it("fails after a retry's calls, whichever indexes are read", function()
      local function make()
        return neap.from_iter(counting(40, {
          [5] = true, [7] = true, [8] = true, [20] = true, [21] = true,
          [22] = true, [23] = true,
        }), { size = 36, cache = 36 })
      end
      local s = make():window(9, 2):retry(2)
      local wanted = delivered(s)
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9 }, wanted[1])
      assert.truthy(s:skipped()[1].message:find("call 22$"))
      for i = #s, 1, -1 do
        local behind = make():window(9, 2):retry(2)
        local ok, x = pcall(function() return behind[i] end)
        assert.same(wanted[i], ok and x or nil)
      end
    end)

    it("lets a retry's delay pass between calls, and no more", function()
      local delay, calls = 0.05, 0
      local s = neap.from_iter(function()
        calls = calls + 1
        error("busy")
      end, { size = 2 }):retry(2, { delay = delay })
      local start = clock()
      pcall(function() return s[1] end)
      local took = clock() - start
      assert.equal(3, calls)
      assert.truthy(took >= 2 * delay and took < 4 * delay)
    end)

    it("is not called again for a retry above them", function()
      for workers = 0, 3 do
        local s = support.close_later(neap.from_iter(counting(4, {
          [3] = true,
        })):prefetch({ workers = workers, chunk = 1 })):retry(1)
        assert.same({ 1, 2, [4] = 3, [5] = 4 }, delivered(s))
        assert.equal(1, #s:skipped())
      end
    end)

    it("has the items that it has without", function()
      for _, options in ipairs(WAYS) do
        for _, order in ipairs({ true, false }) do
          options.order = order
          local p = support.close_later(plain({ size = N }):prefetch(options))
          local seen, count = {}, 0
          for i, x in p:each() do
            assert.equal(i, x)
            assert.is_nil(seen[i])
            seen[i], count = true, count + 1
          end
          assert.equal(N, count)
          p:close()
        end
        options.order = nil
      end
    end)

    it("goes on where a loop was left", function()
      for _, options in ipairs(WAYS) do
        local p = support.close_later(plain():prefetch(options))
        local seen, left = 0, -1
        while left ~= seen do
          left = seen
          p:seek(seen + 1)
          for i, x in p:each() do
            assert.equal(i, x)
            assert.equal(seen + 1, i)
            seen = i
            if i % 9 == 4 then
              break
            end
          end
        end
        assert.equal(N, seen)
        p:close()
      end
    end)

    it("goes on where a loop over batches was left", function()
      for _, over in ipairs({
        function(s) return s:batch(10) end,
        function(s) return s:slice(1, -1, 10) end,
        function(s) return s:window(2, 9) end,
        function(s)
          return s:split(29):map(function(piece) return piece:totable() end)
        end,
      }) do
        local wanted = over(plain({ size = N })):totable()
        local p = support.close_later(over(plain({ size = N })):prefetch({
          workers = 2, chunk = 3,
        }))
        local items = {}
        while #items < #wanted do
          p:seek(#items + 1)
          for i, x in p:each() do
            items[i] = x
            if i % 4 == 0 then
              break
            end
          end
        end
        assert.same(wanted, items)
        p:close()
      end
    end)

    it("is read by index while a loop runs, as far back as without", function()
      for _, options in ipairs({
        { workers = 0 }, { workers = 1 }, { workers = 2, chunk = 1 },
        { workers = 16 },
      }) do
        local p = support.close_later(plain({ size = N, cache = 4 })
          :prefetch(options))
        for i, x in p:each() do
          assert.equal(i, x)
          if i % 3 == 0 then
            assert.same({ i - 2, i }, { p[i - 2], p[i] })
          elseif i % 10 == 5 then
            assert.same({ i, i + 1, i + 2 }, { p[i], p[i + 1], p[i + 2] })
          end
        end
        p:close()
      end
    end)

    it("is read anew by who comes after a worker that died", function()
      for _, options in ipairs({
        { workers = 1, chunk = 1 }, { workers = 2 },
        { workers = 3, chunk = 4 },
      }) do
        local folder = support.folder()
        local p = support.close_later(plain({ size = N }):map(function(i)
          local mark = ("%s/%d"):format(folder, i)
          local file = i % 50 == 0 and not io.open(mark)
          if file then
            io.open(mark, "w"):close()
            os.exit(1)
          end
          return i
        end):prefetch(options))
        assert.same(neap.range(N):totable(), p:totable())
        assert.equal(N / 50, p:stats().retries)
        p:close()
        support.shell("rm -r " .. folder)
      end
    end)

    it("is not left behind by others where order does not matter", function()
      for _, workers in ipairs({ 2, 4 }) do
        local gate = os.tmpname()
        os.remove(gate)
        local p = support.close_later(plain({ size = N }):map(function(i)
          local is_slow = i == 3 and not io.open(gate)
          while is_slow and not io.open(gate) do end -- luacheck: ignore
          return is_slow and os.exit(1) or i
        end):prefetch({ workers = workers, chunk = 1, order = false }))
        local sum, count = 0, 0
        for i, x in p:each() do
          assert.equal(i, x)
          sum, count = sum + i, count + 1
          if count == 60 then
            io.open(gate, "w"):close()
          end
          assert.truthy(i ~= 3 or count <= 3 + 64) -- four times buffered
        end
        assert.equal(N * (N + 1) / 2, sum)
        assert.equal(1, p:stats().retries)
        p:close()
        os.remove(gate)
      end
    end)
  end)

  describe("of unknown size, under others", function()
    before_each(support.remember)
    after_each(support.check_leaks)

    local function source()
      return neap.from_iter(function() return counting(4) end)
    end

    -- Each is one item of the source for one of its own.
    local ENDING = {
      map = function(s) return s:map(function(x) return x end) end,
      zip = function(s) return neap.zip(s, neap.rep(0)):starmap(math.max) end,
      concat = function(s) return neap.concat({}, s) end,
      cache = function(s) return s:cache() end,
      rescue = function(s) return s:rescue(function() return 0 end) end,
      retry = function(s) return s:retry(3, { delay = 1e6 }) end,
      progress = function(s) return s:monitor():progress() end,
      epoch = function(s) return s:epoch(3) end,
      ["a prefetch in place"] = function(s)
        return s:prefetch({ workers = 0 })
      end,
    }

    for name, over in pairs(ENDING) do
      it("ends a loop over " .. name, function()
        local wanted = { n = 4, 1, 2, 3, 4 }
        assert.same(wanted, support.items(over(source())))
        local s = over(source())
        assert.same(wanted, support.items(s, { on_error = "skip" }))
        assert.equal(0, #s:skipped())
        assert.same({ n = 3, 2, 3, 4 }, support.items(over(source()):slice(2)))
      end)
    end

    for name, over in pairs(ENDING) do
      it(("ends a loop over %s over workers"):format(name), function()
        local wanted = { n = 4, 1, 2, 3, 4 }
        for _, options in ipairs({
          { workers = 1 }, { workers = 2, chunk = 1 },
          { workers = 2, chunk = 3 },
        }) do
          local p = support.close_later(source():prefetch(options))
          local s = over(p)
          assert.same(wanted, support.items(s))
          assert.same(wanted, support.items(s, { on_error = "skip" }))
          assert.equal(0, #s:skipped())
          assert.same({ n = 3, 2, 3, 4 }, support.items(s:slice(2)))
          assert.equal(math.huge, s:len())
          p:close()
        end
      end)
    end

    it("raises past its end by index, in order too", function()
      for _, mode in ipairs({ "wrap", "passthrough" }) do
        for workers = 0, 2 do
          neap.errors(mode)
          local p = support.close_later(source():prefetch({
            workers = workers,
          }))
          for i = 1, 4 do
            assert.equal(i, p[i])
          end
          for i = 5, 7 do
            assert.equal(("index %d is out of range: the iterator ended after "
              .. "4 items"):format(i), support.message(function()
              return p[i]
            end))
          end
          assert.same({ 3, 4 }, { p[3], p[4] })
          assert.same({ n = 4, 1, 2, 3, 4 }, support.items(p:map(id)))
          neap.errors("wrap")
          p:close()
        end
      end
    end)

    it("ends a loop over workers", function()
      local p = source():map(function(x) return x end):prefetch({ workers = 2 })
      assert.same({ n = 4, 1, 2, 3, 4 }, support.items(p))
      assert.equal(1, p:position())
      assert.same({ n = 4, 1, 2, 3, 4 }, support.items(p,
        { on_error = "skip" }))
      p:close()
    end)

    it("ends where others would go on, out of order too", function()
      for _, order in ipairs({ true, false }) do
        local p = support.close_later(neap.interleave(source(), neap.rep(0))
          :prefetch({
            workers = 1, chunk = 4, buffered = 4, order = order,
          }))
        assert.same({ n = 8, 1, 0, 2, 0, 3, 0, 4, 0 },
          support.items(p, { on_error = "skip" }))
        assert.equal(1, #p:skipped())
        p:close()
      end
    end)

    it("fails an item that reads another iterator past its end", function()
      for workers = 0, 1 do
        local other = neap.from_iter(counting(2), { cache = 4 })
        local s = source():map(function(i)
          return other[i > 2 and i + 1 or i]
        end)
        local p = support.close_later(s:prefetch({ workers = workers }))
        local e = support.raised(support.items, p)
        assert.same({ "end", 4 }, { e.kind, e.index })
        assert.same({ n = 2, 1, 2 }, support.items(p, { on_error = "skip" }))
        assert.equal(2, #p:skipped())
        local rescued = s:rescue(function() return 0 end)
        assert.same({ n = 4, 1, 2, 0, 0 }, support.items(rescued))
        p:close()
      end
    end)

    it("raises where items would be lost, or others go on", function()
      for _, s in ipairs({
        source():batch(3), source():window(2), source():batch(3):map(print),
        neap.interleave(source(), neap.rep(0)),
        neap.mix({ source(), neap.rep(0) }, { 1, 1 }),
        support.close_later(source():prefetch({ workers = 1 })):batch(3),
        support.close_later(source():batch(3):prefetch({ workers = 1 }))
          :map(id),
      }) do
        local e = support.raised(support.items, s)
        assert.equal("index 5 is out of range: the iterator ended after 4 "
          .. "items", e.message)
        assert.equal(5, e.index)
        local ok = pcall(support.items, s, { on_error = "skip" })
        assert.is_true(ok)
        assert.equal(e.message, s:skipped()[1].message)
      end
    end)
  end)
end)
