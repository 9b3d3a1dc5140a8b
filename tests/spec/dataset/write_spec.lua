-- SPDX-License-Identifier: MIT
--- Writing saved items: those that do not fit a slot together.

local ffi = require("ffi")
local handle = require("neap.sequence.handle")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")
local write = require("neap.dataset.write")

local path

local function save(s, slot_bytes)
  write(handle.node(s), path, {
    workers = 1, key = ffi.new("uint64_t[2]"), text = "", packing = 0,
    slot_bytes = slot_bytes,
  })
end

describe("writing", function()
  before_each(function()
    path = os.tmpname()
    support.remember()
  end)
  after_each(function()
    os.remove(path)
    os.remove(path .. ".partial")
    support.check_leaks()
  end)

  it("saves items alone that have no room together", function()
    save(neap.range(400):map(function(i)
      return neap.tensor("u8", { i > 300 and 30000 or 10 }, i % 256)
    end), 2 ^ 16)
    local s = neap.load(path)
    for i = 1, 400 do
      assert.equal(i > 300 and 30000 or 10, s[i].size)
      assert.equal(i % 256, s[i][10])
    end
  end)

  it("raises the error of an item that has no room alone", function()
    local e = support.raised(save, neap.range(300):map(function(i)
      return neap.tensor("u8", { i == 200 and 100000 or 10 }, i % 256)
    end), 2 ^ 16)
    assert.equal("room", e.kind)
    assert.equal(200, e.index)
  end)
end)
