-- SPDX-License-Identifier: MIT
--- Saved items as a sequence: one file, or several as one after another.
-- @module neap.source.load

local bisect = require("neap.base.bisect")
local check = require("neap.base.check")
local class = require("neap.base.class")
local Node = require("neap.sequence.node")
local Saved = require("neap.source.saved")
local handle = require("neap.sequence.handle")

local Load = class("source.load", Node)

local TEXT_MAX = 100 -- bytes of a chain that describe() shows

function Load:get(i)
  local k = bisect(self.firsts, i)
  return (self.files[k]:get(i - self.firsts[k]))
end

function Load:set()
  error("cannot assign: the items of " .. self:stage_name()
    .. " are in a file, which is not written", 0)
end

function Load:describe()
  local text = self.text
  if #text > TEXT_MAX then
    text = text:sub(1, TEXT_MAX) .. "..."
  end
  return ("load(%s: %s)"):format(self.path, text)
end

local function open(path)
  local ok, file = pcall(Saved.open, path)
  return ok and file or check.raise(tostring(file))
end

local function open_shards(path, list)
  local folder, files = path:match("^.*/") or "", {}
  for k = 1, list.items do
    local name = list:get(k - 1)
    if type(name) ~= "string" then
      check.raise(("cannot read %s: its list of shards is damaged"):format(
        path))
    end
    files[k] = open(folder .. name)
  end
  return files
end

--- Returns what neap.save() has written: the items are mapped and read in
-- place, so their tensors are views of the file.
-- @function load
-- @tparam string path
-- @treturn Sequence
local function load(path)
  check.text(1, path)
  local file = open(path)
  local files = { file }
  if file.packing == Saved.PACKING.shards then
    files = open_shards(path, file)
  end
  local firsts, length = { 1 }, 0
  for k = 1, #files do
    firsts[k] = length + 1
    length = length + files[k].items
  end
  return handle.wrap(Load:make({
    path = path, text = file.text, files = files, firsts = firsts,
    length = length,
  }))
end

return {
  class = Load, make = load,
  example = [[neap.load("train.neap")]],
}
