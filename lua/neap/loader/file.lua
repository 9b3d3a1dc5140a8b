-- SPDX-License-Identifier: MIT
--- A loader file: reads it, and builds its sequence.
--
-- The file runs in an environment of its own, which sees the globals. What is
-- wrong with it is raised as a failure of C's, whose status a host gets:
-- NEAP_EBUILD, or NEAP_EINVAL for a parameter or an option.
-- @module neap.loader.file

local check = require("neap.base.check")
local class = require("neap.base.class")
local describe = require("neap.loader.describe")
local errors = require("neap.base.errors")
local folder = require("neap.loader.folder")
local handle = require("neap.sequence.handle")
local lib = require("neap.base.lib")
local parameter = require("neap.loader.parameter")
local prefetch = require("neap.adapter.prefetch")
local suggest = require("neap.base.suggest")
local traverse = require("neap.base.traverse")

local C = lib.C
local File = class("loader.file")

local function refuse(status, path, why)
  error(lib.failure(status, ("cannot open the loader %s: %s"):format(path,
    why)), 0)
end

-- -- Running -----------------------------------------------------------------

local FIELDS_MAX = 8 -- of a raised table that a message shows

local function show_table(t)
  local parts = {}
  for _, key in ipairs(traverse.keys(t)) do
    if #parts < FIELDS_MAX then
      parts[#parts + 1] = ("%s = %s"):format(tostring(key),
        tostring(rawget(t, key)))
    end
  end
  table.sort(parts)
  return ("it raised a table {%s}"):format(table.concat(parts, ", "))
end

-- Says what was raised, with the file's lines: after `return neap.loader{...}`,
-- a tail call, the stack does not have the line.
local function explain(e, file)
  local cause = e.cause
  local meta = type(cause) == "table" and getmetatable(cause)
  if type(cause) == "table"
    and not (type(meta) == "table" and meta.__tostring) then
    e.message = show_table(cause)
  end
  local is_placed = e.message:find(":%d+: ") or e.stage
  return (is_placed and "" or file.where .. ": ") .. tostring(e)
end

local function resume(co, ...)
  local _, ok, x = coroutine.resume(co, errors.try, ...)
  return ok, x, coroutine.status(co) == "dead"
end

local function call(f, ...)
  return f(...)
end

-- The line of a function, for the stages of its last line, which is a tail
-- call: `return neap.range(3)`. The whole file has none.
local function place_of(file, f)
  local info = debug.getinfo(f, "S")
  return info.what ~= "Lua" and file.where
    or ("%s:%d"):format(info.short_src, info.linedefined)
end

-- Calls f(...) of a file in its folder, on a stack of its own: so what neap
-- says of the caller's line is about the file, not about what opened it.
local function run(file, f, ...)
  local co = coroutine.create(call)
  local inside, before = folder.enter(file.folder),
    check.set_place(place_of(file, f))
  local ok, x, is_over = resume(co, f, ...)
  check.set_place(before)
  folder.leave(inside)
  if not is_over then
    refuse(C.NEAP_EBUILD, file.path, "it yielded")
  elseif not ok then
    refuse(C.NEAP_EBUILD, file.path, explain(x, file))
  end
  return x
end

local function read_text(path)
  local file, why = io.open(path, "rb")
  local text
  if file then
    text, why = file:read("*a")
    file:close()
  end
  if not text then
    why = tostring(why):gsub("^" .. path:gsub("%p", "%%%0") .. ": ", "")
    refuse(C.NEAP_EBUILD, path, why)
  end
  return (text:gsub("^#[^\n]*", ""))
end

-- Later calls of require() by the file's functions look there too.
local function environment_of(inside)
  local function require_beside(name)
    return (folder.run(inside, require, name))
  end
  return setmetatable({ require = require_beside }, { __index = _G })
end

local HELP = "\nhelp: return what neap.loader{...} makes, or a sequence"

local function describe_result(path, x)
  if describe.is(x) then
    return x
  elseif handle.node(x) then
    return describe.of_sequence(x)
  end
  refuse(C.NEAP_EBUILD, path, ("it returned %s, not a loader%s"):format(
    x == nil and "nothing" or handle.unfit(x), HELP))
