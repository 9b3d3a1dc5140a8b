-- SPDX-License-Identifier: MIT
--- A value must be the same after a journey, in this state and in another
-- process. What is sent stands here; what the other process must see is a
-- function that travels with it: `check(value)` runs there.

local ffi = require("ffi")
local blob = require("neap.travel.blob")
local class = require("neap.base.class")
local format = require("neap.travel.format")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

-- Where this run finds modules, made absolute for a process elsewhere.
local folder

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(text)
  file:close()
end

local RECEIVER = [[
  package.path = %q
  local blob = require("neap.travel.blob")
  local file = assert(io.open(%q, "rb"))
  local ok, answer = xpcall(function()
    local sent = blob.unpack(file:read("*a"))
    return sent.check(sent.value)
  end, debug.traceback)
  io.write(ok and "ok " or "failed ", tostring(answer))
]]

-- What the receiver says to a blob, in a LuaJIT of its own.
local function receive(text)
  write("blob", text)
  write("receiver.lua", RECEIVER:format(package.path, folder .. "/blob"))
  local pipe = assert(io.popen(("luajit '%s/receiver.lua' 2>&1")
    :format(folder)))
  local answer = pipe:read("*a")
  pipe:close()
  return answer
end

-- What check(value) answers there.
local function far(value, check)
  return receive(blob.pack({ value = value, check = check }, "the test"))
end

-- Both ways: check must answer true here and there.
local function travels(value, check)
  assert.is_true(check(blob.unpack(blob.pack(value))))
  assert.equals("ok true", far(value, check))
end

-- The message, and the help below it.
local function refused(value, name)
  local ok, message = pcall(blob.pack, value, name)
  assert.is_false(ok)
  local first, help = message:match("^(.-)\nhelp: (.*)$")
  return first or message, help
end

-- "the function at <here>:<line>"
local function at(fn)
  local info = debug.getinfo(fn, "S")
  return ("the function at %s:%d"):format(info.short_src, info.linedefined)
end

local path_before

setup(function()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute(("mkdir -p '%s/neap'"):format(folder)) == 0)
  path_before = package.path
  package.path = folder .. "/?.lua;" .. package.path
end)

teardown(function()
  package.path = path_before
  os.execute("rm -r '" .. folder .. "'")
end)

local loaded = {}

