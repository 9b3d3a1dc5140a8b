-- SPDX-License-Identifier: MIT
--- The documents say what neap does: each adapter has its section, pictures
-- are what docs/draw.lua draws, and comments show what their examples return.
-- (Pages of the guide are run by tests/examples.sh.)

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local NEAP = support.QUOTED_NEAP
local PICTURES = "docs/pictures"

local read = support.read

local function lines_of(command)
  local pipe = io.popen(command .. " 2>&1")
  local lines = {}
  for line in pipe:lines() do
    lines[#lines + 1] = line
  end
  pipe:close()
  return lines
end

-- The descriptors of sources and adapters, by their names.
local function descriptors()
  local found = {}
  for room, list in pairs({ source = "SOURCES", adapter = "ADAPTERS" }) do
    for _, name in ipairs(support.listed(list)) do
      found[name] = require(("neap.%s.%s"):format(room, name))
    end
  end
  return found
end

-- "### name" and what follows it, up to the next heading.
local function sections()
  local found = {}
  local page = read("docs/guide/adapters.md") .. "\n#"
  for name, start in page:gmatch("\n### ([%w_]+)\n()") do
    found[name] = page:sub(start, page:find("\n#", start, true))
  end
  return found
end

local function show(x)
  if type(x) ~= "table" then
    return tostring(x)
  end
  local parts = {}
  for k, y in ipairs(x) do
    parts[k] = show(y)
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function plain(text)
  return (text:gsub("%s", ""))
end

describe("docs/guide/adapters.md", function()
  local found = sections()

  for name in pairs(descriptors()) do
    it("has a section for " .. name, function()
      local section = found[name]
      assert(section, "no section for " .. name)
      assert.matches("^\n[^\n!`]+", section)
      assert.matches("\n!%[" .. name .. "%]%(../pictures/" .. name
        .. "%.svg%)\n", section)
      local example = section:match("\n```lua\n(.-)\n```\n")
      assert.matches("%-%-> %S", example)
      assert.matches("%f[%w]" .. name .. "%f[^%w_]", example)
    end)
  end

  it("has no section for what neap does not have", function()
    for name in pairs(found) do
      assert(neap[name], "a section for " .. name)
    end
  end)
end)

describe("docs/guide/coming-from.md", function()
  it("names only what neap has", function()
    local page = read("docs/guide/coming-from.md")
    for name in page:gmatch("neap%.([%w_]+)") do
      assert(neap[name] ~= nil, "neap." .. name)
    end
    local s = neap.range(1):prefetch({ workers = 0 })
    for name in page:gmatch("%f[%w][sp]:([%w_]+)") do
      assert(s[name] ~= nil, "s:" .. name)
    end
  end)
end)

-- The options of each codec, by its name: "decode.image", "save_image".
local function codecs()
  local found = {}
  for list, prefix in pairs({ DECODERS = "decode.", ENCODERS = "" }) do
    for _, name in ipairs(support.listed(list)) do
      found[prefix .. name] = require("neap.codec." .. name)
    end
  end
  return found
end

describe("docs/reference/lua.md", function()
  local page = read("docs/reference/lua.md")

  for name, descriptor in pairs(codecs()) do
    it("has " .. name .. " and its options", function()
      assert(page:find("`neap." .. name .. "(", 1, true))
      assert.matches("neap." .. name .. "(", descriptor.example, 1, true)
      for option in pairs(descriptor.options) do
        assert(page:find("%f[%w_]" .. option .. "%f[^%w_]"), option)
      end
    end)
  end
end)

-- The text that neap generates for a chain, in a process that has generated no
-- other: names of functions are numbered in the order met.
local GENERATE = [[
local neap = require("neap")
local handle = require("neap.sequence.handle")
local f, g, images = math.sin, math.cos, { 1, 2, 3 }
print(require("neap.sequence.compile").text(handle.node(%s)))
]]

describe("docs/internals/evaluation.md", function()
  it("shows the code that neap generates for the chain above it", function()
    local page = read("docs/internals/evaluation.md")
    local block = page:gmatch("\n```lua\n(.-)```\n")
    local chain, code = block(), block()
    local text = support.quote(GENERATE:format(chain))
    local lines = lines_of(("%s -e %s"):format(NEAP, text))
    assert.equal(table.concat(lines, "\n") .. "\n", code)
  end)
end)

describe("docs/pictures", function()
  it("holds what docs/draw.lua draws now, for each adapter", function()
    local folder = lines_of("mktemp -d")[1]
    finally(function()
      os.execute("rm -r " .. folder)
    end)
    assert.same({}, lines_of(("%s docs/draw.lua %s"):format(NEAP, folder)))
    assert.same({}, lines_of(("diff -r -x rooms.svg %s %s"):format(PICTURES,
      folder)))
    for name in pairs(descriptors()) do
      assert.matches("<svg ", read(("%s/%s.svg"):format(folder, name)))
    end
  end)
end)

-- What code returns, and what it says that it returns.
local function check_answer(code, answer, path)
  local chunk = assert(loadstring("return " .. code, "=" .. path))
  if answer then
    setfenv(chunk, setmetatable({ neap = neap }, { __index = _G }))
    assert.equal(plain("{" .. answer .. "}"), plain(show(chunk())))
  end
end

describe("@usage", function()
  for _, path in ipairs(lines_of("find lua -name '*.lua' | sort")) do
    for code, answer in read(path):gmatch("%-%- @usage ([^\n]-) %-%-> ([^\n]*)")
    do
      it("of " .. path .. " returns what its comment says", function()
        check_answer(code, answer, path)
      end)
    end
  end
end)

describe("the example", function()
  for name, descriptor in pairs(descriptors()) do
    it("of " .. name .. " returns what it says", function()
      local example = descriptor.example
      local code, answer = example:match("^(.-)%s*%-%->%s*(.*)$")
      assert.matches("%f[%w]" .. name .. "%(", example)
      check_answer(code or example, answer, name)
    end)
  end
end)
