-- SPDX-License-Identifier: MIT
-- Requests without end, good and bad ones, of many items at once, with jumps:
-- workers must have as many descriptors and as much memory at the end as after
-- a tenth of them.
--   neap tests/stress/requests.lua [COUNT | --long]    (--long: 100,000)

local ffi = require("ffi")
local neap = require("neap")
local start = dofile("tests/spec/http_server.lua")

ffi.cdef([[
  int poll(void *polls, unsigned long count, int timeout_ms);
  int getpid(void);
]])

local COUNT = arg[1] == "--long" and 100000 or tonumber(arg[1]) or 6000
local WORKERS, CONCURRENCY = 2, 50
local BYTES_MAX = 4 * 2 ^ 20 -- that a worker may have more at the end
local DESCRIPTORS_MAX = 60 -- the same: connections that it keeps come and go

local PATHS = {
  "ok", "chunks", "size/3000", "cut", "cut_chunk", "reset", "once", "stale",
  "broken/garbage", "broken/chunk", "status/404_Not_Found", "loop/1",
  "much", "no_length", "to/%2Fok", "range", "stall", "early",
}

local pipe = io.popen("mktemp -d")
local folder = pipe:read("*l")
pipe:close()
local server = start(folder, arg[-1])
local url = server.url

local limit = neap.limit({ concurrency = 90 })
local p = neap.range(COUNT):map(function(i)
  local ok, x = pcall(neap.http.get, url .. "/" .. PATHS[i % #PATHS + 1], {
    retries = i % 2, idle_timeout = 0.05, max_bytes = 20000, limit = limit,
  })
  return { ok = ok, nbytes = ok and #x or 0, why = not ok and tostring(x) }
end):prefetch({ workers = WORKERS, concurrency = CONCURRENCY })

-- Of this process's children that are workers: descriptors, private bytes.
local function workers()
  local list = {}
  local children = io.popen(("pgrep -P %d -f -- '[-]-worker'"):format(
    ffi.C.getpid()))
  for pid in children:lines() do
    local status = io.open("/proc/" .. pid .. "/status")
    local text = status and status:read("*a") or ""
    local count = io.popen("ls /proc/" .. pid .. "/fd 2>/dev/null | wc -l")
    list[#list + 1] = {
      descriptors = count:read("*n"),
      bytes = (tonumber(text:match("RssAnon:%s+(%d+)")) or 0) * 1024,
    }
    count:close()
    status:close()
  end
  children:close()
  return list
end

local function total(list, field)
  local sum = 0
  for _, worker in ipairs(list) do
    sum = sum + worker[field]
  end
  return sum
end

local bad, before = 0, nil
local function look(i, page)
  local path = PATHS[i % #PATHS + 1]
  if not page.ok then
    bad = bad + 1
    assert(page.why:find("cannot get http://", 1, true), page.why)
  elseif path == "size/3000" then
    assert(page.nbytes == 3000)
  end
end

-- A tenth at a time; after each, a jump there and back, which leaves requests
-- on their way.
for part = 1, 10 do
  local first, last = (part - 1) * COUNT / 10 + 1, part * COUNT / 10
  p:seek(first)
  for i, page in p:each() do
    look(i, page)
    if i == last then
      break
    end
  end
  local now = workers()
  before = before or now
  print(("%d requests: %d descriptors, %.1f MiB"):format(last,
    total(now, "descriptors"), total(now, "bytes") / 2 ^ 20))
  p:seek(1)
  local _ = p[COUNT]
end

local now = workers()
assert(#now == WORKERS, "there are other workers than at first")
local descriptors = total(now, "descriptors") - total(before, "descriptors")
local bytes = total(now, "bytes") - total(before, "bytes")
p:close()
server.close()
os.execute("rm -r " .. folder)
assert(bad > COUNT / 4)
if descriptors > DESCRIPTORS_MAX * WORKERS or bytes > BYTES_MAX * WORKERS then
  io.stderr:write(("workers have %d descriptors and %d bytes more\n"):format(
    descriptors, bytes))
  os.exit(1)
end
print("ok")
