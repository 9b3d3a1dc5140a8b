-- SPDX-License-Identifier: MIT
--- Connections to HTTP servers, kept open for the requests that follow.
-- Each process keeps its own: those that no request uses, by what they lead to.
-- lua-http opens them, with TLS and what the environment says of proxies. HTTP
-- 1.1 only: lua-http's HTTP/2 client can wait for ever.
-- @module neap.waiting.http_connection

local ffi = require("ffi")
local Failure = require("neap.waiting.http_failure")
local http_url = require("neap.waiting.http_url")
local loop = require("neap.waiting.loop")
local message = require("neap.waiting.http_message")
local traverse = require("neap.base.traverse")

local IDLE_MAX = 256 -- connections that are kept open without a request
local IDLE_S = 30 -- and for how long

ffi.cdef([[
  typedef struct neap_http_limit { unsigned long now, most; } neap_http_limit;
  int neap_http_get_limit(int which, neap_http_limit *limit)
    __asm__("getrlimit");
  int neap_http_set_limit(int which, const neap_http_limit *limit)
    __asm__("setrlimit");
]])

local connection = {}

local DESCRIPTORS = 7 -- RLIMIT_NOFILE
local DESCRIPTORS_MAX = 2 ^ 16

-- Lets this process have more descriptors: a connection takes one, and the 1024
-- that are usual are for programs that call select().
local function raise_limit()
  local limit = ffi.new("neap_http_limit")
  if ffi.C.neap_http_get_limit(DESCRIPTORS, limit) == 0
    and limit.now < DESCRIPTORS_MAX then
    limit.now = math.min(tonumber(limit.most), DESCRIPTORS_MAX)
    ffi.C.neap_http_set_limit(DESCRIPTORS, limit)
  end
end

local lib = false -- what is used of lua-http, cqueues and OpenSSL

local function load()
  local found = loop.load("send HTTP requests", "lua-http", {
    "basexx", "cqueues", "cqueues.errno", "cqueues.socket", "http.client",
    "http.h1_reason_phrases", "http.proxies", "http.tls", "openssl.ssl.context",
    "openssl.x509.store",
  })
  lib = {
    cqueues = found.cqueues, errno = found["cqueues.errno"],
    socket = found["cqueues.socket"], client = found["http.client"],
    tls = found["http.tls"], to_base64 = found.basexx.to_base64,
    reasons = found["http.h1_reason_phrases"],
    context = found["openssl.ssl.context"],
    store = found["openssl.x509.store"],
    proxies = found["http.proxies"].new():update(),
  }
  raise_limit()
  return lib
end

--- The modules of lua-http; the first call loads them.
function connection.modules()
  return lib or load()
end

-- -- Opening -----------------------------------------------------------------

local contexts = {} -- how certificates are verified -> OpenSSL's context

local function context_of(options)
  local key = tostring(options.verify) .. " " .. (options.ca or "")
  if not contexts[key] then
    local context = lib.tls.new_client_context()
    if options.verify == false then
      context:setVerify(lib.context.VERIFY_NONE)
    end
    if options.ca then
      local ok, why = pcall(function()
        context:setStore(lib.store.new():add(options.ca))
      end)
      if not ok then
        Failure.raise(("cannot read certificates of %s: %s"):format(options.ca,
          tostring(why):gsub("^.-: ", "")))
      end
    end
    contexts[key] = context
  end
  return contexts[key]
end

local CERTIFICATE_HELP = "to trust a certificate of your own, name the PEM "
  .. 'file of its authority: ca = "ca.pem"'

--- What an error of the system's, or of a resolver's, is called.
function connection.text_of(errno)
  return errno and lib.errno.strerror(errno) or "the server closed it"
end

local text_of = connection.text_of

-- Seconds that are left of the time for opening a connection.
local function left_of(ends)
  return math.max(0, ends - lib.cqueues.monotime())
end

local function fail_tls(target, why, errno, timeout)
  why = tostring(why):gsub("^starttls: ", "")
  local what = why:match("([^:]*)$")
  if errno == lib.errno.ETIMEDOUT then
    Failure.passing("no TLS connection to %s within %s", target.authority,
      Failure.seconds(timeout))
  elseif why:find("certificate verify failed", 1, true) then
    Failure.raise(("the certificate of %s is not valid: %s"):format(
      target.authority, what), CERTIFICATE_HELP)
  end
  Failure.passing("cannot begin TLS with %s: %s", target.authority,
    errno and what or text_of(errno))
end

local function start_tls(socket, target, options, timeout, ends)
  local conn, why, errno = lib.client.negotiate(socket, {
    host = target.host, tls = true, version = 1.1, ctx = context_of(options),
  }, left_of(ends))
  if not conn then
    fail_tls(target, why, errno, timeout)
  end
end

local function errno_of(_, _, errno)
  return errno
end

local function connect(socket, target, timeout)
  socket:onerror(errno_of)
  local ok, errno = socket:connect(timeout)
  if not ok and errno == lib.errno.ETIMEDOUT then
    Failure.passing("cannot connect to %s within %s", target.authority,
      Failure.seconds(timeout))
  elseif not ok then
    Failure.passing("cannot connect to %s: %s", target.authority,
      text_of(errno))
  end
