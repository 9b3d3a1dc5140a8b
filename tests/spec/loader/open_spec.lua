-- SPDX-License-Identifier: MIT
--- Loader files in a script: neap.loader, neap.open.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local folder

local function write(name, text)
  local path = folder .. "/" .. name
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

local NUMBERS = [[
local neap = require("neap")
local helper = require("helper")
return neap.loader{
  params = { count = 6, scale = 0.5, flags = { 1, 2 }, verbose = false,
    split = { default = "train", choices = { "train", "test" } },
    depth = { default = 3, min = 1, max = 9 } },
  build = function(p)
    return neap.range(p.count):map(function(i)
      return helper.double(i) * p.scale
    end)
  end,
  prefetch = { workers = 1 },
}
]]

local function open(path, params)
  return support.close_later(neap.open(path, params))
end

local function refused(path, params)
  local ok, e = pcall(neap.open, path, params)
  assert.is_false(ok)
  assert.equal("string", type(e))
  return e
end

describe("neap.open", function()
  before_each(function()
    support.remember()
    local pipe = io.popen("mktemp -d")
    folder = pipe:read("*l")
    pipe:close()
    write("helper.lua", "return { double = function(x) return 2 * x end }")
    write("numbers.lua", NUMBERS)
  end)
  after_each(function()
    support.check_leaks()
    os.execute("rm -r " .. folder)
  end)

  it("builds with the defaults, and with parameters", function()
    local path = folder .. "/numbers.lua"
    assert.same({ 1, 2, 3, 4, 5, 6 }, open(path):totable())
    assert.same({ 4, 8, 12 }, open(path, { count = 3, scale = 2 }):totable())
  end)

  it("gives two independent loaders of one file", function()
    local path = folder .. "/numbers.lua"
    local a, b = open(path, { count = 2 }), open(path, { count = 4 })
    assert.same({ 2, 4 }, { #a, #b })
    assert.same({ 1, 2 }, a:totable())
    assert.same({ 1, 2, 3, 4 }, b:totable())
  end)

  it("takes a file that returns a sequence", function()
    local path = write("plain.lua", 'return require("neap").range(3)')
    assert.same({ 1, 2, 3 }, open(path):totable())
    path = write("list.lua", "return { 5, 6 }")
    assert.same({ 5, 6 }, open(path):totable())
  end)

  it("takes a prefetch apart, with its options", function()
    local path = write("prefetch.lua",
      'return require("neap").range(3):prefetch({ workers = 1, buffered = 4 })')
    local s = open(path)
    assert.equal("prefetch(range(1, 3)): 3 items", tostring(s))
    assert.same({ 1, 2, 3 }, s:totable())
    assert.equal(1, #s:stats().workers)
  end)

  it("keeps the modules of folders apart, and package.path", function()
    local before = package.path
    os.execute("mkdir " .. folder .. "/other")
    write("other/helper.lua",
      "return { double = function(x) return 200 * x end }")
    local path = write("other/numbers.lua", NUMBERS)
    assert.same({ 1, 2 },
      open(folder .. "/numbers.lua", { count = 2 }):totable())
    assert.same({ 100, 200 }, open(path, { count = 2 }):totable())
    assert.same({ 1, 2 },
      open(folder .. "/numbers.lua", { count = 2 }):totable())
    assert.equal(before, package.path)
    assert.is_nil(package.loaded.helper)
  end)

  it("finds modules that an item requires, in place and in a worker",
    function()
      for workers = 0, 1 do
        local path = write("late.lua", ([[
          local neap = require("neap")
          return neap.loader{
            build = function()
              return neap.range(2):map(function(i)
                return require("helper").double(i)
              end)
            end,
            prefetch = { workers = %d },
          }]]):format(workers))
        assert.same({ 2, 4 }, open(path):totable())
      end
    end)

  it("keeps the file's globals to the file", function()
    local path = write("global.lua", [[
      found = 3
      return require("neap").range(found)]])
    assert.equal(3, #open(path))
    assert.is_nil(rawget(_G, "found"))
  end)

  it("refuses parameters, with the file's line", function()
    local path = folder .. "/numbers.lua"
    local start = ("cannot open the loader %s: %s:3: "):format(path, path)
    for message, params in pairs({
      ["unknown parameter 'cuont'; known are count, depth, flags, scale, "
        .. "split, verbose\nhelp: did you mean 'count'?"] = { cuont = 1 },
      ["parameter 'count': integer expected, got 1.5"] = { count = 1.5 },
      ['parameter \'count\': integer expected, got "x"'] = { count = "x" },
      ["parameter 'verbose': boolean expected, got 1"] = { verbose = 1 },
      ["parameter 'flags': list of integers expected, got 1"] = { flags = 1 },
      ['parameter \'flags\': item 2: integer expected, got "a"'] =
        { flags = { 1, "a" } },
      ["parameter 'split': one of train, test expected, got \"tset\"\n"
        .. "help: did you mean 'test'?"] = { split = "tset" },
      ["parameter 'depth': 9 or less expected, got 10"] = { depth = 10 },
      ["parameter 'depth': 1 or more expected, got 0"] = { depth = 0 },
    }) do
      local e = refused(path, params)
      assert.truthy(e:find(start .. message, 1, true), e)
    end
  end)

  for text, message in pairs({
    ["x ="] = ":1: unexpected symbol near '<eof>'",
    ["error('boom')"] = ":1: boom\nstack traceback:\n",
    ["error({ code = 3 })"] = ": it raised a table {code = 3}\n",
    ["coroutine.yield()"] = "it yielded",
    ["return 1"] = "it returned 1, not a loader\n"
      .. "help: return what neap.loader{...} makes, or a sequence",
    ["return"] = "it returned nothing, not a loader\n",
    ["return { a = 1 }"] = "it returned a table of fields, not a loader\n",
    ["return require('neap').loader{build = function() end}"] =
      ":1: build returned nothing, not a sequence",
    ["return require('neap').loader{build = function() local x; return x.y "
      .. "end}"] = ":1: attempt to index local 'x' (a nil value)\n",
    ["return require('neap').loader{}"] = ":1: bad argument #1 to 'loader' "
      .. "(build is missing: a function that returns a sequence)",
    ["return require('neap').loader{buidl = 1}"] = ":1: bad argument #1 to "
      .. "'loader' (unknown option 'buidl'; known are build, params, prefetch)"
      .. "\nhelp: did you mean 'build'?",
    ["return require('neap').loader{build = print, params = {a = {}}}"] =
      "(parameter 'a': its default tells no type; say type = one of integer,",
    ["return require('neap').loader{build = print, params = {a = {max = 1, "
      .. "default = 2}}}"] =
      "(parameter 'a': its default: 1 or less expected, got 2)",
    ["return require('neap').loader{build = print, prefetch = {worker = 1}}"] =
      "(unknown option 'worker'; known are buffered,",
    ["return require('neap').loader{build = print, params = {a = {type = "
      .. "'string'}}}"] = "parameter 'a': it has no default, so it must be "
      .. "given",
  }) do
    it("says what is wrong with: " .. text, function()
      local path = write("wrong.lua", text)
      local e = refused(path)
      assert.truthy(e:find("cannot open the loader " .. path .. ": ", 1, true),
        e)
      assert.truthy(e:find(message, 1, true), e)
    end)
  end

  it("says which file is not there", function()
    assert.matches("cannot open the loader none.lua: No such file or directory",
      refused("none.lua"))
    assert.matches(": Is a directory$", refused(folder))
  end)
end)
