-- SPDX-License-Identifier: MIT
--- Rows and columns of CSV files: what is a field, which types there are, and
-- what is wrong with bad files.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local folder

local function write(text, name)
  return support.write(folder .. "/" .. (name or "table.csv"), text)
end

local function rows(text, options)
  return neap.csv(write(text), options):totable()
end

-- The message of the first item or of the call, without "cannot read PATH: ".
local function refusal(text, options)
  local path = write(text)
  local message = support.message(function()
    local _ = neap.csv(path, options):totable()
  end)
  return message and (message:gsub("^cannot read " .. path:gsub("%p", "%%%0")
    .. ": ", ""))
end

local HOUSES = "rooms,price,street,sold\n3,250.5,Elm,true\n4,1e3,Oak,FALSE\n"

describe("neap.csv", function()
  setup(function()
    folder = support.folder()
    support.seed("csv_spec")
  end)

  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  before_each(support.remember)
  after_each(support.check_leaks)

  it("reads rows as tables, of types that it guesses and shows", function()
    local path = write(HOUSES)
    local s = neap.csv(path)
    assert.equal(2, #s)
    assert.same({ rooms = 3, price = 250.5, street = "Elm", sold = true }, s[1])
    assert.same({ rooms = 4, price = 1000, street = "Oak", sold = false }, s[2])
    assert.equal(("csv(%s: rooms i64, price f64, street string, sold bool): "
      .. "2 items"):format(path), tostring(s))
  end)

  it("reads columns as tensors", function()
    local t = neap.csv(write(HOUSES), {
      as = "columns", columns = {
        rooms = "u8", price = "f32", street = "string", sold = "bool",
      },
    })
    assert.equal("u8", t.rooms.dtype)
    assert.same({ 3, 4 }, t.rooms:totable())
    assert.same({ 250.5, 1000 }, t.price:totable())
    assert.same({ "Elm", "Oak" }, t.street)
    assert.same({ true, false }, t.sold:totable())
  end)

  it("reads only the columns that are named", function()
    assert.same({ { price = 250.5 }, { price = 1000 } },
      rows(HOUSES, { columns = { price = "f64" } }))
  end)

  it("reads what RFC 4180 allows", function()
    local text = { a = "string", b = "string", c = "string" }
    assert.same({
      { a = "x,y", b = "line\nend", c = "say \"hi\"" },
      { a = "", b = "", c = " z " },
      { a = "5\" disk", b = "''", c = "d\re" },
    }, rows("a,b,c\r\n\"x,y\",\"line\nend\",\"say \"\"hi\"\"\"\r\n\r\n"
      .. ",\"\", z \r\n5\" disk,'',d\re\r\n", { columns = text }))
  end)

  it("takes other delimiters, quotes and headers", function()
    assert.same({ { a = 1, b = "x;y" } },
      rows("a;b\n1;'x;y'\n", { delimiter = ";", quote = "'" }))
    assert.same({ { a = 1, b = "\"x" } }, rows("a|b\n1|\"x\n", {
      delimiter = "|", quote = false,
    }))
    assert.same({ { 1, "x" }, { 2, "y" } }, rows("1,x\n2,y\n", {
      header = false,
    }))
    assert.same({ { n = 1, s = "x" } }, rows("1,x\n", {
      header = { "n", "s" },
    }))
    assert.same({ { [2] = 4 } }, rows("3,4\n", {
      header = false, columns = { [2] = "u8" },
    }))
    assert.same({ { a = 1, b = 2 } },
      neap.csv(write("a\tb\n1\t2\n", "table.tsv")):totable())
    assert.same({ { a = 1 } }, rows("\239\187\191a\n1\n"))
  end)

  it("reads missing fields as they are to be", function()
    local guessed = rows("a,b\n,1\nNA,N/A\n")
    assert.equal("NA", guessed[2].a)
    assert.is_true(guessed[2].b ~= guessed[2].b)
    local text = "a,b,c\n,NA,\nnull,2.5,x\n7,nan,\"\"\n"
    local types = { a = "i32", b = "f64", c = "string" }
    assert.same({ { a = -1, b = -1, c = "" }, { a = -1, b = 2.5, c = "x" },
      { a = 7, b = -1, c = "" } }, rows(text, {
        columns = types, missing = -1,
      }))
    assert.same({ { a = 0, b = 9, c = "?" }, { a = 0, b = 2.5, c = "x" },
      { a = 7, b = 9, c = "" } }, rows(text, {
        columns = types, missing = { a = 0, b = 9, c = "?" },
      }))
    assert.equal("row 1, column 'a': '' is no value",
      refusal(text, { columns = types }):match("^[^\n]*"))
  end)

  it("reads integers exactly, and refuses those that do not fit", function()
    local t = neap.csv(write("a,b\n-9223372036854775808,18446744073709551615\n"
      .. "+5,-0\n"), { columns = { a = "i64", b = "u64" }, as = "columns" })
    assert.equal("-9223372036854775808LL", tostring(t.a[1]))
    assert.equal("18446744073709551615ULL", tostring(t.b[1]))
    assert.equal(5, t.a[2])
    for dtype, text in pairs({ u8 = "256", i8 = "-129", i16 = "3.0",
      i64 = "9223372036854775808", u32 = "-1", f32 = "1,5", i32 = "1e3" }) do
      assert.equal(("row 1, column 'a': '%s' is no %s"):format(text, dtype),
        refusal("a\n\"" .. text .. "\"\n", { columns = { a = dtype } })
          :match("^[^\n]*"))
    end
  end)

  it("rounds floats as Lua does", function()
    local list = { "0.1", "-1e-7", "1.7976931348623157e308", "5e-324", ".5",
      "5.", "123456789012345678901234567890", "1e23", "9007199254740993",
      "0.000000000000000000000000000001", "2.2250738585072011e-308", "-0.0" }
    for _ = 1, 3000 do
      list[#list + 1] = ("%.17g"):format((math.random() - 0.5)
        * 10 ^ math.random(-30, 30))
      list[#list + 1] = ("%.18e"):format(math.random())
    end
    local t = neap.csv(write("x\n" .. table.concat(list, "\n")), {
      as = "columns", columns = { x = "f64" },
    })
    for k, text in ipairs(list) do
      assert.equal(tonumber(text), t.x[k], text)
    end
  end)

  it("reads as many rows as there are, gzipped ones too", function()
    local lines = { "i,square,text" }
    for i = 1, 30000 do
      lines[#lines + 1] = ("%d,%d,\"row\n%d\""):format(i, i * i, i)
    end
    local path = write(table.concat(lines, "\n"), "large.csv")
    os.execute("gzip -k -f " .. path)
    for _, file in ipairs({ path, path .. ".gz" }) do
      local t = neap.csv(file, { as = "columns" })
      assert.equal("i64", t.square.dtype)
      assert.equal(30000, #t.text)
      for i = 1, 30000, 997 do
        assert.equal(i * i, t.square[i])
        assert.equal("row\n" .. i, t.text[i])
      end
      local p = support.close_later(neap.csv(file):prefetch({ workers = 2 }))
      for i, row in p:each() do
        assert(row.i == i and row.square == i * i and row.text == "row\n" .. i)
      end
    end
  end)

  it("refuses bad rows, naming row and column", function()
    assert.equal("row 2 has 1 fields, not 2", refusal("a,b\n1,2\n3\n"))
    assert.equal("row 1 has 4 fields, not 2", refusal("a,b\n1,2,3,\"4\"\n"))
    assert.equal("row 1: text follows a closing quote",
      refusal("a,b\n1,\"x\"y\n", { columns = { a = "i64", b = "string" } }))
    assert.equal("row 2, column 'a': 'x' is no i64",
      refusal("a\n1\nx\n", { columns = { a = "i64" } }):match("^[^\n]*"))
    assert.equal("the quote at byte 7, in record 2, is not closed",
      refusal("a,b\n1,\"x\n"))
    local e = support.raised(function()
      local _ = neap.csv(write("a\n1\nx\n"), { columns = { a = "i64" } })[2]
    end)
    assert.equal("columns = { [\"a\"] = \"string\" } reads text", e.help)
    assert.equal(2, e.index)
  end)

  it("refuses bad headers and options", function()
    assert.equal("columns 1 and 3 are both called 'a'\nhelp: name the columns: "
      .. 'header = {"a", "b", ...}', refusal("a,b,a\n"))
    assert.equal("it is empty, and begins with no header\nhelp: header = "
      .. "false, if it has none", refusal(""))
    assert.equal("it has no column 'prise'; there are price, rooms, sold, "
      .. "street\nhelp: did you mean 'price'?",
      refusal(HOUSES, { columns = { prise = "f32" } }))
    assert.equal("bad argument #2 to 'csv' (option 'columns': dtype or "
      .. "\"string\" expected for column 'price', got \"f31\")",
      refusal(HOUSES, { columns = { price = "f31" } }))
    assert.equal("bad argument #2 to 'csv' (option 'missing': u8 expected for "
      .. "column 'rooms', got -1)", refusal(HOUSES, {
        columns = { rooms = "u8" }, missing = -1,
      }))
    assert.equal("bad argument #2 to 'csv' (option 'delimiter': character "
      .. 'expected, got "ab")', refusal(HOUSES, { delimiter = "ab" }))
  end)

  it("may have no rows", function()
    assert.same({}, rows("a,b\n"))
    assert.same({}, rows("", { header = false }))
    local t = neap.csv(write("a,b"), {
      as = "columns", columns = { a = "f32" },
    })
    assert.equal(0, #t.a)
  end)
end)
