-- SPDX-License-Identifier: MIT
--- Limits: how many at once and in a second; among coroutines, workers, and
-- after deaths.

local cqueues = require("cqueues")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

-- Runs f(k) for k of 1..n in coroutines; returns the seconds that it takes.
local function together(n, f)
  local queue, before = cqueues.new(), cqueues.monotime()
  for k = 1, n do
    queue:wrap(f, k)
  end
  assert(queue:loop(10))
  assert.truthy(queue:empty())
  queue:close()
  return cqueues.monotime() - before
end

-- Counts how many run at once.
local function counter()
  local now, most = 0, 0
  return function(seconds)
    now = now + 1
    most = math.max(most, now)
    neap.sleep(seconds)
    now = now - 1
  end, function()
    return most
  end
end

-- The same over processes: each holds a file while it runs. Returns how many
-- there are.
local function hold(folder, i, seconds)
  local path = ("%s/%d"):format(folder, i)
  io.open(path, "w"):close()
  local pipe = io.popen("ls " .. folder .. " | wc -l")
  local count = tonumber(pipe:read("*a"))
  pipe:close()
  neap.sleep(seconds)
  os.remove(path)
  return count
end

describe("neap.limit", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("limits how many are done at once", function()
    local limit, run, most = neap.limit({ concurrency = 3 }), counter()
    local took = together(30, function()
      limit:run(run, 0.02)
    end)
    assert.equal(3, most())
    assert.truthy(took >= 0.2 and took < 10, took)
  end)

  it("limits how many are begun in a second", function()
    local limit = neap.limit({ rate = 200 })
    local took = together(60, function()
      limit:run(function() end)
    end)
    assert.truthy(took >= 0.27 and took < 10, took)
    local before = cqueues.monotime()
    for _ = 1, 20 do
      limit:run(function() end)
    end
    took = cqueues.monotime() - before
    assert.truthy(took >= 0.07 and took < 10, took)
  end)

  it("returns and raises what the function does", function()
    local limit = neap.limit({ concurrency = 1 })
    assert.same({ 3, nil, 5, n = 3 }, (function(...)
      return { n = select("#", ...), ... }
    end)(limit:run(function(...)
      return ...
    end, 3, nil, 5)))
    for _ = 1, 3 do
      assert.equal("no", support.raised(limit.run, limit, error, "no"))
    end
    assert.equal("limit(1 at once)", tostring(limit))
  end)

  for _, workers in ipairs({ 1, 4 }) do
    it(("is shared by workers: %d"):format(workers), function()
      local folder = support.folder()
      local limit = neap.limit({ concurrency = 2, rate = 1000 })
      local p = support.close_later(neap.map(function(i)
        return limit:run(hold, folder, i, 0.01)
      end, neap.range(40)):prefetch({ workers = workers, chunk = 1 }))
      local most = 0
      for _, count in p:each() do
        most = math.max(most, count)
      end
      assert.equal(math.min(2, workers), most)
      os.execute("rm -r " .. folder)
    end)
  end

  it("has a rate that workers share", function()
    local limit = neap.limit({ rate = 100 })
    local p = support.close_later(neap.map(function(i)
      limit:run(tostring, i)
      return i
    end, neap.range(50)):prefetch({ workers = 3, chunk = 1 }))
    local _ = p[1]
    local before = cqueues.monotime()
    p:totable()
    local took = cqueues.monotime() - before
    assert.truthy(took >= 0.3 and took < 1.5, took)
  end)

  it("is free again when a worker dies", function()
    local limit = neap.limit({ concurrency = 1 })
    local p = support.close_later(neap.map(function(i)
      return limit:run(function()
        if i == 5 then
          io.popen("kill -9 $PPID"):close()
          neap.sleep(5)
        end
        return i
      end)
    end, neap.range(10)):prefetch({ workers = 2, chunk = 1, retries = 1 }))
    local items = {}
    for i, x in p:each({ on_error = "skip" }) do
      items[#items + 1] = i == x and i
    end
    assert.same({ 1, 2, 3, 4, 6, 7, 8, 9, 10 }, items)
  end)

  it("is free again when a coroutine is dropped", function()
    local limit = neap.limit({ concurrency = 1 })
    local queue = cqueues.new()
    for _ = 1, 3 do
      queue:wrap(limit.run, limit, neap.sleep, 100)
    end
    queue:step(0.1)
    queue:step(0.1)
    queue:close()
    collectgarbage()
    collectgarbage()
    assert.truthy(together(2, function()
      limit:run(neap.sleep, 0.01)
    end) < 3)
  end)

  it("does not wait for ever for a coroutine that nobody resumes", function()
    local limit = neap.limit({ rate = 1 })
    limit:run(type, 1)
    local queue = cqueues.new()
    for _ = 1, 3 do
      queue:wrap(limit.run, limit, type, 1)
    end
    queue:step(0.1)
    queue:step(0.1)
    queue:close() -- the first one had the turn, and a time
    local other = neap.limit({ rate = 1 })
    assert.truthy(together(1, function()
      limit:run(type, 1)
      other:run(type, 1)
    end) < 5)
  end)

  it("says nothing of the items: a snapshot's key is the same", function()
    local folder = support.folder()
    for _ = 1, 2 do
      local limit = neap.limit({ rate = 1000 })
      neap.snapshot(neap.map(function(i)
        return limit:run(tostring, i)
      end, neap.range(3)), folder, { workers = 0 })
    end
    assert.truthy(support.shell("ls " .. folder):find("^[^\n]+\n$"))
    os.execute("rm -r " .. folder)
  end)

  it("works in a loader file", function()
    local path = support.write(os.tmpname() .. ".lua", [[
      local neap = require("neap")
      return neap.loader({
        build = function()
          local limit = neap.limit({ concurrency = 1, rate = 1000 })
          return neap.map(function(i)
            return limit:run(tostring, i)
          end, neap.range(5))
        end,
        prefetch = { workers = 2 },
      })]])
    local result = support.command({ "run", path, "--json" })
    assert.equal(0, result.status, result.err)
    os.remove(path)
  end)

  it("refuses what is no limit", function()
    local function message(...)
      return support.message(neap.limit, ...)
    end
    assert.equal("bad argument #1 to 'limit' (rate or concurrency expected)",
      message({}))
    assert.truthy(message({ rate = 0 }):find("number above 0 expected"))
    assert.truthy(message({ concurrency = 5000 })
      :find("whole number, 1 to 4000, expected"))
    assert.truthy(support.message(neap.limit({ rate = 1 }).run, print)
      :find("write limit:run(...), with a colon", 1, true))
    assert.truthy(support.message(neap.http.get, "http://a", { limit = {} })
      :find("option 'limit': neap.limit expected", 1, true))
  end)
end)
