-- SPDX-License-Identifier: MIT
--- What a script changes in the tables of a module is the same in workers. Each
-- script runs in a process of its own, beside the modules that it changes.

local support = dofile("tests/spec/support.lua")

local PRELUDE = [[
local neap = require("neap")
local function try(f)
  local p
  local ok, x = pcall(function()
    p = neap.range(3):map(f):prefetch({ workers = 1 })
    return p[1]
  end)
  print(ok and x or type(x) == "table" and x.message or x)
  if p then p:close() end
end
]]

local SETTINGS = [[
local M = {
  size = 32, name = "x", fast = true, list = { 1, 2, 3 },
  model = { layers = { 8 } },
}
local layers = M.model.layers
function M.last_layer() return layers[#layers] end
function M.area() return M.size * M.size end
return M
]]

describe("a change to a module's table", function()
  local folder

  before_each(function()
    folder = support.folder()
    support.write(folder .. "/settings.lua", SETTINGS)
  end)

  after_each(function()
    os.execute("rm -r " .. folder)
  end)

  -- What a script prints, beside modules: {name = text}.
  local function printed(script, modules)
    for name, text in pairs(modules or {}) do
      support.write(folder .. "/" .. name .. ".lua", text)
    end
    local path = support.write(folder .. "/train.lua", PRELUDE .. script)
    local said = support.shell(("timeout 20 %s %s"):format(support.QUOTED_NEAP,
      path))
    return (said:gsub(path:gsub("%p", "%%%0"), "train.lua"):gsub("\n$", ""))
  end

  it("travels: numbers, strings, booleans, tables", function()
    assert.equal("128 y false 1,2,3,4 16 16 nil new", printed([[
      local settings = require("settings")
      settings.size, settings.name, settings.fast = 128, "y", false
      settings.list[4] = 4
      settings.model.layers[2] = 16
      settings.model.layers[1] = nil
      settings.model.layers[1], settings.model.layers[2] = 4, 16
      settings.model.added = { word = "new" }
      settings.gone = nil
      try(function()
        local s = settings
        return ("%d %s %s %s %d %d %s %s"):format(s.size, s.name,
          tostring(s.fast), table.concat(s.list, ","), s.model.layers[2],
          s.last_layer(), tostring(s.gone), s.model.added.word)
      end)]]))
  end)

  it("travels: a field that was taken out", function()
    assert.equal("nil 1 nil", printed([[
      local settings = require("settings")
      settings.size = nil
      settings.list[2], settings.list[3] = nil
      try(function()
        return ("%s %d %s"):format(tostring(settings.size), #settings.list,
          tostring(settings.list[3]))
      end)]]))
  end)

  it("travels: a function that the script puts there", function()
    assert.equal("7 36", printed([[
      local settings = require("settings")
      local added = 1
      settings.size = 6
      settings.more = function() return settings.size + added end
      settings.name = nil
      function settings.last_layer() return "of the script" end
      try(function() return settings.more() .. " " .. settings.area() end)]]))
    assert.equal("of the script", printed([[
      local settings = require("settings")
      function settings.last_layer() return "of the script" end
      try(function() return settings.last_layer() end)]]))
  end)

  it("reaches the module's functions, which go by name", function()
    assert.equal("10000", printed([[
      local settings = require("settings")
      settings.size = 100
      local area = settings.area
      try(function() return area() end)]]))
  end)

  it("reaches modules that a module uses", function()
    assert.equal("500", printed([[
      require("settings").size = 100
      local outer = require("outer")
      try(function() return outer.scaled(5) end)]], {
        outer = [[
          local inner = require("inner")
          return { scaled = function(x) return inner(x) end }]],
        inner = [[
          local settings = require("settings")
          return function(x) return settings.size * x end]],
      }))
  end)

  it("reaches modules that a function requires when it runs", function()
    assert.equal("100", printed([[
      require("settings").size = 100
      try(function()
        return (function() return require("settings").size end)()
      end)]]))
  end)

  it("loads no module in a worker that no function requires", function()
    assert.equal("nil", printed([[
      require("settings").size = 100
      try(function()
        local item = { settings = "settings" }
        return tostring(package.loaded[item.settings])
      end)]]))
  end)

  it("does not reach workers after the call of prefetch", function()
    assert.equal("64", printed([[
      local settings = require("settings")
      settings.size = 64
      local p = neap.range(3):map(function() return settings.size end)
        :prefetch({ workers = 1 })
      settings.size = 128
      print(p[1])]]))
  end)

  it("keeps what tables share, and cycles", function()
    assert.equal("true true 2", printed([[
      local settings = require("settings")
      local shared = { 1 }
      settings.a, settings.b = shared, { inner = shared }
      settings.list.me = settings.list
      shared[2] = 2
      try(function()
        local s = settings
        return ("%s %s %d"):format(tostring(s.a == s.b.inner),
          tostring(s.list.me == s.list), s.a[2])
      end)]]))
  end)

  it("leaves to workers what cannot travel, and tables of a class", function()
    assert.equal("own 5 1 file userdata", printed([[
      local module = require("stateful")
      module.open()
      module.size = 5
      module.object.n = 2
      try(function()
        return module.state .. " " .. module.size .. " " .. module.object.n
          .. " " .. io.type(module.open()) .. " " .. type(module.raw)
      end)]], {
        stateful = [[
          local M = { state = "own", raw = newproxy() }
          M.object = setmetatable({ n = 1 }, { __index = {} })
          function M.open()
            M.handle = M.handle or io.tmpfile()
            return M.handle
          end
          return M]],
      }))
  end)

  it("is refused where it cannot travel, by function and module", function()
    local said = printed([[
      local settings = require("settings")
      local log = io.tmpfile()
      settings.log = function() return log end
      try(function() return settings.size end)]])
    assert.matches("^train.lua:5: cannot send the function at train.lua:13 to "
      .. "a worker: its upvalue 'log' is a file; that is a function of module "
      .. "settings\nhelp: ", said)
  end)

  it("is not looked for in tables that are very deep", function()
    assert.equal("1 5000", printed([[
      local deep = require("deep")
      deep.size, deep.list.size = 1, 0
      try(function() return deep.size .. " " .. deep.list.size end)]], {
        deep = "local M = {} for k = 1, 5000 do M = { next = M, size = k } end "
          .. "return { list = M }",
      }))
  end)

  it("is not looked for in tables of many fields", function()
    local words = "local M = { words = {}, size = 1 } for k = 1, 10000 do "
      .. "M.words[k] = 'w' .. k end return M"
    local list = "local M = {} for k = 1, 10001 do M[k] = k end return M"
    assert.equal("2 w1 x 1", printed([[
      local words, list = require("words"), require("list")
      words.size, words.words[1] = 2, "changed"
      list[1] = "changed"
      local texts = require("texts")
      texts.inner.text = "changed"
      try(function()
        return words.size .. " " .. words.words[1] .. " "
          .. texts.inner.text:sub(1, 1) .. " " .. list[1]
      end)]], {
        words = words, list = list,
        texts = "return { inner = { text = 'x', long = ('y'):rep(2 ^ 20) } }",
      }))
  end)
end)
