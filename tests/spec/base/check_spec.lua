-- SPDX-License-Identifier: MIT
--- A bad argument is one error: it names the function as it was called, the
-- argument as it was counted, and the caller's line.

local neap = require("neap")
local check = require("neap.base.check")
local support = dofile("tests/spec/support.lua")

local FILE = "tests/spec/base/check_spec.lua"

-- Code with `s` (three items), `e` (endless), `p` (a prefetch) -> the error.
local CASES = {
  ["neap.map(1, s)"] = "#1 to 'map' (function expected, got 1)",
  ["neap.map(print)"] = "#2 to 'map' (sequence expected, got no value)",
  ["neap.map(print, s, 5)"] = "#3 to 'map' (sequence expected, got 5)",
  ["s:map({})"] = "#1 to 'map' (function expected, got table)",
  ["s:map(print, 5)"] = "#2 to 'map' (sequence expected, got 5)",
  ["neap.starmap(1, s)"] = "#1 to 'starmap' (function expected, got 1)",
  ["neap.starmap(print, 1)"] = "#2 to 'starmap' (sequence expected, got 1)",
  ["s:starmap('x')"] = "#1 to 'starmap' (function expected, got \"x\")",
  ["neap.random_map(1, s)"] = "#1 to 'random_map' (function expected, got 1)",
  ["neap.random_map(print, 1)"] =
    "#2 to 'random_map' (sequence expected, got 1)",
  ["s:random_map()"] = "#1 to 'random_map' (function expected, got no value)",
  ["s:random_map(print, {seed = 1.5})"] =
    "#2 to 'random_map' (option 'seed': whole number expected, got 1.5)",
  ["neap.zip()"] = "#1 to 'zip' (sequence expected, got no value)",
  ["neap.zip(s, true)"] = "#2 to 'zip' (sequence expected, got boolean)",
  ["s:zip(1)"] = "#1 to 'zip' (sequence expected, got 1)",
  ["neap.gather(1, {})"] = "#1 to 'gather' (sequence expected, got 1)",
  ["neap.gather(s)"] = "#2 to 'gather' (sequence expected, got no value)",
  ["s:gather(1)"] = "#1 to 'gather' (sequence expected, got 1)",
  ["s:take({7})"] =
    "#1 to 'take' (index at position 1: 7 is out of range 1..3)",
  ["neap.concat()"] = "#1 to 'concat' (sequence expected, got no value)",
  ["neap.concat(e, s)"] =
    "#2 to 'concat' (no sequence expected after an endless one)",
  ["s .. 1"] = "#2 to '..' (sequence expected, got 1)",
  ["1 .. s"] = "#1 to '..' (sequence expected, got 1)",
  ["s:concat(1)"] = "#1 to 'concat' (sequence expected, got 1)",
  ["neap.interleave(s, 1)"] = "#2 to 'interleave' (sequence expected, got 1)",
  ["neap.cycle(s, -1)"] =
    "#2 to 'cycle' (whole number, 0 or more, expected, got -1)",
  ["neap.cycle(e)"] =
    "#1 to 'cycle' (sequence with an end expected, got an endless one)\n"
    .. "help: s:slice(1, n) has an end",
  ["neap.switch(s, s)"] = "#3 to 'switch' (sequence expected, got no value)",
  ["neap.switch(s, s, {1})"] =
    "#3 to 'switch' (3 items expected, got 1: lengths must agree)\n"
    .. "help: s:slice(1, n) cuts the longer one",
  ["neap.case(s)"] = "#2 to 'case' (sequence expected, got no value)",
  ["neap.split(s)"] =
    "#2 to 'split' (number or table of edges expected, got no value)",
  ["s:split({2, 1})"] =
    "#1 to 'split' (edge 2: whole number 2..3 expected, got 1)",
  ["neap.batch(s, -1)"] =
    "#2 to 'batch' (positive integer expected, got -1)",
  ["s:batch(-1)"] = "#1 to 'batch' (positive integer expected, got -1)",
  ["neap.batch(1, 1)"] = "#1 to 'batch' (sequence expected, got 1)",
  ["neap.unbatch(s, 2, 3)"] = "#3 to 'unbatch' (1..2 expected, got 3)",
  ["neap.shuffle(1)"] = "#1 to 'shuffle' (sequence expected, got 1)",
  ["s:shuffle('x')"] =
    "#1 to 'shuffle' (whole number expected, got \"x\")",
  ["neap.shard(s, 3, 2)"] = "#2 to 'shard' (rank 1..2 expected, got 3)",
  ["neap.slice(1)"] = "#1 to 'slice' (sequence expected, got 1)",
  ["s:slice('x')"] = "#1 to 'slice' (whole number expected, got \"x\")",
  ["neap.window(s)"] =
    "#2 to 'window' (positive integer expected, got no value)",
  ["neap.where(s)"] = "#2 to 'where' (function expected, got no value)",
  ["neap.epoch(s, 0)"] = "#2 to 'epoch' (positive integer expected, got 0)\n"
    .. "help: epochs count from 1",
  ["s:epoch()"] = "#1 to 'epoch' (positive integer expected, got no value)",
  ["neap.zip({a = s, {1}})"] =
    "#1 to 'zip' (names of fields must be strings, got 1)",
  ["neap.from(nil, 3)"] = "#1 to 'from' (sequence expected, got no value)",
  ["neap.range(2^54)"] = "#1 to 'range' (fewer than 2^53 items expected)",
  ["neap.batch(s, 2, setmetatable({}, {}))"] = "#3 to 'batch' (plain table of "
    .. "options expected, got one with a metatable)",
  ["neap.interleave(unpack(neap.rep({}, 4097):totable()))"] =
    "#4097 to 'interleave' (4096 sequences at most expected, got 4097)",
  ["neap.concat(unpack(neap.rep({}, 4097):totable()))"] =
    "#4097 to 'concat' (4096 sequences at most expected, got 4097)",
  ["neap.mix(neap.rep({}, 4097):totable(), {})"] =
    "#1 to 'mix' (4096 sequences at most expected, got 4097)",
  ["neap.cache(s, 0)"] = "#2 to 'cache' (positive integer expected, got 0)",
  ["neap.rescue(s)"] = "#2 to 'rescue' (function expected, got no value)",
  ["s:retry()"] = "#1 to 'retry' (positive integer expected, got no value)",
  ["neap.debug(s)"] = "#2 to 'debug' (function expected, got no value)",
  ["neap.monitor(1)"] = "#1 to 'monitor' (sequence expected, got 1)",
  ["s:progress({label = 1})"] =
    "#1 to 'progress' (option 'label': string expected, got 1)",
  ["neap.mix({s, s}, {1, -1})"] =
    "#2 to 'mix' (weight 2: number above 0 expected, got -1)",
  ["neap.rep(1, -1)"] =
    "#2 to 'rep' (whole number, 0 or more, expected, got -1)",
  ["neap.from_iter(1)"] = "#1 to 'from_iter' (function expected, got 1)",
  ["neap.range('x')"] = "#1 to 'range' (number expected, got \"x\")",
  ["s:map(require('neap.base.lib').C.neap_abi)"] =
    "#1 to 'map' (function expected, got cdata)\n"
    .. "help: wrap a C function: function(x) return f(x) end",
  ["neap.from(5)"] = "#1 to 'from' (sequence expected, got 5)",
  ["neap.idx(1)"] = "#1 to 'idx' (string expected, got 1)",
  ["neap.errors('x')"] =
    "#1 to 'errors' (\"wrap\" or \"passthrough\" expected, got \"x\")",
  ["neap.each(1)"] = "#1 to 'each' (sequence expected, got 1)",
  ["s:each('skip')"] = "#1 to 'each' (table of options expected, got "
    .. "\"skip\")\nhelp: write s:each({ on_error = \"skip\" })",
  ["neap.map(print, print)"] = "#2 to 'map' (sequence expected, got function)\n"
    .. "help: neap.from(f, n) is the sequence of f(1) to f(n)",
  ["s:each({on_error = 1})"] =
    "#1 to 'each' (option 'on_error': \"raise\" or \"skip\" expected, got 1)",
  ["s:each({onerror = 1})"] =
    "#1 to 'each' (unknown option 'onerror'; known are on_error)\n"
    .. "help: did you mean 'on_error'?",
  ["s:epoch(0)"] = "#1 to 'epoch' (positive integer expected, got 0)\n"
    .. "help: epochs count from 1",
  ["s:shard(0, 2)"] = "#1 to 'shard' (positive integer expected, got 0)\n"
    .. "help: ranks count from 1",
  ["s:each({1})"] = "#1 to 'each' (unknown option 1; known are on_error)",
  ["neap.prefetch(3)"] = "#1 to 'prefetch' (sequence expected, got 3)",
  ["neap.prefetch(s, 3)"] =
    "#2 to 'prefetch' (table of options expected, got 3)",
  ["neap.prefetch(s, {workers = 'two'})"] = "#2 to 'prefetch' (option "
    .. "'workers': whole number expected, got \"two\")",
  ["s:prefetch({workers = 1.5})"] =
    "#1 to 'prefetch' (option 'workers': whole number expected, got 1.5)",
  ["s:prefetch({buffered = 0})"] =
    "#1 to 'prefetch' (option 'buffered': positive integer expected, got 0)",
  ["s:prefetch({chunk = 'all'})"] = "#1 to 'prefetch' (option 'chunk': "
    .. "positive integer or \"auto\" expected, got \"all\")",
  ["s:prefetch({order = 1})"] =
    "#1 to 'prefetch' (option 'order': boolean expected, got 1)",
  ["s:prefetch({on_start = 1})"] =
    "#1 to 'prefetch' (option 'on_start': function expected, got 1)",
  ["s:prefetch({retries = -1})"] = "#1 to 'prefetch' (option 'retries': whole "
    .. "number, 0 or more, expected, got -1)",
  ["p:seek(0)"] = "#1 to 'seek' (index 0 is out of range 1..4)",
  ["p:seek(5)"] = "#1 to 'seek' (index 5 is out of range 1..4)",
  ["p:seek()"] = "#1 to 'seek' (whole number expected, got no value)",
}