end

-- The line of neap.loader, by the text.
local function line_of_loader(path, text)
  local at = text:find("%f[%w_]loader%s*[{(]")
  if not at then
    return path
  end
  local _, before = text:sub(1, at):gsub("\n", "")
  return ("%s:%d"):format(path, before + 1)
end

--- Reads a loader file; builds nothing.
-- @tparam string path
-- @treturn File with `path`, `where` (the line of neap.loader, or the path),
--   and `parameters` (see neap.loader.parameter)
function File.read(path)
  local text = read_text(path)
  local chunk, why = loadstring(text, "@" .. path)
  if not chunk then
    refuse(C.NEAP_EBUILD, path, why)
  end
  local file = File:new({
    path = path, folder = folder.of(path), where = line_of_loader(path, text),
    parameters = false, build = false, options = false,
  })
  setfenv(chunk, environment_of(file.folder))
  local description = describe_result(path, run(file, chunk))
  file.parameters, file.build = description.parameters, description.build
  file.options = description.options
  return file
end

-- -- Building ----------------------------------------------------------------

--- Returns the values of all parameters: the given ones, or their defaults.
-- @tparam table given name -> value
-- @tparam[opt] boolean are_texts whether the given values are texts
function File:values(given, are_texts)
  local values, why = parameter.values(self.parameters, given, are_texts)
  if not values then
    refuse(C.NEAP_EINVAL, self.path, self.where .. ": " .. why)
  end
  return values
end

--- Returns the texts of values, in the order of `parameters`: {name =, text =}.
function File:texts(values)
  local texts = {}
  for k, p in ipairs(self.parameters) do
    texts[k] = { name = p.name, text = parameter.text(p, values[p.name]) }
  end
  return texts
end

local function check_option(path, name, value)
  local kind = prefetch.options[name]
  if not kind then
    local names = traverse.keys(prefetch.options)
    table.sort(names)
    refuse(C.NEAP_EINVAL, path, check.with_help(
      ("unknown option '%s'; known are %s"):format(tostring(name),
        table.concat(names, ", ")), suggest(tostring(name), prefetch.options)))
  end
  local fits, what = kind(value)
  if not fits then
    refuse(C.NEAP_EINVAL, path, ("option '%s': %s expected, got %s"):format(
      name, what, check.got(value)))
  end
end

-- Processes and threads exclude each other.
local OTHER = { workers = "threads", threads = "workers" }

--- Sets options, which go before those that are there.
-- @tparam table into
-- @tparam table options
function File.merge(into, options)
  for _, name in ipairs(traverse.keys(options)) do
    if options[name] ~= nil and OTHER[name] and options[OTHER[name]] == nil then
      into[OTHER[name]] = nil
    end
    into[name] = options[name]
  end
end

-- What builds a prefetch is taken apart: its options are the file's.
local function sequence_in(node, options)
  if node.class_name == "prefetch" and node.here then
    File.merge(options, node.here.pool.options)
    return node.source
  end
  return node
end

--- The value of a wanted option that is not to be set.
File.NONE = {}

--- Builds the sequence.
-- @tparam table values of all parameters
-- @tparam[opt] table wanted options of a prefetch that go before the file's
-- @treturn Node
-- @treturn table the options of its prefetch
function File:make(values, wanted)
  local x = run(self, self.build, values)
  local node = handle.node(x)
  if not node then
    refuse(C.NEAP_EBUILD, self.path, ("%s: build returned %s, not a sequence")
      :format(self.where, x == nil and "nothing" or handle.unfit(x)))
  end
  local options = {}
  node = sequence_in(node, options)
  File.merge(options, self.options)
  File.merge(options, wanted or {})
  for _, name in ipairs(traverse.keys(wanted or {})) do
    if wanted[name] == File.NONE then
      options[name] = nil
    else
      check_option(self.path, name, wanted[name])
    end
  end
  return node, options
end

--- Calls f(...) where `require` finds the modules beside the file.
function File:within(f, ...)
  return folder.run(self.folder, f, ...)
end

return File
