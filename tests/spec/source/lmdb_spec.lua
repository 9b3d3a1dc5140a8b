-- SPDX-License-Identifier: MIT
--- Entries of LMDB databases: a folder or a file, through workers, and what is
-- refused.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")
local database = dofile("tests/spec/database.lua")

local folder

describe("neap.lmdb", function()
  setup(function()
    folder = support.folder()
  end)
  teardown(function()
    os.execute("rm -r " .. folder)
  end)
  before_each(support.remember)
  after_each(support.check_leaks)

  local entries = {}
  for i = 1, 300 do
    entries[i] = { ("key%03d"):format(i), ("value "):rep(i % 7) .. "\0" .. i }
  end

  for _, is_file in ipairs({ true, false }) do
    it("returns entries in the order of keys: a "
      .. (is_file and "file" or "folder"), function()
      local path = folder .. (is_file and "/file.mdb" or "/folder")
      database.lmdb(path, entries, is_file)
      local s = neap.lmdb(path)
      assert.equal(300, #s)
      for _, i in ipairs({ 300, 1, 77 }) do
        assert.same({ key = entries[i][1], value = entries[i][2] }, s[i])
      end
      local p = support.close_later(s:shuffle(1):prefetch({ workers = 2 }))
      local count = 0
      for _, x in p:each() do
        count = count + 1
        assert.equal(entries[tonumber(x.key:sub(4))][2], x.value)
      end
      assert.equal(300, count)
    end)
  end

  it("returns no entries of an empty database", function()
    database.lmdb(folder .. "/none.mdb", {}, true)
    assert.equal(0, #neap.lmdb(folder .. "/none.mdb"))
  end)

  it("refuses what is no database", function()
    assert.equal("cannot open /nowhere: No such file or directory",
      support.message(neap.lmdb, "/nowhere"))
    local text = support.write(folder .. "/text", ("text"):rep(5000))
    assert.matches("cannot open " .. text:gsub("%p", "%%%0") .. ": MDB_INVALID",
      support.message(neap.lmdb, text))
    assert.matches("string expected, got 3", support.message(neap.lmdb, 3))
  end)
end)