-- The same for a method that is called without its self, or on another value.
local SELVES = {
  ["p.seek(s, 1)"] = "'seek' on bad self (prefetch expected, got range)",
  ["p.close()"] = "'close' on bad self (prefetch expected, got no value)",
  ["p.position(s)"] = "'position' on bad self (prefetch expected, got range)",
  ["s.map(print)"] = "'map' on bad self (sequence expected, got function)\n"
    .. "help: write s:map(...), with a colon",
  ["s.batch(3)"] = "'batch' on bad self (sequence expected, got 3)\n"
    .. "help: write s:batch(...), with a colon",
  ["s.each()"] = "'each' on bad self (sequence expected, got no value)\n"
    .. "help: write s:each(...), with a colon",
}

local function run(code)
  local chunk = assert(loadstring("local neap, s, e, p = ...\nlocal x = "
    .. code .. "\nreturn x", "=user.lua"))
  return pcall(chunk, neap, neap.range(3), neap.from(print),
    neap.prefetch({ 1, 2, 3 }, { workers = 0 }))
end

describe("a bad argument", function()
  for code, message in pairs(CASES) do
    it("is told: " .. code, function()
      local ok, e = run(code)
      assert.is_false(ok)
      assert.equal("user.lua:2: bad argument " .. message, e)
    end)
  end

  for code, message in pairs(SELVES) do
    it("is self: " .. code, function()
      local ok, e = run(code)
      assert.is_false(ok)
      assert.equal("user.lua:2: calling " .. message, e)
    end)
  end

  it("of prefetch lists the options that are known", function()
    local _, e = run("s:prefetch({worker = 2})")
    assert.truthy(e:find("^user.lua:2: bad argument #1 to 'prefetch' %(unknown "
      .. "option 'worker'; known are [%a_, ]*workers%)\n"
      .. "help: did you mean 'workers'%?$"), e)
    for _, name in ipairs({ "workers", "buffered", "chunk", "order", "on_start",
      "retries", "slot_bytes" }) do
      assert.truthy(e:find(name, 1, true))
    end
  end)

  it("has the function's own name, however it is called", function()
    local make, s = neap.batch, neap.range(3)
    local each = s.each
    for wanted, f in pairs({
      ["#2 to 'batch'"] = function() local _ = make({ 1 }, 0) end,
      ["#1 to 'batch'"] = function() return s:batch(0) end,
      ["#1 to 'each'"] = function() return each(s, "skip") end,
      ["#1 to 'take'"] = function() return s:take({ 7 }) end,
    }) do
      local _, e = pcall(function() local _ = f() end)
      assert.truthy(e:find("bad argument " .. wanted .. " (", 1, true), e)
    end
  end)

  it("is told at the line of the call that a tail call hides", function()
    local function build()
      return neap.batch({ 1 }, 0)
    end
    local line = debug.getinfo(1, "l").currentline + 1
    local _, e = pcall(function() local _ = build() end)
    assert.equal(("%s:%d: bad argument #2 to 'batch' (positive integer "
      .. "expected, got 0)"):format(FILE, line), e)
  end)
end)

