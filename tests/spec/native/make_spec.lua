-- SPDX-License-Identifier: MIT
--- What neap.native refuses, and what other functions refuse of its stages.

local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

ffi.cdef("int setenv(const char *name, const char *value, int overwrites);")
assert(ffi.C.setenv("XDG_CACHE_HOME", support.folder(), 1) == 0)

local KERNEL = "tests/spec/native/kernel.c"
local HALF = "double half(double x)"

-- The message of neap.native for such options.
local function said(options)
  return support.message(function()
    local _ = neap.native(options)
  end)
end

local function said_of(binding)
  return said({ source = KERNEL, decl = HALF, args = { x = binding } })
end

describe("neap.native refuses", function()
  it("what is no table of options", function()
    assert.equal("bad argument #1 to 'native' (table of options expected, got "
      .. '"half")', said("half"))
    assert.equal("bad argument #1 to 'native' (unknown option 'declaration'; "
      .. "known are args, decl, error, fails, fini, flags, init, lib, seed, "
      .. "source)",
      said({ declaration = HALF }))
  end)

  it("options that are missing or do not go together", function()
    assert.matches("(option 'decl' expected)", said({ lib = "libm.so.6" }), 1,
      true)
    assert.matches("(option 'lib' or 'source' expected)", said({ decl = HALF }),
      1, true)
    assert.matches("(lib and source: only one of them expected)",
      said({ lib = "libm.so.6", source = KERNEL, decl = HALF }), 1, true)
    assert.matches("(option 'flags' goes with 'source')",
      said({ lib = "libm.so.6", flags = {}, decl = HALF }), 1, true)
    assert.matches("option 'flags': list of flags expected, got \"-O3\"",
      said({ source = KERNEL, flags = "-O3", decl = HALF }), 1, true)
    assert.matches("option 'init': C declaration, or {decl = ..., args = ...}, "
      .. "expected, got table", said({
      source = KERNEL, decl = HALF, init = { args = {} },
    }), 1, true)
    assert.equal("cannot make a native stage: option 'init' has an unknown "
      .. "field 'arg'\nhelp: did you mean 'args'?", said({
      source = KERNEL, decl = HALF, init = { decl = HALF, arg = {} },
    }))
  end)

  it("bindings that are none", function()
    assert.equal("cannot bind parameter 1: parameters are bound by name\n"
      .. "help: write args = { NAME = ... }",
      said({ source = KERNEL, decl = HALF, args = { "item" } }))
    assert.equal("cannot bind parameter 'x': unknown field 'vlue'\n"
      .. "help: did you mean 'value'?", said_of({ vlue = 1 }))
    assert.matches("cannot bind parameter 'x': got a function\nhelp: write a "
      .. "number, ", said_of(print), 1, true)
    assert.equal("cannot bind parameter 'x': its value is no value, and must "
      .. "be a number, a boolean or a string", said_of({}))
    assert.equal("cannot bind parameter 'x': copy is 1, and must be a part of "
      .. 'the item\nhelp: write { copy = "data" }', said_of({ copy = 1 }))
  end)

  it("output tensors without a dtype or shape", function()
    assert.matches("^unknown dtype 'f31', .*\nhelp: did you mean 'f32'%?$",
      said_of({ out = "f31", shape = {} }))
    assert.equal("cannot bind parameter 'x': its tensor has no shape\n"
      .. 'help: write shape = {height, width}, or "shape" for that of the item',
      said_of({ out = "f32" }))
    assert.matches("size 2 of its shape is -1, and must be a whole number",
      said_of({ out = "f32", shape = { 1, -1 } }), 1, true)
    assert.matches("9 dimensions, and 8 are the most", said_of({
      out = "f32", shape = { 1, 1, 1, 1, 1, 1, 1, 1, 1 },
    }), 1, true)
  end)

  it("shapes that are no list", function()
    for _, shape in ipairs({ { h = 3 }, { [1] = 2, [3] = 3 } }) do
      assert.equal("cannot bind parameter 'x': its shape is no list of sizes\n"
        .. "help: write shape = { height, width }",
        said_of({ out = "f32", shape = shape }))
    end
  end)

  it("texts with zero bytes", function()
    assert.matches("(option 'decl': string without zero bytes expected",
      said({ lib = "libm.so.6", decl = HALF .. "\0;" }), 1, true)
    assert.matches("(option 'lib': string without zero bytes expected",
      said({ lib = "libm.so.6\0", decl = HALF }), 1, true)
    assert.matches("option 'flags': list of strings without zero bytes",
      said({ source = KERNEL, decl = HALF, flags = { "-O2\0" } }), 1, true)
    for _, binding in ipairs({ "data\0", { value = "a\0b" } }) do
      assert.equal("cannot bind parameter 'x': a text of its binding has a "
        .. "zero byte", said_of(binding))
    end
  end)

  it("libraries, functions and declarations that cannot be used", function()
    assert.matches("^cannot load the library libnone.so: .*\nhelp: ",
      said({ lib = "libnone.so", decl = HALF }))
    assert.matches("^cannot find the function hlf of .*: "
      .. ".*/neap/kernel%-%x+%.so has no such symbol",
      said({ source = KERNEL, decl = "double hlf(double x)" }))
    assert.matches("cannot read the declaration: unknown type 'duoble'\n"
      .. "  duoble half(double x)\n"
      .. "  ^\n", said({ source = KERNEL, decl = "duoble half(double x)" }), 1,
      true)
    assert.matches("^cannot bind 'y' of half of kernel.c: there is no such "
      .. "parameter\nhelp: its parameters are x$",
      said({ source = KERNEL, decl = HALF, args = { y = 1 } }))
  end)

  it("at the line of the script", function()
    local ok, e = pcall(function()
      local _ = neap.native({ lib = "libnone.so", decl = HALF })
    end)
    assert.is_false(ok)
    assert.matches("^tests/spec/native/make_spec.lua:%d+: cannot load", e)
  end)
end)

