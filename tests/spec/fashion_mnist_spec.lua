-- SPDX-License-Identifier: MIT
--- The Fashion-MNIST example: the same result by any number of workers, and one
-- clear message for bad data.

local support = dofile("tests/spec/support.lua")

local EXAMPLE = "examples/fashion_mnist.lua"
local DATA = "/usr/share/datasets/fashion-mnist"

local shell = support.shell

local function train(words)
  return shell(("%s %s %s"):format(support.QUOTED_NEAP, EXAMPLE, words))
end

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

describe("examples/fashion_mnist.lua", function()
  it("learns the same from the same batches with 0, 1, 2 and 4 workers",
    function()
      if not exists(DATA) then
        pending("the data set is not installed")
        return
      end
      local results = {}
      for _, workers in ipairs({ 0, 1, 2, 4 }) do
        local said, status = train("--limit 1000 --epochs 3 --workers "
          .. workers)
        assert.equal(0, status, said)
        results[#results + 1] = said:gsub("[^\n]* images/s[^\n]*\n", "")
      end
      local losses = {}
      for loss in results[1]:gmatch("loss ([%d.]+)") do
        losses[#losses + 1] = tonumber(loss)
      end
      assert.equal(3, #losses)
      assert.truthy(losses[1] > losses[2] and losses[2] > losses[3])
      assert.truthy(results[1]:find("checksum of all batches: %x+\n"))
      assert.truthy(tonumber(results[1]:match("images: ([%d.]+)")) > 0.5)
      for k = 2, #results do
        assert.equal(results[1], results[k])
      end
    end)

  describe("with small files", function()
    local folder

    local function big_endian(n)
      return string.char(0, 0, math.floor(n / 256), n % 256)
    end

    local function images(count, side)
      side = side or 28
      return "\0\0\8\3" .. big_endian(count) .. big_endian(side)
        .. big_endian(side) .. ("\7"):rep(count * side * side)
    end

    local function labels(count)
      return "\0\0\8\1" .. big_endian(count) .. ("\3"):rep(count)
    end

    local function write(name, text)
      shell("gzip -nf " .. support.write(folder .. "/" .. name, text))
    end

    before_each(function()
      folder = support.folder()
      write("train-images-idx3-ubyte", images(200))
      write("train-labels-idx1-ubyte", labels(200))
      write("t10k-images-idx3-ubyte", images(20))
      write("t10k-labels-idx1-ubyte", labels(20))
    end)

    after_each(function()
      shell("rm -r " .. folder)
    end)

    -- One line, which begins with the line of the script.
    local function fails(words, message)
      local said, status = train(words)
      assert.equal(message .. "\n", (said:gsub("^examples/[^:]*:%d+: ", "")))
      assert.equal(1, status)
    end

    local function cannot_read(name, why)
      fails(folder, ("cannot read %s/%s.gz: %s"):format(folder, name, why))
    end

    it("learns from another folder", function()
      local said, status = train(folder .. " --epochs 1 --workers 1")
      assert.equal(0, status, said)
      assert.truthy(said:find("images: 1.0000\n"), said)
    end)

    it("refuses options with a bad value, without one, or unknown", function()
      for _, words in ipairs({
        "--workers two", "--workers -1", "--epochs 0", "--limit 1.5",
        "--epochs ", "--bogus 3", "-x ",
      }) do
        fails(folder .. " " .. words, "cannot use " .. words
          .. ": known are --workers N, --epochs N, --limit N")
      end
    end)

    it("names a file that is not there", function()
      fails("/nowhere", "cannot open /nowhere/train-images-idx3-ubyte.gz: "
        .. "No such file or directory")
      os.remove(folder .. "/t10k-labels-idx1-ubyte.gz")
      fails(folder, ("cannot open %s/t10k-labels-idx1-ubyte.gz: No such file "
        .. "or directory"):format(folder))
    end)

    it("names a file that is cut off", function()
      local path = folder .. "/train-images-idx3-ubyte.gz"
      shell(("truncate -s 150 %s"):format(path))
      cannot_read("train-images-idx3-ubyte", "its gzip data is truncated")
    end)

    it("names a file that is corrupt", function()
      local path = folder .. "/train-images-idx3-ubyte.gz"
      shell(("printf '\\377\\377' | dd of=%s bs=1 seek=40 conv=notrunc"):format(
        path))
      local said, status = train(folder)
      assert.truthy(said:find("cannot read " .. path
        .. ": its gzip data is corrupt", 1, true), said)
      assert.equal(1, select(2, said:gsub("\n", "")))
      assert.equal(1, status)
    end)

    it("names a file that is not IDX", function()
      write("train-labels-idx1-ubyte", "<html>Not found</html>")
      cannot_read("train-labels-idx1-ubyte",
        "not an IDX file, it begins with 3c 68 74 6d")
    end)

    it("names a file that holds less or more than its header says", function()
      write("train-images-idx3-ubyte", images(200):sub(1, -21))
      cannot_read("train-images-idx3-ubyte",
        "it ends after 156780 of 156800 bytes")
      write("train-images-idx3-ubyte", images(200) .. "more")
      cannot_read("train-images-idx3-ubyte", "bytes follow after its end")
    end)

    it("refuses more labels than images", function()
      write("train-labels-idx1-ubyte", labels(201))
      fails(folder, "bad argument #1 to 'zip' (field 'label': 200 items "
        .. "expected, got 201: lengths must agree)\n"
        .. "help: s:slice(1, n) cuts the longer one")
    end)

    it("names the item and stage where images are of another size", function()
      write("train-images-idx3-ubyte", images(200, 14))
      for _, workers in ipairs({ 0, 2 }) do
        local said, status = train(folder .. " --workers " .. workers)
        assert.truthy(said:find("cannot reshape u8 14x14 into 784\n"), said)
        assert.truthy(said:find("\n  item %d+ of map %(" .. EXAMPLE:gsub("%p",
          "%%%0") .. ":%d+%) %-> item %d+ of from %([^\n]+%)\n"), said)
        assert.falsy(said:find("lua/neap/", 1, true), said)
        assert.equal(1, status)
      end
    end)
  end)
end)
