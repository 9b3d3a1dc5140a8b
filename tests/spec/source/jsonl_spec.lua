-- SPDX-License-Identifier: MIT
--- JSON lines: values, in any number of files' ends, and bad lines.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local TEXT = '\239\187\191{"a": 1, "b": [1, "x"]}\r\n\n"two"\n{bad\n'
  .. '{"n": null}'

describe("neap.jsonl", function()
  local path

  before_each(function()
    path = support.write(os.tmpname(), TEXT)
    support.remember()
  end)

  after_each(function()
    os.remove(path)
    os.remove(path .. ".gz")
    support.check_leaks()
  end)

  it("has the values of lines, plain and gzipped", function()
    os.execute("gzip -k -f " .. path)
    for _, file in ipairs({ path, path .. ".gz" }) do
      local s = neap.jsonl(file)
      assert.equal(4, #s)
      assert.same({ a = 1, b = { 1, "x" } }, s[1])
      assert.equal("two", s[2])
      assert.same({}, s[4])
      assert.equal(("jsonl(%s): 4 items"):format(file), tostring(s))
    end
    assert.same({ n = 0 }, neap.jsonl(path, { null = 0 })[4])
  end)

  it("has an error for a bad line, and goes on", function()
    local p = support.close_later(neap.jsonl(path):prefetch({ workers = 1 }))
    local e = support.raised(function() return p[3] end)
    assert.equal(3, e.index)
    assert.matches("^cannot decode " .. path:gsub("%p", "%%%0")
      .. ": Expected object key string", e.message)
    assert.same({}, p[4])
  end)
end)
