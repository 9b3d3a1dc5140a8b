-- SPDX-License-Identifier: MIT
--- Every function of tests/native/signatures.h, called by neap (in the script,
-- and in 1 and 4 workers), by LuaJIT's FFI, and by a C program that is compiled
-- here: all make the same values, bit for bit. A value is shown as a text from
-- which all its bits can be told.

local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local LIBRARY = support.NEAP:gsub("bin/neap$", "tests/libsignatures.so")
local HEADER = support.read("tests/native/signatures.h")

local function section(name)
  return HEADER:match("/%* " .. name .. ": begin %*/\n(.-)/%* " .. name
    .. ": end")
end

local STRUCTS = section("structs")
ffi.cdef(STRUCTS)
ffi.cdef(section("functions"))
local library = ffi.load(LIBRARY)

-- Functions that other specs call: they need a context, end the process, or
-- make nothing that can be compared.
local APART = {}
for name in ([[
  counter_new counter_fail counter_next counter_check counter_text counter_free
  counters_alive write_null end_by_abort slow nothing status add_to
]]):gmatch("%S+") do
  APART[name] = true
end

-- -- Arguments ---------------------------------------------------------------
--
-- An argument is what neap gets of it (`item`, a field of the item, or `out`, a
-- binding), what LuaJIT's FFI gets (`ffi`), and what C gets (`c`). What is
-- written through it is `written`: {ctype, count}.

local function literal(x)
  if type(x) == "string" then
    return ("%q"):format(x)
  elseif type(x) == "boolean" then
    return tostring(x)
  elseif type(x) == "number" then
    return ("%.17g"):format(x) .. (x == 0 and ".0" or "")
  end
  return tostring(x)
end

local function plain(x)
  return { item = x, ffi = x, c = literal(x) }
end

local DTYPES = {
  float = "f32", double = "f64", int32_t = "i32", int16_t = "i16",
  uint8_t = "u8",
}

