-- SPDX-License-Identifier: MIT
-- A sound to the spectrum of each of its windows, computed by workers. Pass a
-- path to keep the picture that it makes.

local ffi = require("ffi")
local neap = require("neap")

local RATE, SECONDS, WINDOW, HOP, BATCH = 8000, 2, 512, 256, 16
local LOW, HIGH = 200, 3000 -- Hz: the sound rises from one to the other

-- The sound, as a WAV file of 16 bits. ----------------------------------------
local function little_endian(n, bytes)
  local text = {}
  for k = 1, bytes do
    text[k], n = string.char(n % 256), math.floor(n / 256)
  end
  return table.concat(text)
end

local function make_wav()
  local samples, phase = {}, 0
  for k = 1, RATE * SECONDS do
    local hz = LOW + (HIGH - LOW) * k / (RATE * SECONDS)
    phase = phase + 2 * math.pi * hz / RATE
    samples[k] = little_endian(math.floor(20000 * math.sin(phase)) % 65536, 2)
  end
  local data = table.concat(samples)
  return "RIFF" .. little_endian(36 + #data, 4) .. "WAVEfmt "
    .. little_endian(16, 4) .. little_endian(1, 2) .. little_endian(1, 2)
    .. little_endian(RATE, 4) .. little_endian(RATE * 2, 4)
    .. little_endian(2, 2) .. little_endian(16, 2)
    .. "data" .. little_endian(#data, 4) .. data
end

-- A fast Fourier transform of WINDOW values, in place. ------------------------
local function reverse_bits(re, im)
  local j = 0
  for i = 0, WINDOW - 2 do
    if i < j then
      re[i], re[j], im[i], im[j] = re[j], re[i], im[j], im[i]
    end
    local half = WINDOW / 2
    while j >= half do
      j, half = j - half, half / 2
    end
    j = j + half
  end
end

local function transform(re, im)
  reverse_bits(re, im)
  local size = 1
  while size < WINDOW do
    for k = 0, size - 1 do
      local c, s = math.cos(math.pi * k / size), -math.sin(math.pi * k / size)
      for i = k, WINDOW - 1, 2 * size do
        local j = i + size
        local x, y = re[j] * c - im[j] * s, re[j] * s + im[j] * c
        re[j], im[j] = re[i] - x, im[i] - y
        re[i], im[i] = re[i] + x, im[i] + y
      end
    end
    size = 2 * size
  end
end

-- Decibels of each frequency, with the window's edges faded out.
local function spectrum(samples)
  local re, im = ffi.new("double[?]", WINDOW), ffi.new("double[?]", WINDOW)
  local from, decibels = samples:ptr(), neap.empty("f32", { WINDOW / 2 })
  for k = 0, WINDOW - 1 do
    re[k] = from[k] * (0.5 - 0.5 * math.cos(2 * math.pi * k / WINDOW))
  end
  transform(re, im)
  for k = 0, WINDOW / 2 - 1 do
    decibels:ptr()[k] = 10 * math.log10(re[k] ^ 2 + im[k] ^ 2 + 1e-9)
  end
  return decibels
end

-- The loader: each window is read from the file by the worker that needs it. --
local path = os.tmpname()
local file = io.open(path, "wb")
file:write(make_wav())
file:close()

local sound = neap.decode.audio({ path = path })
print(sound.rate, sound.channels, sound.frames)        --> 8000 1 16000

local count = math.floor((sound.frames - WINDOW) / HOP) + 1
local windows = neap.range(count):map(function(k)
  return neap.decode.audio({ path = path },
    { first = (k - 1) * HOP + 1, count = WINDOW }).samples
end)
local batches = windows:map(spectrum):batch(BATCH, { collate = neap.stack })
  :prefetch({ workers = 2 })

local spectra = neap.tensor("f32", { count, WINDOW / 2 })
for b, batch in batches:each() do
  for k = 1, #batch do
    spectra[(b - 1) * BATCH + k] = batch[k]
  end
end

local function loudest_hz(decibels)
  local best = 1
  for bin = 1, #decibels do
    best = decibels[bin] > decibels[best] and bin or best
  end
  return (best - 1) * RATE / WINDOW
end
print(#spectra, loudest_hz(spectra[1]), loudest_hz(spectra[-1]))
--> 61 250 2937.5

if arg[1] then
  neap.save_image(spectra:to("f32", 1 / 120, 0.5), arg[1])
end
os.remove(path)
