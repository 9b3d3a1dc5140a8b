-- SPDX-License-Identifier: MIT
--- The main program of a builder (`neap --build`): builds the loader that a C
-- host asked for, and sends what the host's pool needs.
-- @module neap.loader.builder

local ffi = require("ffi")
require("neap")
local check = require("neap.base.check")
local errors = require("neap.base.errors")
local File = require("neap.loader.file")
local lib = require("neap.base.lib")
local luajit = require("neap.base.luajit")
local Pool = require("neap.prefetch.pool")
local prefetch = require("neap.adapter.prefetch")

local C = lib.C

-- -- The request -------------------------------------------------------------

-- Options that C names or counts differently: a function of C's number that
-- returns the option of Lua.
local function seconds(ns)
  return ns ~= 0 and ns / 1e9 or File.NONE
end

local READ = {
  order = function(v)
    return v ~= 0
  end,
  chunk = function(v)
    return v == 0 and "auto" or v
  end,
  workers = function(v)
    return v == 0 and 1 or v
  end,
  concurrency = function(v)
    return v == 0 and 1 or v
  end,
  memory = function(v)
    return v ~= 0 and v or File.NONE
  end,
  timeout = seconds,
}

local function read_pairs(next_text, read)
  local found = {}
  for _ = 1, tonumber(next_text()) do
    local name = next_text()
    found[name] = read(name, next_text())
  end
  return found
end

local function read_option(name, text)
  local value = tonumber(text)
  return READ[name] and READ[name](value) or not READ[name] and value or false
end

local function read_text(_, text)
  return text
end

-- Returns the path, the options, and the texts of the parameters.
local function read_request(builder)
  local nbytes = ffi.new("uint64_t[1]")
  local request = C.neap_builder_request(builder, nbytes)
  local next_text = ffi.string(request, tonumber(nbytes[0])):gmatch("(.-)%z")
  return next_text(), read_pairs(next_text, read_option),
    read_pairs(next_text, read_text)
end

-- -- The answer --------------------------------------------------------------

local function texts_of(file, values)
  local texts = file:texts(values)
  local parts = { "neap", "--worker", lib.lua_dir, tostring(#texts) }
  for _, p in ipairs(texts) do
    parts[#parts + 1] = p.name
    parts[#parts + 1] = p.text
  end
  return table.concat(parts, "\0") .. "\0"
end

-- A host has no Lua in which items could be computed.
local function make_pool(options)
  if options.workers == 0 then
    options.workers = 1
  end
  return Pool.make(options)
end

local function pack(pool, node)
  local why = prefetch.class.refusal(node)
  if why then
    error(why, 0)
  end
  pool:pack(node)
end

local function build(builder)
  local path, wanted, given = read_request(builder)
  local file = File.read(path)
  local values = file:values(given, true)
  local node, options = file:make(values, wanted)
  local pool = make_pool(options)
  local ok, why = pcall(file.within, file, pack, pool, node)
  if not ok then
    error(lib.failure(C.NEAP_EBUILD, ("cannot open the loader %s: %s"):format(
      path, tostring(why))), 0)
  end
  local texts = texts_of(file, values)
  lib.check(C.neap_builder_answer(builder, pool:settings(nil),
    node:may_end() and 1 or 0, texts, #texts, lib.error))
end

local function run()
  local out = ffi.new("neap_builder *[1]")
  lib.check(C.neap_builder_attach(out, lib.error))
  io.stdout:setvbuf("line")
  luajit.guard()
  local ok, e = xpcall(build, errors.handler, out[0])
  if not ok then
    local status = errors.is(e) and e.status or C.NEAP_EBUILD
    C.neap_builder_refuse(out[0], status, check.with_help(e.message, e.help))
  end
  return 1
end

return run
