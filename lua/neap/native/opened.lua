-- SPDX-License-Identifier: MIT
--- Native stages as this process has them: their libraries loaded, and their
-- calls prepared.
--
-- A stage is opened where it is made, which finds what is wrong with it, and in
-- each worker where it is first needed. It is closed when the worker ends, or
-- when nothing refers to it any more.
-- @module neap.native.opened

local ffi = require("ffi")
local arguments = require("neap.native.arguments")
local check = require("neap.base.check")
local lib = require("neap.base.lib")

local C = lib.C

local opened = {}

-- The stages of this process, in the order of their opening.
local list = setmetatable({}, { __mode = "v" })
local count = 0

local watcher = false

-- Describes a function with constant arguments. `kept` keeps these alive.
local function write_call(call, described, kept)
  if described then
    call.declaration = described.declaration
    call.arguments, call.argument_count = arguments.write(described.arguments)
    kept[#kept + 1] = call.arguments
  end
end

--- Describes a stage to C.
-- @treturn cdata neap_stage_options
-- @treturn table what must live as long as they are read
function opened.options(stage)
  local kept = {}
  local options = ffi.new("neap_stage_options")
  local own, own_count = arguments.write(stage.arguments)
  kept[#kept + 1] = own
  options.lib, options.declaration = stage.lib, stage.declaration
  options.arguments, options.argument_count = own, own_count
  options.error, options.fails = stage.error or nil, stage.fails
  options.where = stage.where
  options.seed, options.label = stage.seed, stage.label or nil
  write_call(options.init, stage.init, kept)
  write_call(options.fini, stage.fini, kept)
  return options, kept
end

local function names_of(native, number, name)
  local names = {}
  for k = 1, number(native) do
    names[k] = ffi.string(name(native, k - 1))
  end
  return names
end

--- Opens a stage, of neap.native.stage.
-- @treturn table {native = cdata, fields = names, results = names, text =}
function opened.open(stage)
  local out = ffi.new("neap_native *[1]")
  local options, kept = opened.options(stage)
  check.status(C.neap_native_open(options, out, lib.error))
  local native = ffi.gc(out[0], C.neap_native_close)
  if watcher then
    watcher(native)
  end
  local one = {
    native = native, text = ffi.string(C.neap_native_text(native)),
    fields = names_of(native, C.neap_native_field_count, C.neap_native_field),
    results = names_of(native, C.neap_native_result_count,
      C.neap_native_result),
    kept = kept,
  }
  count = count + 1
  list[count] = one
  return one
end

--- Lets f(native) see each stage that is opened from now on.
function opened.watch(f)
  watcher = f
end

--- Lets the watcher see the stages of a neap_chain_reader.
function opened.tell(reader)
  local k, native = 0, C.neap_chain_reader_native(reader, 0)
  while watcher and native ~= nil do
    watcher(native)
    k = k + 1
    native = C.neap_chain_reader_native(reader, k)
  end
end

--- Closes the stages of this process, the last one first. They are not called
-- any more.
function opened.close_all()
  for k = count, 1, -1 do
    local one = list[k]
    if one and one.native then
      C.neap_native_close(ffi.gc(one.native, nil))
      one.native = false
    end
  end
end

jit.off(true, true) -- cold: it runs once for each stage

return opened
