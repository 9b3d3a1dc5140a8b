-- SPDX-License-Identifier: MIT
--- Items that neap keeps for its callers: copies, where few slots are left.

local neap = require("neap")
local retain = require("neap.value.retain")
local support = dofile("tests/spec/support.lua")

local COUNT = 200 -- several times the slots that may be held

local function pair(i)
  return { i, neap.tensor("f64", { 3 }, i), neap.tensor("u8", { 2 ^ 17 }, i) }
end

local function check(x, i)
  assert.equal(i, x[1])
  assert.same({ i, i, i }, x[2]:totable())
  assert.equal(i, x[3][2 ^ 17])
end

describe("items that neap keeps", function()
  local most = retain.BYTES_MAX

  local function prefetch()
    return support.close_later(neap.range(COUNT):map(pair):prefetch({
      workers = 2, chunk = 1,
    }))
  end

  before_each(support.remember)

  after_each(function()
    retain.BYTES_MAX = most
    support.check_leaks()
  end)

  it("may be more than there are slots: totable", function()
    local p = prefetch()
    local list = p:totable()
    for i, x in p:each() do -- there are slots left to read on
      check(x, i)
      check(list[i], i)
    end
    local again = p:totable()
    p:close()
    for i = 1, COUNT do
      check(list[i], i)
      check(again[i], i)
    end
  end)

  it("may be more than there are slots: cache, batch, from_iter", function()
    local p = prefetch()
    local cached = p:cache()
    for _ = 1, 2 do
      for i, x in cached:each() do
        check(x, i)
      end
    end
    check(p:batch(COUNT)[1][COUNT], COUNT)
    local s = neap.from_iter(function() return function(_, x)
      return p[x and x[1] + 1 or 1]
    end end, { cache = COUNT, size = COUNT })
    check(s[COUNT], COUNT)
    for i = 1, COUNT do
      check(s[i], i)
      check(cached[i], i)
    end
  end)

  it("may be more than there are slots: those read by index", function()
    local p, kept = prefetch(), {}
    for i = 1, COUNT do
      kept[i] = p[COUNT + 1 - i]
    end
    for i = 1, COUNT do
      check(kept[i], COUNT + 1 - i)
    end
    neap.release(kept[COUNT])
    check(kept[COUNT], 1) -- a copy: nothing is given back
  end)

  it("hold slots again once others have been collected", function()
    local p = prefetch()
    for i = 1, 5 * COUNT do
      check(p[i % COUNT + 1], i % COUNT + 1)
    end
    assert.truthy(p:stats().held <= 25)
  end)

  it("are refused beyond BYTES_MAX", function()
    retain.BYTES_MAX = 100 * 2 ^ 17
    local p = prefetch()
    local e = support.raised(p.totable, p)
    assert.equal("held", e.kind)
    assert.truthy(e.message:find("cannot keep 131072 more bytes of items: the "
      .. "items that are kept hold most slots, and copies of others have %d+ "
      .. "of 13107200 bytes$"), e.message)
    assert.equal("keep fewer items, or clone their tensors; a higher buffered "
      .. "lets more slots be held", e.help)
    check(p[COUNT], COUNT)
    assert.equal(COUNT, #p:map(function(x) return x[1] end):totable())
  end)
end)
