-- SPDX-License-Identifier: MIT
--- Sound: WAV files written here, and others by libsndfile's encoder.

local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local decode = neap.decode.audio

ffi.cdef([[
  typedef struct test_sound {
    int64_t frames; int rate, channels, format, sections, seekable;
  } test_sound;
  void *sf_open(const char *path, int mode, test_sound *sound);
  int64_t sf_writef_float(void *file, const float *from, int64_t frames);
  int sf_close(void *file);
]])

local function word(n)
  return string.char(n % 256, math.floor(n / 256) % 256)
end

local function long(n)
  return word(n % 65536) .. word(math.floor(n / 65536))
end

-- A WAV file of 16 bits: frame k has k in the first channel, -k in the second.
local function wav(frames, rate)
  local data = {}
  for k = 1, frames do
    data[k] = word(k) .. word(65536 - k)
  end
  local samples = table.concat(data)
  return "RIFF" .. long(36 + #samples) .. "WAVEfmt " .. long(16) .. word(1)
    .. word(2) .. long(rate) .. long(rate * 4) .. word(4) .. word(16) .. "data"
    .. long(#samples) .. samples
end

local function message(...)
  return (support.message(decode, ...))
end

describe("neap.decode.audio", function()
  local bytes = wav(100, 8000)
  local path = os.tmpname()

  teardown(function()
    os.remove(path)
  end)

  it("returns samples, rate and channels", function()
    local sound = decode(bytes)
    assert.same({ 100, 2 }, sound.samples.shape)
    assert.equal("f32", sound.samples.dtype)
    assert.equal(8000, sound.rate)
    assert.equal(2, sound.channels)
    assert.equal(100, sound.frames)
    assert.equal(-50 / 2^15, sound.samples:get(50, 2))
  end)

  it("returns a part, in the dtype that is wanted", function()
    local part = decode(bytes, { first = 11, count = 3, dtype = "i16" })
    assert.same({ { 11, -11 }, { 12, -12 }, { 13, -13 } },
      part.samples:totable())
    assert.equal(100, part.frames)
    assert.equal(12 * 2^16, decode(bytes, { first = 12, dtype = "i32" })
      .samples:get(1, 1))
    assert.equal(100 / 2^15, decode(bytes, { first = 100, count = 9,
      dtype = "f64" }).samples:get(1, 1))
    assert.same({ 0, 2 }, decode(bytes, { first = 500 }).samples.shape)
    assert.same({ 0, 2 }, decode(bytes, { count = 0 }).samples.shape)
  end)

  it("reads a part of a file that is known by its path", function()
    support.write(path, bytes)
    assert.same({ { 99, -99 }, { 100, -100 } }, decode({ path = path },
      { first = 99, dtype = "i16" }).samples:totable())
    support.write(path, bytes:sub(1, -2))
    assert.equal("cannot decode " .. path .. ": it is truncated: it has 443 "
      .. "bytes of 444", message({ path = path }))
    assert.equal("cannot read /none.wav: No such file or directory",
      message({ path = "/none.wav" }))
  end)

  for name, format in pairs({ flac = 0x170002, ogg = 0x200060, aiff = 0x20002,
    mp3 = 0x230082 }) do
    it("decodes " .. name, function()
      local sndfile = ffi.load("libsndfile.so.1")
      local about = ffi.new("test_sound", { rate = 8000, channels = 1,
        format = format })
      local file = sndfile.sf_open(path, 0x20, about)
      local wave = ffi.new("float[8000]")
      for k = 0, 7999 do
        wave[k] = 0.5 * math.sin(k / 5)
      end
      sndfile.sf_writef_float(file, wave, 8000)
      sndfile.sf_close(file)
      local packed = support.read(path)
      local sound = decode(packed)
      assert.equal(8000, sound.rate)
      assert.is_true(sound.samples.shape[1] >= 8000)
      local loudness = 0
      for k = 2001, 6000 do
        loudness = loudness + sound.samples:get(k, 1) ^ 2 / 4000
      end
      assert.is_true(math.abs(loudness - 0.125) < 0.02)
      if name == "flac" or name == "aiff" then
        assert.is_true(math.abs(sound.samples:get(100, 1)
          - 0.5 * math.sin(99 / 5)) < 0.001)
      end
      if name == "flac" then
        assert.matches("^cannot decode audio of %d+ bytes: it is ",
          message(packed:sub(1, -500)))
      end
    end)
  end

  it("tells what is no sound", function()
    assert.matches("^cannot decode audio of 0 bytes: it is damaged or "
      .. "truncated %(libsndfile: ", message(""))
    assert.matches("^cannot decode a.wav: .*Format not recognised",
      message({ bytes = ("nonsense"):rep(20), path = "a.wav" }))
    assert.equal("cannot decode audio of 444 bytes: it is truncated: it has "
      .. "444 bytes of 445", message((bytes:gsub("^RIFF.", function()
        return "RIFF" .. string.char(445 - 8 - 256)
      end))))
  end)

  it("takes no more memory than it may", function()
    assert.matches("its samples take 800 bytes, and bytes_max is 799\nhelp: "
      .. "read a part", message(bytes, { bytes_max = 799 }))
    assert.same({ 10, 2 }, decode(bytes, { bytes_max = 80, count = 10 })
      .samples.shape)
  end)

  it("tells what options are wrong", function()
    assert.matches('option \'dtype\': "i16", "i32", "f32" or "f64" expected',
      message(bytes, { dtype = "u8" }))
    assert.matches("option 'first': positive integer expected",
      message(bytes, { first = 0 }))
  end)

  it("leaves no descriptor open", function()
    support.remember()
    for _ = 1, 3 do
      decode(bytes)
      message("bad")
      message(bytes, { bytes_max = 1 })
    end
    support.check_leaks()
  end)
end)
