-- SPDX-License-Identifier: MIT
--- Reads of files: parts and wholes, alone and among coroutines; failures.

local cqueues = require("cqueues")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local folder, path

-- Calls f in a coroutine of a controller.
local function inside(f, ...)
  local queue, result = cqueues.new(), nil
  queue:wrap(function(...)
    result = { pcall(f, ...) }
  end, ...)
  assert(queue:loop(10))
  queue:close()
  if not result[1] then
    error(result[2], 0)
  end
  return result[2]
end

describe("neap.read", function()
  setup(function()
    folder = support.folder()
    path = support.write(folder .. "/digits", ("0123456789"):rep(100))
    support.write(folder .. "/empty", "")
  end)
  teardown(function()
    os.execute("rm -r " .. folder)
  end)
  before_each(support.remember)
  after_each(support.check_leaks)

  for name, call in pairs({
    blocking = function(f, ...)
      return f(...)
    end, ["in a coroutine"] = inside,
  }) do
    it("reads parts and wholes, " .. name, function()
      assert.equal("3456", call(neap.read, path, 13, 4))
      assert.equal(1000, #call(neap.read, path))
      assert.equal("89", call(neap.read, path, 998))
      assert.equal("", call(neap.read, path, 1000))
      assert.equal("", call(neap.read, folder .. "/empty"))
      assert.equal("", call(neap.read, path, 5, 0))
    end)

    it("tells what cannot be read, " .. name, function()
      assert.equal(("cannot read %s: it has 1000 bytes, not 999 + 2"):format(
        path), support.message(call, neap.read, path, 999, 2))
      assert.equal("cannot open /nowhere: No such file or directory",
        support.message(call, neap.read, "/nowhere"))
      assert.truthy(support.message(call, neap.read, folder)
        :find("Is a directory"))
    end)
  end

  it("reads many at once, and goes on meanwhile", function()
    local queue, sum, ticks = cqueues.new(), 0, 0
    for k = 0, 499 do
      queue:wrap(function()
        local digit = tonumber(neap.read(path, k, 1))
        sum = sum + digit
      end)
    end
    queue:wrap(function()
      for _ = 1, 5 do
        cqueues.sleep(0.001)
        ticks = ticks + 1
      end
    end)
    assert(queue:loop(10))
    queue:close()
    assert.equal(50 * 45, sum)
    assert.equal(5, ticks)
  end)

  it("gives up reads of coroutines that are dropped", function()
    for _ = 1, 20 do
      local queue = cqueues.new()
      for _ = 1, 100 do
        queue:wrap(neap.read, path)
      end
      queue:step(0)
      queue:close()
    end
    assert.equal("0", inside(neap.read, path, 0, 1))
  end)

  it("works in workers", function()
    local file = path
    local p = support.close_later(neap.map(function(i)
      return neap.read(file, i, 2)
    end, neap.range(20)):prefetch({ workers = 2 }))
    assert.equal("56", p[5])
  end)

  it("refuses what names no part", function()
    assert.truthy(support.message(neap.read):find("bad argument #1 to 'read'"))
    assert.truthy(support.message(neap.read, path, -1)
      :find("bad argument #2 to 'read' (whole number, 0 or more,", 1, true))
    assert.truthy(support.message(neap.read, path, 0, 1.5)
      :find("bad argument #3 to 'read'", 1, true))
    assert.truthy(support.message(neap.read, "a\0b"):find("has no NUL"))
  end)
end)
