-- SPDX-License-Identifier: MIT
--- Operations on tensors in workers, and in the reference.

local neap = require("neap")
local operations = require("neap.tensor.operations")
local support = dofile("tests/spec/support.lua")

describe("operations", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("give the same in workers, and lie in their slots", function()
    local s = neap.from(neap.tensor("u8", { 8, 6, 5, 3 }, 100))
      :random_map(neap.random.crop({ 4, 4 }), { seed = 1 })
      :random_map(neap.random.jitter({ brightness = 0.3, contrast = 0.2 }),
        { seed = 2 })
      :random_map(neap.random.flip(), { seed = 3 })
      :map(function(x)
        return x:to("f32"):div(255):permute({ 3, 1, 2 })
      end)
      :batch(4, { collate = neap.stack })
    local p = support.close_later(s:prefetch({ workers = 2 }))
    for k = 1, 2 do
      assert.same(s[k]:totable(), p[k]:totable())
    end
    local sums = neap.from(neap.tensor("f32", { 4, 10 }, 2)):map(neap.sum)
    assert.same({ 20, 20, 20, 20 },
      support.close_later(sums:prefetch({ workers = 1 })):totable())
  end)

  it("refuse tensors of items that are gone", function()
    local p = support.close_later(neap.range(3):map(function(i)
      return neap.tensor("u8", { 2 }, i)
    end):prefetch({ workers = 1 }))
    local first
    for _, x in p:each() do
      first = first or x
    end
    assert.has_error(function()
      first:add(1)
    end)
    assert.has_error(function()
      neap.tensor("u8", { 2 }):add(first)
    end)
  end)
end)

describe("operations", function()
  it("are not disturbed by finalizers that use them", function()
    local t = neap.tensor("u8", { 2, 3 }, { 1, 2, 3, 4, 5, 6 })
    support.among_finalizers(function()
      t:add(100):flip(2):pad({ 3, 1 }):sum(1)
      t:sum()
      t:argmax()
      neap.concatenate({ t, t, t }, 2):clamp(2, 3):permute({ 2, 1 })
    end, function()
      for _ = 1, 100 do
        assert.same({ { 2, 3, 4 }, { 5, 6, 7 } }, t:add(1):totable())
        assert.same({ { 2, 2, 3 }, { 4, 5, 5 } }, t:clamp(2, 5):totable())
        assert.same({ { 3, 2, 1 }, { 6, 5, 4 } }, t:flip(2):totable())
        assert.same({ { 0, 2 }, { 0, 5 } },
          t:crop({ { 1, 2 }, { 2, 2 } }):pad({ 0, { 1, 0 } }):totable())
        assert.same({ 5, 7, 9 }, t:sum(1):totable())
        assert.equal(21, t:sum())
        assert.equal(3.5, t:mean())
        assert.same({ { 4, 5, 6 } }, t:take({ 2 }):totable())
      end
    end)
  end)
end)

describe("the table of operations", function()
  it("is what the reference says", function()
    local page = support.read("docs/reference/lua.md")
    local section = page:match("\n### Operations\n(.-)\n#")
    assert(section, "no section ### Operations")
    local rows = {}
    for row in section:gmatch("\n(| `[^\n]*)") do
      rows[#rows + 1] = row
    end
    assert.same(operations.rows, rows)
  end)
end)
