-- SPDX-License-Identifier: MIT
--- Tar files: the formats, samples, shards, indexes, and what is wrong with bad
-- ones.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")
local archive = dofile("tests/spec/archive.lua")

local folder

local function path(name)
  return folder .. "/" .. name
end

local function write(name, text)
  return support.write(path(name), text)
end

local function message(text)
  return support.message(neap.tar, write("bad.tar", text))
end

-- Files of n samples in a folder, by `tar`.
local function by_program(name, below, n, options)
  local from = path("from")
  os.execute(("rm -rf %s && mkdir -p %s/%s"):format(from, from, below))
  for i = 1, n do
    local key = ("%s/%s/%03d"):format(from, below, i)
    support.write(key .. ".txt", "text " .. i)
    support.write(key .. ".seg.bin", ("b"):rep(700 + i))
  end
  local said = support.shell(("cd %s && tar %s -cf %s --sort=name ."):format(
    from, options, path(name)))
  assert.equal("", said)
  return path(name)
end

describe("neap.tar", function()
  setup(function()
    folder = support.folder()
  end)
  teardown(function()
    os.execute("rm -r " .. folder)
  end)
  before_each(support.remember)
  after_each(support.check_leaks)

  for _, options in ipairs({
    "--format=ustar", "--format=gnu", "--format=pax", "--format=v7",
    "--format=pax -z", "--format=gnu -z",
  }) do
    it("reads what tar writes: " .. options, function()
      local below = ("deep"):rep(options:find("[gp]") == 10 and 30 or 15)
      local s = neap.tar(by_program("program.tar", below, 20, options))
      assert.equal(20, #s)
      for _, i in ipairs({ 20, 1, 13, 7 }) do
        assert.same({
          __key__ = ("%s/%03d"):format(below, i),
          txt = "text " .. i, ["seg.bin"] = ("b"):rep(700 + i),
        }, s[i])
      end
      local p = support.close_later(s:shuffle(2):prefetch({ workers = 2 }))
      local count = 0
      for _, x in p:each() do
        count = count + #x["seg.bin"]
      end
      assert.equal(20 * 700 + 210, count)
    end)
  end

  it("reads long names of GNU's and pax, and sizes in pax", function()
    local name = ("long/"):rep(60) .. "a.txt"
    local pax = archive.pax({ path = name, size = "3" })
    for _, text in ipairs({
      archive.entry("././@LongLink", name .. "\0", "L")
        .. archive.entry("short.txt", "abc"),
      archive.entry("x", pax, "x") .. archive.entry("short.txt", "abc"),
    }) do
      local s = neap.tar(write("long.tar", text .. archive.END))
      assert.same({ { __key__ = ("long/"):rep(60) .. "a", txt = "abc" } },
        s:totable())
    end
  end)

  it("skips folders, links and names without a dot", function()
    local s = neap.tar(write("some.tar", archive.entry("a", "", "5")
      .. archive.entry("README", "none") .. archive.entry("l.txt", "", "2")
      .. archive.entry(".hidden", "no") .. archive.entry("./b/c.txt", "yes")
      .. archive.END))
    assert.same({ { __key__ = "b/c", txt = "yes" } }, s:totable())
  end)

  it("reads shards one after another", function()
    for k = 8, 10 do
      write(("part-%03d.tar"):format(k), archive.of({
        { "a" .. k .. ".txt", "first" }, { "b" .. k .. ".txt", "second" },
      }))
    end
    local s = neap.tar(path("part-{008..010}.tar"))
    assert.equal("tar(3 shards): 6 items", tostring(s))
    assert.equal("a8", s[1].__key__)
    assert.equal("b10", s[6].__key__)
    assert.equal("b9", neap.tar({ path("part-010.tar"), path("part-009.tar") })
      [4].__key__)
    assert.matches("cannot open .*part%-011.tar: No such file",
      support.message(neap.tar, path("part-{010..011}.tar")))
  end)

  it("keeps its index beside the file, as long as that is the same", function()
    local tar = write("kept.tar", archive.of({ { "a.txt", "one" } }))
    assert.equal("one", neap.tar(tar, { index = true })[1].txt)
    assert.truthy(#support.read(tar .. ".index") > 0)
    assert.equal("one", neap.tar(tar, { index = true })[1].txt)
    write("kept.tar", archive.of({ { "a.txt", "one" }, { "b.txt", "two" } }))
    assert.equal("two", neap.tar(tar, { index = true })[2].txt)
    write("kept.tar.index", "damage")
    assert.equal("two", neap.tar(tar, { index = true })[2].txt)
    neap.save({ { 1, 2, {}, 4 } }, tar .. ".index", { workers = 0 })
    assert.equal("two", neap.tar(tar, { index = true })[2].txt)
  end)

  it("decodes numbers, and leaves what it does not know", function()
    local s = neap.tar(write("decoded.tar", archive.of({
      { "a.cls", "12" }, { "a.other", "raw" }, { "b.cls", "x" },
    })), { decode = true })
    assert.same({ __key__ = "a", cls = 12, other = "raw" }, s[1])
    assert.equal(("cannot decode b.cls in %s: \"x\" is no number"):format(
      path("decoded.tar")), support.message(function() return s[2] end))
  end)

  it("decodes images, JSON and what is packed, by the ends of names", function()
    local pixels = neap.tensor("u8", { 4, 5, 3 }, 77)
    neap.save_image(pixels, path("a.png"))
    local s = neap.tar(write("images.tar", archive.of({
      { "a.seg.png", support.read(path("a.png")) },
      { "a.json", '{"x": [1, 2]}' }, { "b.jpg", "no image" },
    })), { decode = true })
    assert.equal(77, s[1]["seg.png"]:get(4, 5, 3))
    assert.same({ x = { 1, 2 } }, s[1].json)
    assert.matches("cannot decode b.jpg in " .. path("images.tar")
      :gsub("%p", "%%%0") .. ": ", support.message(function() return s[2] end))
  end)

  it("tells of a damaged header in the middle", function()
    local text = archive.of({ { "a.txt", "one" }, { "b.txt", "two" } })
    assert.equal(('cannot read %s: a damaged header at byte 1024, after '
      .. '"a.txt"'):format(path("bad.tar")),
      message(text:sub(1, 1030) .. "?" .. text:sub(1032)))
  end)

  it("tells of a file that is cut", function()
    local text = archive.of({ { "a.txt", "one" },
      { "b.txt", ("x"):rep(2000) } })
    assert.matches("it is truncated: an entry is cut at byte 1024",
      message(text:sub(1, 1100)))
    assert.matches('it is truncated: "b.txt" is cut at byte 1536',
      message(text:sub(1, 1600)))
    assert.is_nil(message(text:sub(1, 1024)))
  end)

  it("refuses other files", function()
    assert.matches("it is empty", message(""))
    assert.matches("it is no tar file, or has a damaged header at byte 0",
      message(("x"):rep(2000)))
    assert.matches("an entry is cut", message("short"))
    assert.equal(0, #neap.tar(write("none.tar", archive.END)))
    assert.matches("cannot open /nowhere",
      support.message(neap.tar, "/nowhere"))
    assert.matches("path or list of paths expected, got no value",
      support.message(neap.tar))
    assert.matches("path or list of paths expected, got an empty table",
      support.message(neap.tar, {}))
    assert.matches("path 2 of the list: string expected, got 3",
      support.message(neap.tar, { path("bad.tar"), 3 }))
  end)

  it("refuses keys and fields that are there twice", function()
    assert.matches('the key "a" for a second time at byte 3072, after "a.png"',
      message(archive.of({ { "a.txt", "1" }, { "b.txt", "2" },
        { "a.png", "3" } })))
    assert.matches('the field "txt" of "a" for a second time, before at byte',
      message(archive.of({ { "a.txt", "1" }, { "a.txt", "2" } })))
  end)

  it("refuses damaged pax headers and sizes", function()
    for _, text in ipairs({ "99 path=a\n", "x", "5 =\n", "12 nothing!\n" }) do
      assert.matches("damaged pax header", message(archive.entry("x", text, "x")
        .. archive.of({ { "a.txt", "1" } })))
    end
    assert.matches("a name or a pax header of %d+ bytes",
      message(archive.entry("x", ("x"):rep(2 ^ 21), "x")))
  end)

  it("tells of a file that was cut after it was opened", function()
    local s = neap.tar(write("cut.tar", archive.of({
      { "a.txt", "one" }, { "b.txt", ("x"):rep(100000) },
    })))
    write("cut.tar", "short")
    assert.matches("shorter than it was", support.message(function()
      return s[2]
    end))
    local p = support.close_later(s:prefetch({ workers = 1 }))
    assert.matches("changed since", support.message(function()
      return p[1]
    end))
  end)
end)
