-- SPDX-License-Identifier: MIT
--- Why a request failed: what one attempt raises, and what becomes of it.
-- @module neap.waiting.http_failure

local class = require("neap.base.class")

local Failure = class("waiting.http_failure")

function Failure.__tostring(failure)
  return failure.text
end

--- Raises a failure.
-- @tparam string text what happened
-- @tparam[opt] string help what to do
function Failure.raise(text, help)
  error(Failure:new({
    text = text, help = help or nil,
    can_retry = false, -- whether another attempt may succeed
    is_closed = false, -- whether the server closed the connection
  }), 0)
end

--- Raises a failure after which another attempt may succeed.
function Failure.passing(text, ...)
  error(Failure:new({
    text = text:format(...), help = nil, can_retry = true, is_closed = false,
  }), 0)
end

--- Raises that the server closed the connection.
function Failure.closed(text, ...)
  error(Failure:new({
    text = text:format(...), help = nil, can_retry = true, is_closed = true,
  }), 0)
end

--- Raises that a server breaks the protocol.
function Failure.protocol(what)
  Failure.raise("the server breaks the protocol: " .. what)
end

--- Whether a value that was raised is a failure.
function Failure.is(value)
  return getmetatable(value) == Failure
end

--- Returns seconds as messages show them.
function Failure.seconds(seconds)
  return (seconds >= 100 and "%.0f s" or "%.3g s"):format(math.max(seconds, 0))
end

return Failure