local function literals(values)
  local parts = {}
  for k, x in ipairs(values) do
    parts[k] = literal(x)
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function array(ctype, values)
  return {
    item = neap.tensor(DTYPES[ctype], { #values }, values), part = "data",
    ffi = ffi.new(ctype .. "[?]", #values, values),
    c = ("(%s[])%s"):format(ctype, literals(values)),
  }
end

local function text(x)
  return { item = x, ffi = x, c = literal(x), part = "data" }
end

local function reference(ctype, x)
  return {
    item = x, ffi = ffi.new(ctype .. "[1]", x),
    c = ("(%s[]){%s}"):format(ctype, literal(x)),
  }
end

local function struct(ctype, x, c)
  return { item = x, ffi = ffi.new(ctype, x), c = ("(%s)%s"):format(ctype, c) }
end

local function struct_reference(ctype, x, c)
  local own = struct(ctype, x, c)
  return { item = x, ffi = own.ffi, c = "&" .. own.c }
end

local function filled(ctype, count)
  return {
    out = { out = DTYPES[ctype], shape = { count } },
    ffi = ffi.new(ctype .. "[?]", count), written = { ctype, count },
  }
end

local function copied(ctype, values)
  local own = array(ctype, values)
  return {
    item = own.item, out = "copy", ffi = own.ffi,
    written = { ctype, #values, literals(values) },
  }
end

local function written(ctype)
  return {
    out = { out = true }, ffi = ffi.new(ctype .. "[1]"), written = { ctype, 1 },
  }
end

-- -- Cases -------------------------------------------------------------------

local function all(list)
  for k, arguments in ipairs(list) do
    for n, x in ipairs(arguments) do
      arguments[n] = type(x) == "table" and x or plain(x)
    end
    list[k] = arguments
  end
  return list
end

local SMALL, WIDE = 2LL ^ 62, 2ULL ^ 63

local CASES = {
  add_i8 = { { 1, 2 }, { -128, -1 }, { 127, 1 } },
  add_u8 = { { 1, 2 }, { 255, 255 } },
  add_i16 = { { -32768, -1 }, { 300, 400 } },
  add_u16 = { { 65535, 2 } },
  add_i32 = { { -2147483647, -9 }, { 2147483647, 1 } },
  add_u32 = { { 4294967295, 2 }, { 7, 8 } },
  add_i64 = { { 2 ^ 53, 1 }, { SMALL, SMALL }, { -1, -2 } },
  add_u64 = { { WIDE, 5 }, { 2 ^ 53, 2 ^ 53 } },
  add_char = { { 65, 1 }, { 127, 127 } },
  add_short = { { -300, 100 } },
  add_ushort = { { 65535, 65535 } },
  add_long = { { SMALL, 3 } },
  add_ulong = { { WIDE, WIDE }, { 1, 2 } },
  add_llong = { { -SMALL, -SMALL } },
  add_size = { { 2 ^ 40, 1 } },
  add_f32 = { { 0.1, 0.2 }, { 16777216, 1 } },
  add_f64 = { { 0.1, 0.2 }, { -0.0, -0.0 }, { 1e308, 1e308 } },
  differ = { { true, false }, { true, true } },
  half = { { 3 }, { 5e-324 } },
  half_f32 = { { 0.1 }, { 3 } },
  increase = { { 41 }, { 2147483647 } },
  square = { { 3 }, { 3037000500 } },
  invert = { { 0 }, { 170 } },
  is_even = { { 2 }, { -3 } },
  lerp = { { 1, 2, 0.3 } },
  mix = { { -1, 2, 0.25, -2 ^ 40, 0.1, true, 255 } },
  many = { { 1, 0.1, 2, 0.2, 3, 0.3, 4, 0.4, 5, 0.5, 6, 0.6, 7, 0.7, 8, 0.8, 9,
    0.9, 10, 1.1 } },
  sum_f64 = { { array("double", { 0.1, 0.2, 0.3 }), 3 } },
  sum_f32 = { { array("float", { 0.1, 0.2, 0.3 }), 3 } },
  sum_i32 = { { array("int32_t", { 2147483647, 1, -5 }), 3 } },
  sum_bytes = { { array("uint8_t", { 255, 1 }), 2 }, { text("neap"), 4 } },
  text_length = { { text("neap") }, { text("") } },
  name_of = { { 0 }, { 2 } },
  dot_ = { { reference("int", 2), array("double", { 0.1, 3 }),
    array("double", { 7, 1e-3 }) } },
  scale = { { array("float", { 0.1, -2 }), filled("float", 2), 2, 0.3 } },
  scale_in_place = { { copied("float", { 0.1, 5 }), 2, 0.7 } },
  min_max = { { array("double", { 3, -1, 2 }), 3, written("double"),
    written("double") } },
  reciprocal = { { 3, written("double") } },
  copy_unless_empty = { { array("float", { 1, 2.5 }), filled("float", 2), 2 } },
  mirror = { { struct("point", { x = 1, y = 0.1 }, "{1, 0.1}") } },
  norm = { { struct("point", { x = 1, y = 2 }, "{1, 2}") } },
  norm_of = { { struct_reference("point", { x = 2, y = 2 }, "{2, 2}") } },
  make_point = { { 0.5, written("point") } },
  swap_pair = { { struct("pair", { a = 7.5, b = -3 }, "{7.5f, -3}") } },
  next_tiny = { { struct("tiny", { a = 127, b = 65535 }, "{127, 65535}") } },
  grow = { { struct("box", { from = { x = 1, y = 2 }, to = { x = 3, y = 4 },
    id = 5 }, "{{1, 2}, {3, 4}, 5}"), 0.1 } },
  rename_record = { { {
    item = { name = "old", values = neap.tensor("i16", { 3 }, { 1, 2, -3 }),
      weight = 0.1 },
    ffi = ffi.new("record", "old", { 1, 2, -3 }, 0.1),
    c = '(record){"old", {1, 2, -3}, 0.1}',
  }, text("new name") } },
  status_text = { { 3 } },
}

for _, list in pairs(CASES) do
  all(list)
end

-- -- Values as texts ---------------------------------------------------------

local MEMBERS = {
  point = { "x", "y" }, pair = { "a", "b" }, tiny = { "a", "b" },
  box = { "from", "to", "id" }, record = { "name", "values", "weight" },
}
local INSIDE = { from = "point", to = "point" } -- member -> its type

local show

local function show_members(x, ctype)
  local parts = {}
  for k, name in ipairs(MEMBERS[ctype]) do
    parts[k] = show(x[name], INSIDE[name] or name)
  end
  return table.concat(parts, " ")
end

-- `what` is the type of a value, or the name of a member.
function show(x, what)
  if MEMBERS[what] then
    return show_members(x, what)
  elseif what == "values" then
    local list = {}
    for k = 1, 3 do
      list[k] = show(x[k])
    end
    return table.concat(list, " ")
  elseif type(x) == "boolean" then
    return x and "1" or "0"
  elseif type(x) == "number" then
    return ("%.17g"):format(x)
  elseif type(x) == "cdata" then
    return (tostring(x):gsub("U?LL$", ""))
  end
  return tostring(x)
end

-- -- The three ways ----------------------------------------------------------

local functions = {} -- name -> {result =, parameters = {name}}

for result, name, list in section("functions")
  :gmatch("([^\n]-)([%w_]+)(%b());") do
  local parameters = {}
  for parameter in list:sub(2, -2):gmatch("[^,]+") do
    parameters[#parameters + 1] = parameter:match("([%w_]+)$")
  end
  functions[name] = {
    result = result:gsub("%s+$", ""), parameters = parameters,
    text = result .. name .. list .. ";",
  }
end

local function written_of(arguments)
  local list = {}
  for k, argument in ipairs(arguments) do
    if argument.written then
      list[#list + 1] = k
    end
  end
  return list
end

local function by_ffi(name, arguments)
  local values = {}
  for k, argument in ipairs(arguments) do
    values[k] = argument.ffi
    if argument.out == "copy" then
      values[k] = ffi.new("float[2]")
      ffi.copy(values[k], argument.ffi, ffi.sizeof(values[k]))
    end
  end
  local x = library[name](unpack(values, 1, #arguments))
  local outputs, result = written_of(arguments), functions[name].result
  if #outputs == 0 then
    if result == "const char *" then
      x = x ~= nil and ffi.string(x) or nil
    elseif result == "record" then
      x = { name = ffi.string(x.name, 8):gsub("%z", ""), weight = x.weight,
        values = { x.values[0], x.values[1], x.values[2] } }
    end
    return show(x, result)
  end
  local parts = {}
  for _, k in ipairs(outputs) do
    local ctype, count = unpack(arguments[k].written)
    for n = 0, count - 1 do
      parts[#parts + 1] = show(values[k][n], ctype)
    end
  end
  return table.concat(parts, " ")
end

local function show_result(x, name, arguments)
  local outputs = written_of(arguments)
  if #outputs == 0 then
    return show(x, functions[name].result)
  end
  local parts = {}
  for _, k in ipairs(outputs) do
    local ctype, count = unpack(arguments[k].written)
    local value = x
    if #outputs > 1 then
      value = x[functions[name].parameters[k]]
    end
    local is_tensor = type(value) == "cdata"
    for n = 1, count do
      parts[#parts + 1] = show(is_tensor and value[n] or value, ctype)
    end
  end
  return table.concat(parts, " ")
end

local function stage_of(name, arguments)
  local args = {}
  for k, parameter in ipairs(functions[name].parameters) do
    local argument = arguments[k]
    args[parameter] = argument.out
      or "of_" .. parameter .. (argument.part and "." .. argument.part or "")
    if argument.out == "copy" then
      args[parameter] = { copy = "of_" .. parameter .. ".data" }
    end
  end
  return neap.native({
    lib = LIBRARY, decl = STRUCTS .. functions[name].text, args = args,
  })
end

local function item_of(name, arguments)
  local item = { is_item = true }
  for k, parameter in ipairs(functions[name].parameters) do
    item["of_" .. parameter] = arguments[k].item
  end
  return item
end

-- One chain of all cases of all functions.
local function chain_of(names)
  local parts = {}
  for n, name in ipairs(names) do
    local items = {}
    for k, arguments in ipairs(CASES[name]) do
      items[k] = item_of(name, arguments)
    end
    parts[n] = neap.map(stage_of(name, CASES[name][1]), items)
  end
  return neap.concat(unpack(parts))
end

-- function -> what the chain makes of its cases
local function shown_items(s, names)
  local list, at = {}, 0
  for _, x in s:each() do
    list[#list + 1] = neap.keep(x)
  end
  local found = {}
  for _, name in ipairs(names) do
    found[name] = {}
    for k, arguments in ipairs(CASES[name]) do
      found[name][k] = show_result(list[at + k], name, arguments)
    end
    at = at + #CASES[name]
  end
  return found
end

-- -- Directly ----------------------------------------------------------------

local DRIVER = [[
#include <stdio.h>
#include "tests/native/signatures.h"
static void show_d(double x) { printf("%%.17g ", x); }
static void show_i(long long x) { printf("%%lld ", x); }
static void show_u(unsigned long long x) { printf("%%llu ", x); }
static void show_s(const char *x) { printf("%%s ", x ? x : "nil"); }
static void show_point(point x) { show_d(x.x); show_d(x.y); }
static void show_pair(pair x) { show_d(x.a); show_i(x.b); }
static void show_tiny(tiny x) { show_i(x.a); show_i(x.b); }
static void show_box(box x) {
  show_point(x.from); show_point(x.to); show_i(x.id);
}
static void show_record(record x) {
  printf("%%.8s ", x.name);
  for (int k = 0; k < 3; k++) show_i(x.values[k]);
  show_d(x.weight);
}
#define SHOW(x) _Generic((x), float: show_d, double: show_d, \
  unsigned long: show_u, unsigned long long: show_u, char *: show_s, \
  const char *: show_s, point: show_point, pair: show_pair, tiny: show_tiny, \
  box: show_box, record: show_record, default: show_i)(x)
int main(void) {
%s
  return 0;
}
]]

local function block_of(name, arguments)
  local lines, words = { "  {" }, {}
  for k, argument in ipairs(arguments) do
    words[k] = argument.c or "out" .. k
    if argument.written then
      local ctype, count, values = unpack(argument.written)
      lines[#lines + 1] = ("    %s out%d[%d] = %s;"):format(ctype, k, count,
        values or "{0}")
    end
  end
  local call = ("%s(%s)"):format(name, table.concat(words, ", "))
  local outputs = written_of(arguments)
  lines[#lines + 1] = #outputs == 0 and ("    SHOW(%s);"):format(call)
    or ("    (void)%s;"):format(call)
  for _, k in ipairs(outputs) do
    for n = 0, arguments[k].written[2] - 1 do
      lines[#lines + 1] = ("    SHOW(out%d[%d]);"):format(k, n)
    end
  end
  lines[#lines + 1] = '    printf("\\n");\n  }'
  return table.concat(lines, "\n")
end

-- function -> what C makes of its cases
local function directly(names)
  local blocks, folder = {}, support.folder()
  for _, name in ipairs(names) do
    for _, arguments in ipairs(CASES[name]) do
      blocks[#blocks + 1] = block_of(name, arguments)
    end
  end
  support.write(folder .. "/driver.c",
    DRIVER:format(table.concat(blocks, "\n")))
  local said, status = support.shell(("cc -I . -o %s/driver %s/driver.c "
    .. "tests/native/signatures.c -lm && %s/driver"):format(folder, folder,
    folder))
  assert(status == 0, said)
  os.execute("rm -r " .. folder)
  local found, next_line = {}, said:gmatch("([^\n]*)\n")
  for _, name in ipairs(names) do
    found[name] = {}
    for k = 1, #CASES[name] do
      found[name][k] = next_line():gsub(" $", "")
    end
  end
  return found
end

local names = {}
for name in pairs(functions) do
  if not APART[name] then
    names[#names + 1] = name
  end
end
table.sort(names)

describe("a function of every signature", function()
  local direct = directly(names)

  before_each(support.remember)
  after_each(support.check_leaks)

  it("has cases here, or other specs call it", function()
    for name in pairs(functions) do
      assert(APART[name] or #CASES[name] > 0, name)
    end
    assert(#names >= 40)
  end)

  it("makes by LuaJIT's FFI what it makes in C", function()
    for _, name in ipairs(names) do
      local found = {}
      for k, arguments in ipairs(CASES[name]) do
        found[k] = by_ffi(name, arguments)
      end
      assert.same(direct[name], found, name)
    end
  end)

  for _, workers in ipairs({ 0, 1, 4 }) do
    it(("makes in %d workers what it makes in C"):format(workers), function()
      local p = support.close_later(chain_of(names)
        :prefetch({ workers = workers }))
      local found = shown_items(p, names)
      for _, name in ipairs(names) do
        assert.same(direct[name], found[name], name)
      end
    end)
  end

  for name, dtype in pairs({
    half = "f64", half_f32 = "f32", increase = "i32", square = "i64",
    invert = "u8", is_even = "i32",
  }) do
    it("makes that of each element of a tensor: " .. name, function()
      local t, expected = neap.tensor(dtype, { 37, 5 }), {}
      for k = 1, 37 do
        for n = 1, 5 do
          t:set(k, n, (k * 11 + n * 7) % 200)
          expected[#expected + 1] = show(library[name](t:get(k, n)))
        end
      end
      local stage = neap.native({ lib = LIBRARY, decl = functions[name].text })
      local s = neap.from({ t }):map(stage)
      for _, from in ipairs({ s, support.close_later(s:prefetch({
        workers = 1,
      })) }) do
        local found, x = {}, from[1]:reshape(-1)
        for k = 1, #x do
          found[k] = show(x[k])
        end
        assert.same(expected, found)
      end
    end)
  end
end)
