-- SPDX-License-Identifier: MIT
--- Files that are read by position: one handle in each process, and none for
-- a file that is not what it was.

local ffi = require("ffi")
local neap = require("neap")
local File = require("neap.source.file")
local support = dofile("tests/spec/support.lua")

local folder

local function write(name, text)
  return support.write(folder .. "/" .. name, text)
end

describe("a file", function()
  setup(function()
    folder = support.folder()
  end)

  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  before_each(support.remember)
  after_each(support.check_leaks)

  it("is read by position", function()
    local file = File.open(write("plain", "0123456789"))
    assert.equal(10, file.nbytes)
    assert.equal("345", file:text(3, 3))
    assert.equal("", file:text(10, 0))
    assert.equal("0123456789", file:text(0, 10))
  end)

  it("is opened once for several sequences", function()
    local path = write("twice", "x")
    local a, b = File.open(path), File.open(path)
    assert.equal(a:handle(), b:handle())
    assert.equal("x", b:text(0, 1))
  end)

  it("is opened by each worker, at its first read", function()
    local file = File.open(write("workers", ("0123456789"):rep(100)))
    local p = support.close_later(neap.range(200):map(function(i)
      return file:text(i, 4)
    end):prefetch({ workers = 2 }))
    assert.equal("7890", p[7])
    assert.equal("9012", p[199])
  end)

  it("is refused where it is another one than it was", function()
    local path = write("changed", "before")
    local file = File.open(path)
    write("behind", "behind")
    os.rename(folder .. "/behind", path)
    file.here = nil -- as in a worker
    collectgarbage()
    collectgarbage()
    local read = neap.range(1):map(function() return file:text(0, 6) end)
    assert.equal(("cannot read %s: the file has changed since the sequence "
      .. "was made"):format(path), support.message(function() return read[1]
      end))
    assert.equal("make the sequence anew", support.raised(function()
      return read[1]
    end).help)
  end)

  it("that has shrunk fails the item, not the process", function()
    local path = write("shrinks", ("x"):rep(10000))
    local file = File.open(path)
    file:read(0, ffi.new("char[10]"), 10)
    os.execute("truncate -s 100 " .. path)
    assert.equal(("cannot read %s: it is shorter than it was, and ends before "
      .. "byte 101"):format(path), support.message(file.text, file, 90, 20))
    assert.equal(("x"):rep(10), file:text(90, 10))
  end)

  it("that cannot be read is refused, with the reason", function()
    local cases = {
      [folder .. "/none"] = "No such file or directory",
      [folder] = "Is a directory",
    }
    os.execute(("ln -s loop %s/loop; mkfifo %s/pipe"):format(folder, folder))
    cases[folder .. "/loop"] = "Too many levels of symbolic links"
    cases[folder .. "/pipe"] = "it is no regular file"
    for path, why in pairs(cases) do
      assert.equal(("cannot open %s: %s"):format(path, why),
        support.message(File.open, path))
    end
    assert.equal([[cannot open "a\0b": a path has no NUL]],
      support.message(File.open, "a\0b"))
  end)

  it("is read ahead where it is read in order", function()
    local text = {}
    for k = 1, 20000 do
      text[k] = ("%05d"):format(k)
    end
    local file = File.open(write("ordered", table.concat(text)))
    for k = 1, 20000 do
      assert.equal(text[k], file:text(5 * k - 5, 5))
    end
    for k = 20000, 1, -7 do
      assert.equal(text[k], file:text(5 * k - 5, 5))
    end
  end)

  it("is closed where many are open, and opened again", function()
    local files = {}
    for k = 1, 1500 do
      files[k] = File.open(write("many" .. k, "file " .. k))
    end
    for _, k in ipairs({ 1, 1500, 700, 1 }) do
      assert.equal("file " .. k, files[k]:text(0, files[k].nbytes))
    end
  end)

  it("of any size is read into memory of the caller", function()
    local size = 3 * 2^20
    local file = File.open(write("large", ("ab"):rep(size / 2)))
    local to = ffi.new("uint8_t[?]", size)
    file:read(1, to, size - 1)
    assert.equal(("b"):byte(), to[0])
    assert.equal(("b"):byte(), to[size - 2])
    assert.equal(size, #file:text(0, size))
  end)
end)
