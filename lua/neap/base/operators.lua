-- SPDX-License-Identifier: MIT
--- Refuses operators: without this, LuaJIT's messages call neap's values by
-- the names of C types.
-- @module neap.base.operators

local check = require("neap.base.check")

local OPERATORS = "__add __sub __mul __div __mod __pow __unm __lt __le"

--- Makes the arithmetic and the comparisons of a metatable raise.
-- @tparam table meta
-- @tparam string what a value is, with its article
-- @tparam string help what to write instead
local function refuse(meta, what, help)
  local function raise()
    check.raise(("cannot compute with %s by operators"):format(what), help)
  end
  for name in OPERATORS:gmatch("%S+") do
    meta[name] = raise
  end
end

return refuse
