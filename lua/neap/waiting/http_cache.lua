-- SPDX-License-Identifier: MIT
--- Bodies that a folder keeps, each in a file named by what was asked for.
-- A file is written under another name first, so workers never see half of one,
-- and checked when it is read, so one that a crash has damaged is as none. Its
-- time of change is when the server last said that it is right; its time of
-- access is when it was used: those used longest ago go first.
-- @module neap.waiting.http_cache

local bit = require("bit")
local ffi = require("ffi")
local lib = require("neap.base.lib")

ffi.cdef([[
  int neap_cache_times(int folder, const char *path, const void *times,
    int flags) __asm__("utimensat");
  int neap_cache_pid(void) __asm__("getpid");
]])

local C = lib.C

local MAGIC = "neap body 1\n"
local CURRENT = -100 -- folder (AT_FDCWD)
local PARTS = 64 -- what the folder may have more than it should: a part of it

local cache = {}

-- How many files this process has written, and bytes since it last evicted.
local written, unseen = 0, 1 / 0

local out = ffi.new("neap_file *[1]")

--- What a body is kept under: a URL and a part of what it leads to.
function cache.key(url, offset, bytes)
  return ("%s\n%s\n%s"):format(url, offset or "", bytes or "")
end

local function name_of(key)
  local a, b = C.neap_hash(key, #key, 1), C.neap_hash(key, #key, 2)
  return bit.tohex(a, 16) .. bit.tohex(b, 16) .. ".neap"
end

local function hash_of(body)
  return bit.tohex(C.neap_hash(body, #body, 0), 16)
end

--- Makes the folder, if it is not there; raises if it cannot be used.
function cache.make(folder)
  lib.check(C.neap_snapshots_make(folder, lib.error))
  local file = io.open(folder .. "/.")
  if not file then
    error(("cannot keep bodies in %s: it is no folder"):format(folder), 0)
  end
  file:close()
end

-- -- Reading -----------------------------------------------------------------

-- Seconds since the server said that a file is right.
local function age_of(path)
  if C.neap_file_open(path, nil, out, lib.error) ~= C.NEAP_OK then
    return 1 / 0
  end
  local time = tonumber(C.neap_file_identity(out[0]).mtime_ns) * 1e-9
  C.neap_file_close(out[0])
  return math.max(0, os.time() - time)
end

local function parse(text, key)
  local head, start = text:match("^" .. MAGIC .. "(.-\n)\n()")
  local fields = {}
  for name, value in (head or ""):gmatch("(%S+) ([^\n]*)\n") do
    fields[name] = value
  end
  local kept_key = (fields.key or ""):gsub("%z", "\n")
  local body = start and text:sub(start) or ""
  if kept_key ~= key or fields.hash ~= hash_of(body) then
    return nil
  end
  return { body = body, etag = fields.etag, modified = fields.modified }
end

--- Returns what is kept under a key, or nil: body, etag, modified, age in
-- seconds.
function cache.get(folder, key)
  local path = folder .. "/" .. name_of(key)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then
    file:close()
  end
  local kept = text and parse(text, key)
  if kept then
    kept.age = age_of(path)
    C.neap_snapshots_touch(path)
  end
  return kept
end

-- -- Writing -----------------------------------------------------------------

local function fail(path, why)
  error(("cannot keep a body in %s: %s"):format(path, why), 0)
end

local function write(path, text)
  local file, why = io.open(path, "wb")
  if not file then
    fail(path, why)
  end
  local ok
  ok, why = file:write(text)
  ok = file:close() and ok
  if not ok then
    os.remove(path)
    fail(path, why or "it cannot be written")
  end
end

-- Removes what was used longest ago, now and then.
local function evict(folder, name, bytes_max, nbytes)
  unseen = unseen + nbytes
  if unseen > bytes_max / PARTS then
    unseen = 0
    lib.check(C.neap_snapshots_evict(folder, name, bytes_max, lib.error))
  end
end

-- A field's text, or no field.
local function field(name, text)
  return text and ("%s %s\n"):format(name, text:gsub("%c", " ")) or ""
end

--- Keeps a body under a key.
-- @tparam table headers of the answer
-- @tparam number bytes_max of all that the folder keeps
function cache.put(folder, key, body, headers, bytes_max)
  if #body > bytes_max then
    return
  end
  local name = name_of(key)
  local path = folder .. "/" .. name
  local text = MAGIC .. "key " .. key:gsub("\n", "\0") .. "\n"
    .. "hash " .. hash_of(body) .. "\n" .. field("etag", headers.etag)
    .. field("modified", headers["last-modified"]) .. "\n" .. body
  written = written + 1
  local partial = ("%s.partial-%d-%d"):format(path, ffi.C.neap_cache_pid(),
    written)
  write(partial, text)
  if not os.rename(partial, path) then -- another process has evicted it
    os.remove(partial)
  end
  evict(folder, name, bytes_max, #text)
end

--- Notes that the server said that what is kept under a key is right.
function cache.confirm(folder, key)
  ffi.C.neap_cache_times(CURRENT, folder .. "/" .. name_of(key), nil, 0)
end

return cache
