-- SPDX-License-Identifier: MIT
--- How long tensors of workers' items live: in errors, and as views.

local array = require("neap.tensor.array")
local ffi = require("ffi")
local generation = require("neap.tensor.generation")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local ROWS, COLUMNS = 4, 2

-- Item i is a tensor of i's; every second one is raised instead.
local function raising(options, nbytes)
  local size = nbytes or 3
  return support.close_later(neap.range(12):map(function(i)
    local t = neap.tensor(nbytes and "u8" or "f64", { size }, i)
    if i % 2 == 0 then
      error({ t = t })
    end
    return t
  end):prefetch(options))
end

local function error_at(p, i)
  return support.raised(function() return p[i] end)
end

describe("tensors in an error", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  local function check(e, i)
    assert.same({ i, i, i }, e.cause.t:totable())
    neap.keep(e)
    e.cause.t:fill(-1)
    e.cause.t:release()
    assert.same({ -1, -1, -1 }, e.cause.t:totable())
  end

  for _, chunk in ipairs({ 1, 4 }) do
    local options = { workers = 1, chunk = chunk }

    it("are its own when read by index, chunk = " .. chunk, function()
      local p = raising(options)
      local e = error_at(p, 2)
      local t3 = p[3]
      check(e, 2)
      assert.same({ 3, 3, 3 }, t3:totable())
    end)

    it("are its own when read in order, chunk = " .. chunk, function()
      local p = raising(options)
      local first = p[1]
      local e = error_at(p, 2)
      local t3 = p[3]
      check(e, 2)
      assert.same({ 3, 3, 3 }, t3:totable())
      assert.same({ 1, 1, 1 }, first:totable())
    end)

    it("are its own when a loop raises, chunk = " .. chunk, function()
      local p = raising(options)
      local e = support.raised(function()
        for _ in p:each() do end
      end)
      assert.same(6, #p:slice(1, nil, 2):totable())
      check(e, 2)
    end)

    it("are its own in a loop that skips, chunk = " .. chunk, function()
      local p, count = raising(options), 0
      for i, x in p:each({ on_error = "skip" }) do
        assert.same({ i, i, i }, x:totable())
        count = count + 1
      end
      assert.equal(6, count)
      assert.equal(6, #p:skipped())
      for k, e in ipairs(p:skipped()) do
        check(e, 2 * k)
      end
    end)
  end

  it("are valid after close()", function()
    local p = raising({ workers = 1 })
    local first = error_at(p, 2)
    local _ = p[3]
    local second = error_at(p, 4)
    for _ in p:each({ on_error = "skip" }) do end
    p:close()
    check(first, 2)
    check(second, 4)
    check(p:skipped()[3], 6)
  end)

  it("are valid for rescue, and kept by a cache", function()
    local p = raising({ workers = 1 })
    local s = p:rescue(function(e) return e.cause.t end):cache()
    for _ = 1, 2 do
      for i, x in s:each() do
        assert.same({ i, i, i }, x:totable())
      end
    end
    for i = 12, 1, -1 do
      assert.same({ i, i, i }, s[i]:totable())
    end
  end)

  it("are valid after retry has tried in vain", function()
    local p = raising({ workers = 1 })
    check(error_at(p:retry(3), 2), 2)
  end)

  it("are valid in what passthrough raises", function()
    neap.errors("passthrough")
    finally(function() neap.errors("wrap") end)
    local p = raising({ workers = 1 })
    local cause = error_at(p:map(function(x) return x end), 2)
    local _ = p[5]
    assert.same({ 2, 2, 2 }, cause.t:totable())
    cause = support.raised(function()
      for _ in p:each() do end
    end)
    p:close()
    assert.same({ 2, 2, 2 }, cause.t:totable())
  end)

  it("hold no slots", function()
    local p, errors = raising({ workers = 1, buffered = 1, chunk = 1 }), {}
    for k = 1, 100 do
      errors[k] = error_at(p, 2)
    end
    assert.equal(0, p:stats().held)
    assert.same({ 2, 2, 2 }, errors[1].cause.t:totable())
  end)

  it("raise in skipped() beyond 64 MiB", function()
    local p = raising({ workers = 1, chunk = 1 }, 20 * 2 ^ 20)
    for _ in p:each({ on_error = "skip" }) do end
    local skipped = p:skipped()
    assert.equal(6, #skipped)
    for k = 1, 3 do
      assert.equal(2 * k, skipped[k].cause.t[1])
    end
    for k = 4, 6 do
      assert.matches("has been released", support.message(function()
        return skipped[k].cause.t[1]
      end))
      assert.matches("has been released", support.message(function()
        neap.keep(skipped[k])
      end))
    end
  end)
end)

describe("a tensor in a slot that a worker fills", function()
  it("is moved to memory of its own when it is kept", function()
    local counter = generation.take()
    local data = ffi.new("float[2]", 1, 2)
    local t = array.view(2, 32, 1, ffi.new("int64_t[1]", 2), data, nil,
      counter, counter[0])
    assert.is_true(neap.keep(t) == t)
    generation.give(counter)
    data[1] = 9
    assert.same({ 1, 2 }, t:totable())
    assert.equal(0, tonumber(ffi.cast("uintptr_t", t:ptr())) % 64)
  end)
end)

describe("a kept tensor of a closed prefetch", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("stays in memory where a finalizer releases it", function()
    local function use_up(t)
      local guard = newproxy(true)
      getmetatable(guard).__gc = function() neap.release(t) end
      guard = nil -- luacheck: ignore
      for _ = 1, 2 ^ 20 do
        assert(t:totable()[50][20] == 7 and t:clone():get(50, 20) == 7)
      end
    end
    for _ = 1, 8 do
      local p = neap.range(1):map(function()
        return neap.tensor("f64", { 50, 20 }, 7)
      end):prefetch({ workers = 1 })
      local t = p[1]
      local row = t[1]
      p:close()
      assert.matches("has been released", support.raised(use_up, t))
      assert.matches("has been released", support.message(row.get, row, 1))
    end
  end)
end)

describe("a kept tensor that a finalizer releases in use", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  local uses = {
    totable = function(t) return t:totable() end,
    clone = function(t) return t:clone() end,
    to = function(t) return t:to("f32") end,
    sum = function(t) return t:sum() end,
    ["sum of rows"] = function(t) return t:sum(2) end,
    add = function(t) return t:add(1) end,
    ["add to another"] = function(t)
      return neap.tensor("f64", { ROWS, COLUMNS }):add(t)
    end,
    clamp = function(t) return t:clamp(0, t) end,
    flip = function(t) return t:flip(1) end,
    take = function(t) return t:take({ 1, 3 }) end,
    pad = function(t) return t:pad({ 1, 1 }) end,
    resize = function(t) return t:resize({ 5, 5 }) end,
    stack = function(t) return neap.stack({ t, t }) end,
    ["stack of f32"] = function(t)
      return neap.stack({ t, t }, { dtype = "f32" })
    end,
  }

  local function elements(x)
    return type(x) == "cdata" and x:totable() or x
  end

  it("raises, or was read before: its slot may have another item", function()
    local p = support.close_later(neap.range(8):map(function(i)
      return neap.tensor("f64", { ROWS, COLUMNS }, i)
    end):prefetch({ workers = 1 }))
    local used, memory = nil, nil
    support.among_finalizers(function()
      if used then
        neap.release(used)
        used = nil
        ffi.fill(memory, ROWS * COLUMNS * 8, 0x40) -- as a worker does
      end
    end, function()
      for name, use in pairs(uses) do
        for k = 1, 60 do
          local i = k * 3 % 8 + 1
          local t = p[i]
          local wanted = elements(use(t:clone()))
          memory, used = t:ptr(), t
          local ok, x = pcall(use, t)
          used = nil
          if ok then
            assert.same(wanted, elements(x), name)
          else
            assert.matches("has been released", tostring(x))
          end
          neap.release(t)
        end
      end
    end)
  end)
end)

describe("a tensor in an error that is too large to copy", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("raises, and is no other item's", function()
    local p = raising({ workers = 1, chunk = 1 }, 65 * 2 ^ 20)
    local e = error_at(p, 2)
    assert.matches("has been released", support.message(function()
      return e.cause.t[1]
    end))
    assert.matches("has been released", support.message(neap.keep, e))
    p:close()
    assert.matches("has been released", support.message(neap.keep, e))
  end)
end)

describe("a tensor that is kept", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  it("is its own after others of its run have been released", function()
    local p = support.close_later(neap.range(64):map(function(i)
      return neap.tensor("f64", { ROWS, COLUMNS }, i)
    end):prefetch({ workers = 1, chunk = 4, buffered = 8 }))
    local kept = {}
    for i, x in p:each() do
      neap.keep(x)
      if i % 4 < 3 then
        neap.release(x)
      else
        neap.release(kept[i - 8])
        kept[i], kept[i - 8] = x, nil
        for j, t in pairs(kept) do
          assert.same({ j, j }, t[ROWS]:totable())
        end
      end
    end
    neap.release(kept)
    assert.equal(0, p:stats().held)
  end)
end)

describe("a view of a kept tensor", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  local function kept_items(chunk)
    local p = support.close_later(neap.range(4):map(function(i)
      return neap.tensor("f64", { ROWS, COLUMNS }, i)
    end):prefetch({ workers = 1, chunk = chunk }))
    local list = {}
    for i, x in p:each() do
      list[i] = neap.keep(x)
    end
    return list, p
  end

  it("ends alone when it is released", function()
    for _, chunk in ipairs({ 1, 4 }) do
      local list, p = kept_items(chunk)
      local held = p:stats().held
      local other = list[1][1]
      for r = 1, ROWS do
        local row = list[1][r]
        neap.release(row)
        assert.matches("has been released", support.message(function()
          return row[1]
        end))
        neap.release(row)
      end
      neap.release(list[1]:reshape(ROWS * COLUMNS))
      for i = 1, 4 do
        assert.equal(i, list[i]:get(1, 1))
      end
      assert.equal(1, other[1])
      assert.equal(held, p:stats().held)
      neap.release(list)
      assert.equal(0, p:stats().held)
      assert.matches("has been released", support.message(function()
        return other[1]
      end))
    end
  end)

  it("holds the slot by itself where it was kept by itself", function()
    local p = support.close_later(neap.range(2):map(function(i)
      return neap.tensor("f64", { ROWS, COLUMNS }, i)
    end):prefetch({ workers = 1, chunk = 2 }))
    local row
    for i, x in p:each() do
      if i == 1 then
        row = neap.keep(x[2])
        neap.release(neap.keep(x))
      end
    end
    assert.same({ 1, 1 }, row:totable())
    row:release()
    assert.equal(0, p:stats().held)
  end)

  it("keeps the slot for as long as it lives", function()
    local list, p = kept_items(1)
    local row = list[1][1]
    list[1] = nil
    collectgarbage()
    collectgarbage()
    assert.same({ 1, 1 }, row:totable())
    neap.release(list)
    p:close()
    collectgarbage()
    collectgarbage()
    assert.same({ 1, 1 }, row:totable())
  end)
end)
