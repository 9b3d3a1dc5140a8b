-- SPDX-License-Identifier: MIT
--- Rows of arrays that NumPy and others wrote (npy, npz, raw): what they are,
-- in which order their bytes lie, and what is wrong with bad files.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local folder

local MAKE = [[
import sys, numpy as np
f = sys.argv[1] + "/"
a = np.arange(24, dtype="<f4").reshape(4, 3, 2)
b = np.array([10, -20, 30, 40], dtype=">i8")
np.save(f + "a.npy", a)
np.save(f + "b.npy", b)
np.save(f + "fortran.npy", np.asfortranarray(a))
np.save(f + "big.npy", a.astype(">f8"))
np.save(f + "scalar.npy", np.float64(3))
np.save(f + "objects.npy", np.array([1, "x"], dtype=object))
np.save(f + "none.npy", np.zeros((0, 5)))
np.savez(f + "plain.npz", a=a, b=b, f=np.asfortranarray(a))
np.savez_compressed(f + "packed.npz", a=a, b=b)
np.savez(f + "uneven.npz", a=a, w=np.zeros(3))
a.tofile(f + "raw")
]]

local function of(name)
  return folder .. "/" .. name
end

local function rows(s)
  return s:map(function(row) return row:totable() end):totable()
end

local ROWS = {
  { { 0, 1 }, { 2, 3 }, { 4, 5 } }, { { 6, 7 }, { 8, 9 }, { 10, 11 } },
  { { 12, 13 }, { 14, 15 }, { 16, 17 } },
  { { 18, 19 }, { 20, 21 }, { 22, 23 } },
}

-- What is said of a file, without "cannot read PATH: ".
local function refusal(f, name, ...)
  local message = support.message(f, of(name), ...)
  return message and (message:gsub("^cannot read " .. of(name):gsub("%p",
    "%%%0") .. ": ", ""))
end

local function le(n, bytes)
  local list = {}
  for k = 1, bytes do
    list[k] = string.char(math.floor(n / 256 ^ (k - 1)) % 256)
  end
  return table.concat(list)
end

local WIDE = ("\255"):rep(4)

