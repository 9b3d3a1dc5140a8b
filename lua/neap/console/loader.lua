-- SPDX-License-Identifier: MIT
--- Opens the loader file of a command line.
-- @module neap.console.loader

local ffi = require("ffi")
local File = require("neap.loader.file")
local handle = require("neap.sequence.handle")
local json = require("neap.console.json")
local lib = require("neap.base.lib")
local prefetch = require("neap.adapter.prefetch")
local traverse = require("neap.base.traverse")

ffi.cdef([[
  int neap_console_getpid(void) __asm__("getpid");
  void neap_console_exit(int status) __asm__("_exit");
]])

local Loader = {}
Loader.__index = Loader

local function forbid_exit()
  error("it called os.exit", 2)
end

-- A loader file is not to end the command, or to go on with it in a child.
local function guarded(f, ...)
  local exit, pid = os.exit, ffi.C.neap_console_getpid()
  os.exit = forbid_exit -- luacheck: ignore 122
  local ok, a, b, c = pcall(f, ...)
  os.exit = exit -- luacheck: ignore 122
  if ffi.C.neap_console_getpid() ~= pid then
    ffi.C.neap_console_exit(1)
  elseif not ok then
    error(a, 0)
  end
  return a, b, c
end

local function refuse(path, why)
  error(lib.failure(lib.C.NEAP_EINVAL, ("cannot open the loader %s: %s")
    :format(path, why)), 0)
end

local function given(path, parameters)
  local texts = {}
  for _, p in ipairs(parameters) do
    if texts[p.name] then
      refuse(path, ("parameter '%s' is given twice"):format(p.name))
    end
    texts[p.name] = p.text
  end
  return texts
end

local function build(path, parameters, wanted)
  local file = File.read(path)
  local values = file:values(given(path, parameters), true)
  return file, values, { file:make(values, wanted) }
end

--- Opens the file of read words; raises NEAP_EINVAL or NEAP_EBUILD.
-- @tparam table words of neap.console.words.read
-- @tparam[opt] table wanted options of a prefetch that go before the file's
-- @treturn Loader with `path`, `node` (the chain, without its prefetch),
--   `options` (of the prefetch) and `values` (of the parameters)
function Loader.open(words, wanted)
  require("neap") -- all names, for the file
  local file, values, made = guarded(build, words.file, words.parameters,
    wanted)
  return setmetatable({
    path = words.file, file = file, values = values,
    node = made[1], options = made[2],
  }, Loader)
end

local function refuse_prefetch(self, why)
  error(lib.failure(lib.C.NEAP_EBUILD, ("cannot open the loader %s: %s")
    :format(self.path, tostring(why):gsub("^[^\n]*/neap/[%w_/]+%.lua:%d+: ",
      ""))), 0)
end

--- Returns a prefetch of the chain.
-- @tparam[opt] table changes options that go before the loader's own
-- @treturn Sequence nil if it cannot be made
-- @return why, as prefetch raises it
function Loader:try_prefetch(changes)
  local options = traverse.copy(self.options)
  File.merge(options, changes or {})
  local ok, x = pcall(self.file.within, self.file, prefetch.make,
    handle.wrap(self.node), options)
  if not ok then
    return nil, x
  end
  handle.node(x).where = self.path -- no script made it
  return x
end

--- As try_prefetch(), but raises why.
function Loader:prefetch(changes)
  local p, why = self:try_prefetch(changes)
  return p or refuse_prefetch(self, why)
end

--- What its prefetch has: "threads", or "workers".
function Loader:crew()
  return self.options.threads and "threads" or "workers"
end

--- The first stage for which workers run Lua, and why; nil if they need none.
function Loader:needs_lua()
  local options = self.options
  if options.on_start then
    return "on_start is a function of Lua"
  elseif (options.concurrency or 1) > 1 then
    return "several items are in work at once"
  end
  local lower = require("neap.native.lower")
  local chain, why = lower.chain(self.node, not options.threads)
  return not chain and ("%s: %s"):format(why.node:stage_name(), why.why) or nil
end

--- Whether a loop ends: the length is known, or an iterator's end is.
function Loader:ends()
  local node = self.node
  return node.length ~= math.huge
    or node:count_stages("from_iter") > 0 and node:may_end()
end

--- Calls f(...) where `require` finds the modules beside the file.
function Loader:within(f, ...)
  return self.file:within(guarded, f, ...)
end

--- The values of the parameters, for JSON.
function Loader:parameters()
  return json.object(traverse.copy(self.values))
end

return Loader
