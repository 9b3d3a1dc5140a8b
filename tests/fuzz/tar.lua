-- SPDX-License-Identifier: MIT
--- The reader of tar files (lua/neap/source/tar_index.lua), for fuzz_lua: an
-- input is a file.

local is_mistaken = ...
local common = dofile("tests/fuzz/common.lua")
if is_mistaken then -- a file may end after its archive
  common.mistake("neap/source/tar_index.lua", "size > walk.nbytes - offset",
    "size > walk.nbytes")
end

local ffi = require("ffi")
local archive = dofile("tests/spec/archive.lua")
require("neap")
local tar_index = require("neap.source.tar_index")

local BLOCK = 512

-- What an index leads to lies in the file.
local function check(index, nbytes)
  assert(tar_index.is_whole(index))
  for k = 1, index.fields.shape[1] do
    local field = index.fields[k]
    assert(field[1] >= 0 and field[2] >= 0)
    assert(field[1] + field[2] <= nbytes)
  end
  return index
end

local function read_index(file)
  return check(tar_index.make(file), file.nbytes)
end

local function read(address, size, collects)
  local bytes = ffi.cast("uint8_t *", address)
  return (common.read(collects, "^cannot read %(bytes%): ", read_index, {
    path = "(bytes)", nbytes = size,
    at = function(_, offset, nbytes)
      assert(offset >= 0 and nbytes >= 0 and offset + nbytes <= size)
      return bytes + offset
    end,
  }))
end

-- -- Seeds -------------------------------------------------------------------

local function seeds()
  local entry = archive.entry
  return {
    archive.of({ { "a.txt", "one" }, { "a.png", ("x"):rep(600) },
      { "b.txt", "" } }),
    entry("././@LongLink", ("long/"):rep(40) .. "a.txt\0", "L")
      .. entry("a.txt", "one") .. archive.END,
    entry("x", archive.pax({ path = "name.txt", size = "3" }), "x")
      .. entry("a.txt", "one") .. entry("folder", "", "5") .. archive.END,
  }
end

-- -- Mutations ---------------------------------------------------------------

local random = math.random

local KINDS = { "0", "\0", "5", "L", "x", "g", "K", "7", "2" }
local SIZES = { "00000000000\0", "77777777777\0", "00000001000\0",
  "            ", "00000000001 ", "\128\0\0\0\0\0\0\0\0\0\2\0",
  "\255\255\255\255\255\255\255\255\255\255\255\255",
  "\128\0\0\0\0\255\255\255\255\255\255\255", "8          \0" }
local NAMES = { "a.txt", "a.b.c", "./a.txt", "../x.y", ".", "..", "/", "a/.b",
  "", ".a", "a." }

local function put(block, at, text)
  return block:sub(1, at) .. text .. block:sub(at + 1 + #text)
end

local function with_checksum(block)
  block = put(block, 148, (" "):rep(8))
  local sum = 0
  for k = 1, BLOCK do
    sum = sum + block:byte(k)
  end
  return put(block, 148, ("%06o\0 "):format(sum))
end

local function change(block)
  local which = random(5)
  if which == 1 then
    block = put(block, 156, KINDS[random(#KINDS)])
  elseif which == 2 then
    block = put(block, 124, SIZES[random(#SIZES)])
  elseif which == 3 then
    block = put(block, 0, NAMES[random(#NAMES)] .. "\0")
  elseif which == 4 then
    block = put(block, 124, ("%011o\0"):format(random(0, 3000)))
  else
    block = put(block, random(0, BLOCK - 1), string.char(random(0, 255)))
  end
  return random(8) == 1 and block or with_checksum(block)
end

local function mutate(text, seed)
  math.randomseed(seed)
  local blocks = {}
  for at = 1, #text - BLOCK + 1, BLOCK do
    blocks[#blocks + 1] = text:sub(at, at + BLOCK - 1)
  end
  for _ = 1, random(3) do
    local at, which = random(#blocks + 1), random(6)
    if which == 1 then
      table.remove(blocks, at)
    elseif which == 2 and #blocks > 0 then
      table.insert(blocks, at, blocks[random(#blocks)])
    elseif which == 3 then
      table.insert(blocks, at, archive.entry(NAMES[random(#NAMES)], ""))
    elseif blocks[at] then
      blocks[at] = change(blocks[at])
    end
  end
  local rest = text:sub(-(#text % BLOCK))
  return table.concat(blocks) .. (#text % BLOCK > 0 and random(4) > 1 and rest
    or "")
end

return read, mutate, seeds
