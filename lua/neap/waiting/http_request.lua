-- SPDX-License-Identifier: MIT
--- A request with its redirects and retries.
-- @module neap.waiting.http_request

local connection = require("neap.waiting.http_connection")
local exchange = require("neap.waiting.http_exchange")
local Failure = require("neap.waiting.http_failure")
local http_url = require("neap.waiting.http_url")

local BACKOFF_S, BACKOFF_MAX_S = 0.1, 10 -- before the first retry, before any
local SAID_MAX = 200 -- bytes of an error's body that a message shows

-- Sending these twice does what sending them once does.
local IDEMPOTENT = {
  GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true,
}
local REDIRECTS = {
  [301] = true, [302] = true, [303] = true, [307] = true, [308] = true,
}
-- What a redirect to another site does not get.
local SECRET = {
  authorization = true, cookie = true, ["proxy-authorization"] = true,
}

local cqueues = false

-- -- Redirects ---------------------------------------------------------------

local function redirect_of(answer)
  return REDIRECTS[answer.status] and answer.headers.location
end

-- Whether an answer passes: the server is busy, or fails.
local function is_passing(answer)
  return answer.status >= 500 or answer.status == 429 or answer.status == 408
end

local function is_success(answer)
  return answer.status >= 200 and answer.status < 300
end

-- A site may move from http to https.
local function is_same_site(a, b)
  return a.host == b.host and (a.scheme == b.scheme and a.port == b.port
    or a.port == 80 and b.port == 443)
end

local function parse(text)
  local target, why = http_url.parse(text)
  return target or Failure.raise(("%q is no URL: %s"):format(text, why))
end

-- Changes what is asked for to where an answer leads.
local function follow(hop, request, answer)
  local next_one = parse(http_url.resolve(hop.target, answer.headers.location))
  if is_same_site(hop.target, next_one) then
    next_one.userinfo = next_one.userinfo or hop.target.userinfo
  end
  hop.target = next_one
  hop.is_same_site = hop.is_same_site
    and is_same_site(request.target, next_one)
  local is_post = hop.method == "POST" and answer.status <= 302
  if is_post or answer.status == 303 and hop.method ~= "HEAD" then
    hop.method, hop.body = "GET", nil
  end
end

-- Sends a request, and follows where its answers lead.
local function attempt(request, deadline, is_retry)
  local options = request.options
  local hop = {
    method = request.method, target = request.target, body = options.body,
    options = options, deadline = deadline, secret = SECRET,
    is_idempotent = IDEMPOTENT[request.method] or false, is_same_site = true,
    must_be_new = is_retry, wants_body = request.wants_body,
    has_answer = false, proxy = nil,
  }
  for _ = 0, options.redirects do
    local answer = exchange(hop)
    if not redirect_of(answer) or options.redirects == 0 then
      return answer
    end
    follow(hop, request, answer)
  end
  Failure.raise(("it redirects more than %d times, the last time to %s"):format(
    options.redirects, hop.target.text))
end

-- -- Ranges ------------------------------------------------------------------

