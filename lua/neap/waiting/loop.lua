-- SPDX-License-Identifier: MIT
--- The event loop in which code waits: a cqueues controller.
-- A waiting function that is called in a coroutine of a controller lets the
-- controller's other coroutines go on. Called elsewhere, it blocks: it runs in
-- a controller of its own until it returns. cqueues is loaded at first use.
-- @module neap.waiting.loop

local check = require("neap.base.check")

local loop = {}

--- Loads modules of a Debian package.
-- @tparam string what they are needed for: "send HTTP requests"
-- @tparam string package
-- @tparam table names of modules
-- @treturn table name -> module
function loop.load(what, package_name, names)
  local modules = {}
  for _, name in ipairs(names) do
    local ok, module = pcall(require, name)
    if not ok then
      check.raise(("cannot %s: cannot load module '%s': %s"):format(what, name,
        tostring(module):gsub("\n.*", "")),
        "install Debian's package: apt-get install " .. package_name)
    end
    modules[name] = module
  end
  return modules
end

local cqueues = false

--- The module cqueues.
function loop.cqueues()
  cqueues = cqueues
    or loop.load("wait", "lua-cqueues", { "cqueues" }).cqueues
  return cqueues
end

--- Whether the code that runs now is in a coroutine of a controller.
function loop.is_running()
  local loaded = cqueues or package.loaded.cqueues
  return loaded ~= nil and loaded.running() ~= nil
end

local private = false -- the controller for calls outside of any

-- Runs f in the private controller until it returns; then what pcall returns.
local function block(f, ...)
  private = private or loop.cqueues().new()
  local is_done, ok, a, b, c = false, nil, nil, nil, nil
  private:wrap(function(...)
    ok, a, b, c = pcall(f, ...)
    is_done = true
  end, ...)
  local _, why = private:loop()
  if not is_done then
    private = false
    error(why or "the event loop ended before its function returned", 0)
  end
  return ok, a, b, c
end

local function results(ok, a, b, c)
  if not ok then
    error(a, 0)
  end
  return a, b, c
end

--- Calls f(...) in a coroutine of a controller: in the one that runs, or in a
-- private one, which blocks.
-- @return up to three results of f
function loop.call(f, ...)
  if loop.is_running() then
    return f(...)
  end
  return results(block(f, ...))
end

--- Closes the private controller, if there is one.
function loop.close()
  if private then
    private:close()
    private = false
  end
end

return loop
