-- SPDX-License-Identifier: MIT
--- The text of files as records: against a plain loop over the bytes, plain
-- and gzipped, and what is wrong with bad files.

local Text = require("neap.source.text")
local support = dofile("tests/spec/support.lua")

local folder

local function write(name, text)
  return support.write(folder .. "/" .. name, text)
end

local function gzip(path, options)
  os.execute(("gzip -k -f %s %s"):format(options or "", path))
  return path .. ".gz"
end

local function records(path, rules)
  local text, list = Text.open(path, rules), {}
  for k = 1, text.count do
    list[k] = text:record(k)
  end
  return list
end

-- assert.same of long lists prints them whole.
local function assert_same(expected, list)
  assert.equal(#expected, #list)
  for k = 1, #list do
    assert.equal(expected[k], list[k], "record " .. k)
  end
end

-- What records() answers, byte by byte.
local function model(text, rules)
  local list, start, i, is_quoted, closed = {}, 1, 1, false, 0
  if rules.skips_blank and text:sub(1, 3) == "\239\187\191" then
    start, i = 4, 4
  end
  local function add(stop)
    local record = text:sub(start, stop):gsub("\r?\n$", "")
    if not rules.skips_blank
        or not text:sub(start, stop):find("^\r?\n?$") then
      list[#list + 1] = record
    end
    start = stop + 1
  end
  while i <= #text do
    local c = text:byte(i)
    if c == rules.quote then
      if is_quoted then
        is_quoted, closed = false, i
      elseif i == start or text:byte(i - 1) == rules.delimiter
          or closed == i - 1 and closed > 0 then
        is_quoted = true
      end
    elseif c == 10 and not is_quoted then
      add(i)
    end
    i = i + 1
  end
  if start <= #text then
    add(#text)
  end
  return list, is_quoted
end

local RULES = {
  {}, { skips_blank = true },
  { quote = ("\""):byte(), delimiter = (","):byte() },
  { quote = ("\""):byte(), delimiter = (","):byte(), skips_blank = true },
}

local function random_text(alphabet, count)
  local parts = {}
  for k = 1, count do
    parts[k] = alphabet[math.random(#alphabet)]
  end
  return table.concat(parts)
end

describe("a text", function()
  setup(function()
    folder = support.folder()
    support.seed("text_spec")
  end)

  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  before_each(support.remember)
  after_each(support.check_leaks)

  it("has the records that a plain loop finds", function()
    local alphabet = { "\n", "\r\n", "\r", "\"", "\"\"", ",", "a", "bc", "\0",
      ("long "):rep(20), ",\"x\ny\"\n" }
    for turn = 1, 100 do
      local text = random_text(alphabet, math.random(0, 100))
      if turn % 5 == 0 then
        text = "\239\187\191" .. text
      end
      local path = write("random", text)
      for _, rules in ipairs(RULES) do
        local expected, is_open = model(text, rules)
        if is_open then
          assert.matches("is not closed$", support.message(Text.open, path,
            rules))
        else
          assert_same(expected, records(path, rules))
        end
      end
    end
  end)

  it("may be larger than what is looked at in one go", function()
    local alphabet = { ("word "):rep(30), "\n", "\r\n", ",\"quoted\n\"\"\"\n" }
    local text = random_text(alphabet, 12000)
    local path = write("parts", text)
    for _, rules in ipairs(RULES) do
      local expected = model(text, rules)
      assert_same(expected, records(path, rules))
      assert_same(expected, records(gzip(path), rules))
    end
  end)

  it("may have more records than its first bytes promise", function()
    local text = ("x"):rep(2^20) .. ("\n"):rep(2^20)
    assert.equal(2^20, #records(write("uneven", text)))
  end)

  it("that is gzipped is read at any place", function()
    local parts = {}
    for k = 1, 300000 do
      parts[k] = ("%d %d"):format(k, k * k % 7919)
    end
    local path = write("numbers", table.concat(parts, "\n"))
    for _, options in ipairs({ "-1", "-9" }) do
      local text = Text.open(gzip(path, options))
      assert.equal(#parts, text.count)
      assert.is_true(text.points.shape[1] > 2)
      for _ = 1, 60 do
        local k = math.random(#parts)
        for j = k, math.min(k + 3, #parts) do
          assert.equal(parts[j], text:record(j))
        end
      end
    end
  end)

  it("may be of several gzip members, and zeros after them", function()
    local one, two = gzip(write("one", "a\nb")), gzip(write("two", "c\nd\n"))
    local path = write("both.gz", support.read(one) .. support.read(two)
      .. ("\0"):rep(100))
    assert.same({ "a", "bc", "d" }, records(path))
    local long = ("line of a member\n"):rep(100000)
    one = support.read(gzip(write("one", long)))
    local text = Text.open(write("both.gz", one .. one))
    assert.equal(200000, text.count)
    for k = 200000, 1, -19997 do
      assert.equal("line of a member", text:record(k))
    end
  end)

  it("that is gzipped is closed where many are open", function()
    local texts = {}
    for k = 1, 50 do
      texts[k] = Text.open(gzip(write("text" .. k, "first\ntext " .. k)))
    end
    for turn = 1, 3 do
      for k = 1, 50, turn do
        assert.equal("text " .. k, texts[k]:record(2))
      end
    end
    local count = 0
    for k = 1, 50 do
      count = count + (texts[k].here and 1 or 0)
    end
    assert.equal(16, count)
  end)

  it("that is gzipped may be empty", function()
    assert.same({}, records(gzip(write("nothing", ""))))
  end)

  it("that is damaged is refused, with the reason", function()
    local path = gzip(write("whole", ("some text\n"):rep(10000)))
    local data = support.read(path)
    local cut = write("cut.gz", data:sub(1, -100))
    assert.equal(("cannot read %s: its gzip data is truncated"):format(cut),
      support.message(Text.open, cut))
    local bad = write("bad.gz", data:sub(1, 40) .. "####" .. data:sub(45))
    assert.equal(("cannot read %s: its gzip data is corrupt"):format(bad),
      support.message(Text.open, bad))
    local after = write("after.gz", data .. "garbage")
    assert.equal(("cannot read %s: its gzip data is corrupt"):format(after),
      support.message(Text.open, after))
  end)

  it("whose quote is not closed is refused, with its place", function()
    local path = write("open", "a,b\n\"c\",\"d\n")
    assert.equal(("cannot read %s: the quote at byte 9, in record 2, is not "
      .. "closed"):format(path), support.message(Text.open, path, RULES[3]))
  end)
end)