-- An archive as one of more than 4 GiB is: sizes and offsets in 64 bits.
local function wide_zip(names, data)
  local entries, directory = "", ""
  for _, name in ipairs(names) do
    local extra = le(1, 2) .. le(24, 2) .. le(#data, 8) .. le(#data, 8)
      .. le(#entries, 8)
    directory = directory .. "PK\1\2\45\0\45\0" .. ("\0"):rep(8) .. le(0, 4)
      .. WIDE .. WIDE .. le(#name, 2) .. le(#extra, 2) .. ("\0"):rep(10) .. WIDE
      .. name .. extra
    entries = entries .. "PK\3\4" .. ("\0"):rep(14) .. WIDE .. WIDE
      .. le(#name, 2) .. "\0\0" .. name .. data
  end
  local count = le(#names, 8)
  return entries .. directory .. "PK\6\6" .. le(44, 8) .. ("\0"):rep(12)
    .. count .. count .. le(#directory, 8) .. le(#entries, 8)
    .. "PK\6\7" .. le(0, 4) .. le(#entries + #directory, 8) .. le(1, 4)
    .. "PK\5\6" .. ("\0"):rep(4) .. WIDE .. WIDE .. WIDE .. "\0\0"
end

local function setup_folder()
  folder = support.folder()
  local script = support.write(of("make.py"), MAKE)
  local said, status = support.shell(("/usr/bin/python3 %s %s"):format(script,
    folder))
  assert(status == 0, said)
end

local function remove_folder()
  os.execute("rm -r " .. folder)
end

describe("neap.npy", function()
  setup(setup_folder)
  teardown(remove_folder)
  before_each(support.remember)
  after_each(support.check_leaks)

  it("has rows as tensors, in any order of bytes and of axes", function()
    for _, name in ipairs({ "a", "fortran", "big" }) do
      assert.same(ROWS, rows(neap.npy(of(name .. ".npy"))))
    end
    assert.equal("f64", neap.npy(of("big.npy"))[1].dtype)
    assert.equal(("npy(%s: f32 3x2): 4 items"):format(of("a.npy")),
      tostring(neap.npy(of("a.npy"))))
  end)

  it("has numbers where there is one dimension", function()
    assert.same({ 10, -20, 30, 40 }, neap.npy(of("b.npy")):totable())
    assert.equal(0, #neap.npy(of("none.npy")))
  end)

  it("is read by workers, into batches too", function()
    local s = neap.npy(of("big.npy"))
    local p = support.close_later(s:batch(2, { collate = neap.stack })
      :prefetch({ workers = 2 }))
    assert.same({ ROWS[3], ROWS[4] }, p[2]:totable())
  end)

  it("refuses what is no array of rows", function()
    local data = support.read(of("a.npy"))
    support.write(of("cut.npy"), data:sub(1, -9))
    support.write(of("head.npy"), data:sub(1, 60))
    support.write(of("other.npy"), "\137PNG\r\n")
    support.write(of("empty.npy"), "")
    for name, why in pairs({
      scalar = "it is one number, and has no rows",
      cut = "it is truncated: its header asks for 96 bytes of elements, and 88 "
        .. "are there",
      head = "it ends within its header",
      other = 'it is no npy file; it begins as "\137PNG\\13\\\n"',
      empty = "it is no npy file; it begins as an empty one",
      objects = "it has Python objects (O), which no tensor holds",
    }) do
      assert.equal(why, refusal(neap.npy, name .. ".npy"))
    end
  end)

  it("that shrinks is an error of an item", function()
    local path = support.write(of("shrinks.npy"), support.read(of("a.npy")))
    local s = neap.npy(path)
    os.execute("truncate -s 190 " .. path)
    local e = support.raised(function() return s[4] end)
    assert.equal(("cannot read %s: it is shorter than it was, and ends "
      .. "before byte 201"):format(path), e.message)
    assert.equal(4, e.index)
    assert.matches("^npy %(tests/", e.stage)
  end)
end)

describe("neap.npz", function()
  setup(setup_folder)
  teardown(remove_folder)
  before_each(support.remember)
  after_each(support.check_leaks)

  it("has the rows of its arrays side by side", function()
    for _, name in ipairs({ "plain", "packed" }) do
      local s = neap.npz(of(name .. ".npz"), { fields = { "a", "b" } })
      assert.same(ROWS, rows(s:map(function(item) return item.a end)))
      assert.equal(-20, s[2].b)
      local p = support.close_later(s:prefetch({ workers = 1 }))
      assert.equal(40, p[4].b)
      assert.same(ROWS[4], p[4].a:totable())
    end
    local all = neap.npz(of("plain.npz"))
    assert.same(ROWS[3], all[3].f:totable())
    assert.equal(("npz(%s: a, b, f): 4 items"):format(of("plain.npz")),
      tostring(all))
  end)

  it("may be larger than 4 GiB", function()
    local data = support.read(of("a.npy"))
    support.write(of("wide.npz"), wide_zip({ "x.npy", "y.npy" }, data))
    local s = neap.npz(of("wide.npz"))
    assert.same(ROWS[2], s[2].x:totable())
    assert.same(ROWS[3], s[3].y:totable())
    support.write(of("twice.npz"), wide_zip({ "x.npy", "x.npy" }, data))
    assert.equal("it has two arrays 'x'", refusal(neap.npz, "twice.npz"))
  end)

  it("refuses arrays that do not go together, and bad archives", function()
    assert.equal("array 'a' has 4 rows, 'w' has 3\nhelp: choose arrays of "
      .. "equal length: { fields = { ... } }", refusal(neap.npz, "uneven.npz"))
    assert.equal("it has no array 'b'; there are a, w",
      refusal(neap.npz, "uneven.npz", { fields = { "b" } }))
    assert.equal("it is no zip archive, or is truncated",
      refusal(neap.npz, "a.npy"))
    local data = support.read(of("plain.npz"))
    support.write(of("cut.npz"), data:sub(1, -50))
    assert.equal("it is no zip archive, or is truncated",
      refusal(neap.npz, "cut.npz"))
    support.write(of("local.npz"), "XX" .. data:sub(3))
    assert.equal("its entry 'a.npy' is damaged", refusal(neap.npz, "local.npz"))
  end)

  it("survives any damage", function()
    support.seed("npy_spec")
    for _, name in ipairs({ "plain.npz", "packed.npz", "a.npy" }) do
      local data = support.read(of(name))
      local make = name:find("npz") and neap.npz or neap.npy
      for _ = 1, 300 do
        local at = math.random(#data)
        support.write(of("damaged"), data:sub(1, at - 1)
          .. string.char(math.random(0, 255)) .. data:sub(at + 1))
        local ok, e = pcall(function()
          return make(of("damaged")):totable()
        end)
        assert(ok or tostring(e):find("cannot "), tostring(e))
      end
    end
  end)
end)

describe("neap.raw", function()
  setup(setup_folder)
  teardown(remove_folder)
  before_each(support.remember)
  after_each(support.check_leaks)

  it("has rows as tensors, or numbers", function()
    assert.same(ROWS, rows(neap.raw(of("raw"), "f32", { 3, 2 })))
    assert.equal(7, neap.raw(of("raw"), "f32", {})[8])
    local p = support.close_later(neap.raw(of("raw"), "f32", { 3, 2 })
      :prefetch({ workers = 2 }))
    assert.same(ROWS[4], p[-1]:totable())
  end)

  it("may begin anywhere, and have anything between rows", function()
    local s = neap.raw(of("raw"), "f32", { 2 }, { offset = 4, stride = 12 })
    assert.same({ { 1, 2 }, { 4, 5 } }, rows(s:slice(1, 2)))
    assert.same({ 22, 23 }, s[-1]:totable())
  end)

  it("refuses what does not fit the file", function()
    local help = "\nhelp: check dtype, shape, offset and stride"
    assert.equal("its 96 bytes are no whole number of rows of 28 bytes" .. help,
      refusal(neap.raw, "raw", "f32", { 7 }))
    assert.equal("it has 96 bytes, and offset is 97",
      refusal(neap.raw, "raw", "f32", { 1 }, { offset = 97 }))
    assert.equal("bad argument #4 to 'raw' (option 'stride': 8 or more "
      .. "expected, the bytes of a row, got 4)",
      refusal(neap.raw, "raw", "f32", { 2 }, { stride = 4 }))
    assert.equal("bad argument #3 to 'raw' (shape with elements expected)",
      refusal(neap.raw, "raw", "f32", { 0 }))
  end)
end)
