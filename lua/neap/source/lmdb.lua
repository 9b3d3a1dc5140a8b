-- SPDX-License-Identifier: MIT
--- The entries of an LMDB database, in the order of their keys.
-- @module neap.source.lmdb

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local class = require("neap.base.class")
local handle = require("neap.sequence.handle")
local library = require("neap.codec.shared_library")
local Node = require("neap.sequence.node")

local NO_SUB_DIR, READ_ONLY, NO_TLS, NO_LOCK = 0x4000, 0x20000, 0x200000,
  0x400000
local NEXT, NOT_FOUND, EACCES, ENOTDIR = 8, -30798, 13, 20

local Lmdb = class("source.lmdb", Node)

-- -- Environments ------------------------------------------------------------

local lmdb = library.new("read LMDB databases", "liblmdb.so.0", "liblmdb0", [[
  typedef struct neap_mdb_env neap_mdb_env;
  typedef struct neap_mdb_txn neap_mdb_txn;
  typedef struct neap_mdb_cursor neap_mdb_cursor;
  typedef struct neap_mdb_val { size_t mv_size; void *mv_data; } neap_mdb_val;
  typedef struct neap_mdb_open {
    neap_mdb_env *env;
    neap_mdb_txn *txn;
    unsigned dbi;
  } neap_mdb_open;
  const char *mdb_strerror(int code);
  int mdb_env_create(neap_mdb_env **env);
  int mdb_env_open(neap_mdb_env *env, const char *path, unsigned flags,
    unsigned mode);
  void mdb_env_close(neap_mdb_env *env);
  int mdb_txn_begin(neap_mdb_env *env, neap_mdb_txn *parent, unsigned flags,
    neap_mdb_txn **out);
  void mdb_txn_abort(neap_mdb_txn *txn);
  int mdb_dbi_open(neap_mdb_txn *txn, const char *name, unsigned flags,
    unsigned *dbi);
  int mdb_get(neap_mdb_txn *txn, unsigned dbi, neap_mdb_val *key,
    neap_mdb_val *data);
  int mdb_cursor_open(neap_mdb_txn *txn, unsigned dbi,
    neap_mdb_cursor **out);
  void mdb_cursor_close(neap_mdb_cursor *cursor);
  int mdb_cursor_get(neap_mdb_cursor *cursor, neap_mdb_val *key,
    neap_mdb_val *data, int op);
]])

local function checked(status, path, what)
  if status ~= 0 then
    error(("cannot %s %s: %s"):format(what, path,
      ffi.string(lmdb().neap_mdb_strerror(status))), 0)
  end
end

local function open_as(path, flags)
  local C, out = lmdb(), ffi.new("neap_mdb_env *[1]")
  checked(C.neap_mdb_env_create(out), path, "open")
  local env = out[0]
  local status = C.neap_mdb_env_open(env, path, flags, 0)
  if status ~= 0 then
    C.neap_mdb_env_close(env)
    return nil, status
  end
  return env
end

-- A folder, or a file; where no lock can be written, without one.
local function open_env(path)
  local flags = READ_ONLY + NO_TLS
  local env, status = open_as(path, flags)
  if status == ENOTDIR then
    flags = flags + NO_SUB_DIR
    env, status = open_as(path, flags)
  end
  if status == EACCES then
    env, status = open_as(path, flags + NO_LOCK)
  end
  checked(status or 0, path, "open")
  return env
end

-- LMDB opens a database once in a process. Path -> {env =, txn =, dbi =}.
local opened = setmetatable({}, { __mode = "v" })

local function close(open)
  local C = lmdb()
  if open.txn ~= nil then
    C.neap_mdb_txn_abort(open.txn)
  end
  C.neap_mdb_env_close(open.env)
end

-- The entries as they were when this process first read some.
local function open(path)
  local found = opened[path]
  if found then
    return found
  end
  local C = lmdb()
  local txn, dbi = ffi.new("neap_mdb_txn *[1]"), ffi.new("unsigned[1]")
  found = ffi.gc(ffi.new("neap_mdb_open", open_env(path)), close)
  checked(C.neap_mdb_txn_begin(found.env, nil, READ_ONLY, txn), path, "read")
  found.txn = txn[0]
  checked(C.neap_mdb_dbi_open(found.txn, nil, 0, dbi), path, "read")
  found.dbi = dbi[0]
  opened[path] = found
  return found
end

-- -- Reading -----------------------------------------------------------------

local function i64s(t)
  return ffi.cast("int64_t *", t.d.data)
end

local function set_key(self, i, key)
  local starts = i64s(self.starts)
  key.mv_data = ffi.cast("uint8_t *", self.keys.d.data) + starts[i - 1]
  key.mv_size = starts[i] - starts[i - 1]
end

function Lmdb:get(i)
  local here = self.here
  if not here then
    here = { open = open(self.path), key = ffi.new("neap_mdb_val"),
      value = ffi.new("neap_mdb_val") }
    self.here = here
  end
  local key, value = here.key, here.value
  set_key(self, i, key)
  local name = ffi.string(key.mv_data, key.mv_size)
  local status = lmdb().neap_mdb_get(here.open.txn, here.open.dbi, key, value)
  if status == NOT_FOUND then
    error(("cannot read %s: the key %q is no longer there"):format(self.path,
      name), 0)
  end
  checked(status, self.path, "read")
  return { key = name, value = ffi.string(value.mv_data, value.mv_size) }
end

function Lmdb:describe()
  return ("lmdb(%s)"):format(self.path)
end

-- -- The keys ----------------------------------------------------------------

local function read_keys(path)
  local C, found = lmdb(), open(path)
  local out = ffi.new("neap_mdb_cursor *[1]")
  local key, value = ffi.new("neap_mdb_val"), ffi.new("neap_mdb_val")
  checked(C.neap_mdb_cursor_open(found.txn, found.dbi, out), path, "read")
  local cursor = ffi.gc(out[0], C.neap_mdb_cursor_close)
  local list, starts, count = {}, { 0 }, 0
  local status = C.neap_mdb_cursor_get(cursor, key, value, NEXT)
  while status == 0 do
    count = count + 1
    list[count] = ffi.string(key.mv_data, key.mv_size)
    starts[count + 1] = starts[count] + #list[count]
    status = C.neap_mdb_cursor_get(cursor, key, value, NEXT)
  end
  C.neap_mdb_cursor_close(ffi.gc(cursor, nil))
  checked(status == NOT_FOUND and 0 or status, path, "read")
  return list, starts, count
end

local function make(path)
  local list, starts, count = read_keys(path)
  local text = table.concat(list)
  local keys = array.lasting("u8", { #text })
  ffi.copy(keys.d.data, text, #text)
  local places = array.lasting("i64", { count + 1 })
  for k = 1, count + 1 do
    i64s(places)[k - 1] = starts[k]
  end
  return Lmdb:make({
    path = path, keys = keys, starts = places, length = count,
  })
end

--- Returns the entries of a database, as {key =, value =}. Each process opens
-- it for itself, read-only.
-- @function lmdb
-- @tparam string path of a folder, or of the file itself
-- @treturn Sequence
local function sequence(path)
  check.text(1, path)
  local ok, node = pcall(make, path)
  return handle.wrap(ok and node or check.raise(tostring(node)))
end

return {
  class = Lmdb, make = sequence,
  example = [[neap.lmdb("train.lmdb")]],
}
