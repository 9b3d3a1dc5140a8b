-- SPDX-License-Identifier: MIT
--- Snapshots: computed once for a chain, anew for another one; the oldest go.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local folder

local function files()
  local list = {}
  for name in support.shell("ls -tu " .. folder .. "/snaps"):gmatch("%S+") do
    list[#list + 1] = name
  end
  return list
end

-- A snapshot in a process of its own, and the items that it computed.
local function run(code, options)
  os.remove(folder .. "/calls")
  local result = support.run(([[
    local neap = require("neap")
    local function tick()
      local file = io.open("%s/calls", "a")
      file:write("x")
      file:close()
    end
    local s = neap.snapshot(%s, "%s/snaps", { workers = 0, %s })
    local sum = 0
    for i, x in s:each() do sum = sum + x end
    print(sum)
  ]]):format(folder, code, folder, options or ""))
  local file = io.open(folder .. "/calls")
  local calls = file and #file:read("*a") or 0
  if file then
    file:close()
  end
  assert(result.status == 0, result.err)
  return tonumber(result.out), calls
end

local CHAIN = [[neap.range(10):map(function(i)
  tick()
  local t = { alpha = i, beta = 2, gamma = 3, delta = 4 }
  return t.alpha * t.beta
end)]]

describe("snapshot", function()
  before_each(function()
    folder = support.folder()
  end)
  after_each(function()
    os.execute("rm -r " .. folder)
  end)

  it("computes the items once, for all processes", function()
    for k = 1, 3 do
      local sum, calls = run(CHAIN)
      assert.equal(110, sum)
      assert.equal(k == 1 and 10 or 0, calls)
    end
    assert.equal(1, #files())
  end)

  it("computes them anew for other code, upvalues and stages", function()
    run(CHAIN)
    local changed = { CHAIN:gsub("beta = 2", "beta = 5"),
      CHAIN:gsub("range%(10", "range(11"), CHAIN .. ":shuffle(1)",
      CHAIN .. ":shuffle(2)" }
    for _, code in ipairs({ changed[1], changed[3], changed[4], changed[5] })
    do
      if type(code) == "string" then
        local _, calls = run(code)
        assert.truthy(calls >= 10, code)
      end
    end
  end)

  it("does not for lines that moved", function()
    run(CHAIN)
    local _, calls = run("\n\n" .. CHAIN)
    assert.equal(0, calls)
  end)

  it("computes them anew when an input changes", function()
    local path = support.write(folder .. "/input", "one")
    local options = ("inputs = { %q }"):format(path)
    run(CHAIN, options)
    assert.equal(0, select(2, run(CHAIN, options)))
    support.write(path, "other")
    assert.equal(10, select(2, run(CHAIN, options)))
  end)

  it("removes those that were used longest ago", function()
    local function chain(n)
      return (CHAIN:gsub("alpha = i", "alpha = i + " .. n))
    end
    run(chain(1))
    local first = files()[1]
    local size = #support.read(folder .. "/snaps/" .. first)
    support.write(folder .. "/snaps/other.txt", "stays")
    local options = "bytes = " .. 2 * size
    run(chain(2), options)
    local second = files()[1] == first and files()[2] or files()[1]
    run(chain(1), options)
    run(chain(3), options)
    local left = " " .. table.concat(files(), " ") .. " "
    assert.equal(3, #files())
    assert.truthy(left:find(first, 1, true))
    assert.falsy(left:find(second, 1, true))
    assert.truthy(left:find("other.txt", 1, true))
  end)

  it("refuses more bytes than are allowed", function()
    assert.matches("it takes more than the 100 bytes that are allowed\n"
      .. "help: raise the option bytes$", support.message(neap.snapshot,
      neap.range(1000), folder .. "/snaps", { workers = 0, bytes = 100 }))
  end)

  it("makes a damaged snapshot anew", function()
    run(CHAIN)
    support.write(folder .. "/snaps/" .. files()[1], "damage")
    assert.equal(10, select(2, run(CHAIN)))
  end)

  it("is made by one of two processes", function()
    local script = support.write(folder .. "/script.lua", ([[
      local neap = require("neap")
      local s = neap.range(30):map(function(i)
        local file = io.open("%s/calls", "a")
        file:write("x")
        file:close()
        os.execute("sleep 0.01")
        return i
      end):snapshot("%s/snaps", { workers = 0 })
      print(s[30])
    ]]):format(folder, folder))
    local said = support.shell(("%s %s & %s %s; wait"):format(
      support.QUOTED_NEAP, script, support.QUOTED_NEAP, script))
    assert.equal("30\n30\n", said)
    assert.equal(30, #support.read(folder .. "/calls"))
  end)

  it("refuses a chain that it cannot tell from others", function()
    assert.equal("cannot tell the chain from others: it has a coroutine",
      support.message(function()
        local co = coroutine.create(print)
        neap.snapshot(neap.range(1):map(function() return co end), folder)
      end))
  end)
end)
