-- SPDX-License-Identifier: MIT
--- The options of HTTP requests: checks and defaults.
-- @module neap.waiting.http_options

local check = require("neap.base.check")
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

local http_options = {}

--- The options of get: {name = kind}.
http_options.of_get = {
  headers = is_headers, timeout = kinds.positive,
  connect_timeout = kinds.positive, idle_timeout = kinds.positive,
  retries = kinds.natural, redirects = kinds.natural,
  max_bytes = kinds.natural, offset = kinds.natural, bytes = kinds.count,
  ca = kinds.text, verify = kinds.boolean, proxy = is_proxy, limit = is_limit,
}

--- Those of request.
http_options.of_request = traverse.copy(http_options.of_get)
http_options.of_request.url = kinds.text
http_options.of_request.method = is_method
http_options.of_request.body = kinds.text

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
function http_options.complete(options, narg, method)
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

--- Adds a header to complete options that have a list of headers of their own.
function http_options.add_header(options, name, value)
  if value then
    local list = options.headers
    list[#list + 1], list[#list + 2] = name, value
  end
end

return http_options
