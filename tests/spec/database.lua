-- SPDX-License-Identifier: MIT
--- Databases for specs, written by the libraries that neap reads them with.

local ffi = require("ffi")

ffi.cdef([[
  int sqlite3_open(const char *path, void **out);
  int sqlite3_exec(void *db, const char *text, void *f, void *a, char **why);
  int sqlite3_close(void *db);

  typedef struct test_mdb_val { size_t size; const void *data; } test_mdb_val;
  int mdb_env_create(void **env);
  int mdb_env_open(void *env, const char *path, unsigned flags, unsigned mode);
  void mdb_env_close(void *env);
  int mdb_txn_begin(void *env, void *parent, unsigned flags, void **out);
  int mdb_txn_commit(void *txn);
  int mdb_dbi_open(void *txn, const char *name, unsigned flags, unsigned *dbi);
  int mdb_put(void *txn, unsigned dbi, test_mdb_val *key, test_mdb_val *data,
    unsigned flags);
]])

local NO_SUB_DIR = 0x4000

local database = {}

--- Runs statements on an SQLite database, which they may make.
function database.sqlite(path, text)
  local C, out = ffi.load("libsqlite3.so.0"), ffi.new("void *[1]")
  local why = ffi.new("char *[1]")
  assert(C.sqlite3_open(path, out) == 0)
  if C.sqlite3_exec(out[0], text, nil, nil, why) ~= 0 then
    error(ffi.string(why[0]))
  end
  C.sqlite3_close(out[0])
end

local function value(text)
  return ffi.new("test_mdb_val", #text, ffi.cast("const char *", text))
end

--- Makes an LMDB database of a list of {key, value}.
function database.lmdb(path, entries, is_file)
  local C, env = ffi.load("liblmdb.so.0"), ffi.new("void *[1]")
  local txn, dbi = ffi.new("void *[1]"), ffi.new("unsigned[1]")
  if not is_file then
    os.execute("mkdir " .. path)
  end
  assert(C.mdb_env_create(env) == 0)
  assert(C.mdb_env_open(env[0], path, is_file and NO_SUB_DIR or 0, 420) == 0)
  assert(C.mdb_txn_begin(env[0], nil, 0, txn) == 0)
  assert(C.mdb_dbi_open(txn[0], nil, 0, dbi) == 0)
  for _, entry in ipairs(entries) do
    assert(C.mdb_put(txn[0], dbi[0], value(entry[1]), value(entry[2]), 0) == 0)
  end
  assert(C.mdb_txn_commit(txn[0]) == 0)
  C.mdb_env_close(env[0])
end

return database
