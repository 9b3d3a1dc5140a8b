-- SPDX-License-Identifier: MIT
--- Help for what a worker lacks: globals and C declarations of the script.
-- @module neap.prefetch.advice

local GLOBAL = "a worker has no globals of the script: make it a local, put it "
  .. "into a module, or set it in on_start"
local DECLARATION = "a worker has no C declarations of the script: put "
  .. "ffi.cdef into a module that the function requires, into on_start, or "
  .. "into a neap.per_worker"

local ADVICE = {
  { "global '[^']*' %(a nil value%)", GLOBAL },
  { "missing declaration for symbol '", DECLARATION },
  { "declaration specifier expected near '", DECLARATION },
  { "undeclared or implicit tag '", DECLARATION },
}

--- Returns the help for a message that was raised in a worker, or nil.
local function advice(message)
  for _, known in ipairs(ADVICE) do
    if message:find(known[1]) then
      return known[2]
    end
  end
  return nil
end

return advice
