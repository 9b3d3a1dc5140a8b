-- SPDX-License-Identifier: MIT
--- Worker processes as a user meets them: what reaches them, how they start,
-- what happens when they die, and how everything ends.

local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local FILE = "tests/spec/prefetch/worker_spec.lua"

-- Kills the process that runs it.
local function die(signal)
  local libc = require("ffi")
  pcall(libc.cdef, "int kill(int, int); int getpid(void);")
  libc.C.kill(libc.C.getpid(), signal)
  while true do end
end

-- Reads all items and skips those that raise: returns the indexes of the
-- others, and the errors.
local function read(p)
  local seen = {}
  for i, x in p:each({ on_error = "skip" }) do
    assert.equal(i, x)
    seen[#seen + 1] = i
  end
  return table.concat(seen, " "), p:skipped()
end

describe("a worker", function()
  local function prefetch(s, options)
    return support.close_later(neap.prefetch(s, options))
  end

  before_each(support.remember)
  after_each(support.check_leaks)

  describe("has", function()
    it("the upvalues of its functions, shared where they were", function()
      local count, list = 0, { 5 }
      local function up()
        count = count + 1
      end
      local p = prefetch(neap.range(6):map(function(x)
        up()
        list[#list + 1] = x
        return { count, #list, list[1] }
      end), { workers = 1 })
      assert.same({ { 1, 2, 5 }, { 2, 3, 5 }, { 3, 4, 5 } },
        { p[1], p[2], p[3] })
      assert.equal(0, count)
      assert.same({ 5 }, list)
    end)

    it("compiled code for items of small tensors", function()
      local p = prefetch(neap.range(4000):map(function(i)
        local t = neap.empty("f32", { 100 })
        t:fill(i)
        return { image = t, label = i, given_up = package.loaded.given_up }
      end), {
        workers = 1,
        on_start = function()
          local too_long
          for code, text in pairs(require("jit.vmdef").traceerr) do
            too_long = text == "trace too long" and code or too_long
          end
          package.loaded.given_up = 0
          jit.attach(function(what, _, _, _, code)
            if what == "abort" and code == too_long then
              package.loaded.given_up = package.loaded.given_up + 1
            end
          end, "trace")
        end,
      })
      local given_up
      for _, x in p:each() do
        given_up = x.given_up
      end
      assert.equal(0, given_up)
    end)

    it("functions that call themselves and each other", function()
      local odd
      local function even(n)
        return n == 0 or odd(n - 1)
      end
      function odd(n)
        return n ~= 0 and even(n - 1)
      end
      local function factorial(n)
        return n < 2 and 1 or n * factorial(n - 1)
      end
      local p = prefetch(neap.range(6):map(function(n)
        return { even(n), factorial(n) }
      end), { workers = 2 })
      assert.same({ { false, 1 }, { true, 2 }, { false, 6 }, { true, 24 },
        { false, 120 }, { true, 720 } }, p:totable())
    end)

    it("modules, by their names", function()
      local bit, class = require("bit"), require("neap.base.class")
      local p = prefetch(neap.range(3):map(function(x)
        return { bit.lshift(x, 4), class.find("adapter.map") ~= nil,
          require("neap") == neap, math.floor(x + 0.5) }
      end), { workers = 1 })
      assert.same({ 48, true, true, 3 }, p[3])
    end)

    it("tables with metatables and cycles, tensors, sequences", function()
      local t = setmetatable({}, { __index = function(_, k) return k * 2 end })
      local cycle = { name = "cycle" }
      cycle.self = cycle
      local small = neap.tensor("u8", { 3 }, { 1, 2, 3 })
      local large = neap.tensor("f32", { 100000 }, 4)
      local s = neap.range(10):map(function(x) return x * 100 end):slice(3)
      local p = prefetch(neap.range(3):map(function(x)
        return { t[x], cycle.self.self.name, small[x], large[x * 1000], s[x] }
      end), { workers = 2 })
      assert.same({ 4, "cycle", 2, 4, 400 }, p[2])
    end)

    it("what it was given when the prefetch was made", function()
      local factor = 2
      local p = prefetch(neap.range(3):map(function(x)
        return x * factor
      end), { workers = 1 })
      factor = 10
      assert.same({ 2, 4, 6 }, p:totable())
    end)

    it("other random numbers than its neighbours", function()
      local first
      local p = prefetch(neap.range(40):map(function()
        local until_ = os.clock() + 0.002
        while os.clock() < until_ do end -- luacheck: ignore
        return { first, math.random() }
      end), { workers = 4, chunk = 1, on_start = function()
        first = math.random()
      end })
      local seen, draws, workers = {}, 0, 0
      for _, x in p:each() do
        workers = workers + (seen[x[1]] and 0 or 1)
        draws = draws + (seen[x[2]] and 0 or 1)
        seen[x[1]], seen[x[2]] = true, true
      end
      assert.equal(40, draws)
      assert.truthy(workers > 1)
    end)

    it("the module paths of its host", function()
      local run = support.run([[
        local folder = io.popen("mktemp -d"):read("*l")
        local file = io.open(folder .. "/some_module.lua", "w")
        file:write("return { answer = 42 }")
        file:close()
        package.path = folder .. "/?.lua;" .. package.path
        local some_module = require("some_module")
        local p = require("neap").range(2):map(function(x)
          return x + some_module.answer + require("some_module").answer
        end):prefetch({ workers = 1 })
        print(p[1], p[2])
        os.execute("rm -r " .. folder)
      ]])
      assert.equal("85\t86\n", run.out)
    end)

    it("no descriptors of its host's", function()
      local run = support.run([[
        local file = io.open("/etc/passwd")
        local p = require("neap").range(1):map(function()
          return io.popen("ls -l /proc/$PPID/fd"):read("*a")
        end):prefetch({ workers = 1 })
        io.write(p[1])
      ]], { redirect = "</dev/null" }) -- else the file may be its stdin
      assert.is_nil(run.out:find("passwd", 1, true))
      assert.truthy(run.out:find("memfd:neap-slots", 1, true))
    end)
  end)

  describe("cannot get", function()
    it("what does not travel, and the prefetch says so when it is made",
      function()
        local file = io.stdout
        local co = coroutine.create(function() end)
        local handle = io.tmpfile()
        local data = ffi.new("int[3]")
        local list = { inner = { co } }
        local function reader() return handle end
        local line = debug.getinfo(reader, "S").linedefined
        for wanted, f in pairs({
          ["upvalue 'co' is a coroutine"] = function() return co end,
          ["upvalue 'data' is a cdata (int [3])"] = function()
            return data
          end,
          ["upvalue 'list'.inner[1] is a coroutine"] = function()
            return list
          end,
          [("the function at %s:%d to a worker: its upvalue 'handle' is a "
            .. "file; that function is reached from the function of map (")
            :format(FILE, line)] = function()
            return reader()
          end,
        }) do
          local s = neap.range(1):map(f)
          local at = debug.getinfo(1, "l").currentline + 1
          local _, e = pcall(function() local _ = s:prefetch() end)
          assert.truthy(e:find(("^%s:%d: cannot send the "):format(FILE, at)),
            e)
          assert.truthy(e:find(wanted, 1, true), e)
        end
        handle:close()
        local p = prefetch(neap.range(1):map(function()
          return io.type(file)
        end), { workers = 1 })
        assert.equal("file", p[1])
      end)

    it("what does not travel in on_start, or beneath a stage", function()
      local co = coroutine.create(function() end)
      local function user() return co end
      assert.truthy(support.message(function()
        local _ = neap.range(1):prefetch({ workers = 1, on_start = user })
      end):find("upvalue 'co' is a coroutine", 1, true))
      assert.truthy(support.message(function()
        local _ = neap.zip({ a = neap.range(1):map(user):slice(1) }):batch(2)
          :prefetch({ workers = 1 })
      end):find("upvalue 'co' is a coroutine", 1, true))
    end)

    it("what it need not get where there are no workers", function()
      local co = coroutine.create(function() end)
      local p = prefetch(neap.range(1):map(function()
        return type(co)
      end), { workers = 0 })
      assert.equal("thread", p[1])
    end)
  end)

  describe("starts", function()
    it("with on_start, which gets its number", function()
      local number, calls = 0, 0
      local p = prefetch(neap.range(60):map(function(x)
        return { x, number, calls }
      end), { workers = 3, chunk = 1, on_start = function(w)
        number, calls = w, calls + 1
      end })
      for i, x in p:each() do
        assert.equal(i, x[1])
        assert.truthy(x[2] >= 1 and x[2] <= 3)
        assert.equal(1, x[3])
      end
      assert.equal(0, calls)
    end)

    it("with on_start in place too, once", function()
      local calls = {}
      local p = prefetch(neap.range(5), { workers = 0, on_start = function(w)
        calls[#calls + 1] = w
      end })
      assert.same({}, calls)
      assert.equal(5, p[-1])
      assert.equal(5, #p:totable())
      assert.equal(5, p:epoch(2)[-1])
      assert.same({ 1 }, calls)
    end)

    it("not, where on_start raises", function()
      local function fail()
        error("not today")
      end
      local line = debug.getinfo(fail, "S").linedefined + 1
      for _, workers in ipairs({ 0, 1, 3 }) do
        local p = prefetch(neap.range(5), { workers = workers,
          on_start = fail })
        for _ = 1, 2 do
          local text = tostring(support.raised(function() return p[1] end))
          assert.truthy(text:find(("%s:%d: not today"):format(FILE, line), 1,
            true), text)
          text = tostring(support.raised(function() return p:totable() end))
          assert.truthy(text:find("not today", 1, true), text)
        end
        p:close()
      end
    end)

    it("not, with the same error however its items are read", function()
      local p = prefetch(neap.range(5), { workers = 1, on_start = function()
        error("not today", 0)
      end })
      local function skip(s)
        for _ in s:each({ on_error = "skip" }) do end -- luacheck: ignore
      end
      local first = function(s) return s[1] end
      for _, read_by in ipairs({ first, support.items, p.totable, skip }) do
        for _, s in ipairs({ p, p:map(math.abs), p:rescue(function()
          return 0
        end), p:retry(3, { delay = 1e6 }) }) do
          local e = support.raised(read_by, s)
          assert.same({ "worker", "nil", "nil" },
            { e.kind, tostring(e.index), tostring(e.stage) })
          assert.truthy(support.message(read_by, s):find(
            "^cannot start workers: not today\n"))
          assert.equal(e.message, tostring(e))
          assert.same({}, s:skipped())
        end
      end
    end)

    it("not, where it dies of on_start, and three in a row are enough",
      function()
        for wanted, f in pairs({
          ["ended with exit status 5"] = function() os.exit(5) end,
          ["was ended by signal 9 (Killed)"] = function() die(9) end,
        }) do
          local p = prefetch(neap.range(5), { workers = 2, on_start = f })
          local message = support.message(function() p:totable() end)
          assert.truthy(message:find("^cannot start workers: "), message)
          assert.truthy(message:find(wanted, 1, true), message)
          assert.equal(message, support.message(function() return p[1] end))
          p:close()
        end
      end)

    it("not, with less memory than it needs", function()
      local s = neap.range(5)
      for _ = 1, 150 do -- compiling it needs more than a heap has to spare
        s = s:map(function(x) return x + 1 end)
      end
      local p = prefetch(s, { workers = 1, memory = 1000 })
      local e = support.raised(function() p:totable() end)
      assert.matches("cannot start workers: .*memory", e.message)
    end)

    it("not, where it dies of on_start: the error has its last output",
      function()
        local run = support.run([[
          local neap = require("neap")
          local p = neap.range(3):prefetch({ workers = 1,
            on_start = function()
              io.stderr:write("no camera\n")
              os.exit(5)
            end })
          local ok, e = pcall(p.totable, p)
          print(e)
        ]])
        assert.equal(0, run.status)
        assert.truthy(run.out:find("the last ended with exit status 5, and "
          .. "wrote:\nno camera\n", 1, true), run.out)
        assert.equal(("no camera\n"):rep(3), run.err)
      end)

    it("not, where there is no executable, or a wrong one", function()
      for wanted, path in pairs({
        ["cannot start workers: no neap executable at /nonexistent: No such "
          .. "file or directory"] = "/nonexistent",
        ["ended with exit status 1"] = "/bin/false",
        ["ended with exit status 0"] = "/bin/true",
        ["/etc/passwd"] = "/etc/passwd",
      }) do
        local run = support.run([[
          local neap = require("neap")
          local p = neap.range(3):prefetch({ workers = 2 })
          for _ = 1, 2 do
            local ok, e = pcall(p.totable, p)
            print(ok, e)
          end
        ]], { env = "NEAP_WORKER=" .. path })
        assert.equal(0, run.status)
        local first, second = run.out:match("^false\t([^\n]+)\nfalse\t(.+)\n$")
        assert.truthy(first:find(wanted, 1, true), run.out)
        assert.equal(first, second)
        assert.equal("", run.err)
      end
    end)
  end)

  describe("that dies", function()
    it("of an item fails that item alone, in order", function()
      for wanted, f in pairs({
        ["exit status 3"] = function() os.exit(3) end,
        ["signal 9 (Killed)"] = function() die(9) end,
        ["signal 15 (Terminated)"] = function() die(15) end,
      }) do
        for _, options in ipairs({
          { workers = 1, chunk = 1 }, { workers = 2, chunk = 8 },
          { workers = 3, retries = 0 },
        }) do
          local p = prefetch(neap.range(20):map(function(x)
            if x == 7 then
              f()
            end
            return x
          end), options)
          local seen, skipped = read(p)
          assert.equal("1 2 3 4 5 6 8 9 10 11 12 13 14 15 16 17 18 19 20",
            seen)
          assert.equal(1, #skipped)
          local times = options.retries == 0 and "1 time" or "3 times"
          assert.equal(("a worker died of this item, %s; the last by %s")
            :format(times, wanted), skipped[1].message)
          assert.equal("death", skipped[1].kind)
          assert.equal(7, skipped[1].index)
          assert.truthy(skipped[1].stage:find("^prefetch %(" .. FILE))
          p:close()
        end
      end
    end)

    it("of a segmentation fault is reported like others", function()
      local p = prefetch(neap.range(5):map(function(x)
        if x == 2 then
          require("ffi").cast("int *", 8)[0] = 1
        end
        return x
      end), { workers = 2, retries = 0 })
      local seen, skipped = read(p)
      assert.equal("1 3 4 5", seen)
      assert.truthy(skipped[1].message:find(support.is_asan and "the last by "
        or "the last by signal 11 (Segmentation fault)", 1, true))
    end)

    -- Linux tells from version 6.15 on.
    it("names the cause where this process ignores SIGCHLD", function()
      local run = support.run([[
        local ffi, neap = require("ffi"), require("neap")
        ffi.cdef("intptr_t signal(int number, intptr_t action);")
        ffi.C.signal(17, 1)
        local p = neap.range(4):map(function(x)
          if x == 3 then
            os.exit(5)
          end
          return x
        end):prefetch({ workers = 1 })
        for i, x in p:each({ on_error = "skip" }) do print(i, x) end
        print(p:skipped()[1].message)
      ]])
      local cause = run.out:match("^1\t1\n2\t2\n4\t4\na worker died of this "
        .. "item, 3 times; the last by (.-)\n$")
      assert.truthy(cause == "exit status 5" or cause == "an unknown cause: "
        .. "this process ignores SIGCHLD or waits for all its children",
        run.out .. run.err)
    end)

    it("of several items fails those alone", function()
      local p = prefetch(neap.range(30):map(function(x)
        if x == 1 or x == 12 or x == 13 or x == 30 then
          os.exit(1)
        end
        return x
      end), { workers = 2, chunk = 10, retries = 1 })
      local seen, skipped = read(p)
      assert.equal("2 3 4 5 6 7 8 9 10 11 14 15 16 17 18 19 20 21 22 23 24 25 "
        .. "26 27 28 29", seen)
      assert.equal(4, #skipped)
      for k, i in ipairs({ 1, 12, 13, 30 }) do
        assert.equal(i, skipped[k].index)
      end
      assert.equal(12, support.raised(function() return p[12] end).index)
      assert.equal(11, p[11])
    end)

    it("because it cannot report an error never passes for an item",
      function()
        local run = support.run([[
          local neap = require("neap")
          local p = neap.range(4):map(function(x)
            if x == 3 then
              next = nil
              error("no next, no error")
            end
            return x
          end):prefetch({ workers = 1, chunk = 1, buffered = 1 })
          for i, x in p:each({ on_error = "skip" }) do print(i, x) end
          print(p:skipped()[1].index, p:skipped()[1].message)
        ]])
        assert.equal("1\t1\n2\t2\n4\t4\n3\ta worker died of this item, 3 "
          .. "times; the last by exit status 1\n", run.out)
      end)

    it("once is replaced, and all items come", function()
      local path = os.tmpname()
      local p = prefetch(neap.range(50):map(function(x)
        if x % 10 == 5 then
          local file = io.open(path .. x)
          if not file then
            io.open(path .. x, "w"):close()
            os.exit(1)
          end
          file:close()
        end
        return x
      end), { workers = 2, chunk = 4 })
      assert.same(neap.range(50):totable(), p:totable())
      assert.is_true(support.await(5, function()
        return p:stats().restarts == 5
      end))
      assert.truthy(p:stats().retries >= 5)
      for x = 5, 45, 10 do
        os.remove(path .. x)
      end
      os.remove(path)
    end)

    it("from outside, at any time, is replaced", function()
      local p = prefetch(neap.range(400):map(function(x)
        local until_ = os.clock() + 0.0002
        while os.clock() < until_ do end -- luacheck: ignore
        return x
      end), { workers = 3, retries = 1000 })
      local count, killed, kills = 0, {}, 0
      for i, x in p:each() do
        assert.equal(i, x)
        count = count + 1
        if i % 20 == 0 then
          local pid = p:stats().workers[i / 20 % 3 + 1].pid
          if pid > 0 and not killed[pid] then
            ffi.C.kill(pid, 9)
            killed[pid], kills = true, kills + 1
          end
        end
      end
      assert.equal(400, count)
      assert.truthy(kills > 0)
      assert.is_true(support.await(5, function()
        return p:stats().restarts == kills
      end))
    end)

    it("while it is stopped and its items are wanted is waited for", function()
      local p = prefetch(neap.range(40), { workers = 1, buffered = 4 })
      assert.equal(1, p[1])
      local pid = p:stats().workers[1].pid
      ffi.C.kill(pid, 19)
      ffi.C.kill(pid, 9)
      assert.same(neap.range(40):totable(), p:totable())
    end)
  end)

  describe("prints", function()
    it("to its host's output, all of it", function()
      local run = support.run([[
        local neap = require("neap")
        local p = neap.range(20):map(function(x)
          print("item " .. x)
          io.stderr:write("err " .. x .. "\n")
          return x
        end):prefetch({ workers = 2 })
        assert(#p:totable() == 20)
        p:close()
      ]])
      assert.equal(0, run.status)
      for x = 1, 20 do
        assert.truthy(("\n" .. run.out):find("\nitem " .. x .. "\n", 1, true))
        assert.truthy(("\n" .. run.err):find("\nerr " .. x .. "\n", 1, true))
      end
    end)
  end)

  -- The pids that a script wrote to its output, one in each line.
  local function pids_in(text)
    local list = {}
    for pid in text:gmatch("pid (%d+)") do
      list[#list + 1] = tonumber(pid)
    end
    return list
  end

  local function all_gone(pids)
    return support.await(2, function()
      for _, pid in ipairs(pids) do
        if support.is_alive(pid) then
          return false
        end
      end
      return true
    end)
  end

  local ENDLESS_WORK = [[
    local neap = require("neap")
    local p = neap.from(function(i)
      if i > 8 then while true do end end
      return i
    end):prefetch({ workers = 3, chunk = 1 })
    assert(p[1] == 1)
    for _ = 1, 1000 do
      local ready = 0
      for _, worker in ipairs(p:stats().workers) do
        ready = ready + (worker.pid > 0 and 1 or 0)
      end
      if ready == 3 then break end
      io.popen("true"):close()
    end
    for _, worker in ipairs(p:stats().workers) do
      io.write("pid ", worker.pid, "\n")
    end
    io.stdout:flush()
  ]]

  describe("ends with its host", function()
    it("that is killed", function()
      local run = support.run(ENDLESS_WORK .. [[
        local ffi = require("ffi")
        ffi.cdef("int kill(int, int); int getpid(void);")
        ffi.C.kill(ffi.C.getpid(), 9)
      ]], { redirect = "2>/dev/null" })
      local pids = pids_in(run.out)
      assert.equal(3, #pids)
      assert.is_true(all_gone(pids))
    end)

    it("that ends, by os.exit, by its last line or by an error", function()
      for status, code in pairs({
        [3] = "os.exit(3)", [0] = "", [1] = "error('enough')",
      }) do
        local run = support.run(ENDLESS_WORK .. code)
        assert.equal(status, run.status)
        local pids = pids_in(run.out)
        assert.equal(3, #pids)
        assert.is_true(all_gone(pids))
      end
    end)

    it("whose finalizers still use it", function()
      -- Finalizers run in no order, some before and some after those of neap.
      -- Where some make objects with finalizers, not all run; seldom none.
      local script = [[
        local ffi = require("ffi")
        local neap = require("neap")
        local p = neap.range(40):map(function(i)
          return neap.tensor("f32", { 3 }, i)
        end):prefetch({ workers = 1 })
        local step, state = p:each()
        local _, item = step(state)
        neap.keep(item)
        local others = { p[7], p[9] }
        _G.kept = {}
        for k = 1, 30 do
          _G.kept[k] = ffi.gc(ffi.new("int[1]"), function()
            pcall(step, state)
            pcall(function() return p[3] end)
            neap.release(others)
            neap.release(item)
            pcall(p.seek, p, 1)
            p:stats()
            if k % 2 == 0 then p:close() end
            io.write(k, " ")
          end)
        end
      ]]
      local output = ""
      for _ = 1, 3 do
        local run = support.run(script)
        assert.equal("", run.err)
        assert.equal(0, run.status)
        output = output .. run.out
      end
      assert.not_equal("", output)
    end)

    it("that is ended by Ctrl-C, with the host's line alone", function()
      local run = support.run(ENDLESS_WORK .. [[
        local ffi = require("ffi")
        ffi.cdef("int kill(int, int);")
        ffi.C.kill(0, 2) -- all of the process group, as a terminal does
        for i in p:each() do io.write(i, "\n") end
      ]], { shell = "exec setsid --wait", env = "env --default-signal=INT" })
      local pids = pids_in(run.out)
      assert.equal(3, #pids)
      assert.is_true(all_gone(pids))
      assert.truthy(run.err:find("^neap: [^\n]+: interrupted!\n$"), run.err)
      assert.truthy(run.status ~= 0)
    end)
  end)

  it("is one process, though its user's code forks", function()
    local path = os.tmpname()
    local function work(i)
      if i == 7 then
        local libc = require("ffi").C
        require("ffi").cdef("int fork(void);")
        local pid = libc.fork()
        if pid > 0 then
          local file = io.open(path, "w")
          file:write("pid ", pid, "\n")
          file:close()
        end
      end
      return i
    end
    for _ = 1, 5 do
      local p = neap.range(500):map(work):prefetch({ workers = 2, chunk = 2 })
      for i, x in p:each() do
        assert.equal(i, x)
      end
      local file = io.open(path)
      local pids = pids_in(file:read("*a"))
      file:close()
      assert.equal(1, #pids)
      assert.is_true(all_gone(pids))
      p:close()
    end
    os.remove(path)
  end)

  describe("works in a host", function()
    local WORK = [[
      local neap = require("neap")
      local p = neap.range(50):map(function(x) return x * x end)
        :prefetch({ workers = 2 })
      print("this goes to standard output, wherever that is")
      io.stdout:flush()
      local sum = 0
      for _, x in p:each() do sum = sum + x end
      p:close()
      io.stderr:write(sum, "\n")
    ]]

    for name, how in pairs({
      ["without stdin"] = { redirect = "<&-" },
      ["with stdin from nowhere"] = { redirect = "</dev/null" },
      ["in a session of its own"] = { shell = "setsid --wait" },
      ["with few descriptors"] = { shell = "ulimit -n 24;" },
      ["that ignores its signals"] = { shell = "trap '' INT TERM CHLD PIPE;" },
      ["without an environment"] = { env = "env -i" },
      ["in another folder"] = { shell = "cd / &&" },
    }) do
      it(name, function()
        local run = support.run(WORK, how)
        assert.equal("42925\n", run.err)
        assert.equal(0, run.status)
      end)
    end

    it("without stdout and stdin", function()
      local path = os.tmpname()
      support.run(WORK:gsub("io.stderr:write%(sum, \"\\n\"%)",
        ("local f = io.open(%q, 'w') f:write(sum) f:close()"):format(path)),
        { redirect = "<&- >&-" })
      local file = io.open(path)
      assert.equal("42925", file:read("*a"))
      file:close()
      os.remove(path)
    end)

    it("with too few descriptors, or says so", function()
      for limit = 8, 24 do
        local run = support.run([[
          local neap = require("neap")
          local p = neap.range(20):prefetch({ workers = 3 })
          local ok, e = pcall(p.totable, p)
          print(ok and #e or e)
          p:close()
        ]], { env = ([[sh -c 'ulimit -n %d; exec "$@"' sh]]):format(limit) })
        assert.truthy(run.out == "20\n" or run.out:find("^[^\n]+: cannot "
          .. "[^\n]+: Too many open files\n$"),
          limit .. ": " .. run.status .. run.out .. run.err)
      end
    end)

    if not support.is_asan then
      it("with little address space, in smaller slots", function()
        local run = support.run([[
          local neap = require("neap")
          local p = neap.range(20):prefetch({ workers = 1 })
          print(#p:totable(), p:stats().slot_bytes >= 2 ^ 22,
            p:stats().slot_bytes < 2 ^ 30, p:stats().slots)
        ]], { shell = "ulimit -v 1500000;" })
        assert.equal("20\ttrue\ttrue\t49\n", run.out, run.err)
      end)

      it("with too little address space for any, and says so", function()
        local run = support.run([[
          local neap = require("neap")
          local p = neap.range(20):prefetch({ workers = 1, buffered = 500 })
          print(select(2, pcall(p.totable, p)))
          p = neap.range(20):prefetch({ workers = 1, slot_bytes = 2 ^ 30 })
          print(select(2, pcall(p.totable, p)))
        ]], { shell = "ulimit -v 1500000;" })
        local cannot = "[^\n]+: cannot reserve %d+ slots of %d+ bytes of "
          .. "address space: Cannot allocate memory\n"
          .. "help: raise the limit %(ulimit %-v%), or set "
        assert.truthy(run.out:find("^" .. cannot .. "buffered or workers "
          .. "lower\n" .. cannot .. "slot_bytes, buffered or workers lower\n$"),
          run.out .. run.err)
      end)
    end

    it("where a limit of files' sizes is too low, and says so", function()
      local run = support.run([[
        local neap = require("neap")
        local p = neap.range(20):prefetch({ workers = 1 })
        print(select(2, pcall(p.totable, p)))
      ]], { shell = "ulimit -f 100000;" })
      assert.matches("address space: File too large\nhelp: raise the limit "
        .. "(ulimit -f), ", run.out .. run.err, 1, true)
    end)
  end)
end)
