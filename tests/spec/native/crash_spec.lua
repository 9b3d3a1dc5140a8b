-- SPDX-License-Identifier: MIT
--- Native stages that crash, or take too long: their item fails, by an error
-- that names the function, its library and the signal.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local LIBRARY = support.NEAP:gsub("bin/neap$", "tests/libsignatures.so")

-- The address sanitizer ends the process in its own way.
local SEGMENTATION_FAULT = support.is_asan and "exit status 1"
  or "signal 11 (Segmentation fault)"

local function stage(decl)
  return neap.native({ lib = LIBRARY, decl = decl })
end

-- Skips what fails; returns the other items, and the errors.
local function survivors(s, options)
  local p = support.close_later(s:prefetch(options))
  local list = {}
  for _, x in p:each({ on_error = "skip" }) do
    list[#list + 1] = x
  end
  return list, p:skipped()
end

describe("a native stage that crashes", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  for decl, signal in pairs({
    ["int write_null(int x)"] = SEGMENTATION_FAULT,
    ["int end_by_abort(int x)"] = "signal 6 (Aborted)",
  }) do
    local name = decl:match("([%w_]+)%(")

    it("fails its item alone: " .. name, function()
      local s = neap.from({ -1, -2, 3, -4 }):map(stage(decl))
      local list, errors = survivors(s, { workers = 2, retries = 1 })
      assert.same({ -1, -2, -4 }, list)
      assert.equal(1, #errors)
      assert.equal("death", errors[1].kind)
      assert.equal(3, errors[1].index)
      assert.equal(("a worker died of this item, 2 times; the last by %s, "
        .. "while it called %s of libsignatures.so"):format(signal, name),
        (errors[1].message:gsub("of /[^ ]*/", "of ")))
    end)
  end

  it("is named also if it is one of several in a row", function()
    local s = neap.from({ -1, 2 }):map(stage("int increase(int x)"))
      :map(stage("int write_null(int x)")):map(stage("int increase(int x)"))
    local _, errors = survivors(s, { workers = 1, retries = 0 })
    assert.matches("while it called write_null of ", errors[1].message)
  end)

  it("is named also if a function of Lua calls it", function()
    local crash = stage("int write_null(int x)")
    local s = neap.from({ 1 }):map(function(x)
      return crash(x)
    end)
    local _, errors = survivors(s, { workers = 1, retries = 0 })
    assert.matches("while it called write_null of ", errors[1].message)
  end)

  it("is not named if another thing kills the worker", function()
    local s = neap.from({ 1 }):map(stage("int increase(int x)"))
      :map(function()
        os.execute("kill -9 $PPID")
      end)
    local _, errors = survivors(s, { workers = 1, retries = 0 })
    assert.matches("signal 9 %(Killed%)$", errors[1].message)
  end)

  it("is named if it takes too long", function()
    local s = neap.from({ 0, 10000 }):map(stage("int slow(int ms)"))
    local list, errors = survivors(s, { workers = 1, timeout = 0.1 })
    assert.same({ 0 }, list)
    assert.equal("timeout", errors[1].kind)
    assert.matches("while it called slow of ", errors[1].message)
  end)
end)