-- Loads a module that the other process finds too, until the test ends.
local function module(name, text)
  write(name .. ".lua", text)
  name = name:gsub("/", ".")
  loaded[#loaded + 1] = name
  return require(name)
end

after_each(function()
  for _, name in ipairs(loaded) do
    package.loaded[name] = nil
    os.remove(folder .. "/" .. name:gsub("%.", "/") .. ".lua")
  end
  loaded = {}
end)

describe("a plain value", function()
  it("travels as it is", function()
    travels({
      no = false, yes = true, half = 0.5, tiny = 5e-324, big = 2^53 + 2,
      zero = -0, inf = math.huge, minus = -math.huge, nan = 0 / 0, [-3] = "k",
      [1.5] = "f", [true] = "t", [math.huge] = "i",
    }, function(t)
      return t.no == false and t.yes == true and t.half == 0.5
        and t.tiny == 5e-324 and t.big == 2^53 + 2 and 1 / t.zero == -math.huge
        and t.inf == math.huge and t.minus == -math.huge and t.nan ~= t.nan
        and t[-3] == "k" and t[1.5] == "f" and t[true] == "t"
        and t[math.huge] == "i"
    end)
  end)

  it("may be nil or false alone", function()
    assert.is_nil(blob.unpack(blob.pack(nil)))
    assert.is_false(blob.unpack(blob.pack(false)))
    assert.equals(1.25, blob.unpack(blob.pack(1.25)))
  end)

  it("is a string of any bytes and length", function()
    local bytes = {}
    for k = 0, 255 do
      bytes[k + 1] = string.char(k)
    end
    bytes = table.concat(bytes)
    for n = 0, 256 do
      local text = bytes:sub(1, n)
      assert.equals(text, blob.unpack(blob.pack(text)))
    end
    assert.equals(bytes:rep(1000), blob.unpack(blob.pack(bytes:rep(1000))))
  end)

  it("is a long string that is sent once", function()
    local text = ("x"):rep(1000)
    assert.is_true(#blob.pack({ text, text, k = text }) < 1100)
  end)

  it("is a 64-bit integer or a complex number", function()
    travels({
      -2LL^63, 2ULL^64 - 1, ffi.new("complex", 1.5, -2),
      ffi.new("complex float", 0.5, 0 / 0), 0LL,
    }, function(t)
      local ctypes = require("ffi")
      return t[1] == -2LL^63 and ctypes.istype("int64_t", t[1])
        and t[2] == 0xffffffffffffffffULL and ctypes.istype("uint64_t", t[2])
        and t[3].re == 1.5 and t[3].im == -2
        and ctypes.istype("complex float", t[4]) and t[4].re == 0.5
        and t[4].im ~= t[4].im and t[5] == 0LL
    end)
  end)
end)

describe("a table", function()
  it("keeps cycles, what it shares, and its metatable", function()
    local shared = { 1, 2, 3 }
    local meta = { __call = function(_, x) return x + 1 end }
    local t = setmetatable({ a = shared, b = { shared } }, meta)
    t.me, t[shared] = t, "by a table"
    meta.owner = t
    travels(t, function(u)
      return u.me == u and u.a == u.b[1] and u.a[3] == 3 and #u.a == 3
        and u[u.a] == "by a table" and u(41) == 42
        and getmetatable(u).owner == u
    end)
  end)

  it("may hide its metatable, which is not called", function()
    local t = setmetatable({ 1 }, {
      __metatable = "hidden", __newindex = error, __index = error,
    })
    travels(t, function(u)
      return getmetatable(u) == "hidden" and u[1] == 1
        and debug.getmetatable(u).__index == error
    end)
  end)

  it("has 64-bit integers for keys, by identity", function()
    local key = 7LL
    travels({ key = key, [key] = "here" }, function(t)
      return t[t.key] == "here"
    end)
  end)

  it("may have holes", function()
    travels({ 1, nil, 3, nil, nil, 6, n = 6 }, function(t)
      return t[1] == 1 and t[2] == nil and t[3] == 3 and t[6] == 6 and t.n == 6
    end)
  end)

  it("may be a list of a hundred thousand nodes", function()
    local list
    for k = 1, 100000 do
      list = { next = list, value = k }
    end
    travels(list, function(node)
      local n = 0
      while node do
        n = n + 1
        node = node.next
      end
      return n == 100000
    end)
  end)

  it("may hold a million numbers, in 9 bytes each", function()
    local t = {}
    for k = 1, 1e6 do
      t[k] = k + 0.5
    end
    local text = blob.pack(t)
    assert.is_true(#text < 9.001e6)
    local u = blob.unpack(text)
    assert.equals(1e6, #u)
    for k = 1, 1e6 do
      if u[k] ~= k + 0.5 then
        error("differs at " .. k)
      end
    end
  end)
end)

describe("a function", function()
  it("travels with its upvalues", function()
    local scale, options = 3, { offset = 1 }
    travels(function(x)
      return x * scale + options.offset
    end, function(f)
      return f(2) == 7
    end)
  end)

  it("may be recursive, and two may call each other", function()
    local even, odd
    function even(n) return n == 0 or odd(n - 1) end
    function odd(n) return n ~= 0 and even(n - 1) end
    local function factorial(n) return n < 2 and 1 or n * factorial(n - 1) end
    travels({ even, odd, factorial }, function(f)
      return f[1](10) and not f[2](10) and f[3](5) == 120
    end)
  end)

  it("shares upvalues with others as before", function()
    local count, other = 0, 0
    local t = {
      add = function() count = count + 1 end,
      get = function() return count, other end,
      other = function() other = other + 10 end,
    }
    travels(t, function(u)
      u.add()
      u.add()
      u.other()
      local a, b = u.get()
      return a == 2 and b == 10
    end)
    assert.equals(0, count)
  end)

  it("makes closures that work where it has gone", function()
    travels(function(n)
      return function() n = n + 1 return n end
    end, function(make)
      local next_one = make(4)
      return next_one() == 5 and next_one() == 6
    end)
  end)

  it("is one of many closures, whose bytecode is sent once", function()
    local list = {}
    for k = 1, 1000 do
      list[k] = function() return k end
    end
    local text = blob.pack(list)
    assert.is_true(#text < 40000)
    local other = blob.unpack(text)
    assert.equals(1, other[1]())
    assert.equals(1000, other[1000]())
  end)

  it("keeps its identity", function()
    local function f() end
    travels({ f, f, [f] = 1 }, function(t)
      return t[1] == t[2] and t[t[1]] == 1
    end)
  end)

  it("sees the worker's globals, not its own environment", function()
    local f = setfenv(function() return tostring(answer) end, {}) -- luacheck: ignore
    assert.equals("ok nil", far(f, function(g) return g() end))
  end)

  it("keeps its file and lines in tracebacks", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local function fails() error("broken") end
    local here = debug.getinfo(1, "S").short_src
    local answer = far(fails, function(f) f() end)
    assert.truthy(answer:find(("failed %s:%d: broken"):format(here, line), 1,
      true), answer)
    assert.truthy(answer:find("in function 'f'", 1, true), answer)
  end)
end)

describe("a module", function()
  it("of the standard library goes by name, and so do its fields", function()
    local sent = {
      _G, string, math, require("ffi"), table.concat, table.remove, print,
      ipairs, io.stdout, io.stderr, io.stdin, ffi.C, package.loaded,
      require("table.new"), string.len, require("bit").band, jit.opt,
    }
    travels(sent, function(t)
      return t[1] == _G and t[2] == string and t[3] == math
        and t[4] == require("ffi") and t[5] == table.concat
        and t[6] == table.remove and t[7] == print and t[8] == ipairs
        and t[9] == io.stdout and t[10] == io.stderr and t[11] == io.stdin
        and t[12] == require("ffi").C and t[13] == package.loaded
        and t[14] == require("table.new") and t[15] == string.len
        and t[16] == bit.band and t[17] == jit.opt
    end)
  end)

  it("of the user goes by name, with its functions and classes", function()
    local shapes = module("blob_shapes", [[
      local shapes = { unit = { 1, 1 } }
      shapes.Point = {}
      shapes.Point.__index = shapes.Point
      function shapes.Point:x() return self[1] end
      function shapes.area(s) return s[1] * s[2] end
      shapes.int_pointer = require("ffi").typeof("struct { int x; } *")
      return shapes
    ]])
    shapes.unit[2] = 5
    travels({
      shapes, shapes.area, setmetatable({ 7 }, shapes.Point), shapes.unit,
      shapes.int_pointer,
    }, function(t)
      local own = require("blob_shapes")
      return t[1] == own and t[2] == own.area and t[3]:x() == 7
        and getmetatable(t[3]) == own.Point
        and t[4] ~= own.unit and t[4][2] == 5  -- data: as it was when sent
        and rawequal(t[5], own.int_pointer)
    end)
  end)

  it("may be a function, with a long name", function()
    local name = "blob_module_with_a_name_of_more_than_32_bytes"
    travels({ module(name, "return function() return 5 end"), name },
      function(t)
        return t[1] == require(t[2]) and t[1]() == 5
      end)
  end)

  it("that is only true does not name true", function()
    module("blob_true", "local x")
    assert.is_true(package.loaded["blob_true"])
    assert.is_true(blob.unpack(blob.pack(true)))
  end)

  it("that no file defines travels as a table", function()
    local handmade = { f = function() return 1 end }
    package.loaded["blob_handmade"] = handmade
    finally(function() package.loaded["blob_handmade"] = nil end)
    travels(handmade, function(t)
      return t.f() == 1 and package.loaded["blob_handmade"] ~= t
    end)
  end)

  it("does not name what a script put into it", function()
    local patched = module("blob_patched", "return {}")
    function patched.extra() return 11 end
    local function in_string() return 12 end
    local function in_globals() return 13 end
    rawset(string, "blob_extra", in_string)
    rawset(_G, "blob_extra", in_globals)
    finally(function()
      rawset(string, "blob_extra", nil)
      rawset(_G, "blob_extra", nil)
    end)
    travels({ patched.extra, in_string, in_globals }, function(t)
      return t[1]() == 11 and t[2]() == 12 and t[3]() == 13
    end)
  end)

  it("is chosen by the standard library first, then by name", function()
    local a = module("blob_a", "return { f = function() end, p = print }")
    local b = module("blob_b", "return require('blob_a')")
    assert.equals(a, b)
    local text = blob.pack({ b, b.f, b.p })
    assert.truthy(text:find("blob_a", 1, true))
    assert.is_nil(text:find("blob_b", 1, true))
    assert.truthy(text:find("_G", 1, true))
  end)

  it("that the worker lacks is named", function()
    local gone = module("blob_gone", "return { f = function() end }")
    local whole, field = blob.pack(gone), blob.pack(gone.f)
    package.loaded["blob_gone"] = {}
    local ok, message = pcall(blob.unpack, field)
    assert.is_false(ok)
    assert.equals("cannot read the chain: module 'blob_gone' has no field 'f' "
      .. "here", message)
    package.loaded["blob_gone"] = nil
    os.remove(folder .. "/blob_gone.lua")
    ok, message = pcall(blob.unpack, whole)
    assert.is_false(ok)
    assert.truthy(message:find(
      "^cannot read the chain: module 'blob_gone' not found:"), message)
  end)
end)

describe("a class of neap", function()
  it("travels by its name, and its objects with it", function()
    local Box = module("neap/blob_box", [[
      local Box = require("neap.base.class")("blob_box")
      function Box:get() return self.value end
      return function(value) return Box:new({ value = value }) end
    ]])
    local box = Box(9)
    travels({ box, getmetatable(box) }, function(t)
      local names = require("neap.base.class")
      return t[1]:get() == 9 and getmetatable(t[1]) == t[2]
        and names.find("blob_box") == t[2]
    end)
  end)

  it("that the worker lacks is named", function()
    local text = blob.pack(class("blob_lost"))
    local answer = receive(text)
    assert.truthy(answer:find("^failed cannot read the chain: .*"
      .. "module 'neap.blob_lost' not found"), answer)
    module("neap/blob_lost", "return {}")
    answer = receive(text)
    assert.truthy(answer:find("^failed cannot read the chain: "
      .. "there is no class 'blob_lost' here\n"), answer)
  end)
end)

describe("a ctype", function()
  it("that any LuaJIT knows travels by its text", function()
    travels({
      ffi.typeof("float *"), ffi.typeof("uint8_t[?]"), ffi.typeof("int64_t"),
      ffi.typeof("const volatile unsigned long long int *const[3][4]"),
      ffi.typeof("complex"),
    }, function(t)
      local c = require("ffi")
      return tostring(t[1]) == "ctype<float *>" and c.sizeof(t[2], 5) == 5
        and tostring(t[3]) == "ctype<int64_t>" and c.sizeof(t[4]) == 96
        and tostring(t[5]) == "ctype<complex>"
    end)
  end)

  it("of a struct, an enum or a function does not", function()
    assert.equals("cannot send the value to a worker: its [1] is a ctype "
      .. "(int (*)())", refused({ ffi.typeof("int (*)(int)") }))
    assert.truthy(refused({ ffi.typeof("struct { int x; }") }):find(
      "its %[1%] is a ctype %(struct %d+%)$"))
    assert.truthy(refused({ ffi.typeof("enum { A }") }):find(
      "its %[1%] is a ctype %(enum %d+%)$"))
  end)
end)

describe("a registered kind", function()
  local KIND = [[
    local ffi, blob = require("ffi"), require("neap.travel.blob")
    local kind = { of = {} }
    kind.ctype = ffi.metatype("struct { int blob_id; }", {
      __eq = function() error("compared") end,
      __tostring = function() error("printed") end,
    })
    function kind.new(plain)
      local value = kind.ctype(#kind.of + 1)
      kind.of[value.blob_id] = plain
      return value
    end
    blob.register("blob_kind", function(value)
      return ffi.istype(kind.ctype, value)
    end, function(value)
      local plain = kind.of[value.blob_id]
      if plain == "bad" then
        error("it is bad", 0)
      end
      return plain
    end, function(plain)
      local seen = type(plain) == "table" and #plain or 0
      return kind.new({ plain = plain, seen = seen })
    end)
    return kind
  ]]
  local kind

  before_each(function()
    kind = module("blob_kind", KIND)
  end)

  after_each(function()
    format.kinds["blob_kind"] = nil
  end)

  it("travels as the plain value that stands for it", function()
    local value = kind.new({ 1, 2, 3 })
    travels({ value, value, [value] = "key" }, function(t)
      local own = require("blob_kind")
      local after = own.of[t[1].blob_id]
      return rawequal(t[1], t[2]) and t[t[1]] == "key"
        and after.plain[3] == 3 and after.seen == 3
    end)
  end)

  it("is unpacked when all it stands on is complete", function()
    local shared = { 1, 2, 3, 4 }
    local inner = kind.new(shared)
    local outer = kind.new({ inner, shared })
    travels({ shared = shared, outer = outer, inner = inner }, function(t)
      local own = require("blob_kind")
      local o, i = own.of[t.outer.blob_id], own.of[t.inner.blob_id]
      return o.seen == 2 and i.seen == 4 and rawequal(o.plain[1], t.inner)
        and o.plain[2] == t.shared and i.plain == t.shared
    end)
  end)

  it("may be an upvalue of a function that it holds", function()
    local plain = {}
    local value = kind.new(plain)
    plain[1] = function() return value end
    travels(value, function(v)
      local own = require("blob_kind")
      return rawequal(own.of[v.blob_id].plain[1](), v)
    end)
  end)

  it("has a ctype that is not taken for a value", function()
    travels({ kind.ctype, kind }, function(t)
      return rawequal(t[1], t[2].ctype)
    end)
  end)

  it("is refused when it contains itself", function()
    local plain = {}
    local value = kind.new(plain)
    plain[1] = { value }
    assert.truthy(refused({ t = value }, "the chain"):find(
      "^cannot send the chain to a worker: its t%[1%]%[1%] is a cdata "
        .. "%(struct %d+%) that contains itself$"))
  end)

  it("is refused with its own words", function()
    local value = kind.new("bad")
    local function f() return value end
    assert.truthy(refused(f, "the function of map at train.lua:30"):find(
      "^cannot send the function of map at train.lua:30 to a worker: its "
        .. "upvalue 'value' is a cdata %(struct %d+%) that cannot be packed: "
        .. "it is bad$"))
  end)

  it("that the worker's module does not register is named", function()
    local text = blob.pack(kind.new(5))
    format.kinds["blob_kind"] = nil
    local ok, message = pcall(blob.unpack, text)
    assert.is_false(ok)
    assert.equals("cannot read the chain: module 'blob_kind' registers no "
      .. "values here", message)
  end)
end)

describe("what cannot travel", function()
  it("is named with the function that holds it", function()
    local log = io.tmpfile()
    local function train() return log end
    assert.equals("cannot send " .. at(train)
      .. " to a worker: its upvalue 'log' is a file",
      refused(train))
    assert.equals("cannot send the function of map at train.lua:30"
      .. " to a worker: its upvalue 'log' is a file",
      refused(train, "the function of map at train.lua:30"))
    log:close()
    local message, help = refused(train)
    assert.truthy(message:find("is a closed file", 1, true))
    assert.equals("let each worker make its own: "
      .. "neap.per_worker(function() return ... end)", help)
  end)

  it("is named with the path to it", function()
    local options = { handlers = { print, coroutine.create(print) } }
    local function f() return options end
    assert.equals("cannot send " .. at(f) .. " to a worker: its upvalue "
      .. "'options'.handlers[2] is a coroutine", refused(f))
    local odd = { ["odd key"] = { [true] = options.handlers } }
    local function g() return odd end
    assert.equals("cannot send " .. at(g) .. " to a worker: its upvalue "
      .. "'odd'[\"odd key\"][true][2] is a coroutine", refused(g))
  end)

  it("is named with the way to the function that holds it", function()
    local log = io.tmpfile()
    local function helper() return log end
    local tools = { helper = helper }
    local function map() return tools end
    assert.equals("cannot send " .. at(helper) .. " to a worker: its upvalue "
      .. "'log' is a file; that function is reached from the chain "
      .. "by its source.f, upvalue 'tools'.helper",
      refused({ source = { f = map } }, "the chain"))
  end)

  it("is named with the stage that leads to it", function()
    local log = io.tmpfile()
    local function helper() return log end
    local tools = { helper = helper }
    local function map() return tools end
    local function message(f, on_start)
      return support.message(function()
        local _ = neap.range(3):map(f):batch(2):prefetch({
          workers = 1, on_start = on_start,
        })
      end):match("^(.-)\n")
    end
    local line = debug.getinfo(message, "S").linedefined + 2
    local stage = ("the function of map (%s:%d)"):format(
      debug.getinfo(1, "S").short_src, line)
    local what = "cannot send " .. at(helper) .. " to a worker: its upvalue "
      .. "'log' is a file; that "
    assert.equals(what .. "is " .. stage, message(helper))
    assert.equals(what .. "function is reached from " .. stage
      .. " by its upvalue 'tools'.helper", message(map))
    assert.equals(what .. "is on_start", message(math.abs, helper))
    assert.equals(what .. "function is reached from on_start by its upvalue "
      .. "'tools'.helper", message(math.abs, map))
    assert.matches("^cannot send from %(.*%) to a worker: its items%[1%] is a "
      .. "file\n", support.message(function()
        local _ = neap.from({ log }):prefetch({ workers = 1 })
      end))
    assert.matches("^cannot send from_iter %(.*%) to a worker: its iterator is "
      .. "a C function that no module names\nhelp: give a function that makes "
      .. "the iterator", support.message(function()
        local _ = neap.from_iter(log:lines()):prefetch({ workers = 1 })
      end))
    log:close()
  end)

  it("may be the root", function()
    assert.equals("cannot send the value to a worker: it is a coroutine",
      refused(coroutine.create(print)))
  end)

  it("may be a key or in a metatable", function()
    assert.equals("cannot send the options to a worker: its a<key> is a "
      .. "coroutine", refused({ a = { [coroutine.create(print)] = 1 } },
      "the options"))
    assert.equals("cannot send the options to a worker: its "
      .. "<metatable>.__gc is a coroutine",
      refused(setmetatable({}, { __gc = coroutine.create(print) }),
        "the options"))
  end)

  it("is a C function that has no name", function()
    local iterator = string.gmatch("", "x")
    assert.equals("cannot send the value to a worker: its f is a C function "
      .. "that no module names", refused({ f = iterator }))
  end)

  it("is a C library, a pointer, a struct, a userdata", function()
    local function what(value)
      return refused({ value }):match("its %[1%] is (.*)$")
    end
    assert.equals("a C library", what(ffi.load("m")))
    assert.equals("a cdata (int *)", what(ffi.new("int *")))
    assert.equals("a cdata (int [3])", what(ffi.new("int[3]")))
    assert.truthy(what(ffi.new("struct { int x; }")):find(
      "^a cdata %(struct %d+%)$"))
    assert.equals("a userdata", what(newproxy()))
  end)

  it("is named in a function without names", function()
    local thread = coroutine.create(print)
    local f = load(string.dump(function() return thread end, true))
    debug.setupvalue(f, 1, thread)
    assert.truthy(refused(f):find("its upvalue 1 is a coroutine", 1, true))
  end)

  it("is shown with the ends of a long path", function()
    local deep = coroutine.create(print)
    for _ = 1, 100000 do
      deep = { next = deep }
    end
    assert.equals("cannot send the list to a worker: its "
      .. "next.next.next.next.next.next ... .next.next.next.next.next.next "
      .. "is a coroutine", refused(deep, "the list"))
  end)
end)

describe("a damaged blob", function()
  local function read(text)
    local ok, message = pcall(blob.unpack, text)
    return ok, message
  end

  local function refused_as(why, text)
    local ok, message = read(text)
    assert.is_false(ok)
    assert.equals("cannot read the chain: " .. why, message)
  end

  it("is told from other strings and other versions", function()
    local foreign = "it is not a chain of this version of neap"
    refused_as(foreign, "")
    refused_as(foreign, "neapblb1")
    refused_as(foreign, ("x"):rep(100))
    refused_as(foreign, "neapblb0" .. blob.pack(1):sub(9))
  end)

  it("is refused whichever byte is lost or changed", function()
    local text = blob.pack({ 1, "two", function() return print end, { 4 } })
    for n = 16, #text - 1 do
      refused_as("it is damaged", text:sub(1, n))
    end
    for n = 9, #text do
      local byte = string.char(bit.bxor(text:byte(n), 2 ^ (n % 8)))
      refused_as("it is damaged", text:sub(1, n - 1) .. byte
        .. text:sub(n + 1))
    end
  end)

  -- With a checksum that is right again.
  local function changed(text, place, byte)
    local bytes = ffi.new("uint8_t[?]", #text)
    ffi.copy(bytes, text, #text)
    bytes[place - 1] = byte
    ffi.cast(format.header_pointer, bytes).checksum =
      format.checksum(bytes, #text)
    return ffi.string(bytes, #text)
  end

  it("has no NaN for a key, which crashes compiled code", function()
    local list = {}
    for k = 1, 1000 do
      list[k] = { [true] = 0.5 }
    end
    local text = blob.pack(list)
    local pair, last = "\2\6" .. ("\0"):rep(6) .. "\224\63", 1
    for _ = 1, 1000 do
      last = text:find(pair, last, true) + 1
    end
    refused_as("it is damaged", changed(text, last - 1, format.tags.nan))
  end)

  -- Outside bytecode; the seed is in the message, and can be set.
  it("is never followed astray", function()
    local key = 7LL
    local value = {
      1, 0.5, 0 / 0, "short", ("long"):rep(20), key, print, io.stdout,
      ffi.typeof("float *"), ffi.new("complex", 1, 2), { { {} } },
      [key] = setmetatable({ a = true }, { __index = { b = false } }),
    }
    value.me = value
    local text = blob.pack(value)
    local seed = tonumber(os.getenv("NEAP_SEED")) or os.time()
    math.randomseed(seed)
    for _ = 1, 20000 do
      local bad = text
      for _ = 1, math.random(3) do
        bad = changed(bad, math.random(17, #text), math.random(2) == 1
          and math.random(0, 255) or math.random(0, 28))
      end
      local ok, message = read(bad)
      assert(ok or message:find("^cannot read the chain: "),
        ("seed %d: %s"):format(seed, tostring(message)))
    end
  end)

  it("holds no number that LuaJIT takes for an object", function()
    local text = blob.pack(0.5)
    local number = text:find("\6", 17, true)
    for k = 1, 8 do
      text = changed(text, number + k, 0xff)
    end
    refused_as("it is damaged", text)
  end)

  it("with bytecode of another LuaJIT says so", function()
    local text = blob.pack(function() end)
    local ok, message = read(
      changed(text, text:find("\27LJ", 1, true) + 3, 99))
    assert.is_false(ok)
    assert.truthy(message:find("^cannot read the chain: .*bytecode"), message)
  end)
end)
