-- SPDX-License-Identifier: MIT
--- One request over one connection, and its answer.
-- Every step waits until a deadline, and not longer than idle_timeout without a
-- byte from the server.
-- @module neap.waiting.http_exchange

local class = require("neap.base.class")
local connection = require("neap.waiting.http_connection")
local Failure = require("neap.waiting.http_failure")
local message = require("neap.waiting.http_message")

local DRAIN_MAX = 64 * 2 ^ 10 -- bytes of a body that nobody wants, read so that
-- the connection can be kept

local lib = false

-- -- Reading -----------------------------------------------------------------

-- What a message is read from: a connection, until an exchange's deadline.
local Reader = class("waiting.http_exchange")

local function fail_late(exchange, idle_s, what)
  local options = exchange.options
  if lib.cqueues.monotime() >= exchange.deadline then
    Failure.raise(("timeout after %s, %s"):format(
      Failure.seconds(options.timeout), what))
  end
  Failure.passing("%s sent nothing for %s, %s", exchange.target.authority,
    Failure.seconds(idle_s), what)
end

-- Raises why a socket cannot be used.
local function fail_socket(exchange, idle_s, what, errno)
  if errno == lib.errno.ETIMEDOUT then
    fail_late(exchange, idle_s, what)
  end
  local is_plain = errno == nil or errno == lib.errno.EPIPE
  Failure.closed("%s closed the connection %s%s", exchange.target.authority,
    what, is_plain and "" or " (" .. connection.text_of(errno) .. ")")
end

local function left_of(exchange)
  return math.max(0, exchange.deadline - lib.cqueues.monotime())
end

function Reader:read(n, what)
  local exchange = self.exchange
  local idle_s = math.min(left_of(exchange), exchange.options.idle_timeout)
  local data, errno = self.socket:xread(-n, idle_s)
  if not data and errno and errno ~= lib.errno.EPIPE then
    fail_socket(exchange, idle_s, what, errno)
  end
  return data
end

-- -- Sending -----------------------------------------------------------------

local function add(list, name, value)
  list[#list + 1] = name
  list[#list + 1] = value
end

local function add_range(list, offset, bytes)
  if offset then
    add(list, "Range", ("bytes=%d-%s"):format(offset,
      bytes and ("%d"):format(offset + bytes - 1) or ""))
  end
end

local function add_own(list, exchange)
  local own = exchange.options.headers
  for k = 1, #own, 2 do
    if exchange.is_same_site or not exchange.secret[own[k]] then
      add(list, own[k], own[k + 1])
    end
  end
end

local function headers_of(exchange)
  local target, options, proxy = exchange.target, exchange.options,
    exchange.proxy
  local list = { "Host", target.authority }
  if not options.named["user-agent"] then
    add(list, "User-Agent", options.agent)
  end
  if proxy and proxy.userinfo and target.scheme == "http" then
    add(list, "Proxy-Authorization", connection.credentials(proxy.userinfo))
  end
  if target.userinfo and not options.named.authorization then
    add(list, "Authorization", connection.credentials(target.userinfo))
  end
  add_range(list, options.offset, options.bytes)
  add_own(list, exchange)
  if exchange.body then
    add(list, "Content-Length", ("%d"):format(#exchange.body))
  end
  return list
end

-- Sends the request. What a server answers before it has read all of it counts:
-- then the connection may end while it is sent.
local function send(exchange, socket)
  local is_through = exchange.proxy and exchange.target.scheme == "http"
  local text = message.head(exchange.method, is_through
    and exchange.target.text or exchange.target.path, headers_of(exchange))
    .. (exchange.body or "")
  local ok, errno = socket:xwrite(text, "n", left_of(exchange))
  if not ok and errno == lib.errno.ETIMEDOUT then
    fail_late(exchange, 0, "while the request was sent")
  end
  return ok, errno
end

-- -- Receiving ---------------------------------------------------------------

local TOO_LONG = "ask for more with max_bytes = n, or for a part of it with "
  .. "offset and bytes"

local function fail_size(exchange, length)
  Failure.raise(("the answer has %s bytes, and max_bytes is %d"):format(
    length and ("%d"):format(length) or "more", exchange.options.max_bytes),
    TOO_LONG)
end

local function receive_wanted(exchange, reader, head)
  local most = exchange.options.max_bytes
  if head.framing == "length" and head.length > most then
    fail_size(exchange, head.length)
  end
  return message.read_body(reader, head, most)
    or fail_size(exchange, head.length)
end

-- The start of a body that is not wanted, or nil; and whether that is all.
local function receive_rest(reader, head)
  local ok, body = pcall(message.read_body, reader, head, DRAIN_MAX)
  if not ok and not Failure.is(body) then
    error(body, 0)
  end
  return ok and body or nil, ok and body ~= nil
end

local function receive(exchange, conn)
  local reader = Reader:new({
    rest = "", socket = conn.socket, exchange = exchange,
    name = exchange.target.authority,
  })
  local head = message.read_head(reader, exchange.method)
  exchange.has_answer = true
  local answer, is_whole = {
    status = head.status, headers = head.headers, body = "",
    url = exchange.target.text,
  }, true
  if exchange.wants_body(answer) then
    answer.body = receive_wanted(exchange, reader, head)
  else
    answer.body, is_whole = receive_rest(reader, head)
  end
  return answer, is_whole and head.is_kept and reader.rest == ""
end

-- -- All of it ---------------------------------------------------------------

local function talk(exchange, conn)
  local is_sent, errno = send(exchange, conn.socket)
  local ok, answer, is_kept = pcall(receive, exchange, conn)
  if not ok and not is_sent and not exchange.has_answer then
    fail_socket(exchange, 0, "while the request was sent", errno)
  end
  return ok and answer or error(answer, 0), is_kept and is_sent
end

-- A server may close a connection that it kept just when it is used again: then
-- nothing was answered, and the request goes over a new one.
local function is_stale(exchange, conn, e)
  return conn.uses > 1 and Failure.is(e) and e.is_closed
    and not exchange.has_answer and exchange.is_idempotent
end

local function attempt(exchange, must_be_new)
  local options = exchange.options
  local conn = connection.take(exchange.target, exchange.proxy, options,
    math.min(left_of(exchange), options.connect_timeout), must_be_new)
  local ok, answer, is_kept = pcall(talk, exchange, conn)
  if ok and is_kept then
    connection.keep(conn)
  else
    connection.close(conn)
  end
  return ok, answer, conn
end

--- Sends a request and returns the answer; raises a failure.
-- @tparam table exchange method, target (parts of a URL), body (or nil),
--   options, deadline (by cqueues' clock), is_idempotent, must_be_new (the
--   connection), is_same_site (as the URL that was asked for), secret (names of
--   headers that other sites do not get), wants_body(answer)
-- @treturn table status, headers, body (of one that was not wanted the start,
--   or nil), url
local function run(exchange)
  lib = connection.modules()
  exchange.has_answer = false
  exchange.proxy = connection.proxy_of(exchange.target, exchange.options)
  local ok, answer, conn = attempt(exchange, exchange.must_be_new)
  if not ok and is_stale(exchange, conn, answer) then
    ok, answer = attempt(exchange, true)
  end
  if not ok then
    error(answer, 0)
  end
  return answer
end

return run
