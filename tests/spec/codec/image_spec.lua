-- SPDX-License-Identifier: MIT
--- Images: every format, every option, and what bad input gets.

local bit = require("bit")
local ffi = require("ffi")
local neap = require("neap")
local images = dofile("tests/spec/codec/images.lua")
local support = dofile("tests/spec/support.lua")

local decode = neap.decode.image

local function message(...)
  return (support.message(decode, ...))
end

describe("neap.decode.image", function()
  local original = images.gradient(12, 20)
  local files = {
    png = images.encode(original, "png"),
    webp = images.encode(original, "webp", { quality = 100 }),
    jpg = images.encode(original, "jpg"),
  }

  for extension, bytes in pairs(files) do
    it("decodes " .. extension, function()
      local t = decode(bytes)
      assert.same({ 12, 20, 3 }, t.shape)
      assert.equal("u8", t.dtype)
      assert.is_true(images.distance(t, original)
        <= (extension == "jpg" and 12 or 0))
    end)

    it("gives the wanted channels of " .. extension, function()
      local grey = decode(bytes, { channels = 1 })
      assert.same({ 12, 20, 1 }, grey.shape)
      assert.is_true(math.abs(grey:get(5, 9, 1)
        - (0.299 * 40 + 0.587 * 80 + 11.4)) < 6)
      local rgba = decode(bytes, { channels = 4 })
      assert.same({ 12, 20, 4 }, rgba.shape)
      assert.equal(255, rgba:get(3, 3, 4))
    end)

    it("tells that a " .. extension .. " is truncated", function()
      assert.matches("^cannot decode a %w+ image of %d+ bytes: it is damaged "
        .. "or truncated %(lib[^)]+%)$", message(bytes:sub(1, -40)))
      assert.matches("^cannot decode cat: it is damaged or truncated ",
        message({ bytes = bytes:sub(1, 40), path = "cat" }))
    end)
  end

  it("takes a tensor, and a table with bytes, a path or both", function()
    local bytes = files.png
    local as_tensor = neap.tensor("u8", { #bytes }, bytes)
    assert.equal(0, images.distance(decode(as_tensor), original))
    assert.equal(0, images.distance(decode({ bytes = bytes }), original))
    local path = support.write(os.tmpname(), bytes)
    finally(function() os.remove(path) end)
    assert.equal(0, images.distance(decode({ path = path }), original))
    assert.equal("cannot read /none.png: No such file or directory",
      message({ path = "/none.png" }))
  end)

  it("lays out by channels and normalises", function()
    local t = decode(files.png, { layout = "chw", mean = { 0.1, 0.2, 0.3 },
      std = { 0.5, 0.25, 2 } })
    assert.same({ 3, 12, 20 }, t.shape)
    assert.equal("f32", t.dtype)
    for c, wanted in ipairs({
      (50 / 255 - 0.1) / 0.5, (70 / 255 - 0.2) / 0.25, (100 / 255 - 0.3) / 2,
    }) do
      assert.is_true(math.abs(t:get(c, 6, 8) - wanted) < 1e-5)
    end
  end)

  it("gives floats from 0 to 1 without a mean", function()
    for _, name in ipairs({ "f16", "bf16", "f32", "f64" }) do
      local t = decode(files.png, { dtype = name })
      assert.equal(name, t.dtype)
      assert.is_true(math.abs(t:get(1, 1, 3) - 100 / 255) < 0.002)
    end
  end)

  it("crops to a size, from the middle", function()
    local t = decode(files.png, { size = { 12, 12 } })
    assert.equal(40, t:get(1, 1, 2)) -- columns 5 to 16
    assert.equal(150, t:get(1, 12, 2))
  end)

  it("pads to a size, around the middle", function()
    local t = decode(files.png, { size = { 20, 20 }, fit = "pad", pad = 7 })
    for y, wanted in pairs({ [1] = 7, [4] = 7, [5] = 0, [16] = 110, [17] = 7 })
    do
      assert.equal(wanted, t:get(y, 3, 1))
    end
  end)

  it("stretches to a size", function()
    local t = decode(files.png, { size = { 6, 40 }, fit = "stretch" })
    assert.same({ 6, 40, 3 }, t.shape)
    assert.is_true(math.abs(t:get(3, 20, 1) - 45) <= 1)
    assert.is_true(math.abs(t:get(3, 20, 2) - 93) <= 1)
  end)

  it("cuts a region out", function()
    local t = decode(files.png, { region = { 0.25, 0.5, 0.5, 0.25 } })
    assert.same({ 6, 5, 3 }, t.shape)
    assert.same({ 30, 100, 100 }, t[1][1]:totable())
    assert.same({ 80, 140, 100 }, t[6][5]:totable())
  end)

  it("shrinks a JPEG as much as it may while decoding", function()
    local large = neap.tensor("u8", { 64, 96, 3 })
    for y = 1, 64 do
      for x = 1, 96 do
        large[y][x] = { y * 3, x * 2, 100 }
      end
    end
    local jpeg = images.encode(large, "jpg")
    for _, size in ipairs({ { 32, 48 }, { 9, 13 }, { 8, 12 }, { 5, 7 } }) do
      local t = decode(jpeg, { size = size, fit = "stretch" })
      local whole = decode(images.encode(large, "png"), { size = size,
        fit = "stretch" })
      assert.is_true(images.distance(t, whole) < 12)
    end
  end)

  it("turns images upright", function()
    -- Where the stored pixel at the top left comes to lie.
    local corner = { { 1, 1 }, { 1, 20 }, { 12, 20 }, { 12, 1 }, { 1, 1 },
      { 1, 12 }, { 20, 12 }, { 20, 1 } }
    local marked = neap.tensor("u8", { 12, 20, 3 }, 200)
    for y = 1, 4 do
      for x = 1, 4 do
        marked[y][x] = { 0, 0, 0 }
      end
    end
    local jpeg = images.encode(marked, "jpg")
    for orientation, at in ipairs(corner) do
      for _, is_big in ipairs({ true, false }) do
        local t = decode(images.with_exif(jpeg, images.exif(orientation,
          is_big)))
        assert.same(orientation >= 5 and { 20, 12, 3 } or { 12, 20, 3 },
          t.shape)
        assert.is_true(t:get(at[1], at[2], 1) < 30)
      end
    end
  end)

  it("takes an image as it is stored if its EXIF data is damaged", function()
    local exif = images.exif(6)
    for cut = 1, #exif do
      local t = decode(images.with_exif(files.jpg, exif:sub(1, cut)))
      assert.is_true(t.shape[1] == 12 or cut >= 19)
    end
    assert.same({ 12, 20, 3 }, decode(images.with_exif(files.jpg,
      images.exif(77))).shape)
  end)

  it("refuses a decompression bomb before it takes memory", function()
    assert.equal("cannot decode a PNG image of " .. #files.png
      .. " bytes: it has 240 pixels (12x20), and pixels_max is 239\nhelp: if "
      .. "it is no decompression bomb, use the option pixels_max",
      message(files.png, { pixels_max = 239 }))
    local bomb = files.png:sub(1, 16) .. "\0\15\255\255\0\15\255\255"
      .. files.png:sub(25, 29)
    local crc = 0xffffffff
    for k = 13, 29 do
      crc = bit.bxor(crc, bomb:byte(k))
      for _ = 1, 8 do
        crc = bit.bxor(bit.rshift(crc, 1),
          bit.band(crc, 1) == 1 and 0xedb88320 or 0)
      end
    end
    crc = bit.bnot(crc)
    bomb = bomb .. string.char(bit.band(bit.rshift(crc, 24), 255),
      bit.band(bit.rshift(crc, 16), 255), bit.band(bit.rshift(crc, 8), 255),
      bit.band(crc, 255)) .. files.png:sub(34)
    assert.matches("it has %d+ pixels %(1048575x1048575%), and pixels_max is "
      .. "134217728", message(bomb))
  end)

  it("accepts what is there of a damaged JPEG where it is told to", function()
    local t = decode(files.jpg:sub(1, -60), { damaged = "accept" })
    assert.same({ 12, 20, 3 }, t.shape)
  end)

  it("tells what is no image it knows", function()
    assert.equal("cannot decode an image of 0 bytes: it is empty", message(""))
    assert.equal("cannot decode an image of 10 bytes: it is no JPEG, PNG or "
      .. "WebP image; it begins as GIF", message("GIF89a----"))
    assert.equal("cannot decode an image of 5 bytes: it is no JPEG, PNG or "
      .. "WebP image; it begins as 00 01 02 ff", message("\0\1\2\255\4"))
  end)

  it("tells at the caller's line what options are wrong", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local _, e = pcall(function() decode("", { size = 224 }) end)
    assert.equal(("tests/spec/codec/image_spec.lua:%d: bad argument #2 to "
      .. "'decode.image' (option 'size': {height, width} of positive integers "
      .. "expected, got 224)"):format(line), e)
    assert.matches("mean and std need a float", message("", { mean = 0.5,
      dtype = "u8" }))
    assert.matches("option 'std': 2 numbers for 3 channels",
      message(files.png, { std = { 1, 2 } }))
    assert.matches("unknown option 'sise'", message("", { sise = 1 }))
    assert.matches("#1 .*bytes expected .* got 3", message(3))
    assert.matches("got a tensor of f32", message(neap.tensor("f32", { 2 })))
  end)

  describe("in workers", function()
    before_each(support.remember)
    after_each(support.check_leaks)

    it("gives the same, and errors of one item that name the file", function()
      local list = {}
      for k = 1, 12 do
        list[k] = { path = k .. ".jpg", bytes = k == 7 and "\255\216\255"
          or files.jpg }
      end
      local options = { size = { 8, 8 }, layout = "chw", mean = 0.5,
        std = 0.25 }
      local s = neap.from(list):map(function(record)
        return neap.decode.image(record, options)
      end)
      local p = s:prefetch({ workers = 2 })
      support.close_later(p)
      assert.equal(0, images.distance(p[3], s[3]))
      local ok, e = pcall(function() return p[7] end)
      assert.is_false(ok)
      assert.equal("item", e.kind)
      assert.matches("cannot decode 7.jpg: it is damaged or truncated "
        .. "%(libjpeg%-turbo: ", e.message)
      local plain = neap.from({ files.png }):map(neap.decode.image)
        :prefetch({ workers = 1 })
      support.close_later(plain)
      assert.equal(0, images.distance(plain[1], original))
    end)
  end)
end)

ffi.cdef([[
  typedef struct test_header {
    uint32_t width, height;
    uint8_t depth, type, compression, filter, interlace;
  } test_header;
  typedef struct test_palette {
    uint32_t count; struct { uint8_t red, green, blue, alpha; } colours[256];
  } test_palette;
  void *spng_ctx_new(int flags);
  void spng_ctx_free(void *context);
  int spng_set_option(void *context, int option, int value);
  int spng_set_ihdr(void *context, test_header *header);
  int spng_set_plte(void *context, test_palette *palette);
  int spng_encode_image(void *context, const void *from, size_t nbytes, int how,
    int flags);
  void *spng_get_png_buffer(void *context, size_t *nbytes, int *error);
  void *tjInitCompress(void);
  int tjCompress2(void *handle, const unsigned char *from, int width, int pitch,
    int height, int pixel, unsigned char **to, unsigned long *nbytes,
    int subsampling, int quality, int flags);
]])

-- A PNG of 2x2 pixels of any kind.
local function odd_png(depth, type, pixels, palette)
  local spng = ffi.load("libspng.so.0")
  local context = spng.spng_ctx_new(2)
  local nbytes, e = ffi.new("size_t[1]"), ffi.new("int[1]")
  spng.spng_set_option(context, 12, 1)
  spng.spng_set_ihdr(context, ffi.new("test_header", 2, 2, depth, type))
  if palette then
    spng.spng_set_plte(context, ffi.new("test_palette", #palette, palette))
  end
  assert.equal(0, spng.spng_encode_image(context, pixels, #pixels, 256, 2))
  local bytes = ffi.string(spng.spng_get_png_buffer(context, nbytes, e),
    nbytes[0])
  spng.spng_ctx_free(context)
  return bytes
end

describe("neap.decode.image of rare kinds", function()
  it("cuts 16 bits to 8", function()
    local grey = odd_png(16, 0, "\0\0\0\64\255\127\255\255")
    assert.same({ 0, 64, 127, 255 },
      decode(grey, { channels = 1 }):reshape(-1):totable())
    assert.same({ 64, 64, 64 }, decode(grey)[1][2]:totable())
  end)

  it("looks colours up in a palette", function()
    local bytes = odd_png(8, 3, "\0\1\1\0", { { 9, 8, 7 }, { 6, 5, 4 } })
    assert.same({ { 9, 8, 7 }, { 6, 5, 4 } }, decode(bytes)[1]:totable())
  end)

  it("keeps transparency in four channels", function()
    local bytes = odd_png(8, 4, "\10\20\30\40\50\60\70\80")
    assert.same({ 30, 30, 30, 40 },
      decode(bytes, { channels = 4 })[1][2]:totable())
    assert.same({ 30, 30, 30 }, decode(bytes)[1][2]:totable())
  end)

  it("turns CMYK into colours, without transparency", function()
    local turbo = ffi.load("libturbojpeg.so.0")
    local out, nbytes = ffi.new("unsigned char *[1]"),
      ffi.new("unsigned long[1]")
    local ink = ("\255\128\0\200"):rep(64)
    assert.equal(0, turbo.tjCompress2(turbo.tjInitCompress(), ink, 8, 0, 8, 11,
      out, nbytes, 0, 100, 0))
    local bytes = ffi.string(out[0], nbytes[0])
    local wanted = { 200, 100, 0 }
    for c = 1, 3 do
      assert.is_true(math.abs(decode(bytes):get(4, 4, c) - wanted[c]) < 4)
    end
    assert.equal("cannot decode a JPEG image of " .. #bytes
      .. " bytes: a CMYK image has no 4 channels",
      message(bytes, { channels = 4 }))
  end)

  it("refuses an animation", function()
    local canvas = "VP8X\10\0\0\0\2\0\0\0\1\0\0\1\0\0"
    local bytes = "RIFF" .. string.char(#canvas + 4) .. "\0\0\0WEBP" .. canvas
    assert.matches("a WebP image of 30 bytes: it is an animation$",
      message(bytes))
  end)
end)

describe("a codec whose library is missing", function()
  it("names Debian's package", function()
    local library = require("neap.codec.shared_library")
    local open = library.new("decode XYZ", "libxyz.so.9", "libxyz9", "")
    local ok, e = pcall(open)
    assert.is_false(ok)
    assert.matches("cannot decode XYZ: libxyz.so.9: cannot open shared object "
      .. "file: No such file or directory\nhelp: install Debian's package: "
      .. "apt%-get install libxyz9$", e)
  end)
end)
