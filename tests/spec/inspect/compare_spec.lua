-- SPDX-License-Identifier: MIT
--- Items are compared bit for bit.

local compare = require("neap.inspect.compare")
local neap = require("neap")

describe("comparing items", function()
  it("finds none in the same values", function()
    for _, f in ipairs({
      function() return nil end, function() return 0 / 0 end,
      function() return 2 ^ 60 end, function() return 5LL end,
      function() return { a = { "x", neap.tensor("u8", { 2 }, { 1, 2 }) } } end,
    }) do
      assert.is_nil((compare(f(), f())))
    end
  end)

  it("finds where they differ", function()
    for path, pair in pairs({
      [""] = { 0, -0 }, ["[1]"] = { { 1 }, { 2 } },
      [".a.b"] = { { a = { b = "x" } }, { a = { b = "y" } } },
      [".t"] = {
        { t = neap.tensor("u8", { 2 }, { 1, 2 }) },
        { t = neap.tensor("u8", { 2 }, { 1, 3 }) },
      },
      [".shape"] = {
        { shape = neap.tensor("u8", { 2, 1 }) },
        { shape = neap.tensor("u8", { 1, 2 }) },
      },
      [".missing"] = { {}, { missing = false } },
      [".type"] = { { type = 1 }, { type = "1" } },
    }) do
      assert.equal(path, (compare(pair[1], pair[2])))
    end
  end)
end)
