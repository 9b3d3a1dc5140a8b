-- SPDX-License-Identifier: MIT
--- Every kind of error, as docs/reference/lua.md lists them.
-- @module neap.base.kinds

local lib = require("neap.base.lib")

local C = lib.C

local kinds = {
  is_of_all = {}, -- name -> whether it keeps all items from being read
  helps = {}, -- name -> what to do, if that is known
  of_status = { [false] = {}, [true] = {} }, -- is_of_all -> status -> name
}

--- `status` is the status of C that means this kind. `is_of_all`: the error
-- keeps all items from being read; it has no index, and is never skipped,
-- rescued or retried.
kinds.list = {
  { name = "item", text = "a function of the chain raised, or returned what "
    .. "cannot be sent" },
  { name = "end", text = "an iterator ended before this item" },
  { name = "room", text = "the item is larger than a slot" },
  { name = "death", status = C.NEAP_EDEATH,
    text = "workers died of the item",
    help = "compute it in the script, where a debugger shows the cause: "
      .. "prefetch({ workers = 0 })" },
  { name = "timeout", status = C.NEAP_ETIMEOUT,
    text = "the item took longer than `timeout`",
    help = "raise timeout, if an item may take that long" },
  { name = "memory", status = C.NEAP_EMEMORY,
    text = "workers found no memory for the item",
    help = "raise memory, use fewer workers, or make the item of smaller "
      .. "parts" },
  { name = "damaged", status = C.NEAP_EDAMAGED,
    text = "a worker wrote over the item",
    help = "look for a write out of bounds by C or the FFI in the chain" },
  { name = "worker", is_of_all = true, status = C.NEAP_EWORKER,
    text = "workers cannot be started or kept" },
  { name = "held", is_of_all = true, status = C.NEAP_EHELD,
    text = "the script holds all slots that may be held" },
  { name = "closed", is_of_all = true, status = C.NEAP_ECLOSED,
    text = "the prefetch is closed, or is another process's",
    help = "make a prefetch of the same chain anew" },
  { name = "busy", is_of_all = true,
    text = "a finalizer reads while an item is read",
    help = "read outside of finalizers (ffi.gc, __gc)" },
  { name = "interrupted", is_of_all = true, status = C.NEAP_EINTERRUPTED,
    text = "the script was interrupted (Ctrl-C)" },
  { name = "iterator", is_of_all = true,
    text = "an iterator raises again and again" },
}

for _, kind in ipairs(kinds.list) do
  local is_of_all = kind.is_of_all or false
  kinds.is_of_all[kind.name] = is_of_all
  kinds.helps[kind.name] = kind.help
  if kind.status then
    kinds.of_status[is_of_all][kind.status] = kind.name
  end
end

return kinds
