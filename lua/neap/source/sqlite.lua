-- SPDX-License-Identifier: MIT
--- The rows of a query of an SQLite database.
-- @module neap.source.sqlite

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local class = require("neap.base.class")
local handle = require("neap.sequence.handle")
local library = require("neap.codec.shared_library")
local Node = require("neap.sequence.node")

local OK, ROW, DONE = 0, 100, 101
local READ_ONLY, NO_MUTEX = 1, 0x8000
local INTEGER, FLOAT, TEXT, NULL = 1, 2, 3, 5
local BUSY_MS = 5000 -- for a writer to finish
local EXACT = 2 ^ 53

local OPTIONS = { key = check.kinds.text }

local Sqlite = class("source.sqlite", Node)

-- -- Statements --------------------------------------------------------------

local sqlite = library.new("read SQLite databases", "libsqlite3.so.0",
  "libsqlite3-0", [[
  typedef struct neap_sqlite3 neap_sqlite3;
  typedef struct neap_sqlite3_stmt neap_sqlite3_stmt;
  int sqlite3_open_v2(const char *path, neap_sqlite3 **out, int flags,
    const char *vfs);
  int sqlite3_close_v2(neap_sqlite3 *db);
  const char *sqlite3_errmsg(neap_sqlite3 *db);
  int sqlite3_busy_timeout(neap_sqlite3 *db, int ms);
  int sqlite3_prepare_v2(neap_sqlite3 *db, const char *text, int nbytes,
    neap_sqlite3_stmt **out, const char **tail);
  int sqlite3_finalize(neap_sqlite3_stmt *statement);
  int sqlite3_stmt_readonly(neap_sqlite3_stmt *statement);
  int sqlite3_step(neap_sqlite3_stmt *statement);
  int sqlite3_reset(neap_sqlite3_stmt *statement);
  int sqlite3_bind_int64(neap_sqlite3_stmt *statement, int k, int64_t value);
  int sqlite3_column_count(neap_sqlite3_stmt *statement);
  const char *sqlite3_column_name(neap_sqlite3_stmt *statement, int k);
  int sqlite3_column_type(neap_sqlite3_stmt *statement, int k);
  int64_t sqlite3_column_int64(neap_sqlite3_stmt *statement, int k);
  double sqlite3_column_double(neap_sqlite3_stmt *statement, int k);
  const void *sqlite3_column_text(neap_sqlite3_stmt *statement, int k);
  const void *sqlite3_column_blob(neap_sqlite3_stmt *statement, int k);
  int sqlite3_column_bytes(neap_sqlite3_stmt *statement, int k);
]])

local function fail(db, path, what)
  error(("cannot %s %s: %s"):format(what, path,
    ffi.string(sqlite().neap_sqlite3_errmsg(db))), 0)
end

local function open(path)
  local C, out = sqlite(), ffi.new("neap_sqlite3 *[1]")
  local status = C.neap_sqlite3_open_v2(path, out, READ_ONLY + NO_MUTEX, nil)
  local db = ffi.gc(out[0], C.neap_sqlite3_close_v2)
  if status ~= OK then
    fail(db, path, "open")
  end
  C.neap_sqlite3_busy_timeout(db, BUSY_MS)
  return db
end

