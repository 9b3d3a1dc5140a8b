-- SPDX-License-Identifier: MIT
--- Decoders against damage: bytes that were flipped, cut, repeated or put in
-- between never end the process, and raise nothing but a decoder's own error.
-- Under the address sanitizer this also holds the function of libneap that
-- resizes to its bounds. NEAP_LONG makes ten times as many.

local ffi = require("ffi")
local neap = require("neap")
local images = dofile("tests/spec/codec/images.lua")
local support = dofile("tests/spec/support.lua")

local ROUNDS = (os.getenv("NEAP_LONG") and 10 or 1)
  * (support.is_asan and 300 or 1000)
local LIMITS = { pixels_max = 2^20, bytes_max = 2^22 }

ffi.cdef([[
  size_t ZSTD_compress(void *to, size_t room, const void *from, size_t nbytes,
    int level);
]])

local function zstd(text)
  local library, to = ffi.load("libzstd.so.1"), ffi.new("char[?]", 4096)
  return ffi.string(to, library.ZSTD_compress(to, 4096, text, #text, 3))
end

local function gzip(text)
  local path = support.write(os.tmpname(), text)
  os.execute("gzip -f " .. path)
  local packed = support.read(path .. ".gz")
  os.remove(path .. ".gz")
  return packed
end

local WAV = "RIFF\232\3\0\0WAVEfmt \16\0\0\0\1\0\1\0"
  .. "\64\31\0\0\128\62\0\0\2\0\16\0data\196\3\0\0" .. ("abcd"):rep(241)
local NPY = "\147NUMPY\1\0\118\0"
  .. ("{'descr': '>f4', 'fortran_order': True, 'shape': (3, 4, 5), }")
    :gsub("$", (" "):rep(57)) .. ("0123"):rep(60)

local original = images.gradient(40, 56)
local jpeg = images.encode(original, "jpg")

local SEEDS = {
  { "image", jpeg }, { "image", images.with_exif(jpeg, images.exif(6)) },
  { "image", images.encode(original, "png") },
  { "image", images.encode(original, "webp") },
  { "image", images.encode(original, "webp", { quality = 100 }) },
  { "audio", WAV }, { "npy", NPY },
  { "json", '{"a": [1, 2.5e3, null, "x\\u00e9", {"b": true}], "c": {}}' },
  { "gzip", gzip(("some text, "):rep(200)) },
  { "zstd", zstd(("some text, "):rep(200)) },
}

local random = math.random

local function flip(text)
  local at = random(#text)
  return text:sub(1, at - 1) .. string.char(random(0, 255))
    .. text:sub(at + 1)
end

local MUTATIONS = {
  flip, flip, flip,
  function(text)
    for _ = 1, random(20) do
      text = flip(text)
    end
    return text
  end,
  function(text) return text:sub(1, random(#text) - 1) end,
  function(text)
    local at = random(#text)
    return text:sub(1, at) .. text:sub(random(#text))
  end,
  function(text)
    local at = random(math.min(#text, 64))
    return text:sub(1, at - 1) .. ("\255\0\127\128"):sub(random(4), -1)
      .. text:sub(at + random(4))
  end,
}

local OPTIONS = {
  image = {
    {}, { size = { 9, 5 } }, { channels = 1, size = { 20, 90 }, fit = "pad" },
    { channels = 4, layout = "chw", dtype = "f32", damaged = "accept" },
    { region = { 0.9, 0, 0.1, 1 }, mean = 0.5, dtype = "f16" },
  },
  audio = { {}, { first = 100, count = 50, dtype = "i16" } },
  npy = { {} }, json = { {}, { null = false } }, gzip = { {} }, zstd = { {} },
}

local function options_of(name)
  local list = OPTIONS[name]
  local options = {}
  for key, value in pairs(list[random(#list)]) do
    options[key] = value
  end
  options.pixels_max = name == "image" and LIMITS.pixels_max or nil
  options.bytes_max = (name == "audio" or name == "gzip" or name == "zstd")
    and LIMITS.bytes_max or nil
  return options
end

describe("damaged bytes", function()
  for k, seed in ipairs(SEEDS) do
    local name, good = seed[1], seed[2]

    it(("do no harm to neap.decode.%s (%d)"):format(name, k), function()
      support.seed("damage")
      local decode, refused = neap.decode[name], 0
      decode(good, options_of(name))
      for round = 1, ROUNDS do
        local bad = MUTATIONS[random(#MUTATIONS)](good)
        local ok, e = pcall(decode, bad, options_of(name))
        if not ok then
          refused = refused + 1
          assert.matches("cannot decode [^\n]+ of %d+ bytes: [^\n]+", e)
        end
        if round % 20 == 0 then
          decode(good, options_of(name)) -- unharmed by what came before
        end
      end
      assert.is_true(refused > 0)
    end)
  end
end)
