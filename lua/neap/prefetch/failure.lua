-- SPDX-License-Identifier: MIT
--- Reads an item of a run, or the error that the item failed with. An error is
-- that of one item: the others of the run come.
--
-- There are three sources of errors: the worker reports what a function of the
-- chain raised; the run reports that its workers died; and reading finds a slot
-- that a worker wrote over.
-- @module neap.prefetch.failure

local errors = require("neap.base.errors")
local lib = require("neap.base.lib")
local read = require("neap.value.read")

local C = lib.C

local failure = {}

local TEXTS = {
  "kind", "message", "stage", "outer_stage", "traceback", "help",
}
local FLAGS = { "is_left_out" }
local NUMBERS = { "index", "outer_index", "worker", "status" }

local function drop_others(fields, names, wanted)
  for _, name in ipairs(names) do
    if type(fields[name]) ~= wanted then
      fields[name] = nil
    end
  end
end

local function is_stage(at)
  return type(at) == "table" and type(at.stage) == "string"
    and type(at.where) == "string" and type(at.index) == "number"
    and (at.last == nil or type(at.last) == "number")
end

-- Whether every stage of a way has what it should have.
local function is_way(way)
  if type(way) ~= "table" or #way == 0 then
    return false
  end
  for _, at in ipairs(way) do
    if not is_stage(at) then
      return false
    end
  end
  return true
end

--- Makes the error of what a worker reports of item i. That may be anything:
-- the user's code can write over it.
function failure.reported(fields, i, stage)
  drop_others(fields, TEXTS, "string")
  drop_others(fields, NUMBERS, "number")
  fields.way = is_way(fields.way) and fields.way or nil
  drop_others(fields, FLAGS, "boolean")
  fields.message = fields.message or "its worker does not say why"
  if fields.index == nil then
    fields.index, fields.stage = i, stage
  end
  return errors.make(fields)
end

--- Reads item k (from 0) of a run.
-- @tparam cdata run neap_run
-- @tparam int k
-- @tparam table borrowed of neap.value.borrow: what tensors borrow from
-- @tparam string stage the prefetch's name
-- @tparam cdata settings neap_pool_options, for the limits of an item
-- @tparam Sequence native the chain, if workers have no Lua to tell where the
--   item comes from; or false
-- @return the item, or an error
-- @treturn boolean whether it is an error
function failure.read(run, k, borrowed, stage, settings, native)
  local index = tonumber(run.first) + k + 1
  if run.slot < 0 then
    C.neap_run_failure(run, settings, lib.error)
    return errors.of_failure(lib.failure(), index, stage), true
  end
  local ok, x, is_failure = pcall(read.item, run, k, borrowed)
  if not ok then
    return errors.of_failure(x, index, stage) or error(x, 0), true
  elseif is_failure then
    local e = failure.reported(x, index, stage)
    return errors.locate(e, native, index, tonumber(run.epoch)), true
  end
  return x, false
end

return failure
