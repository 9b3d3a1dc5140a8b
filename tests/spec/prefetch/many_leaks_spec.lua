-- SPDX-License-Identifier: MIT
-- Items that wait and are left, 100,000 of them: no descriptor and no memory
-- stays behind.

local neap = require("neap")

local ITEMS = 100000

-- An item waits for a socket. Every fifth raises, and leaves its sockets to the
-- collector; every 40000th waits for ever, until its time is over.
local function use_socket(i)
  local socket, cqueues = require("cqueues.socket"), require("cqueues")
  local a, b = socket.pair()
  if i % 40000 == 0 then
    cqueues.poll(a, 3600)
  end
  cqueues.poll(a, 0)
  if i % 5 == 0 then
    error("left " .. i)
  end
  a:close()
  b:close()
  return i
end

local function descriptors(pid)
  local pipe = io.popen(("ls /proc/%s/fd | wc -l"):format(pid))
  local count = tonumber(pipe:read("*a"))
  pipe:close()
  return count
end

local function resident(pid)
  local file = io.open(("/proc/%s/statm"):format(pid))
  local pages = tonumber(file:read("*a"):match("^%d+ (%d+)"))
  file:close()
  return pages * 4096
end

local function read_all(p, pid_of)
  local highest, early, last = 0, nil, nil
  for i in p:each() do
    if i % 2501 == 0 then
      highest = math.max(highest, descriptors(pid_of()))
      last = resident(pid_of())
      early = early or i > ITEMS / 4 and last or nil
    end
  end
  return highest, last - early
end

describe("items that are left", function()
  for workers = 0, 1 do
    it("leave nothing behind, workers = " .. workers, function()
      local p = neap.range(ITEMS):map(use_socket):rescue(function(e)
        return e.kind
      end):prefetch({ workers = workers, concurrency = 50, timeout = 2 })
      local highest, growth = read_all(p, function()
        return workers == 0 and "self" or p:stats().workers[1].pid
      end)
      assert.equal(0, p:stats().restarts)
      assert.is_true(highest < 600, highest .. " descriptors")
      assert.is_true(growth < 8 * 2 ^ 20, growth .. " bytes")
      p:close()
      collectgarbage()
      collectgarbage()
    end)
  end
end)
