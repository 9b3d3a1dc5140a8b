-- SPDX-License-Identifier: MIT
--- Samples of a tar file at random, beside pread of the same bytes; and the
-- index, which is made once.

local ffi = require("ffi")
local measure = require("measure")
local neap = require("neap")

ffi.cdef([[
  int open(const char *path, int flags, ...);
  int close(int fd);
  ssize_t pread(int fd, void *to, size_t nbytes, long offset);
]])

local N, NBYTES = 5000, 100000

local path, s, order

local function header(name, size)
  local head = name .. ("\0"):rep(100 - #name) .. "0000644\0" .. "0000000\0"
    .. "0000000\0" .. ("%011o\0"):format(size) .. "00000000000\0"
    .. "        " .. "0" .. ("\0"):rep(100) .. "ustar\0" .. "00"
  head = head .. ("\0"):rep(512 - #head)
  local sum = 0
  for k = 1, 512 do
    sum = sum + head:byte(k)
  end
  return head:sub(1, 148) .. ("%06o\0 "):format(sum) .. head:sub(157)
end

local function begin()
  path = os.tmpname()
  local file = io.open(path, "wb")
  local body = ("x"):rep(NBYTES)
  for i = 1, N do
    file:write(header(("%06d.jpg"):format(i), NBYTES), body,
      ("\0"):rep(-NBYTES % 512))
  end
  file:write(("\0"):rep(1024))
  file:close()
  s = neap.tar(path)
  order = neap.range(N):shuffle(1):totable()
  assert(#s == N and #s[N].jpg == NBYTES)
end

local function finish()
  os.remove(path)
  s = nil
end

local function read_samples()
  local since = measure.now()
  for k = 1, N do
    assert(#s[order[k]].jpg == NBYTES)
  end
  return (measure.now() - since) / N * 1e6
end

local function read_bytes()
  local fd, to = ffi.C.open(path, 0), ffi.new("uint8_t[?]", NBYTES)
  local step = 512 + NBYTES + -NBYTES % 512
  local since = measure.now()
  for k = 1, N do
    assert(ffi.C.pread(fd, to, NBYTES, (order[k] - 1) * step + 512) == NBYTES)
  end
  local seconds = measure.now() - since
  ffi.C.close(fd)
  return seconds / N * 1e6
end

return {
  {
    name = "tar: samples of 100,000 bytes at random", unit = "us",
    target = "1.2", is_alone = true, limit_name = "pread of the same bytes",
    begin = begin, finish = finish, run = read_samples, limit = read_bytes,
  },
  {
    name = "tar: index of 5,000 entries", unit = "ms",
    target = "10 ms", is_alone = true, limit_name = "pread of the headers",
    begin = begin, finish = finish,
    run = function()
      local since = measure.now()
      assert(#neap.tar(path) == N)
      return (measure.now() - since) * 1e3
    end,
    limit = function()
      local fd, to = ffi.C.open(path, 0), ffi.new("uint8_t[512]")
      local step = 512 + NBYTES + -NBYTES % 512
      local since = measure.now()
      for k = 1, N do
        assert(ffi.C.pread(fd, to, 512, (k - 1) * step) == 512)
      end
      local seconds = measure.now() - since
      ffi.C.close(fd)
      return seconds * 1e3
    end,
  },
}
