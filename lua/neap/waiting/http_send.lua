-- SPDX-License-Identifier: MIT
--- Sends checked requests; raises what fails at the user's line.
-- @module neap.waiting.http_send

local check = require("neap.base.check")
local http_url = require("neap.waiting.http_url")
local loop = require("neap.waiting.loop")

local http_send = {}

local requests = false -- neap.waiting.http_request, loaded at first use

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

local function send(url, method, options, accepts, wants_body)
  requests = requests or require("neap.waiting.http_request")
  local target, what = http_url.parse(url)
  if not target then
    check.raise(("cannot request %q: %s"):format(url:gsub("//.*@", "//"), what))
  end
  local answer, why, help = loop.call(requests.run, {
    method = method, target = target, options = options, accepts = accepts,
    wants_body = wants_body,
  })
  return answer or check.raise(why, help)
end

--- Sends a GET with complete options; raises if the answer's status is not 2xx.
-- @tparam boolean may_be_same whether 304 is an answer, too
-- @treturn table the answer
function http_send.get(url, options, may_be_same)
  local accepts = may_be_same and is_success_or_same or is_success
  return send(url, "GET", options, accepts, accepts)
end

--- Sends a request with complete options; returns any answer.
function http_send.request(url, method, options)
  return send(url, method, options, is_any, is_no_redirect)
end

return http_send