local function prepare(db, path, text)
  local C, out, tail = sqlite(), ffi.new("neap_sqlite3_stmt *[1]"),
    ffi.new("const char *[1]")
  if C.neap_sqlite3_prepare_v2(db, text, #text, out, tail) ~= OK then
    fail(db, path, "query")
  end
  local statement = ffi.gc(out[0], C.neap_sqlite3_finalize)
  if statement == nil or C.neap_sqlite3_stmt_readonly(statement) == 0
    or ffi.string(tail[0]):find("[^%s;]") then
    error(("cannot query %s: one SELECT expected, got %q"):format(path, text),
      0)
  end
  return statement
end

-- Ends a statement now: until then it may hold a lock.
local function finalize(statement)
  sqlite().neap_sqlite3_finalize(ffi.gc(statement, nil))
end

-- Whether there is a row.
local function step(db, path, statement)
  local status = sqlite().neap_sqlite3_step(statement)
  if status ~= ROW and status ~= DONE then
    fail(db, path, "read")
  end
  return status == ROW
end

local function column(C, statement, k)
  local kind = C.neap_sqlite3_column_type(statement, k)
  if kind == INTEGER then
    local x = C.neap_sqlite3_column_int64(statement, k)
    local number = tonumber(x)
    return number <= EXACT and number >= -EXACT and number or x
  elseif kind == FLOAT then
    return C.neap_sqlite3_column_double(statement, k)
  elseif kind == NULL then
    return nil
  end
  local bytes = kind == TEXT and C.neap_sqlite3_column_text(statement, k)
    or C.neap_sqlite3_column_blob(statement, k)
  local nbytes = C.neap_sqlite3_column_bytes(statement, k)
  return nbytes == 0 and "" or ffi.string(bytes, nbytes)
end

-- -- Reading -----------------------------------------------------------------

local function names_of(statement)
  local C, names = sqlite(), {}
  for k = 1, C.neap_sqlite3_column_count(statement) do
    names[k] = ffi.string(C.neap_sqlite3_column_name(statement, k - 1))
  end
  return names
end

-- (What is in double quotes and no column is a string.)
local function quoted(name)
  return "`" .. name:gsub("`", "``") .. "`"
end

-- The statement that reads rows from one on: `?` is a key, or the rows before.
local function text_of(self)
  if self.keys then
    return ("SELECT * FROM (%s) WHERE %s = ?"):format(self.query,
      quoted(self.key))
  end
  return ("SELECT * FROM (%s) LIMIT -1 OFFSET ?"):format(self.query)
end

-- The database of this process.
local function open_here(self)
  local db = open(self.path)
  local statement = prepare(db, self.path, text_of(self))
  self.here = {
    db = db, statement = statement, names = names_of(statement),
    next = -1, -- the row that the statement comes to next, without a key
  }
  return self.here
end

local function move(self, here, i)
  local C, statement = sqlite(), here.statement
  if self.keys or here.next ~= i then
    C.neap_sqlite3_reset(statement)
    C.neap_sqlite3_bind_int64(statement, 1, self.keys
      and ffi.cast("int64_t *", self.keys.d.data)[i - 1] or i - 1)
  end
  here.next = -1
  if not step(here.db, self.path, statement) then
    error(("cannot read %s: row %d is no longer there"):format(self.path, i), 0)
  end
  here.next = i + 1
end

function Sqlite:get(i)
  local here = self.here or open_here(self)
  move(self, here, i)
  local C, row = sqlite(), {}
  for k = 1, #here.names do
    row[here.names[k]] = column(C, here.statement, k - 1)
  end
  if self.keys then -- a statement that stands on a row holds a lock
    C.neap_sqlite3_reset(here.statement)
  end
  return row
end

function Sqlite:describe()
  return ("sqlite(%s, %s)"):format(self.path, self.query)
end

-- -- Making ------------------------------------------------------------------

-- The integer that a query has in its only row.
local function read_number(db, path, query)
  local statement = prepare(db, path, query)
  local ok, why = pcall(step, db, path, statement)
  local number = tonumber(sqlite().neap_sqlite3_column_int64(statement, 0))
  finalize(statement)
  return ok and number or error(why, 0)
end

local function copy_keys(db, path, statement, keys, key)
  local C, data = sqlite(), ffi.cast("int64_t *", keys.d.data)
  for k = 0, keys.size - 1 do
    if not step(db, path, statement)
      or C.neap_sqlite3_column_type(statement, 0) ~= INTEGER then
      error(("cannot read %s: row %d has no integer as its key '%s'"):format(
        path, k + 1, key), 0)
    end
    data[k] = C.neap_sqlite3_column_int64(statement, 0)
  end
end

local function read_keys(db, path, query, key, count)
  local keys = array.lasting("i64", { count })
  local statement = prepare(db, path, ("SELECT %s FROM (%s)"):format(
    quoted(key), query))
  local ok, why = pcall(copy_keys, db, path, statement, keys, key)
  finalize(statement)
  return ok and keys or error(why, 0)
end

local function find_rows(db, path, query, key)
  read_number(db, path, "PRAGMA schema_version") -- whether it is a database
  finalize(prepare(db, path, query))
  local count = read_number(db, path, ("SELECT count(*) FROM (%s)"):format(
    query))
  return count, key and read_keys(db, path, query, key, count) or false
end

local function make(path, query, key)
  local db = open(path)
  local ok, count, keys = pcall(find_rows, db, path, query, key)
  sqlite().neap_sqlite3_close_v2(ffi.gc(db, nil))
  if not ok then
    error(count, 0)
  end
  return Sqlite:make({
    path = path, query = query, key = key or false, keys = keys,
    length = count,
  })
end

--- Returns the rows of a query, as tables of its columns. Each process opens
-- the database for itself, read-only.
-- @function sqlite
-- @tparam string path
-- @tparam string query one SELECT
-- @tparam[opt] table options key (a column of different integers, by which a
--   row is found: without it, a row at random takes as long as all before it)
-- @treturn Sequence
local function sequence(path, query, options)
  check.text(1, path)
  check.text(2, query)
  options = check.options(3, options, OPTIONS)
  local ok, node = pcall(make, path, (query:gsub("[%s;]+$", "")), options.key)
  return handle.wrap(ok and node or check.raise(tostring(node)))
end

return {
  class = Sqlite, make = sequence, options = OPTIONS,
  example = [[neap.sqlite("a.db", "SELECT id, name FROM a", { key = "id" })]],
}
