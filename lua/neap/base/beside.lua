-- SPDX-License-Identifier: MIT
--- Lets a script, and so its workers, find the modules beside it, whatever the
-- current folder is.
-- @module neap.base.beside

local ffi = require("ffi")

ffi.cdef("char *realpath(const char *path, char *resolved);")

local PATH_MAX = 4096

-- Where neap's own modules are found: no script stands before them.
local OWN = debug.getinfo(1, "S").source:match("^@(.*)/neap/base/beside%.lua$")

local function templates(folder)
  return ("%s/?.lua;%s/?/init.lua;"):format(folder, folder)
end

-- The folder of a file; nil if there is no such file, or if package.path cannot
-- name the folder.
local function folder_of(path)
  local resolved = ffi.C.realpath(path, ffi.new("char[?]", PATH_MAX))
  local folder = resolved ~= nil and ffi.string(resolved):match("^(.*)/")
  return folder and not folder:find("[;?]") and folder or nil
end

--- Adds the folder of a script to package.path, once.
-- @tparam string path of the script; one that is no file adds nothing
local function add_folder(path)
  local folder = folder_of(path)
  if not folder or package.path:find(templates(folder), 1, true) then
    return
  end
  local own = OWN and templates(OWN) or ""
  local before = package.path:sub(1, #own) == own and own or ""
  package.path = before .. templates(folder) .. package.path:sub(#before + 1)
end

return add_folder
