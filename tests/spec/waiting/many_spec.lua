-- SPDX-License-Identifier: MIT
--- Requests of many items at once: servers that misbehave beside others that
-- do not, seeks, limits, idle connections, thousands in flight.

local cqueues = require("cqueues")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")
local start = dofile("tests/spec/http_server.lua")

local folder, server

local function seconds(f, ...)
  local before = cqueues.monotime()
  f(...)
  return cqueues.monotime() - before
end

local function open_connections()
  return tonumber((neap.http.get(server.url .. "/count"):match("%d+$")))
end

local function cpu_of(pid)
  local text = support.read(("/proc/%d/stat"):format(pid)):match("%) (.*)")
  local words = {}
  for word in text:gmatch("%S+") do
    words[#words + 1] = tonumber(word) or 0
  end
  return words[12] + words[13]
end

describe("many requests at once", function()
  setup(function()
    folder = support.folder()
    server = start(folder, support.NEAP)
    support.write(folder .. "/version", "1\n")
    neap.http.get(server.url .. "/ok")
    require("neap.waiting.http_connection").close_idle()
    require("neap.waiting.loop").close()
  end)
  teardown(function()
    server.close()
    os.execute("rm -r " .. folder)
  end)
  before_each(support.remember)
  after_each(function()
    require("neap.waiting.http_connection").close_idle()
    require("neap.waiting.loop").close()
    support.check_leaks()
  end)

  for _, workers in ipairs({ 0, 1, 2 }) do
    it(("bear bad servers: %d workers"):format(workers), function()
      local bad = {
        "hang", "slow", "stall", "reset", "cut", "cut_chunk", "much",
        "long_chunk", "huge", "continues", "loop/1", "broken/garbage",
        "broken/headers", "broken/chunk", "broken/nothing",
        "status/500_Internal_Server_Error",
      }
      local url, tls = server.url, server.tls_url
      local p = support.close_later(neap.map(function(i)
        local path = bad[i / 4] or "delay/20"
        return (neap.http.get((i == 6 and tls or url) .. "/" .. path, {
          timeout = 1, retries = 0, max_bytes = 10000,
        }))
      end, neap.range(80)):prefetch({ workers = workers, concurrency = 40 }))
      local good = 0
      local took = seconds(function()
        for i, x in p:each({ on_error = "skip" }) do
          assert.equal("late", x)
          assert.falsy(bad[i / 4] or i == 6)
          good = good + 1
        end
      end)
      assert.equal(80 - #bad - 1, good)
      local errors = p:skipped()
      assert.equal(#bad + 1, #errors)
      for _, e in ipairs(errors) do
        assert.truthy(e.message:find("cannot get http", 1, true), e.message)
        assert.truthy(e.index % 4 == 0 or e.index == 6)
      end
      assert.truthy(took < 60, took)
    end)

    it(("are the same items, in order: %d workers"):format(workers), function()
      local url = server.url
      local p = support.close_later(neap.map(function(i)
        return { i, #neap.http.get(url .. "/size/" .. i) }
      end, neap.range(300)):prefetch({
        workers = workers, concurrency = 30,
      }))
      for epoch = 1, 2 do
        local count = 0
        for i, x in p:epoch(epoch):each() do
          assert.same({ i, i }, x)
          count = count + 1
        end
        assert.equal(300, count)
      end
    end)

    it(("end where they are no longer wanted: %d workers"):format(workers),
      function()
        local url = server.url
        local p = support.close_later(neap.map(function(i)
          return (neap.http.get(url .. (i > 100 and "/hang" or "/ok")))
        end, neap.range(200)):prefetch({
          workers = workers, concurrency = 20, buffered = 60,
        }))
        p:seek(60)
        for i in p:each() do
          if i == 100 then
            break
          end
        end
        p:seek(1)
        for i, x in p:each() do
          assert.equal("hello", x)
          if i == 20 then
            break
          end
        end
        p:close()
        require("neap.waiting.http_connection").close_idle()
        assert.truthy(support.await(5, function()
          collectgarbage()
          return open_connections() == 1
        end))
      end)
  end

  it("keep a limit that workers share", function()
    local url, limit = server.url, neap.limit({ concurrency = 5 })
    neap.http.get(url .. "/most")
    local p = support.close_later(neap.map(function(i)
      neap.http.get(url .. "/busy/20", { limit = limit })
      return i
    end, neap.range(60)):prefetch({ workers = 2, concurrency = 20 }))
    p:totable()
    assert.equal("5", (neap.http.get(url .. "/most")))
  end)

  it("may be thousands in one worker", function()
    local url = server.url
    local p = support.close_later(neap.map(function()
      return (neap.http.get(url .. "/delay/1000", { timeout = 30 }))
    end, neap.range(2000)):prefetch({
      workers = 1, concurrency = 2000, buffered = 2000,
    }))
    local took = seconds(function()
      for _, x in p:each() do
        assert.equal("late", x)
      end
    end)
    assert.truthy(took < 60, took)
  end)

  it("leave connections that cost an idle worker nothing", function()
    local url = server.url
    local p = support.close_later(neap.map(function()
      local ffi = require("ffi")
      ffi.cdef("int getpid(void);")
      neap.http.get(url .. "/delay/20")
      return ffi.C.getpid()
    end, neap.range(100)):prefetch({ workers = 1, concurrency = 50 }))
    local pid
    for _, x in p:each() do
      pid = x
    end
    local before = cpu_of(pid)
    neap.sleep(0.5)
    assert.truthy(open_connections() >= 20)
    assert.truthy(cpu_of(pid) - before <= 1)
  end)

  it("read files and a cache beside them", function()
    local url, path = server.url, support.write(folder .. "/file", "abc")
    local p = support.close_later(neap.zip(
      neap.url({ url .. "/ok", url .. "/page/1", url .. "/ok" },
        { cache = folder .. "/kept", max_age = 100 }),
      neap.map(function(i)
        return neap.read(path, i - 1, 1)
      end, neap.range(3))):prefetch({ workers = 1, concurrency = 3 }))
    assert.same({ "hello", "a" }, p[1])
    assert.same({ "hello", "c" }, p:totable()[3])
  end)
end)