describe("a native stage is refused", function()
  local half = neap.native({ source = KERNEL, decl = HALF })
  local place = neap.native({
    source = KERNEL, decl = "double place(int64_t index, int64_t epoch)",
    args = { index = "index", epoch = "epoch" },
  })

  it("as a collate, with what to write", function()
    assert.matches("\nhelp: wrap a native stage: function(x) return f(x) end",
      support.message(function()
        local _ = neap.range(2):batch(2, { collate = half })
      end), 1, true)
  end)

  it("where functions get more than an item", function()
    local help = "help: wrap a native stage: function(x) return f(x) end"
    assert.equal("bad argument #1 to 'random_map' (function expected, got "
      .. "table)\n" .. help, support.message(neap.random_map, half, { 1 }))
    assert.equal("bad argument #2 to 'rescue' (function expected, got "
      .. "table)\n" .. help, support.message(neap.rescue, { 1 }, half))
    assert.matches("bad argument #3 to 'map' (a native stage takes the items "
      .. "of one sequence)", support.message(neap.map, half, { 1 }, { 2 }), 1,
      true)
    assert.matches("cannot call native half (kernel.c) with several values",
      support.message(half, 1, 2), 1, true)
  end)

  it("where nothing tells the index of an item", function()
    assert.equal("cannot call native place (kernel.c): it reads the epoch of "
      .. "an item, which map tells it\nhelp: write s:map(f)",
      support.message(place, 1))
  end)

  it("for items that do not fit", function()
    local function of(item, args)
      local s = neap.map(neap.native({
        source = KERNEL, decl = HALF, args = args,
      }), { item })
      return support.message(function() return s[1] end)
    end
    assert.matches("cannot call half of kernel.c: the item is a string",
      of("x"), 1, true)
    assert.matches("cannot pass the item to a native stage: it is a table",
      of({ 1 }), 1, true)
    assert.equal("cannot pass item.width to a native stage: the item is 3",
      of(3, { x = "width" }))
    local s = neap.map(neap.native({
      source = KERNEL, decl = HALF, args = { x = "wdth" },
    }), { { width = 1 } })
    assert.equal("did you mean 'width'?",
      support.raised(function() return s[1] end).help)
  end)

  it("for tensors that are no longer valid", function()
    local p = neap.from({ neap.tensor("f64", { 2 }, 1) })
      :prefetch({ workers = 1 })
    local stale
    for _, x in p:each() do
      stale = x
    end
    assert.matches("this tensor's item has been released",
      support.message(half, stale), 1, true)
    p:close()
  end)
end)