-- Makes the body of an answer the range that was asked for.
local function cut(answer, options)
  local offset, bytes = options.offset, options.bytes
  if answer.status == 200 then -- the server sent all of it
    answer.body = answer.body:sub(offset + 1, bytes and offset + bytes or -1)
  elseif tonumber((answer.headers["content-range"] or "")
      :match("^bytes (%d+)%-")) ~= offset then
    Failure.protocol("it sends another range than the one that was asked for")
  end
  if bytes and #answer.body ~= bytes then
    Failure.raise(("the answer has %d of the %d bytes from offset %d"):format(
      #answer.body, bytes, offset))
  end
end

-- -- Retries -----------------------------------------------------------------

local MONTHS = {
  Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8,
  Sep = 9, Oct = 10, Nov = 11, Dec = 12,
}

-- Seconds from now to a date as servers write it: Sun, 06 Nov 1994 08:49:37
-- GMT.
local function seconds_to(date)
  local day, month, year, h, m, s =
    date:match("^%a+, (%d+) (%a+) (%d+) (%d+):(%d+):(%d+) GMT$")
  if not MONTHS[month] then
    return nil
  end
  local now = os.time()
  local zone = os.difftime(now, os.time(os.date("!*t", now)))
  return os.time({
    year = year, month = MONTHS[month], day = day, hour = h, min = m, sec = s,
    isdst = false,
  }) + zone - now
end

-- Seconds that a server asks to wait, or nil.
local function asked_delay(answer)
  local text = answer and answer.headers["retry-after"]
  local seconds = text and (tonumber(text:match("^%d+$")) or seconds_to(text))
  return seconds and math.max(0, seconds)
end

-- Half of it is left to chance, so that requests that failed together do not
-- come back together. (math.random's numbers are the user's.)
local function delay_before(try, answer)
  local asked = asked_delay(answer)
  if asked then
    return asked
  end
  local chance = cqueues.monotime() * 1e6 % 1
  return math.min(BACKOFF_S * 2 ^ (try - 1), BACKOFF_MAX_S) * (1 + chance) / 2
end

-- Sends a request once. Returns the answer, or nil and the failure; and when
-- the time is over, later by the wait for the limit.
local function try_once(request, deadline, try)
  local limit, permit = request.options.limit, nil
  if limit then
    local before = cqueues.monotime()
    permit = limit:take()
    deadline = deadline + cqueues.monotime() - before
  end
  local ok, answer = pcall(attempt, request, deadline, try > 1)
  if limit then
    limit:give(permit)
  end
  if not ok and not Failure.is(answer) then
    error(answer, 0)
  end
  return ok and answer or nil, not ok and answer or nil, deadline
end

-- Sends a request until it is answered, or there are no tries or time left.
local function try_all(request, started)
  local deadline, try = started + request.options.timeout, 1
  while true do
    local answer, failure
    answer, failure, deadline = try_once(request, deadline, try)
    local delay = delay_before(try, answer)
    local is_final = failure and not failure.can_retry
      or not failure and not is_passing(answer)
    if is_final or try > request.options.retries
      or cqueues.monotime() + delay >= deadline then
      return answer, failure, try
    end
    cqueues.sleep(delay)
    try = try + 1
  end
end

-- -- Answers -----------------------------------------------------------------

local function status_text(answer)
  local reason = connection.modules().reasons[tostring(answer.status)]
  local said = (answer.body or ""):sub(1, SAID_MAX):match("^%s*([^%c]+)")
  local asked = is_passing(answer) and asked_delay(answer)
  return ("status %d%s%s%s"):format(answer.status,
    reason and " " .. reason or "",
    asked and (", and asks to wait %s"):format(Failure.seconds(asked)) or "",
    said and not said:find("[\128-\255<{]") and ": " .. said or "")
end

local function describe(request, text, try, started)
  local tries = try > 1 and (" (%d tries in %s)"):format(try,
    Failure.seconds(cqueues.monotime() - started)) or ""
  return ("cannot %s %s: %s%s"):format(request.method == "GET" and "get"
    or request.method, request.target.text, text, tries)
end

--- Sends a request.
-- @tparam table request method, target (parts of a URL), options (all that have
--   a default), accepts(answer), wants_body(answer)
-- @treturn table the answer: status, headers, body, url; or nil and
-- @treturn string what could not be done, and why
-- @treturn string what to do, or nil
local function run(request)
  cqueues = connection.modules().cqueues
  local started = cqueues.monotime()
  local answer, failure, try = try_all(request, started)
  if not failure and is_success(answer) and request.options.offset then
    local ok, why = pcall(cut, answer, request.options)
    failure = not ok and why or nil
  elseif not failure and not request.accepts(answer) then
    failure = { text = status_text(answer), help = nil }
  end
  if failure then
    return nil, describe(request, failure.text, try, started), failure.help
  end
  return answer
end

return { run = run, redirect_of = redirect_of }
