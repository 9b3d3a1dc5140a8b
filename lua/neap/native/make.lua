-- SPDX-License-Identifier: MIT
--- neap.native: a stage of a chain that is a C function.
-- @module neap.native.make

local arguments = require("neap.native.arguments")
local check = require("neap.base.check")
local lib = require("neap.base.lib")
local Stage = require("neap.native.stage")
local suggest = require("neap.base.suggest")
local traverse = require("neap.base.traverse")

local C = lib.C

local function is_table(v)
  return type(v) == "table" and getmetatable(v) == nil
end

-- C takes the first zero byte for its end.
local function is_text(v)
  return type(v) == "string" and not v:find("\0", 1, true),
    type(v) == "string" and "string without zero bytes" or "string"
end

local function is_args(v)
  return is_table(v), "table {parameter = ...}",
    type(v) == "string" and "write args = { PARAMETER = ... }"
end

local function is_call(v)
  return is_text(v) or is_table(v) and is_text(v.decl),
    "C declaration, or {decl = ..., args = ...},"
end

local function is_flags(v)
  if not is_table(v) then
    return false, "list of flags"
  end
  for _, flag in ipairs(v) do
    if not is_text(flag) then
      return false, "list of strings without zero bytes"
    end
  end
  return true
end

local FAILS = {
  ["not zero"] = C.NEAP_FAILS_NOT_ZERO, negative = C.NEAP_FAILS_NEGATIVE,
  never = C.NEAP_FAILS_NEVER,
}

local function is_fails(v)
  return FAILS[v] ~= nil, '"not zero", "negative" or "never"'
end

local OPTIONS = {
  lib = is_text, source = is_text, flags = is_flags, decl = is_text,
  args = is_args, init = is_call, fini = is_call, error = is_text,
  fails = is_fails, seed = check.kinds.integer,
}
local CALL = { decl = true, args = true }
local TOLD = { index = true, epoch = true, seed = true } -- by map

-- A function with constant arguments: {declaration =, arguments =}, or false.
local function call_of(value, name)
  if type(value) == "string" then
    return { declaration = value, arguments = {} }
  elseif not value then
    return false
  end
  local other = traverse.key_outside(value, CALL)
  if other ~= nil then
    check.raise(("cannot make a native stage: option '%s' has an unknown field "
      .. "'%s'"):format(name, tostring(other)), suggest(tostring(other), CALL))
  end
  return {
    declaration = value.decl, arguments = arguments.check(value.args or {}),
  }
end

local function library_of(options)
  if (options.lib == nil) == (options.source == nil) then
    check.fail(1, options.lib and "lib and source: only one of them expected"
      or "option 'lib' or 'source' expected",
      "lib = \"libz.so.1\" is a library, source = \"kernel.c\" is compiled")
  elseif options.flags and not options.source then
    check.fail(1, "option 'flags' goes with 'source'")
  end
  if options.lib then
    return options.lib
  end
  return (require("neap.native.compiled")(options.source, options.flags or {}))
end

-- The parts that map tells a stage: the first one, or false; and whether they
-- differ by epoch.
local function told_of(list)
  local needs, draws = false, false
  for _, binding in ipairs(list) do
    local part = TOLD[binding.part] and binding.part
    needs = needs or part or false
    draws = draws or part == "epoch" or part == "seed"
  end
  return needs, draws
end

local SEEDS = 2 ^ 31

-- Two stages draw different numbers, unless a seed is given.
local function default_seed(library, declaration)
  local text = library:match("[^/]*$") .. "\0" .. declaration
  return tonumber(C.neap_hash(text, #text, 1) % SEEDS)
end

--- Makes a stage that calls a C function for each item.
-- @function native
-- @tparam table options lib or source, flags, decl, args, init, fini, error,
--   fails, seed
-- @treturn Stage a function for neap.map
local function native(options)
  if type(options) ~= "table" then
    check.fail(1, "table of options expected, got " .. check.got(options))
  end
  options = check.options(1, options, OPTIONS)
  if not options.decl then
    check.fail(1, "option 'decl' expected",
      "decl = \"double sqrt(double x)\" is the function's declaration")
  end
  local library = library_of(options)
  local list = arguments.check(options.args or {})
  local needs, draws = told_of(list)
  local stage = Stage:new({
    lib = library, declaration = options.decl, arguments = list,
    init = call_of(options.init, "init"), fini = call_of(options.fini, "fini"),
    error = options.error or false, fails = FAILS[options.fails or "not zero"],
    label = options.source and options.source:match("[^/]*$") or false,
    seed = options.seed or default_seed(options.source or library,
      options.decl),
    needs = needs, draws = draws, where = check.where(),
    name = "", -- what it prints as
  })
  local symbol = stage:open().text:match("^(.-) of ") or options.decl
  stage.name = ("%s (%s)"):format(symbol, (options.source or library)
    :match("[^/]*$"))
  return stage
end

jit.off(true, true) -- cold: it runs once for each stage

return {
  make = native, options = OPTIONS,
  example = [[neap.map(neap.native({
    lib = "libm.so.6", decl = "double sqrt(double x)",
  }), { 4, 9 }):totable() --> 2, 3]],
}
