-- SPDX-License-Identifier: MIT
--- gzip and zstd: whole, in several parts, damaged, and too large.

local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

ffi.cdef([[
  size_t ZSTD_compress(void *to, size_t room, const void *from, size_t nbytes,
    int level);
]])

local pack = {}

function pack.gzip(text)
  local path = support.write(os.tmpname(), text)
  os.execute("gzip -f " .. path)
  local packed = support.read(path .. ".gz")
  os.remove(path .. ".gz")
  return packed
end

function pack.zstd(text)
  local zstd = ffi.load("libzstd.so.1")
  local room = #text + 1000
  local to = ffi.new("char[?]", room)
  return ffi.string(to, zstd.ZSTD_compress(to, room, text, #text, 3))
end

for name, compress in pairs(pack) do
  local decode = neap.decode[name]

  describe("neap.decode." .. name, function()
    local lines = {}
    for k = 1, 40000 do
      lines[k] = ("%d %d"):format(k, k * 7919 % 10007)
    end
    local text = table.concat(lines, "\n")
    local packed = compress(text)

    it("unpacks", function()
      assert.is_true(decode(packed) == text)
      assert.equal("", decode(compress("")))
      assert.is_true(decode({ bytes = neap.tensor("u8", { #packed }, packed) })
        == text)
    end)

    it("unpacks what was packed in several parts", function()
      assert.is_true(decode(packed .. compress("") .. packed) == text .. text)
    end)

    it("unpacks to any length of the first buffer", function()
      for _, n in ipairs({ 65535, 65536, 65537, 131072 }) do
        assert.equal(n, #decode(compress(("a"):rep(n))))
      end
    end)

    it("refuses to unpack more than it may", function()
      assert.equal(("cannot decode %s data of %d bytes: it unpacks to more than"
        .. " bytes_max, %d bytes\nhelp: if it is no decompression bomb, use "
        .. "the option bytes_max"):format(name, #packed, #text - 1),
        support.message(decode, packed, { bytes_max = #text - 1 }))
      assert.is_true(decode(packed, { bytes_max = #text }) == text)
    end)

    it("tells what is damaged or truncated", function()
      for _, bad in ipairs({ "", "nonsense", packed:sub(1, -2),
        packed:sub(1, 5), packed .. "x", packed:sub(1, 3) .. "\255\255"
        .. packed:sub(6) }) do
        assert.matches("^cannot decode a.bin: it is damaged or truncated "
          .. "%(%w+: [^)]+%)$", support.message(decode, { bytes = bad,
            path = "a.bin" }))
      end
    end)
  end)
end

it("neap.decode.gzip takes zlib data, and zeros at the end", function()
  local path = os.tmpname()
  finally(function() os.remove(path) end)
  assert.equal("hi", neap.decode.gzip(
    "\120\156\203\200\4\0\1\59\0\210"))
  assert.equal("hi", neap.decode.gzip(pack.gzip("hi") .. ("\0"):rep(512)))
end)
