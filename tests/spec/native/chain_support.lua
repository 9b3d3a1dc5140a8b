-- SPDX-License-Identifier: MIT
--- Evaluates chains of neap in C, in this process, and tells what items are to
-- the bit.

local ffi = require("ffi")
local errors = require("neap.base.errors")
local handle = require("neap.sequence.handle")
local lib = require("neap.base.lib")
local lower = require("neap.native.lower")
local read = require("neap.value.read")

local whole = require("neap.native.whole")

local C = lib.C

local evaluate = { memory = false } -- of the slot

local SLOT_BYTES = 2 ^ 21
local memory = ffi.new("uint8_t[?]", SLOT_BYTES + 64)
evaluate.memory = memory
local slot = memory + -tonumber(ffi.cast("uintptr_t", memory)) % 64

-- -- To the bit --------------------------------------------------------------

local function text_of(x)
  if type(x) == "number" then
    return ("%.17g"):format(x) .. (x == 0 and 1 / x < 0 and "-" or "")
  elseif type(x) == "cdata" and not ffi.istype("int64_t", x)
    and not ffi.istype("uint64_t", x) then
    return ("%s %s %s"):format(x.dtype, table.concat(x.shape, "x"),
      ffi.string(x:ptr(), x.nbytes):gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
      end))
  elseif type(x) ~= "table" then
    return type(x) == "string" and ("%q"):format(x) or tostring(x)
  end
  local parts = {}
  for key, value in pairs(x) do
    parts[#parts + 1] = tostring(key) .. " = " .. text_of(value)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ", ") .. "}"
end

local FIELDS = {
  "kind", "message", "help", "index", "stage", "outer_index", "outer_stage",
  "status", "cause",
}

-- What an error says, without its worker, traceback and way.
local function error_text(e)
  local parts = {}
  for k, name in ipairs(FIELDS) do
    parts[k] = name .. ": " .. tostring(e[name])
  end
  return table.concat(parts, "\n")
end

-- -- In C --------------------------------------------------------------------

-- Tensors lie in the slot only until the next fill.
local Copying = {}
Copying.__index = Copying

function Copying.tensor(_, about, data)
  local array = require("neap.tensor.array")
  local dtype = require("neap.tensor.dtype")
  local sizes = {}
  for k = 1, about.ndim do
    sizes[k] = tonumber(about.shape[k - 1])
  end
  local t = array.lasting(dtype.of(about.code, about.bits).name, sizes)
  ffi.copy(t.d.data, data, t.nbytes)
  return t
end

local function items_of_run(list, run, borrowed)
  for k = 0, run.count - 1 do
    local x, is_failure = read.item(run, k, borrowed)
    list[#list + 1] = is_failure and error_text(errors.make(x)) or text_of(x)
  end
end

local function fill(reader, epoch, first, count, list)
  local writer, run = ffi.new("neap_writer"), ffi.new("neap_run")
  lib.check(C.neap_writer_begin(writer, slot, SLOT_BYTES, count, lib.error))
  lib.check(C.neap_chain_fill(reader, epoch, first, count, writer, nil,
    lib.error))
  run.epoch, run.first, run.count = epoch, first, count
  run.cells, run.base = ffi.cast("neap_cell *", slot), slot
  run.bytes = C.neap_writer_end(writer)
  items_of_run(list, run, setmetatable({ budget = 0 }, Copying))
end

local Chain = {}
Chain.__index = Chain

--- The items, computed by runs of `chunk`; closes the chain.
function Chain:items(chunk, epoch)
  local list, length = {}, self.length
  for first = 0, length - 1, chunk do
    fill(self.reader, epoch or 1, first, math.min(chunk, length - first), list)
  end
  C.neap_chain_reader_close(self.reader)
  C.neap_chain_free(ffi.gc(self.chain, nil))
  return list
end

--- Opens a chain as libneap computes it; or nil and the stage that is not
-- native and why.
function evaluate.open(s)
  local node = handle.node(s)
  local chain, kept = lower.chain(node, true)
  if not chain then
    return nil, kept.node:stage_name() .. ": " .. kept.why
  end
  assert(node.length == tonumber(C.neap_chain_length(chain)))
  local out = ffi.new("neap_chain_reader *[1]")
  lib.check(C.neap_chain_reader_open(chain, 0, out, lib.error))
  return setmetatable({
    chain = chain, kept = kept, reader = out[0], length = node.length,
  }, Chain)
end

--- The items of a chain as libneap computes them; or as evaluate.open.
function evaluate.in_c(s, chunk, epoch)
  local chain, why = evaluate.open(s)
  if not chain then
    return nil, why
  end
  return chain:items(chunk, epoch)
end

-- -- In Lua ------------------------------------------------------------------

--- The same by index, though the chain was evaluated before.
function evaluate.again(s)
  handle.node(s).getter = nil
  return evaluate.by_index(s)
end

--- The same with loops of Lua alone, in this process.
function evaluate.by_lua(s)
  local emit = whole.emit
  whole.emit = function() end
  local list = evaluate.by_index(s)
  whole.emit = emit
  return list
end

--- The same by index.
function evaluate.by_index(s)
  local list = {}
  for i = 1, #s do
    local ok, x = pcall(function()
      return s[i]
    end)
    list[i] = ok and text_of(x) or error_text(x)
  end
  return list
end

--- The same by workers of Lua: `on_start` needs Lua.
function evaluate.by_lua_workers(s, epoch)
  local p = s:prefetch({ workers = 2, chunk = 3, on_start = function() end })
  local list = evaluate.by_index(p:epoch(epoch or 1))
  p:close()
  return list
end

return evaluate
