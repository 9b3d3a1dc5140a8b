-- SPDX-License-Identifier: MIT
--- IDX files as sequences: what they hold, and what is wrong with bad ones.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local folder

-- An IDX file's bytes: a code for the type, sizes, and data.
local function idx(code, sizes, data)
  local parts = { string.char(0, 0, code, #sizes) }
  for _, n in ipairs(sizes) do
    parts[#parts + 1] = string.char(math.floor(n / 2 ^ 24) % 256,
      math.floor(n / 2 ^ 16) % 256, math.floor(n / 2 ^ 8) % 256, n % 256)
  end
  return table.concat(parts) .. data
end

local function write(name, text)
  return support.write(folder .. "/" .. name, text)
end

local function gzip(path)
  os.execute("gzip -k -f " .. path)
  return path .. ".gz"
end

local function message(path)
  return support.message(function() local _ = neap.idx(path) end)
end

describe("neap.idx", function()
  setup(function()
    folder = support.folder()
  end)

  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  before_each(support.remember)
  after_each(support.check_leaks)

  it("answers rows as tensors", function()
    local path = write("rows", idx(8, { 3, 2, 2 },
      "\1\2\3\4\5\6\7\8\9\10\11\255"))
    for _, file in ipairs({ path, gzip(path) }) do
      local s = neap.idx(file)
      assert.equal(3, #s)
      assert.equal("u8", s[1].dtype)
      assert.same({ { 5, 6 }, { 7, 8 } }, s[2]:totable())
      assert.same({ { 9, 10 }, { 11, 255 } }, s[-1]:totable())
    end
  end)

  it("answers numbers where there is one dimension", function()
    local path = write("numbers", idx(8, { 4 }, "\9\0\255\1"))
    assert.same({ 9, 0, 255, 1 }, neap.idx(path):totable())
    assert.same({ 9, 0, 255, 1 }, neap.idx(gzip(path)):totable())
  end)

  it("reads every type, big-endian", function()
    for _, case in ipairs({
      { 0x08, "\200", 200 }, { 0x09, "\200", -56 }, { 0x0b, "\255\254", -2 },
      { 0x0c, "\0\1\0\2", 65538 }, { 0x0d, "\63\128\0\0", 1 },
      { 0x0e, "\192\0\0\0\0\0\0\0", -2 },
    }) do
      local s = neap.idx(write("type", idx(case[1], { 2 },
        case[2] .. case[2])))
      assert.same({ case[3], case[3] }, s:totable())
    end
  end)

  it("may be empty", function()
    assert.equal(0, #neap.idx(write("none", idx(8, { 0, 5 }, ""))))
  end)

  it("lies once in memory, and reaches the workers without a copy", function()
    local n = 300
    local path = write("large", idx(8, { n, 1000 }, ("\7"):rep(n * 1000)))
    local s = neap.idx(path)
    local p = s:map(function(row) return row[1] + row[1000] end)
      :prefetch({ workers = 2 })
    local sum = 0
    for _, x in p:each() do
      sum = sum + x
    end
    assert.equal(n * 14, sum)
    p:close()
  end)

  it("is independent of its file once it is read", function()
    local path = write("gone", idx(8, { 2 }, "\1\2"))
    local s = neap.idx(path)
    os.remove(path)
    assert.same({ 1, 2 }, s:totable())
  end)

  it("names the file that is not there, or cannot be read", function()
    assert.equal("cannot open /nonexistent/file: No such file or directory",
      message("/nonexistent/file"))
    assert.truthy(message(folder):find(folder, 1, true))
  end)

  it("tells at the caller's line", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local _, e = pcall(function() local _ = neap.idx("/none") end)
    assert.equal(("tests/spec/source/"
      .. "idx_spec.lua:%d: cannot open /none: No such file "
      .. "or directory"):format(line), e)
  end)

  it("tells what is wrong with a file", function()
    local good = idx(8, { 3, 2 }, "\1\2\3\4\5\6")
    for what, text in pairs({
      ["not an IDX file, it ends after 0 bytes"] = "",
      ["not an IDX file, it ends after 3 bytes"] = "\0\0\8",
      ["not an IDX file, it begins with 68 65 6c 6c"] = "hello world",
      ["not an IDX file, it begins with 00 00 07 01"] = "\0\0\7\1\0\0\0\0",
      ["it has 0 dimensions, not 1 to 8"] = "\0\0\8\0",
      ["it has 9 dimensions, not 1 to 8"] = idx(8, { 1, 1, 1, 1, 1, 1, 1, 1,
        1 }, "\1"),
      ["it ends within its header"] = "\0\0\8\3\0\0\0\1\0\0",
      ["its sizes ask for 18 bytes, the file has 17"] = good:sub(1, -2),
      ["2 bytes follow after its end"] = good .. "xx",
      ["its sizes ask for 1000008 bytes, the file has 14"] =
        idx(8, { 1000000 }, "\1\2\3\4\5\6"),
    }) do
      local path = write("bad", text)
      assert.equal("cannot read " .. path .. ": " .. what, message(path))
    end
  end)

  it("tells what is wrong with a gzipped file", function()
    local good = idx(8, { 300, 20 }, ("abcdefghijklmnopqrst"):rep(300))
    local packed = support.read(gzip(write("good", good)))
    local path = write("cut.gz", packed:sub(1, -20))
    assert.equal("cannot read " .. path .. ": its gzip data is truncated",
      message(path))
    path = write("torn.gz", packed:sub(1, 40) .. ("\255"):rep(20)
      .. packed:sub(61))
    assert.truthy(message(path):find("cannot read " .. path
      .. ": its gzip data is corrupt (", 1, true), message(path))
    path = gzip(write("short", good:sub(1, -11)))
    assert.equal("cannot read " .. path .. ": it ends after 5990 of 6000 bytes",
      message(path))
    path = gzip(write("long", good .. "more"))
    assert.equal("cannot read " .. path .. ": bytes follow after its end",
      message(path))
    path = gzip(write("text", "what is this?"))
    assert.truthy(message(path):find("not an IDX file, it begins with "
      .. "77 68 61 74", 1, true))
  end)

  it("does not believe sizes that no file could hold", function()
    for _, path in ipairs({
      write("huge", idx(8, { 2 ^ 31, 2 ^ 31, 4 }, "abc")),
      gzip(write("huge", idx(14, { 2 ^ 31, 2 ^ 20 }, "abc"))),
    }) do
      assert.truthy(message(path):find("^cannot read " .. path
        :gsub("%p", "%%%0") .. ": its sizes "), message(path))
    end
  end)
end)
