-- SPDX-License-Identifier: MIT
--- Turns a chain into a neap_chain, which C evaluates without Lua.
--
-- A class of nodes that C has too says so by two methods:
--   not_native()    looks at the node alone: why C cannot make its items, and
--                   what to do; nil if it may
--   native(build)   makes its chain, of those of its sources: `build:chain` for
--                   each, then `build:make`, which takes them
-- The chains that are made stand on a stack until another one takes them, so
-- that none is lost where a later one is refused.
-- @module neap.native.lower

local ffi = require("ffi")
local lib = require("neap.base.lib")
local generation = require("neap.tensor.generation")
local heap = require("neap.tensor.heap")
local travel = require("neap.travel.tensor")

ffi.cdef("void free(void *memory);")

local C = lib.C

local NODES_MAX = 10000 -- of a chain: what is used twice is made twice
local LARGE = 2 ^ 16 -- bytes of a tensor that is packed by its place
local EXACT = 2 ^ 53

local Build = {}
Build.__index = Build

-- -- What is refused ---------------------------------------------------------

-- What is raised: node, why, and perhaps help.
local Refusal = {}

--- Says that C cannot make the items of a node.
function Build.refuse(_, node, why, help)
  error(setmetatable({ node = node, why = why, help = help }, Refusal), 0)
end

local function check_one(node)
  if not node.native then
    Build:refuse(node, "it is a stage of Lua")
  end
  local why, help
  if node.not_native then
    why, help = node:not_native()
  end
  if why then
    Build:refuse(node, why, help)
  end
end

-- The sources first: the first stage that is not native is told.
local function check_all(node, seen)
  if seen[node] then
    return
  end
  seen[node] = true
  for _, source in ipairs(node:inputs()) do
    check_all(source, seen)
  end
  check_one(node)
end

-- -- Building ----------------------------------------------------------------

local out = ffi.new("neap_chain *[1]")

--- Makes the chain of a node.
function Build:chain(node)
  self.nodes = self.nodes + 1
  if self.nodes > NODES_MAX then
    self:refuse(node, ("the chain has more than %d stages"):format(NODES_MAX))
  end
  node:native(self)
end

--- Takes the chains that were made last, for the constructor that is called
-- next: an array, and their number.
function Build:take(count)
  local made = self.made
  local list = ffi.new("neap_chain *[?]", math.max(1, count))
  for k = count, 1, -1 do
    list[k - 1] = table.remove(made)
  end
  return list, count
end

function Build:take_one()
  return table.remove(self.made)
end

--- Calls a constructor of C for a node, with all arguments but the last two.
function Build:make(node, constructor, ...)
  local arguments, count = { ... }, select("#", ...)
  arguments[count + 1], arguments[count + 2] = out, lib.error
  if constructor(unpack(arguments, 1, count + 2)) < 0 then
    self:refuse(node, ffi.string(lib.error.text))
  end
  C.neap_chain_name(out[0], node:stage_name())
  C.neap_chain_number(out[0], self.numbers[node] or 0)
  table.insert(self.made, out[0])
end

--- Keeps what the chain refers to until it is packed.
function Build:keep(value)
  table.insert(self.kept, value)
end