describe("a function that is called without its name", function()
  it("has that of its module", function()
    for name, arguments in pairs({
      batch = { { 1 }, 0 }, shuffle = { 5 }, split = { { 1 }, "x" },
      range = { "x" }, from_iter = { 5 }, cycle = { 5 },
    }) do
      local _, e = pcall(neap[name], unpack(arguments))
      assert.truthy(e:find(("bad argument #%%d to '%s' %%("):format(name)), e)
    end
  end)

  it("has that of its method", function()
    local p = neap.prefetch({ 1, 2, 3 }, { workers = 0 })
    local _, e = pcall(p.seek, p, 12)
    assert.truthy(e:find("bad argument #1 to 'seek' (index 12", 1, true), e)
  end)
end)

-- Code -> what is raised.
local UNKNOWN = {
  ["s:shufle()"] = "a sequence (range) has no method 'shufle'\n"
    .. "help: did you mean 'shuffle'?",
  ["s['frist']"] = "a sequence (range) has no method 'frist'",
  ["s:stats()"] = "a sequence (range) has no method 'stats'\n"
    .. "help: only a prefetch has it",
  ["s:mix()"] = "a sequence (range) has no method 'mix'\n"
    .. "help: write neap.mix(...)",
  ["s[0]"] = "index 0 is out of range 1..3\nhelp: indexes count from 1",
  ["p:positon()"] = "a sequence (prefetch) has no method 'positon'\n"
    .. "help: did you mean 'position'?",
  ["neap.decode.imag(s)"] = "neap.decode has no function 'imag'\n"
    .. "help: did you mean 'image'?",
  ["neap.shufle(s)"] = "neap has no function 'shufle'\n"
    .. "help: did you mean 'shuffle'?",
  ["neap.tensor('f32', {2}).shap"] = "a tensor has no field or method 'shap'\n"
    .. "help: did you mean 'shape'?",
  ["neap.tensor('f32', {2}):clon()"] = "a tensor has no field or method "
    .. "'clon'\nhelp: did you mean 'clone'?",
  ["neap.tensor('f32', {2}).x"] = "a tensor has no field or method 'x'",
  ["neap.tensor('f32', {2})[true]"] =
    "cannot index a tensor: number expected, got boolean",
  ["neap.tensor('f31', {2})"] = "unknown dtype 'f31', known are u8 i8 i16 u16 "
    .. "i32 u32 i64 u64 f16 bf16 f32 f64 bool\nhelp: did you mean 'f32'?",
  ["s()"] = "cannot call a sequence: it is no function\n"
    .. "help: write `for i, x in s:each() do`",
  ["ipairs(s)"] = "cannot use ipairs() on a sequence\n"
    .. "help: write `for i, x in s:each() do`",
  ["pairs(s)"] = "cannot use pairs() on a sequence\n"
    .. "help: write `for i, x in s:each() do`",
  ["(function() for x in s do return x end end)()"] =
    "cannot call a sequence: it is no function\n"
    .. "help: write `for i, x in s:each() do`",
  ["#e"] = "cannot count: the sequence is endless\n"
    .. "help: s:len() returns math.huge, and s:slice(1, n) has n items",
}

