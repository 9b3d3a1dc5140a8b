-- SPDX-License-Identifier: MIT
--- Sound: WAV, FLAC, Ogg, AIFF, MP3 and others, by libsndfile. Its interface
-- for bytes in memory calls back, which the FFI cannot: bytes go to a file in
-- memory, which is opened by its descriptor.
-- @module neap.codec.audio

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local input = require("neap.codec.input")
local library = require("neap.codec.shared_library")
local limits = require("neap.codec.limits")

local READ, CLOSE_ON_EXEC, SET = 0x10, 1, 0 -- SFM_READ, MFD_CLOEXEC, SEEK_SET

local READERS = {
  i16 = { name = "neap_sf_readf_short", size = 2 },
  i32 = { name = "neap_sf_readf_int", size = 4 },
  f32 = { name = "neap_sf_readf_float", size = 4 },
  f64 = { name = "neap_sf_readf_double", size = 8 },
}

local kinds = check.kinds
local OPTIONS = {
  first = kinds.count, count = kinds.natural, bytes_max = kinds.positive,
  dtype = function(value)
    return READERS[value] ~= nil, '"i16", "i32", "f32" or "f64"'
  end,
}

local sndfile = library.new("decode audio", "libsndfile.so.1", "libsndfile1", [[
  typedef struct neap_sound {
    int64_t frames; int rate, channels, format, sections, seekable;
  } neap_sound;
  void *sf_open(const char *path, int mode, neap_sound *sound);
  void *sf_open_fd(int fd, int mode, neap_sound *sound, int is_closed_with_it);
  int64_t sf_seek(void *file, int64_t frames, int whence);
  int64_t sf_readf_short(void *file, short *to, int64_t frames);
  int64_t sf_readf_int(void *file, int *to, int64_t frames);
  int64_t sf_readf_float(void *file, float *to, int64_t frames);
  int64_t sf_readf_double(void *file, double *to, int64_t frames);
  int sf_error(void *file);
  const char *sf_strerror(void *file);
  int sf_close(void *file);
  int memfd_create(const char *name, unsigned flags);
  ssize_t write(int fd, const void *data, size_t nbytes);
  int64_t lseek(int fd, int64_t offset, int whence);
  int close(int fd);
  char *strerror(int error);
]])

local sound -- what is known of the file that was opened last

-- Returns a descriptor of a file in memory, at its start; or nil and why not.
local function file_of(sf, p, nbytes)
  local fd = sf.neap_memfd_create("neap audio", CLOSE_ON_EXEC)
  local done = 0
  while fd >= 0 and done < nbytes do
    local wrote = tonumber(sf.neap_write(fd, p + done, nbytes - done))
    if wrote <= 0 then
      sf.neap_close(fd)
      fd = -1
    end
    done = done + wrote
  end
  if fd < 0 then
    return nil, "no file in memory: "
      .. ffi.string(sf.neap_strerror(ffi.errno()))
  end
  sf.neap_lseek(fd, 0, SET)
  return fd
end

-- libsndfile reads what is left of a RIFF file without a word. A length of 0 or
-- of all bits set is that of a file that was written to a pipe.
local function why_cut(head, nbytes)
  if #head < 12 or head:sub(1, 4) ~= "RIFF" then
    return
  end
  local a, b, c, d = head:byte(5, 8)
  local size = 8 + a + b * 2^8 + c * 2^16 + d * 2^24
  if size < 2^32 and size > nbytes then
    return ("it is truncated: it has %d bytes of %.0f"):format(nbytes, size)
  end
end

local function open_path(sf, path)
  local file, why = io.open(path, "rb")
  if not file then
    check.raise("cannot read " .. why)
  end
  why = why_cut(file:read(12) or "", file:seek("end") or 0)
  file:close()
  return not why and sf.neap_sf_open(path, READ, sound) or nil, why
end

local function open_bytes(sf, from)
  local p, nbytes = input.read(from)
  local why = why_cut(ffi.string(p, math.min(nbytes, 12)), nbytes)
  local fd
  if not why then
    fd, why = file_of(sf, p, nbytes)
  end
  input.release()
  return fd and sf.neap_sf_open_fd(fd, READ, sound, 1) or nil, why
end

-- A file that is known by its path alone is not read whole.
local function open(from)
  local sf = sndfile()
  sound = sound or ffi.new("neap_sound")
  sound.format = 0
  local is_path = type(from) == "table" and from.bytes == nil
    and type(from.path) == "string"
  local file, why
  if is_path then
    file, why = open_path(sf, from.path)
  else
    file, why = open_bytes(sf, from)
  end
  if file == nil then
    return nil, why or library.damaged("libsndfile", sf.neap_sf_strerror(nil))
  end
  return ffi.gc(file, sf.neap_sf_close)
end

local function close(file)
  sndfile().neap_sf_close(ffi.gc(file, nil))
end

-- The frames that are wanted, of those that the file says it has.
local function find_range(options, frames)
  local first = options.first or 1
  local rest = math.max(0, frames - first + 1)
  return first, math.min(options.count or rest, rest)
end

local function why_too_large(options, count, channels, size)
  local bytes_max = options.bytes_max or limits.BYTES_MAX
  local nbytes = count * channels * size
  if channels < 1 or nbytes > bytes_max then
    return ("its samples take %.0f bytes, and bytes_max is %.0f\nhelp: read a "
      .. "part of them (first, count), or use the option bytes_max"):format(
      nbytes, bytes_max)
  end
end

-- Returns the samples, or nil and why there are none.
local function read(file, options)
  local sf, name = sndfile(), options.dtype or "f32"
  local reader = READERS[name]
  local first, count = find_range(options, tonumber(sound.frames))
  local why = why_too_large(options, count, sound.channels, reader.size)
  if why then
    return nil, why
  elseif first > 1 and count > 0
    and sf.neap_sf_seek(file, first - 1, SET) < 0 then
    return nil, library.damaged("libsndfile", sf.neap_sf_strerror(file))
  end
  local t = array.empty(name, { count, sound.channels })
  local got = tonumber(sf[reader.name](file, t:ptr(), count))
  if sf.neap_sf_error(file) ~= 0 then
    return nil, library.damaged("libsndfile", sf.neap_sf_strerror(file))
  elseif got < count then
    return nil, ("it is truncated: it ends after frame %d of %.0f"):format(
      first - 1 + got, tonumber(sound.frames))
  end
  return t
end

--- Decodes sound.
-- @function audio
-- @param bytes as neap.decode.image takes them; of a path without bytes only
--   what is wanted is read
-- @tparam[opt] table options first (1) and count: the frames wanted; dtype:
--   "f32" (default) and "f64" from -1 to 1, "i16", "i32"; bytes_max
-- @treturn table samples (a tensor {frames, channels}), rate, channels, and
--   frames, of the whole file
local function audio(bytes, options)
  options = check.options(2, options, OPTIONS)
  local file, why = open(bytes)
  local samples
  if file then
    samples, why = read(file, options)
    close(file)
  end
  if not samples then
    input.fail(bytes, "audio", why)
  end
  return {
    samples = samples, rate = sound.rate, channels = sound.channels,
    frames = tonumber(sound.frames),
  }
end

return {
  make = audio,
  options = OPTIONS,
  example = [[neap.decode.audio({ path = "voice.wav" }).samples]],
}
