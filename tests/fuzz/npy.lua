-- SPDX-License-Identifier: MIT
--- The decoder of npy files (lua/neap/codec/npy.lua), for fuzz_lua: an input is
-- a file.

local is_mistaken = ...
local common = dofile("tests/fuzz/common.lua")
if is_mistaken then -- elements may end after the file
  common.mistake("neap/codec/npy.lua", "nbytes - about.offset < about.nbytes",
    "nbytes - about.offset + 8 < about.nbytes")
end

local ffi = require("ffi")
local array = require("neap.tensor.array")
local lib = require("neap.base.lib")
local decode = require("neap.codec.npy").make

local dims = ffi.new("int64_t[1]")

local function read(address, size, collects)
  dims[0] = size
  local bytes = array.view(lib.C.NEAP_UINT, 8, 1, dims, address)
  return (common.read(collects, "cannot decode an npy file of %d+ bytes: ",
    decode, bytes))
end

-- -- Seeds -------------------------------------------------------------------

local function file(header, data, version)
  local prefix = version == 1 and 10 or 12
  header = header .. (" "):rep(-(#header + 1 + prefix) % 64) .. "\n"
  return "\147NUMPY" .. string.char(version) .. "\0"
    .. string.char(#header % 256, math.floor(#header / 256))
    .. (version > 1 and "\0\0" or "") .. header .. data
end

local DICTIONARY = "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }"

local function seeds()
  return {
    file(DICTIONARY:format("<f4", "False", "2, 3"), ("1234"):rep(6), 1),
    file(DICTIONARY:format(">i2", "True", "2, 3, 2"), ("12"):rep(12), 1),
    file(DICTIONARY:format(">f8", "True", "3, 1"), ("\127\248\0\0abcd"):rep(3),
      2),
    file(DICTIONARY:format("|b1", "False", "4,"), "\0\1\2\255", 3),
    file(DICTIONARY:format("<u8", "False", ""), "12345678", 1),
    file(DICTIONARY:format("|O", "False", "0, 7"), "", 1),
  }
end

-- -- Mutations ---------------------------------------------------------------

local random = math.random

local WORDS = {
  "0", "1", "2", "3", "255", "65536", "4294967295", "9007199254740992",
  "9999999999999999999999", "(", ")", ",", "'", "\"", "L", "[", "]", "-",
  "<", ">", "=", "|", "b1", "i1", "i2", "i8", "u1", "u4", "f2", "f4", "f8",
  "O", "U4", "S3", "c16", "True", "False", "'descr': ", "'shape': (",
  "'fortran_order': ", "%", "\0", "\n",
}

-- A word instead of what stands there, in the header mostly.
local function mutate(text, seed)
  math.randomseed(seed)
  if #text < 12 or random(8) == 1 then
    return text .. ("\64"):rep(random(16))
  end
  for _ = 1, random(3) do
    local at = random(random(3) == 1 and #text or math.min(#text, 90))
    local word = WORDS[random(#WORDS)]
    text = text:sub(1, at - 1) .. word .. text:sub(at + random(0, #word))
  end
  return text
end

return read, mutate, seeds