describe("an unknown name, or a sequence in the wrong place,", function()
  for code, message in pairs(UNKNOWN) do
    it("is refused: " .. code, function()
      local ok, e = run(code)
      assert.is_false(ok)
      assert.equal("user.lua:2: " .. message, e)
    end)
  end

  it("may be looked for by rawget", function()
    assert.is_nil(rawget(neap, "shufle"))
  end)
end)

describe("a key that is no index", function()
  it("is refused, reading and writing", function()
    local s = neap.from({ 1, 2, 3 })
    for what, key in pairs({ cdata = 1LL, boolean = true, table = {} }) do
      assert.equal("cannot index: number expected, got " .. what,
        support.message(function() return s[key] end))
      assert.equal("cannot assign: index expected, got " .. what,
        support.message(function() s[key] = 1 end))
    end
    assert.equal('cannot assign: index expected, got "x"',
      support.message(function() s.x = 1 end))
  end)
end)

describe("neap.check", function()
  it("tells whole numbers from others", function()
    for _, value in ipairs({ 0, -1, 2 ^ 53 - 1, -2 ^ 53 + 1 }) do
      assert.is_true(check.is_integer(value))
    end
    for _, value in ipairs({ 0.5, 2 ^ 53, 1 / 0, -1 / 0, 0 / 0, "1", {} }) do
      assert.is_false(check.is_integer(value))
    end
    assert.is_false(check.is_integer(nil))
  end)
end)