--- Refuses a node that stacks 64-bit integers: C does not stack those beyond
-- 2^53, which Lua does.
function Build:check_narrow(node)
  if self.is_choosy and C.neap_chain_is_wide(self.made[#self.made]) ~= 0 then
    self:refuse(node, "it stacks 64-bit integers, which C does up to 2^53 only",
      "declare results of 32 bits, or double")
  end
end

-- The memory of the tensor itself, unless it may end before the chain.
function Build:live_tensor(node, t)
  if t.counter ~= generation.forever then
    self:refuse(node, "its tensor is an item's")
  end
  self:keep(t)
  self:make(node, C.neap_chain_tensor, t.d)
end

-- Integers of 64 bits that doubles hold are the same numbers as f64, which need
-- no look at each.
local function narrow(t)
  local name = t.ndim == 1 and t.dtype
  if name ~= "i64" and name ~= "u64" or #t == 0 or t:max() > EXACT
    or name == "i64" and t:min() < -EXACT then
    return t
  end
  return (t:to("f64"))
end

--- Refuses a node whose chain would not see what is written to its items.
function Build:check_copied(node)
  if self.is_live then
    self:refuse(node, "its items may be written to")
  end
end

--- Refuses a node whose stage would have a second context in this process.
function Build:check_alone(node)
  if self.is_live then
    self:refuse(node, "it has a context")
  end
end

--- Makes the rows of a tensor, or its elements if it has one dimension.
function Build:tensor(node, t)
  if self.is_live then
    self:live_tensor(node, t)
    return
  end
  t = narrow(t)
  local shared, offset = travel.share(t)
  if not shared and t.nbytes >= LARGE then
    t = t:clone() -- from a slot to the heap
    shared, offset = travel.share(t)
  end
  self:keep(t)
  if shared then
    self:make(node, C.neap_chain_block, t.d,
      tonumber(shared.block_offset) + offset)
  else
    self:make(node, C.neap_chain_tensor, t.d)
  end
end

-- -- Lowering ----------------------------------------------------------------

local function run(build, node)
  if heap.is_inherited() and not build.is_live then
    build:refuse(node, "this process was forked from the one that has the "
      .. "shared tensors")
  end
  check_all(node, {})
  build:chain(node)
end

local lower = {}

local function make(node, how)
  local build = setmetatable({
    made = {}, kept = {}, nodes = 0, numbers = how.numbers or {},
    is_choosy = how.is_choosy or false, is_live = how.is_live or false,
  }, Build)
  travel.frozen = {}
  build:keep(travel.frozen)
  local ok, why = pcall(run, build, node)
  travel.frozen = false
  if ok then
    return ffi.gc(build.made[1], C.neap_chain_free), build.kept
  end
  for _, chain in ipairs(build.made) do
    C.neap_chain_free(chain)
  end
  if getmetatable(why) ~= Refusal then
    error(why, 0)
  end
  return nil, why
end

--- Makes the chain of a node.
-- @tparam Sequence node
-- @tparam[opt] boolean is_choosy refuse what has other items in Lua
-- @tparam[opt] table numbers node -> its number among the stages that are timed
-- @treturn[1] cdata neap_chain, which the collector frees
-- @treturn[1] table what must live as long as it, and as long as workers may
--   unpack it
-- @treturn[2] nil
-- @treturn[2] table the first stage that is not native: node, why, help
function lower.chain(node, is_choosy, numbers)
  return make(node, { is_choosy = is_choosy, numbers = numbers })
end

--- The same for this process: it reads the memory of tensors as it is when an
-- item is computed.
function lower.live(node)
  return make(node, { is_choosy = true, is_live = true })
end

--- Packs the chain of a node for workers.
-- @tparam Sequence node
-- @tparam[opt] boolean is_choosy
-- @tparam[opt] table numbers node -> its number among the stages that are timed
-- @treturn[1] string
-- @treturn[1] table what must live as long as workers may unpack it
-- @treturn[2] nil
-- @treturn[2] table as of lower.chain
function lower.pack(node, is_choosy, numbers)
  local chain, kept = lower.chain(node, is_choosy, numbers)
  if not chain then
    return nil, kept
  end
  local bytes, nbytes = ffi.new("void *[1]"), ffi.new("uint64_t[1]")
  local fd = ffi.new("int[1]")
  lib.check(C.neap_chain_pack(chain, bytes, nbytes, fd, lib.error))
  local text = ffi.string(bytes[0], tonumber(nbytes[0]))
  ffi.C.free(bytes[0])
  C.neap_chain_free(ffi.gc(chain, nil))
  return text, kept
end

jit.off(true, true) -- cold: it runs once for each chain

return lower