end

--- The proxy of a URL, as parts of a URL, or nil.
function connection.proxy_of(target, options)
  local text = options.proxy
  if text == nil then
    text = lib.proxies:choose(target.scheme, target.host)
  end
  if not text or text == "" then
    return nil
  end
  local proxy = http_url.parse(text:find("://", 1, true) and text
    or "http://" .. text)
  if not proxy or proxy.scheme ~= "http" then
    Failure.raise("cannot use the proxy " .. text:gsub("//.*@", "//")
      .. ": only proxies of http:// can be used",
      "proxy = false does without one")
  end
  return proxy
end

--- The value of a header that says who asks.
function connection.credentials(userinfo)
  local text = userinfo:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return "Basic " .. lib.to_base64(text)
end

-- Asks a proxy for a connection to a server.
local function tunnel(socket, target, proxy, ends)
  local name = (target.host:find(":", 1, true) and "[%s]:%d" or "%s:%d")
    :format(target.host, target.port)
  local headers = { "Host", name }
  if proxy.userinfo then
    headers[3] = "Proxy-Authorization"
    headers[4] = connection.credentials(proxy.userinfo)
  end
  socket:xwrite(message.head("CONNECT", name, headers), "n", left_of(ends))
  local head = message.read_head({
    rest = "", name = "the proxy " .. proxy.authority,
    read = function(_, n)
      return (socket:xread(-n, left_of(ends)))
    end,
  }, "CONNECT")
  if head.status >= 300 then
    Failure.raise(("the proxy %s does not connect to %s: status %d"):format(
      proxy.authority, target.authority, head.status))
  end
end

local function open_on(socket, target, proxy, options, timeout)
  local ends = lib.cqueues.monotime() + timeout
  connect(socket, proxy or target, timeout)
  socket:setmode("b", "bf")
  if target.scheme == "https" then
    if proxy then
      tunnel(socket, target, proxy, ends)
    end
    start_tls(socket, target, options, timeout, ends)
    socket:setmode("b", "bf")
    socket:onerror(errno_of)
  end
end

-- Opens a connection.
local function open(target, proxy, options, timeout)
  local to = proxy or target
  local socket, why = lib.socket.connect({
    host = to.host, port = to.port, nodelay = true, sendname = false,
  })
  if not socket then
    Failure.passing("cannot connect to %s: %s", to.authority, text_of(why))
  end
  local ok, e = pcall(open_on, socket, target, proxy, options, timeout)
  if not ok then
    socket:close()
    error(e, 0)
  end
  return socket
end

-- -- Keeping -----------------------------------------------------------------

local idle = {} -- what they lead to -> a stack of connections
local idle_count = 0

local function key_of(target, proxy, options)
  return table.concat({
    target.scheme, target.host, target.port, proxy and proxy.authority or "",
    tostring(options.verify), options.ca or "",
  }, " ")
end

-- Whether the server has left a connection open, and sent nothing more.
local function is_usable(conn)
  local ok, errno = conn.socket:fill(1, 0)
  conn.socket:clearerr()
  return not ok and errno == lib.errno.ETIMEDOUT
    and lib.cqueues.monotime() < conn.idle_until
end

local function take_idle(key)
  local stack = idle[key]
  local conn = stack and table.remove(stack)
  while conn do
    idle_count = idle_count - 1
    if is_usable(conn) then
      return conn
    end
    conn.socket:close()
    conn = table.remove(stack)
  end
end

--- Returns a connection. The caller closes it, or keeps it for others.
-- @tparam table target parts of a URL
-- @param proxy parts of a URL, or nil
-- @tparam table options
-- @tparam number timeout seconds for a new one
-- @tparam boolean must_be_new
-- @treturn table socket; uses: how many requests it has served, with this one
function connection.take(target, proxy, options, timeout, must_be_new)
  local key = key_of(target, proxy, options)
  local conn = not must_be_new and take_idle(key)
  if not conn then
    conn = {
      socket = open(target, proxy, options, timeout), key = key, uses = 0,
      idle_until = 0,
    }
  end
  conn.uses = conn.uses + 1
  return conn
end

-- Closes the connections that are kept until a time.
local function close_until(time)
  for _, key in ipairs(traverse.keys(idle)) do
    local kept = {}
    for _, conn in ipairs(idle[key]) do
      if conn.idle_until > time then
        kept[#kept + 1] = conn
      else
        conn.socket:close()
        idle_count = idle_count - 1
      end
    end
    idle[key] = kept[1] and kept
  end
end

--- Keeps a connection, whose answer was read to its end, for other requests.
function connection.keep(conn)
  if idle_count >= IDLE_MAX then
    close_until(lib.cqueues.monotime())
  end
  if idle_count >= IDLE_MAX then
    return connection.close(conn)
  end
  local stack = idle[conn.key] or {}
  idle[conn.key] = stack
  stack[#stack + 1] = conn
  conn.idle_until = lib.cqueues.monotime() + IDLE_S
  idle_count = idle_count + 1
end

--- Closes a connection.
function connection.close(conn)
  conn.socket:close()
end

--- Closes the connections that no request uses.
function connection.close_idle()
  close_until(1 / 0)
end

return connection
