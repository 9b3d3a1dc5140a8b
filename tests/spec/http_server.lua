-- SPDX-License-Identifier: MIT
--- A web server for specs, which can misbehave in each way that a client must
-- bear. The path of a request says what becomes of it.
--
-- Loaded, it returns start(). Run as a script, it is the server: it writes its
-- ports to a file, and ends when its standard input does.

local ffi = require("ffi")

local is_server = arg and arg[0] and arg[0]:find("http_server%.lua$")

-- -- Starting ----------------------------------------------------------------

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function make_certificate(folder)
  local command = ("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
    .. "-subj /CN=localhost -addext subjectAltName=DNS:localhost "
    .. "-keyout key.pem -out cert.pem 2>/dev/null"):format(quote(folder))
  assert(os.execute(command) == 0, "cannot make a certificate with openssl")
end

--- Starts a server in a process of its own.
-- @tparam string folder for its files
-- @tparam string neap the executable
-- @treturn table url, tls_url (without a "/" at the end), ca (path of the
--   certificate), close()
local function start(folder, neap)
  make_certificate(folder)
  local ports = folder .. "/ports"
  local pipe = io.popen(("%s tests/spec/http_server.lua %s 2>%s"):format(
    quote(neap), quote(folder), quote(folder .. "/err")), "w")
  local file
  for _ = 1, 5000 do
    file = io.open(ports)
    if file then
      break
    end
    ffi.C.poll(nil, 0, 2)
  end
  local plain, tls = assert(file, "the server does not start"):read("*n", "*n")
  file:close()
  return {
    url = "http://127.0.0.1:" .. plain, tls_url = "https://localhost:" .. tls,
    port = plain, ca = folder .. "/cert.pem",
    close = function()
      pipe:close()
      os.remove(ports)
    end,
  }
end

if not is_server then
  return start
end

-- -- The server --------------------------------------------------------------

local folder = arg[1]
local cqueues = require("cqueues")
local socket = require("cqueues.socket")

ffi.cdef([[
  int setsockopt(int fd, int level, int name, const void *value, unsigned n);
]])

local counts = {} -- key -> how often it was asked for
local connections, requests, open = 0, 0, 0

local function count(key)
  counts[key] = (counts[key] or 0) + 1
  return counts[key]
end

