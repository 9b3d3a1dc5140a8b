-- SPDX-License-Identifier: MIT
--- Warnings of what is allowed, and is probably not what was meant.
--
-- Each text is given once in a process. A worker hands its warnings to its host
-- (neap.prefetch.watch).
-- @module neap.base.warnings

local check = require("neap.base.check")

local warnings = {}

local given = {} -- text -> true

local function write(text)
  local quiet = os.getenv("NEAP_QUIET")
  if quiet == nil or quiet == "" or quiet == "0" then
    io.stderr:write("neap: warning: ", text, "\n")
  end
end

local sink = write

--- Warns, once.
function warnings.warn(text)
  if not given[text] then
    given[text] = true
    sink(text)
  end
end

local function nothing() end

--- Sets where warnings go: f(text), false for nowhere, nil for stderr (unless
-- NEAP_QUIET=1 is in the environment). Each is given once more.
function warnings.set(f)
  if f ~= nil and f ~= false then
    check.func(1, f)
  end
  given = {}
  sink = f or f == false and nothing or write
end

return warnings
