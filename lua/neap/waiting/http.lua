-- SPDX-License-Identifier: MIT
--- HTTP requests that let the worker's other items go on while they wait.
-- The files that send them are loaded with the first one, and lua-http.
-- @module neap.waiting.http

local check = require("neap.base.check")
local http_options = require("neap.waiting.http_options")
local http_send = require("neap.waiting.http_send")

local http = {}

--- Gets what a URL leads to. Raises if the answer's status is not 2xx.
-- @function http.get
-- @tparam string url
-- @tparam[opt] table options see docs/reference/lua.md
-- @treturn string the body
-- @treturn table the answer: status, headers, body, url
-- @usage local body = neap.http.get("http://127.0.0.1:8000/a.json")
function http.get(url, options)
  check.text(1, url, url == http and "write neap.http.get(...), with a dot"
    or type(url) == "table" and "write neap.http.get(url, options)" or nil)
  options = check.options(2, options, http_options.of_get)
  local answer = http_send.get(url, http_options.complete(options, 2, "GET"),
    false)
  return answer.body, answer
end

--- Sends a request of any method, and returns the answer, whatever its status.
-- @function http.request
-- @tparam table options url; method, body; others as for http.get
-- @treturn table the answer: status, headers, body, url
-- @usage neap.http.request({ url = "http://127.0.0.1/a", method = "PUT",
--   body = "1" })
function http.request(options)
  if type(options) == "string" then
    check.fail(1, "table of options expected, got a string",
      "write neap.http.request({ url = url, method = method })")
  end
  options = check.options(1, options, http_options.of_request)
  local url, method = options.url, options.method or "GET"
  if not url then
    check.fail(1, "option 'url' expected")
  end
  return http_send.request(url, method, http_options.complete(options, 1,
    method))
end

return http
