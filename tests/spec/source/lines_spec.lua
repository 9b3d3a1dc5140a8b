-- SPDX-License-Identifier: MIT
--- Lines of text files: what they are, plain and gzipped, of one file and of
-- several, and what is wrong with bad ones.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local folder

local function write(name, text)
  return support.write(folder .. "/" .. name, text)
end

local function gzip(path)
  os.execute("gzip -k -f " .. path)
  return path .. ".gz"
end

describe("neap.lines", function()
  setup(function()
    folder = support.folder()
  end)

  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  before_each(support.remember)
  after_each(support.check_leaks)

  it("are strings without their ends, whichever these are", function()
    for text, expected in pairs({
      ["a\nb\n"] = { "a", "b" }, ["a\r\nb"] = { "a", "b" },
      ["\n\r\n\n"] = { "", "", "" }, [""] = {}, ["\n"] = { "" },
      ["one"] = { "one" }, ["a\rb\r\nc\r"] = { "a\rb", "c\r" },
      ["a\0b\n\255\n"] = { "a\0b", "\255" },
    }) do
      local path = write("text", text)
      assert.same(expected, neap.lines(path):totable())
      assert.same(expected, neap.lines(gzip(path)):totable())
    end
  end)

  it("are of several files, one after another", function()
    local a, b, c = write("a", "1\n2"), write("b", ""), gzip(write("c", "3\n"))
    local s = neap.lines({ a, b, c, a })
    assert.same({ "1", "2", "3", "1", "2" }, s:totable())
    assert.equal("lines(4 files): 5 items", tostring(s))
    assert.equal("3", s[-3])
  end)

  it("reach the workers as an index and a path", function()
    local list = {}
    for k = 1, 30000 do
      list[k] = ("line %d "):format(k)
    end
    local path = write("large", table.concat(list, "\n"))
    for _, file in ipairs({ path, gzip(path) }) do
      local p = support.close_later(neap.lines(file):prefetch({ workers = 2 }))
      local read = support.items(p)
      read.n = nil
      assert.same(list, read)
      assert.equal("line 17 ", p[17])
    end
  end)

  it("of a file that changed are errors of items", function()
    local path = write("changes", ("x\n"):rep(100))
    local s = neap.lines(path)
    os.execute("truncate -s 10 " .. path)
    local p = support.close_later(s:prefetch({ workers = 1 }))
    local e = support.raised(function() return p[3] end)
    assert.equal(3, e.index)
    assert.matches("^lines %(tests/spec/source/lines_spec.lua:%d+%)$", e.stage)
    assert.equal("item", e.kind)
    assert.equal(("cannot read %s: the file has changed since the sequence was "
      .. "made"):format(path), e.message)
    assert.equal("make the sequence anew", e.help)
  end)

  it("refuse what is no path", function()
    assert.equal("bad argument #1 to 'lines' (path or list of paths expected, "
      .. "got no value)", support.message(neap.lines))
    assert.equal("bad argument #1 to 'lines' (path or list of paths expected, "
      .. "got an empty table)", support.message(neap.lines, {}))
    assert.equal("bad argument #1 to 'lines' (path 2 of the list: string "
      .. "expected, got 7)", support.message(neap.lines, { "a", 7 }))
    assert.equal(("cannot open %s/none: No such file or directory"):format(
      folder), support.message(neap.lines, folder .. "/none"))
  end)
end)
