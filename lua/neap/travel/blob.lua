-- SPDX-License-Identifier: MIT
--- Turns a Lua value and all that it reaches into one string, and back in
-- another process: how a chain travels to its workers. What travels and how is
-- told in docs/internals/blob.md.
-- @module neap.travel.blob

local format = require("neap.travel.format")
local pack = require("neap.travel.pack")
local unpack = require("neap.travel.unpack")

local blob = { register = format.register }

--- Packs a value; raises a string that says what cannot travel, and where.
-- @function blob.pack
-- @param value nil too
-- @tparam[opt] string name what errors call the value: "the function of map at
--   train.lua:30"
-- @treturn string
blob.pack = pack

--- Makes the value again; raises "cannot read the chain: ..." if it cannot.
-- @function blob.unpack
-- @tparam string chain what `blob.pack` returned, in this process or another
blob.unpack = unpack

return blob
