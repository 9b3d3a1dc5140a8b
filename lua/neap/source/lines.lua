-- SPDX-License-Identifier: MIT
--- The lines of one or several text files, plain or gzipped.
-- @module neap.source.lines

local bisect = require("neap.base.bisect")
local check = require("neap.base.check")
local class = require("neap.base.class")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local Text = require("neap.source.text")

local Lines = class("source.lines", Node)

function Lines:get(i)
  local texts = self.texts
  if #texts == 1 then
    return texts[1]:record(i)
  end
  local k = bisect(self.firsts, i)
  return texts[k]:record(i - self.firsts[k] + 1)
end

function Lines:describe()
  local texts = self.texts
  return #texts == 1 and ("lines(%s)"):format(texts[1].path)
    or ("lines(%d files)"):format(#texts)
end

local function check_paths(paths)
  if type(paths) == "string" then
    return { paths }
  elseif type(paths) ~= "table" or #paths == 0 then
    check.fail(1, "path or list of paths expected, got "
      .. (type(paths) == "table" and "an empty table" or check.got(paths)))
  end
  for k, path in ipairs(paths) do
    if type(path) ~= "string" then
      check.fail(1, ("path %d of the list: string expected, got %s"):format(k,
        check.got(path)))
    end
  end
  return paths
end

--- Returns the lines of a file, or of several files one after another, as
-- strings without their line ends.
-- @function lines
-- @tparam string|table paths
-- @treturn Sequence
local function lines(paths)
  local texts, firsts, length = {}, {}, 0
  for k, path in ipairs(check_paths(paths)) do
    texts[k] = Text.open(path)
    firsts[k] = length + 1
    length = length + texts[k].count
  end
  return handle.wrap(Lines:make({
    texts = texts, length = length,
    firsts = firsts, -- the index of each file's first line
  }))
end

return {
  class = Lines, make = lines,
  example = [[neap.lines("corpus.txt.gz")]],
}
