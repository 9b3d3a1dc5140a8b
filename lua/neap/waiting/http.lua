-- SPDX-License-Identifier: MIT
--- HTTP requests that let the worker's other items go on while they wait.
-- Over lua-http, which is loaded at the first request.
-- @module neap.waiting.http

local check = require("neap.base.check")
local http_url = require("neap.waiting.http_url")
local loop = require("neap.waiting.loop")
local traverse = require("neap.base.traverse")
local version = require("neap.base.version")

local AGENT = "neap/" .. version
local TIMEOUT_S, CONNECT_TIMEOUT_S, IDLE_TIMEOUT_S = 60, 10, 20
local RETRIES, REDIRECTS, BYTES_MAX = 3, 10, 2 ^ 28

-- What is not sent again on its own: it may have been done the first time.
local ONCE = { POST = true, PATCH = true }

local kinds = check.kinds

local function is_headers(v)
  return type(v) == "table" and getmetatable(v) == nil,
    "table {name = text}"
end

local function is_proxy(v)
  return v == false or type(v) == "string", "URL, or false,"
end

local function is_limit(v)
  return type(v) == "table" and v.class_name == "limit", "neap.limit"
end

local function is_method(v)
  return type(v) == "string" and v:find("^%u+$") ~= nil,
    "method in capital letters"
end

local http = {}

--- The options of get: {name = kind}.
http.options = {
  headers = is_headers, timeout = kinds.positive,
  connect_timeout = kinds.positive, idle_timeout = kinds.positive,
  retries = kinds.natural, redirects = kinds.natural,
  max_bytes = kinds.natural, offset = kinds.natural, bytes = kinds.count,
  ca = kinds.text, verify = kinds.boolean, proxy = is_proxy, limit = is_limit,
}
local OPTIONS = traverse.copy(http.options)
OPTIONS.url, OPTIONS.method, OPTIONS.body = kinds.text, is_method, kinds.text

local OURS = {
  host = true, connection = true, ["content-length"] = true,
  ["transfer-encoding"] = true, range = true,
}

local function check_header(narg, name, value)
  if type(value) == "number" then
    value = tostring(value)
  end
  if type(name) ~= "string" or not name:find("^[%w!#$&'*+.^_`|~-]+$")
    or type(value) ~= "string" or value:find("[%z\r\n]") then
    check.fail(narg, ("option 'headers': %s = %s is no header"):format(
      tostring(name), check.got(value)))
  end
  if OURS[name:lower()] then
    check.fail(narg, ("option 'headers': neap sets '%s'"):format(name:lower()),
      name:lower() == "range" and "give offset and bytes" or nil)
  end
  return name:lower(), value
end

-- A list: name, value, name, value; and the names.
local function list_headers(narg, headers)
  local list, named = {}, {}
  for k, key in ipairs(headers and traverse.keys(headers) or {}) do
    local name, value = check_header(narg, key, headers[key])
    list[2 * k - 1], list[2 * k], named[name] = name, value, true
  end
  return list, named
end

--- Sets what checked options leave out.
function http.complete(options, narg, method)
  if options.bytes and not options.offset then
    options.offset = 0
  end
  options.headers, options.named = list_headers(narg, options.headers)
  options.timeout = options.timeout or TIMEOUT_S
  options.connect_timeout = options.connect_timeout or CONNECT_TIMEOUT_S
  options.idle_timeout = options.idle_timeout or IDLE_TIMEOUT_S
  options.retries = options.retries or ONCE[method] and 0 or RETRIES
  options.redirects = options.redirects or REDIRECTS
  options.max_bytes = options.max_bytes or BYTES_MAX
  options.agent = AGENT
  return options
end

local function target_of(url)
  local target, why = http_url.parse(url)
  return target or check.raise(("cannot request %q: %s"):format(
    url:gsub("//.*@", "//"), why))
end

local requests = false -- neap.waiting.http_request, loaded at first use

--- Adds a header to complete options that has a table of headers of its own.
function http.add_header(options, name, value)
  if value then
    local list = options.headers
    list[#list + 1], list[#list + 2] = name, value
  end
end

-- -- What answers are for ----------------------------------------------------

local function is_success(answer)
  return answer.status >= 200 and answer.status < 300
end

local function is_success_or_same(answer)
  return is_success(answer) or answer.status == 304
end

local function is_any()
  return true
end

local function is_no_redirect(answer)
  return not requests.redirect_of(answer)
end

local function send(request)
  requests = requests or require("neap.waiting.http_request")
  local answer, why, help = loop.call(requests.run, request)
  return answer or check.raise(why, help)
end

--- Sends a GET with complete options; raises if the answer's status is not 2xx.
-- @tparam boolean may_be_same whether 304 is an answer, too
function http.fetch(url, options, may_be_same)
  local accepts = may_be_same and is_success_or_same or is_success
  return send({
    method = "GET", target = target_of(url), accepts = accepts,
    wants_body = accepts, options = options,
  })
end

--- Gets what a URL leads to. Raises if the answer's status is not 2xx.
-- @function http.get
-- @tparam string url
-- @tparam[opt] table options see docs/reference/lua.md
-- @treturn string the body
-- @treturn table the answer: status, headers, body, url
-- @usage local body = neap.http.get("http://127.0.0.1:8000/a.json")
function http.get(url, options)
  check.text(1, url)
  local answer = http.fetch(url, http.complete(check.options(2, options,
    http.options), 2, "GET"), false)
  return answer.body, answer
end

--- Sends a request of any method, and returns the answer, whatever its status.
-- @function http.request
-- @tparam table options url; method, body; others as for http.get
-- @treturn table the answer: status, headers, body, url
-- @usage neap.http.request({ url = "http://127.0.0.1/a", method = "PUT",
--   body = "1" })
function http.request(options)
  options = check.options(1, options, OPTIONS)
  if not options.url then
    check.fail(1, "option 'url' expected")
  end
  local method = options.method or "GET"
  return send({
    method = method, target = target_of(options.url), accepts = is_any,
    wants_body = is_no_redirect, options = http.complete(options, 1, method),
  })
end

return http
