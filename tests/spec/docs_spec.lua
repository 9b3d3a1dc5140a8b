-- SPDX-License-Identifier: MIT
--- The documents say what neap does: each adapter has its section, pictures
-- are what docs/draw.lua draws, and comments show what their examples answer.
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

-- The names in the lists of lua/neap/init.lua, and mix, which stands alone.
local function adapters()
  local names = { "mix" }
  for list in read("lua/neap/init.lua"):gmatch("\nlocal [A-Z]+ = (%b{})") do
    for name in list:gmatch('"([%w_]+)"') do
      names[#names + 1] = name
    end
  end
  return names
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

  for _, name in ipairs(adapters()) do
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

describe("docs/pictures", function()
  it("holds what docs/draw.lua draws now, for each adapter", function()
    local folder = lines_of("mktemp -d")[1]
    finally(function()
      os.execute("rm -r " .. folder)
    end)
    assert.same({}, lines_of(("%s docs/draw.lua %s"):format(NEAP, folder)))
    assert.same({}, lines_of(("diff -r %s %s"):format(PICTURES, folder)))
    for _, name in ipairs(adapters()) do
      assert.matches("<svg ", read(("%s/%s.svg"):format(folder, name)))
    end
  end)
end)

describe("@usage", function()
  for _, path in ipairs(lines_of("find lua -name '*.lua' | sort")) do
    for code, answer in read(path):gmatch("%-%- @usage ([^\n]-) %-%-> ([^\n]*)")
    do
      it("of " .. path .. " answers what its comment says", function()
        local chunk = assert(loadstring("return " .. code, "=" .. path))
        setfenv(chunk, setmetatable({ neap = neap }, { __index = _G }))
        assert.equal(plain("{" .. answer .. "}"), plain(show(chunk())))
      end)
    end
  end
end)
