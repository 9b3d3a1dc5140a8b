-- SPDX-License-Identifier: MIT
--- Loaded items: views of the file that keep it mapped; damaged, truncated and
-- changed files are errors.

local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local folder, whole

local function path(name)
  return folder .. "/" .. name
end

local function message(text)
  support.write(path("bad"), text)
  return support.message(neap.load, path("bad"))
end

local function mapped()
  local count = 0
  for line in io.lines("/proc/self/maps") do
    count = count + (line:find(folder, 1, true) and 1 or 0)
  end
  return count
end

describe("load", function()
  setup(function()
    folder = support.folder()
    neap.save(neap.range(50):map(function(i)
      return { i, neap.tensor("f32", { 1000 }, i) }
    end), path("whole"), { workers = 0 })
    whole = support.read(path("whole"))
  end)
  teardown(function()
    os.execute("rm -r " .. folder)
  end)
  before_each(support.remember)
  after_each(support.check_leaks)

  it("shows the path and the chain", function()
    assert.equal(("load(%s: map(f, range(1, 50))): 50 items"):format(
      path("whole")), tostring(neap.load(path("whole"))))
  end)

  it("returns its own items, whatever finalizers read", function()
    neap.save(neap.range(50):map(function(i)
      return { name = "item " .. i, t = neap.tensor("u8", { 3, 1 }, i), i }
    end), path("other"), { workers = 0 })
    local s, other = neap.load(path("whole")), neap.load(path("other"))
    support.among_finalizers(function()
      return other[20], s[33]
    end, function()
      for k = 1, 300 do
        local i = k * 7 % 50 + 1
        local x, y = s[i], other[i]
        assert(x[1] == i and x[2].size == 1000 and x[2][1000] == i)
        assert(y[1] == i and y.name == "item " .. i and y.t.size == 3)
      end
    end)
  end)

  it("returns tensors that keep the file mapped, and no longer", function()
    collectgarbage()
    collectgarbage()
    local before = mapped()
    local t = neap.load(path("whole"))[20][2]
    collectgarbage()
    collectgarbage()
    assert.equal(before + 1, mapped())
    assert.equal(20, t[1000])
    t = nil -- luacheck: ignore
    for _ = 1, 4 do
      collectgarbage()
    end
    assert.equal(before, mapped())
  end)

  it("copies no tensor: two reads are the same memory", function()
    local s = neap.load(path("whole"))
    assert.equal(s[3][2]:ptr(), s[3][2]:ptr())
    assert.equal(0, tonumber(ffi.cast("uintptr_t", s[3][2]:ptr())) % 64)
  end)

  it("keeps what is written to a tensor out of the file", function()
    neap.load(path("whole"))[3][2]:fill(7)
    assert.equal(3, neap.load(path("whole"))[3][2][1])
  end)

  it("is read by workers, batched and shuffled", function()
    local p = support.close_later(neap.load(path("whole")):shuffle(1)
      :batch(10, { collate = neap.stack }):prefetch({ workers = 2 }))
    local sum = 0
    for _, batch in p:each() do
      for k = 1, 10 do
        assert.equal(batch[1][k], batch[2]:get(k, 1000))
        sum = sum + batch[1][k]
      end
    end
    assert.equal(50 * 51 / 2, sum)
  end)

  it("refuses to assign", function()
    local s = neap.load(path("whole"))
    assert.matches("^cannot assign: the items of load %(.*%) are in a file",
      support.message(function() s[1] = 2 end))
  end)

  it("refuses other files", function()
    local no = ("cannot read %s: it is no file of saved items\n"
      .. "help: neap.save(s, path) writes one"):format(path("bad"))
    assert.equal(no, message(""))
    assert.equal(no, message("neapset"))
    assert.equal(no, message(("\0"):rep(1000)))
    assert.equal("cannot open /nowhere: No such file or directory",
      support.message(neap.load, "/nowhere"))
    assert.equal("cannot open /tmp: Is a directory",
      support.message(neap.load, "/tmp"))
  end)

  it("refuses another version, another order of bytes, a damaged head",
    function()
      assert.equal(("cannot read %s: its version is 9, this neap reads 1\n"
        .. "help: save the items again"):format(path("bad")),
        message(whole:sub(1, 8) .. "\9" .. whole:sub(10)))
      assert.matches("another byte order",
        message(whole:sub(1, 12) .. "\1\2\3\4" .. whole:sub(17)))
      assert.matches("its head is damaged",
        message(whole:sub(1, 20) .. "?" .. whole:sub(22)))
    end)

  it("refuses a file that is truncated anywhere", function()
    for _, n in ipairs({ 64, 128, 1000, 6400, 64000, #whole - 64, #whole - 1 })
    do
      assert.matches("it is truncated$", message(whole:sub(1, n)))
    end
    assert.matches("it is truncated$", message(whole .. ("\0"):rep(64)))
  end)

  it("refuses a damaged index", function()
    assert.matches("its index is damaged$",
      message(whole:sub(1, -100) .. "?" .. whole:sub(-98)))
    assert.matches("its index is damaged$",
      message(whole:sub(1, -40) .. "?" .. whole:sub(-38)))
  end)

  it("tells of the items of a damaged block when they are read", function()
    support.write(path("bad"), whole:sub(1, 30000) .. "?" .. whole:sub(30002))
    local s = neap.load(path("bad"))
    local e = support.raised(function() return s[2] end)
    assert.equal(("cannot read %s: the block of items 1 to 50 is damaged")
      :format(path("bad")), e.message)
    assert.equal("save the items again", e.help)
    assert.equal(2, e.index)
  end)

  it("tells of a file that was written to, in place of a signal", function()
    support.write(path("bad"), whole)
    local s = neap.load(path("bad"))
    assert.equal(1, s[1][1])
    support.write(path("bad"), "")
    ffi.C.poll(nil, 0, 10)
    local again = neap.load(path("whole")):slice(1, 1)
    assert.equal(1, again[1][1])
    local p = support.close_later(s:prefetch({ workers = 1 }))
    local e = support.raised(function() return p[1] end)
    assert.matches("the file has changed since", e.message)
  end)
end)
