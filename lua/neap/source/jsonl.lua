-- SPDX-License-Identifier: MIT
--- The values of a file of JSON texts, one in each line.
-- @module neap.source.jsonl

local check = require("neap.base.check")
local class = require("neap.base.class")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local json = require("neap.codec.json")
local Text = require("neap.source.text")

local Jsonl = class("source.jsonl", Node)

function Jsonl:get(i)
  local text = self.text
  return (json.make({ path = text.path, bytes = text:record(i) },
    self.options))
end

function Jsonl:describe()
  return ("jsonl(%s)"):format(self.text.path)
end

--- Returns the values of a file of JSON lines, plain or gzipped. Lines without
-- anything are left out.
-- @function jsonl
-- @tparam string path
-- @tparam[opt] table options null: what stands for null. Without it a field
--   that is null is absent
-- @treturn Sequence
local function jsonl(path, options)
  check.text(1, path)
  options = check.options(2, options, json.options)
  local text = Text.open(path, { skips_blank = true })
  return handle.wrap(Jsonl:make({
    text = text, options = options, length = text.count,
  }))
end

return {
  class = Jsonl, make = jsonl, options = json.options,
  example = [[neap.jsonl("comments.jsonl")]],
}
