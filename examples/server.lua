-- SPDX-License-Identifier: MIT
-- A local web server that replies after a delay: for crawl.lua and
-- save_primes.lua, which start one of their own unless they are told another.
--
-- neap examples/server.lua [--port N] [--delay MS]
--   GET /page/7     a page of 1000 to 2000 bytes
--   PUT /prime/7    keeps the body; GET /primes tells how many there are
-- It ends where its input does (Ctrl-D).

local cqueues = require("cqueues")
local socket = require("cqueues.socket")

local options = { port = 0, delay = 100 }
for k = 1, #arg, 2 do
  local name, value = arg[k]:match("^%-%-(%l+)$"), tonumber(arg[k + 1])
  if not (options[name or 0] and value) then
    error("usage: server.lua [--port N] [--delay MS]", 0)
  end
  options[name] = value
end

local primes, count = {}, 0

local function respond(method, path, body)
  local page = tonumber(path:match("^/page/(%d+)$"))
  if page then
    return ("x"):rep(1000 + page * 7919 % 1001)
  elseif path == "/primes" then
    return tostring(count)
  elseif method == "PUT" and path:find("^/prime/%d+$") then
    count = count + (primes[path] and 0 or 1)
    primes[path] = body
    return "saved"
  end
end

-- Reads a request; nil at the end of the connection.
local function read(c)
  local method, path = (c:read("*l") or ""):match("^(%u+) (%S+) HTTP/1%.1")
  local length, line = 0, method and c:read("*l")
  while line and line:find("%S") do
    length = tonumber(line:lower():match("^content%-length: (%d+)")) or length
    line = c:read("*l")
  end
  return method, path, length > 0 and c:read(length) or ""
end

local function serve(c)
  c:setmode("b", "bf")
  c:onerror(function(_, _, why)
    return why
  end)
  while true do
    local method, path, body = read(c)
    if not method then
      break
    end
    cqueues.sleep(options.delay / 1000)
    local page = respond(method, path, body)
    c:write(("HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s"):format(
      page and "200 OK" or "404 Not Found", #(page or ""), page or ""))
    c:flush()
  end
  c:close()
end

local loop = cqueues.new()
local s = socket.listen({ host = "127.0.0.1", port = options.port })
assert(s:listen())
local _, host, port = s:localname()
print(("http://%s:%d waits %d ms with each reply"):format(host, port,
  options.delay))
--> http://127.0.0.1:N waits 100 ms with each reply
io.stdout:flush()

loop:wrap(function()
  for c in s:clients() do
    loop:wrap(serve, c)
  end
end)
loop:wrap(function()
  socket.fdopen(0):read("*a")
  os.exit(0)
end)
assert(loop:loop())
