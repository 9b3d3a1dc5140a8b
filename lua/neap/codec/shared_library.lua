-- SPDX-License-Identifier: MIT
--- Libraries of codecs, which are loaded when one of their functions is first
-- needed: a process that decodes nothing pays nothing.
-- @module neap.codec.shared_library

local ffi = require("ffi")
local check = require("neap.base.check")

local library = {}

--- How to get one of Debian's packages, for a line of help.
function library.help(package)
  return "install Debian's package: apt-get install " .. package
end

--- Why data cannot be decoded, with what its library said.
function library.damaged(name, said)
  return ("it is damaged or truncated (%s: %s)"):format(name,
    type(said) == "string" and said or ffi.string(said))
end

--- Declares a library. A script may declare it too, and otherwise: structs have
-- names of neap's own, and functions get them here (neap_NAME).
-- @tparam string what it is needed for: "decode JPEG images"
-- @tparam string soname
-- @tparam string package Debian's package of it
-- @tparam string declarations in C
-- @treturn function returns the library; the first call loads it
function library.new(what, soname, package, declarations)
  local loaded
  local function load()
    local ok, found = pcall(ffi.load, soname)
    if not ok then
      check.raise(("cannot %s: %s"):format(what,
        tostring(found):gsub("\n.*", "")), library.help(package))
    end
    ffi.cdef((declarations:gsub("([%w_]+)(%b());",
      'neap_%1%2 __asm__("%1");')))
    loaded = found
  end
  return function()
    if not loaded then
      load()
    end
    return loaded
  end
end

return library
