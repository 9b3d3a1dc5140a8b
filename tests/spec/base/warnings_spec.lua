-- SPDX-License-Identifier: MIT
--- Warnings: once each, to stderr or where the script wants them.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local function square(x)
  return x * x
end

local function run(s)
  for _ in s:each() do end -- luacheck: ignore
end

describe("warnings", function()
  local texts

  before_each(function()
    support.remember()
    texts = {}
    neap.warnings(function(text)
      texts[#texts + 1] = text
    end)
  end)
  after_each(function()
    neap.warnings()
    support.check_leaks()
  end)

  for _, workers in ipairs({ 0, 2 }) do
    it(("tell of a second loop in one order, workers = %d"):format(workers),
      function()
        local p = support.close_later(neap.range(9):shuffle(1):map(square)
          :prefetch({ workers = workers }))
        local line
        for _ = 1, 3 do
          line = debug.getinfo(1, "l").currentline + 1
          for _ in p:each() do end -- luacheck: ignore
        end
        assert.equal(1, #texts)
        assert.truthy(texts[1]:find(("warnings_spec.lua:%d: this loop has the "
          .. "same order"):format(line), 1, true), texts[1])
        assert.truthy(texts[1]:find("\nhelp: s:epoch(n):each()", 1, true))
      end)
  end

  it("tell of it without a prefetch, and below a monitor", function()
    local s = neap.range(9):random_map(square)
    for _ = 1, 2 do for _ in s:each() do end end -- luacheck: ignore
    local m = neap.range(9):shuffle(1):monitor()
    for _ = 1, 2 do for _ in m:each() do end end -- luacheck: ignore
    assert.equal(2, #texts)
  end)

  it("do not tell of loops that draw anew, go on, or draw nothing", function()
    local p = support.close_later(neap.range(9):shuffle(1)
      :prefetch({ workers = 1 }))
    run(p:epoch(1))
    run(p:epoch(2))
    run(p)
    p:seek(5)
    run(p)
    local plain = neap.range(9):map(square)
    run(plain)
    run(plain)
    local s = neap.range(9):shuffle(1)
    for _ in s:each() do break end -- luacheck: ignore
    run(s)
    for n = 1, 3 do run(s:epoch(n)) end
    assert.same({}, texts)
  end)

  it("go to stderr unless NEAP_QUIET is set, or to nowhere", function()
    local script = [[
      local neap = require("neap")
      %s
      local s = neap.range(3):shuffle(1)
      for _ = 1, 3 do for _ in s:each() do end end
    ]]
    local function output(prefix, first)
      local pipe = io.popen(prefix .. support.QUOTED_NEAP .. " -e "
        .. support.quote(script:format(first)) .. " 2>&1")
      local text = pipe:read("*a")
      pipe:close()
      return text
    end
    local text = output("", "")
    assert.truthy(text:find("^neap: warning: [^\n]*this loop has the same"),
      text)
    assert.equal(1, select(2, text:gsub("warning", "")))
    assert.equal("", output("NEAP_QUIET=1 ", ""))
    assert.equal("", output("", "neap.warnings(false)"))
  end)

  it("take a function, false or nothing", function()
    assert.error_matches(function() neap.warnings(5) end,
      "bad argument #1 to 'warnings' %(function expected, got 5%)")
  end)
end)
