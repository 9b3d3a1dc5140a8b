-- SPDX-License-Identifier: MIT
--- Waiting for a time: alone, and among coroutines.

local cqueues = require("cqueues")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

describe("neap.sleep", function()
  it("waits", function()
    local before = cqueues.monotime()
    neap.sleep(0.05)
    assert.truthy(cqueues.monotime() - before >= 0.05)
    neap.sleep(0)
  end)

  it("lets other coroutines go on", function()
    local queue, before = cqueues.new(), cqueues.monotime()
    for _ = 1, 100 do
      queue:wrap(neap.sleep, 0.1)
    end
    assert(queue:loop())
    queue:close()
    local took = cqueues.monotime() - before
    assert.truthy(took >= 0.1 and took < 10)
  end)

  it("refuses what is no time", function()
    for _, bad in ipairs({ -1, 0 / 0, 1 / 0, "1" }) do
      assert.truthy(support.message(neap.sleep, bad):find("bad argument #1 to "
        .. "'sleep' (number, 0 or more, expected, got ", 1, true))
    end
  end)
end)
