-- SPDX-License-Identifier: MIT
--- Files of a folder or of a pattern: which, in what order, with which labels,
-- and what is wrong with bad folders.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local folder

local TREE = {
  "cat/1.jpg", "cat/2.png", "cat/deep/er/3.jpg", "cat.old/4.jpg", "dog/5.jpg",
  "dog/x[1].jpg", "dog/.hidden", ".git/config", "dog/zero",
}

local function make_tree(list)
  for _, name in ipairs(list) do
    local path = folder .. "/" .. name
    os.execute("mkdir -p " .. support.quote(path:match("^.*/")))
    support.write(path, name == "dog/zero" and "" or "<" .. name .. ">")
  end
end

-- The paths below the folder.
local function paths(s)
  local list = {}
  for i, item in s:each() do
    list[i] = item.path:sub(#folder + 2)
  end
  return list
end

local function fitting(pattern)
  return paths(neap.files(folder .. "/" .. pattern, { read = false }))
end

describe("neap.files", function()
  before_each(function()
    folder = support.folder()
    make_tree(TREE)
    support.remember()
  end)

  after_each(function()
    os.execute("rm -r " .. folder)
    support.check_leaks()
  end)

  it("lists a folder and those below it, by the bytes of paths", function()
    local expected = {
      "cat.old/4.jpg", "cat/1.jpg", "cat/2.png", "cat/deep/er/3.jpg",
      "dog/5.jpg", "dog/x[1].jpg", "dog/zero",
    }
    assert.same(expected, paths(neap.files(folder)))
    assert.same(expected, paths(neap.files(folder .. "/")))
    assert.same(expected, fitting("**"))
    local s = neap.files(folder)
    assert.same({ path = folder .. "/cat/1.jpg", bytes = "<cat/1.jpg>" }, s[2])
    assert.same({ path = folder .. "/dog/zero", bytes = "" }, s[-1])
    assert.equal(("files(%s): 7 items"):format(folder), tostring(s))
  end)

  it("lists what fits a pattern", function()
    assert.same({ "cat/2.png" }, fitting("*/*.png"))
    assert.same({ "cat.old/4.jpg", "cat/1.jpg", "dog/5.jpg" },
      fitting("*/?.jpg"))
    assert.same({ "cat/1.jpg", "cat/deep/er/3.jpg" }, fitting("cat/**/*.jpg"))
    assert.same({ "cat/deep/er/3.jpg" }, fitting("**/er/**"))
    assert.same({ "cat/1.jpg", "cat/2.png", "dog/5.jpg" },
      fitting("{cat,dog}/[0-9].{jpg,png}"))
    assert.same({ "dog/x[1].jpg", "dog/zero" }, fitting("dog/[!0-9]*"))
    assert.same({ "dog/x[1].jpg" }, fitting("dog/*[[]1].jpg"))
    assert.same({ "cat/2.png" }, fitting("c*t/*2*.*g"))
    assert.same({ "dog/zero" }, paths(neap.files(folder .. "/d*/z*")))
  end)

  it("labels files by the folder that they are in", function()
    local s, names = neap.files(folder, { labels = "folder", read = false })
    assert.same({ "cat", "cat.old", "dog" }, names)
    local labels = {}
    for i, item in s:each() do
      labels[i] = item.label
      assert.is_nil(item.bytes)
    end
    assert.same({ 2, 1, 1, 1, 3, 3, 3 }, labels)
  end)

  it("labels them by the order of a list", function()
    local s, names = neap.files(folder .. "/{cat,dog}/*", {
      labels = { "dog", "cat", "cat.old" },
    })
    assert.same({ "dog", "cat", "cat.old" }, names)
    assert.equal(2, s[1].label)
    assert.equal(1, s[-1].label)
    assert.equal(("cannot label the files in %s: its folder 'dog' is not among "
      .. "the labels\nhelp: add the name to labels, or list the files of one "
      .. "folder"):format(folder), support.message(neap.files, folder, {
        labels = { "cat", "cat.old" },
      }))
  end)

  it("numbers folders without files too", function()
    os.execute("mkdir " .. folder .. "/bird")
    local s, names = neap.files(folder, { labels = "folder" })
    assert.same({ "bird", "cat", "cat.old", "dog" }, names)
    assert.equal(4, s[-1].label)
  end)

  it("reads them in workers, each error naming its file", function()
    local s = neap.files(folder, { labels = "folder" })
    os.remove(folder .. "/cat/2.png")
    local p = support.close_later(s:prefetch({ workers = 2 }))
    assert.same({ path = folder .. "/dog/5.jpg", bytes = "<dog/5.jpg>",
      label = 3 }, p[5])
    local e = support.raised(function() return p[3] end)
    assert.equal(("cannot open %s/cat/2.png: No such file or directory")
      :format(folder), e.message)
    assert.equal(3, e.index)
    local count = 0
    for _ in p:each({ on_error = "skip" }) do
      count = count + 1
    end
    assert.equal(6, count)
  end)

  it("follows symbolic links, but not in a circle", function()
    os.execute(("ln -s cat %s/tiger; ln -s ../dog/5.jpg %s/cat/dog.jpg")
      :format(folder, folder))
    assert.same({ "tiger/1.jpg", "tiger/dog.jpg" }, fitting("tiger/*.jpg"))
    os.execute(("ln -s .. %s/dog/up"):format(folder))
    assert.equal(("cannot list %s/dog/up/: Too many levels of symbolic links")
      :format(folder), support.message(neap.files, folder))
    os.execute(("rm %s/dog/up; ln -s gone %s/dog/up"):format(folder, folder))
    assert.equal(("cannot list %s/dog/up: No such file or directory")
      :format(folder), support.message(neap.files, folder))
  end)

  it("refuses what has no files", function()
    os.execute(("mkdir %s/none"):format(folder))
    local message = support.message
    assert.equal(("cannot find files: there are none in %s/none"):format(
      folder), message(neap.files, folder .. "/none"))
    assert.equal(("cannot find files: none fits %s/*.gif"):format(folder),
      message(neap.files, folder .. "/*.gif"))
    assert.equal(("cannot list %s/lost: No such file or directory"):format(
      folder), message(neap.files, folder .. "/lost"))
    assert.equal(("cannot list %s/cat/1.jpg: Not a directory"):format(folder),
      message(neap.files, folder .. "/cat/1.jpg"))
    assert.equal("bad argument #1 to 'files' (folder or pattern expected, got "
      .. '"")', message(neap.files, ""))
    assert.equal("bad argument #2 to 'files' (option 'labels': \"folder\" or "
      .. "list of names expected, got \"x\")", message(neap.files, folder, {
        labels = "x",
      }))
    support.write(folder .. "/loose", "")
    assert.equal(("cannot label %s/loose: it lies in %s itself, not in a folder"
      .. " below it\nhelp: leave labels out, or move the file into the folder "
      .. "of its class"):format(folder, folder),
      message(neap.files, folder, { labels = "folder" }))
  end)
end)
