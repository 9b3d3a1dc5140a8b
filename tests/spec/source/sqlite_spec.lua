-- SPDX-License-Identifier: MIT
--- Rows of SQLite databases: with a key and without, through workers, and what
-- is refused.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")
local database = dofile("tests/spec/database.lua")

local folder, path

local function message(query, options)
  return support.message(neap.sqlite, path, query, options)
end

describe("neap.sqlite", function()
  setup(function()
    folder = support.folder()
    path = folder .. "/rows.db"
    database.sqlite(path, [[
      CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, x REAL, b BLOB, n);
      WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c
        WHERE i < 200)
      INSERT INTO t SELECT i * 3, 'name ' || i, i / 2.0, x'00ff', NULL FROM c;
      UPDATE t SET n = 9223372036854775807 WHERE id = 3;
      UPDATE t SET n = '' WHERE id = 6;
    ]])
  end)
  teardown(function()
    os.execute("rm -r " .. folder)
  end)
  before_each(support.remember)
  after_each(support.check_leaks)

  for _, options in ipairs({ {}, { key = "id" } }) do
    it("returns rows as tables: " .. support.show(options), function()
      local s = neap.sqlite(path, "SELECT * FROM t;", options)
      assert.equal(200, #s)
      assert.same({ id = 30, name = "name 10", x = 5, b = "\0\255" }, s[10])
      assert.equal(9223372036854775807LL, s[1].n)
      assert.equal("", s[2].n)
      assert.equal("name 199", s[199].name)
      assert.equal("name 200", s[200].name)
      assert.equal("name 5", s[5].name)
      local p = support.close_later(s:shuffle(1):prefetch({ workers = 2 }))
      local sum = 0
      for _, row in p:each() do
        sum = sum + row.id
      end
      assert.equal(3 * 201 * 100, sum)
    end)
  end

  it("takes rows in the order of the query", function()
    local s = neap.sqlite(path, "SELECT id, name FROM t WHERE id > 300 "
      .. "ORDER BY id DESC", { key = "id" })
    assert.equal(100, #s)
    assert.equal(600, s[1].id)
  end)

  it("tells of a row that has gone", function()
    local other = folder .. "/other.db"
    database.sqlite(other, "CREATE TABLE t(id); INSERT INTO t VALUES (1), (2);")
    local s = neap.sqlite(other, "SELECT id FROM t", { key = "id" })
    assert.equal(2, s[2].id)
    database.sqlite(other, "DELETE FROM t WHERE id = 2;")
    assert.equal(("cannot read %s: row 2 is no longer there"):format(other),
      support.message(function() return s[2] end))
  end)

  it("refuses what is no query, no database, no key", function()
    assert.matches("cannot query .*: no such table: none",
      message("SELECT * FROM none"))
    for _, query in ipairs({ "", "DELETE FROM t", "SELECT 1; SELECT 2" }) do
      assert.matches("one SELECT expected, got", message(query))
    end
    assert.matches("row 1 has no integer as its key 'name'",
      message("SELECT * FROM t", { key = "name" }))
    assert.matches("no such column: nane",
      message("SELECT * FROM t", { key = "nane" }))
    assert.matches("cannot open /nowhere: unable to open database file",
      support.message(neap.sqlite, "/nowhere", "SELECT 1"))
    local text = support.write(folder .. "/text", ("text"):rep(1000))
    assert.equal(("cannot read %s: file is not a database"):format(text),
      support.message(neap.sqlite, text, "SELECT 1"))
    assert.equal(200, #neap.sqlite(path, "SELECT * FROM t"))
  end)
end)