local function answer(c, status, body, headers)
  local lines = { ("HTTP/1.1 %s"):format(status) }
  for name, value in pairs(headers or {}) do
    lines[#lines + 1] = name .. ": " .. value
  end
  lines[#lines + 1] = "content-length: " .. #body
  c:write(table.concat(lines, "\r\n"), "\r\n\r\n", body)
  c:flush()
  return true -- the connection stays open
end

-- Makes the client get a reset, not an end.
local function reset(c)
  ffi.C.setsockopt(c:pollfd(), 1, 13, ffi.new("int[2]", 1, 0), 8)
end

local BODY = {} -- 1000 bytes, each its place
for k = 1, 1000 do
  BODY[k] = string.char((k - 1) % 256)
end
BODY = table.concat(BODY)

-- path -> what answers: f(connection, request, what follows in the path)
local paths = {}

function paths.ok(c)
  return answer(c, "200 OK", "hello")
end

function paths.echo(c, request)
  local lines = { request.method .. " " .. request.target }
  for _, name in ipairs(request.names) do
    lines[#lines + 1] = name .. ": " .. request.headers[name]
  end
  lines[#lines + 1] = request.body
  return answer(c, "200 OK", table.concat(lines, "\n"))
end

function paths.count(c)
  return answer(c, "200 OK", ("%d %d %d"):format(connections, requests, open))
end

function paths.size(c, _, n)
  return answer(c, "200 OK", ("x"):rep(tonumber(n)))
end

function paths.delay(c, _, ms)
  cqueues.sleep(tonumber(ms) / 1000)
  return answer(c, "200 OK", "late")
end

function paths.status(c, _, status)
  return answer(c, status:gsub("_", " "), "because of it")
end

function paths.hang(c)
  c:read(1)
end

function paths.slow(c)
  local text = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    .. ("x"):rep(1000)
  for k = 1, #text do
    c:write(text:sub(k, k))
    c:flush()
    cqueues.sleep(k < #text - 1000 and 0.002 or 0.02)
  end
end

function paths.drip(c) -- all of it, in 0.3 s
  c:write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n")
  for _ = 1, 3 do
    cqueues.sleep(0.1)
    c:write("x")
    c:flush()
  end
  return true
end

function paths.stall(c)
  c:write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789")
  c:flush()
  c:read(1)
end

paths.reset = reset

function paths.cut(c)
  c:write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789")
  c:flush()
end

function paths.cut_chunk(c)
  c:write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n012345")
  c:flush()
end

function paths.reset_body(c)
  paths.cut(c)
  cqueues.sleep(0.05)
  reset(c)
end

function paths.chunks(c)
  c:write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\ntrailer: 1\r\n\r\n")
  c:flush()
  return true
end

function paths.no_length(c)
  c:write("HTTP/1.1 200 OK\r\n\r\nuntil the end")
  c:flush()
end

function paths.old(c)
  c:write("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold")
  c:flush()
  cqueues.sleep(0.2)
end

function paths.much(c)
  c:write("HTTP/1.1 200 OK\r\n\r\n")
  local piece = ("x"):rep(65536)
  for _ = 1, 10000 do
    if not c:write(piece) or not c:flush() then
      return
    end
  end
end

function paths.long_chunk(c)
  c:write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n")
  local piece = ("x"):rep(65536)
  for _ = 1, 10000 do
    if not c:write(piece) or not c:flush() then
      return
    end
  end
end

function paths.more(c) -- than its length
  c:write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef")
  c:flush()
  return true
end

function paths.huge(c)
  c:write("HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\nx")
  c:flush()
end

local broken = {
  garbage = "this is no HTTP\r\n\r\n",
  nul = "\0\0\0\0\0\0\0\0\r\n",
  length = "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
  lengths = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n"
    .. "hello",
  text_length = "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
  chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nhello",
  chunk_end = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    .. "5\r\nhellohello",
  encoding = "HTTP/1.1 200 OK\r\ntransfer-encoding: foo\r\n\r\nhello",
  gzip = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n"
    .. "5\r\nhello\r\n0\r\n\r\n",
  header = "HTTP/1.1 200 OK\r\nno colon here\r\n\r\nhello",
  headers = "HTTP/1.1 200 OK\r\n" .. ("a: b\r\n"):rep(20000) .. "\r\n",
  line = "HTTP/1.1 200 OK\r\na: " .. ("b"):rep(10 ^ 6) .. "\r\n\r\n",
  status = "HTTP/1.1 99999 OK\r\n\r\n",
  switch = "HTTP/1.1 101 Switching Protocols\r\nupgrade: foo\r\n\r\n",
  nothing = "",
  connection = "HTTP/1.1 200 OK\r\nconnection: ,;,\r\ncontent-length: 2\r\n\r\n"
    .. "ok",
}

function paths.broken(c, _, which)
  c:write(broken[which])
  c:flush()
end

function paths.continues(c)
  for _ = 1, 100 do
    c:write("HTTP/1.1 100 Continue\r\n\r\n")
    c:flush()
    cqueues.sleep(0.05)
  end
end

function paths.early(c)
  c:write("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
  return answer(c, "200 OK", "after hints")
end

function paths.loop(c, _, k)
  return answer(c, "302 Found", "", { location = "/loop/" .. k + 1 })
end

function paths.to(c, _, where)
  where = where:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return answer(c, "302 Found", "moved", { location = where })
end

function paths.see(c)
  return answer(c, "303 See Other", "", { location = "../echo?x=1" })
end

function paths.keep(c)
  return answer(c, "307 Temporary Redirect", "", { location = "/echo" })
end

local function flaky(fails)
  return function(c, _, rest)
    local times, key = rest:match("^(%d+)/(.*)$")
    if count(key) <= tonumber(times) then
      return fails(c)
    end
    return answer(c, "200 OK", ("try %d"):format(counts[key]))
  end
end

paths.flaky = flaky(function(c)
  return answer(c, "503 Service Unavailable", "busy")
end)
paths.drop = flaky(function() end)
paths.stuck = flaky(paths.hang)
paths.retry_after = flaky(function(c)
  return answer(c, "429 Too Many Requests", "", { ["retry-after"] = "1" })
end)
paths.retry_date = flaky(function(c)
  return answer(c, "503 Service Unavailable", "", {
    ["retry-after"] = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 2),
  })
end)

function paths.later(c)
  return answer(c, "429 Too Many Requests", "", { ["retry-after"] = "3600" })
end

-- Says that the connection stays open, and closes it.
function paths.stale(c, _, ms)
  answer(c, "200 OK", "bye")
  cqueues.sleep((tonumber(ms) or 0) / 1000)
end

-- Answers a first request of a connection; closes it at the next one.
function paths.once(c, request)
  if request.number > 1 then
    return
  end
  return answer(c, "200 OK", "first")
end

function paths.range(c, request)
  local first, last = (request.headers.range or ""):match("^bytes=(%d+)-(%d*)$")
  first, last = tonumber(first), tonumber(last)
  if not first then
    return answer(c, "200 OK", BODY)
  elseif first >= #BODY then
    return answer(c, "416 Range Not Satisfiable", "")
  end
  last = math.min(last or #BODY - 1, #BODY - 1)
  return answer(c, "206 Partial Content", BODY:sub(first + 1, last + 1), {
    ["content-range"] = ("bytes %d-%d/%d"):format(first, last, #BODY),
  })
end

function paths.no_range(c)
  return answer(c, "200 OK", BODY)
end

function paths.other_range(c)
  return answer(c, "206 Partial Content", "abc",
    { ["content-range"] = "bytes 7-9/1000" })
end

-- A page whose tag is the number in the file "version".
function paths.page(c, request)
  local file = io.open(folder .. "/version")
  local tag = '"' .. file:read("*l") .. '"'
  file:close()
  count("page")
  if request.headers["if-none-match"] == tag then
    count("same")
    return answer(c, "304 Not Modified", "", { etag = tag })
  end
  return answer(c, "200 OK", ("page %s of version %s"):format(request.target,
    tag), { etag = tag })
end

function paths.asked(c, _, key)
  return answer(c, "200 OK", tostring(counts[key] or 0))
end

-- How many requests for it were there at once at most.
local now, most = 0, 0

function paths.busy(c, _, ms)
  now = now + 1
  most = math.max(most, now)
  cqueues.sleep(tonumber(ms) / 1000)
  now = now - 1
  return answer(c, "200 OK", "done")
end

function paths.most(c)
  local was = most
  most = 0
  return answer(c, "200 OK", tostring(was))
end

-- -- As a proxy --------------------------------------------------------------

local function copy(from, to)
  while true do
    local data = from:read(-4096)
    if not data or not to:write(data) or not to:flush() then
      break
    end
  end
  to:shutdown("w")
end

local function tunnel(c, request)
  if request.headers["proxy-authorization"] ~= "Basic dTpw" then -- u:p
    return answer(c, "407 Proxy Authentication Required", "")
  end
  local host, port = request.target:match("^(.*):(%d+)$")
  local to = socket.connect({ host = host, port = port, mode = "bn" })
  to:setmode("bn", "bn")
  c:setmode("bn", "bn")
  c:write("HTTP/1.1 200 Connection established\r\n\r\n")
  c:flush()
  count("tunnel")
  local running = cqueues.running()
  running:wrap(pcall, copy, to, c)
  copy(c, to)
end

-- -- Connections -------------------------------------------------------------

local function read_request(c, number)
  local line = c:read("*l")
  local method, target = (line or ""):match("^(%u+) (%S+) HTTP/1.1\r?$")
  if not method then
    return nil
  end
  local request = {
    method = method, target = target, headers = {}, names = {}, number = number,
  }
  while true do
    local name, value = (c:read("*l") or ""):match("^([^:]+): (.-)\r?$")
    if not name then
      break
    end
    name = name:lower()
    request.headers[name] = value
    request.names[#request.names + 1] = name
  end
  table.sort(request.names)
  local nbytes = tonumber(request.headers["content-length"]) or 0
  request.body = nbytes > 0 and c:read(nbytes) or ""
  return request
end

local function respond(c, request)
  if request.method == "CONNECT" then
    return tunnel(c, request)
  elseif request.target:find("^http://") then
    return answer(c, "200 OK", "through a proxy: " .. request.target)
  end
  local name, rest = request.target:match("^/([%w_]+)/?([^?]*)")
  if not paths[name] then
    return answer(c, "404 Not Found", "no such page")
  end
  return paths[name](c, request, rest)
end

local function serve(c, context)
  c:setmode("bf", "bf")
  c:onerror(function(_, _, why)
    return why
  end)
  local number = 0
  if not context or c:starttls(context, 10) then
    repeat
      number = number + 1
      local request = read_request(c, number)
      requests = requests + (request and 1 or 0)
    until not request or not respond(c, request)
  end
end

local function listen(queue, context)
  local s = socket.listen({ host = "127.0.0.1", port = 0 })
  assert(s:listen())
  queue:wrap(function()
    for c in s:clients() do
      queue:wrap(function()
        connections, open = connections + 1, open + 1
        local ok, why = pcall(serve, c, context)
        c:close()
        open = open - 1
        if not ok then
          io.stderr:write(tostring(why), "\n")
        end
      end)
    end
  end)
  local _, _, port = s:localname()
  return port
end

local function tls_context()
  local context = require("http.tls").new_server_context()
  local function text(name)
    local file = assert(io.open(folder .. "/" .. name))
    local found = file:read("*a")
    file:close()
    return found
  end
  context:setCertificate(require("openssl.x509").new(text("cert.pem")))
  context:setPrivateKey(require("openssl.pkey").new(text("key.pem")))
  return context
end

local queue = cqueues.new()
local plain, tls = listen(queue), listen(queue, tls_context())
queue:wrap(function()
  local input = socket.fdopen(0)
  input:read("*a")
  os.exit(0)
end)
local path = folder .. "/ports"
local file = io.open(path .. ".new", "w")
file:write(plain, " ", tls, "\n")
file:close()
os.rename(path .. ".new", path)
assert(queue:loop())
