-- SPDX-License-Identifier: MIT
--- The pages of docs/internals name files and functions that are there.

local support = dofile("tests/spec/support.lua")

local read = support.read

local function pages()
  local list = {}
  local pipe = io.popen("ls docs/internals/*.md")
  for path in pipe:lines() do
    list[#list + 1] = path
  end
  pipe:close()
  return list
end

local function is_there(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

describe("docs/internals", function()
  for _, page in ipairs(pages()) do
    it(page:match("[^/]+$") .. " names files that are there", function()
      local missing = {}
      for path in read(page):gmatch("[%w_/]+/[%w_/]+%.%l+") do
        local is_ours = path:find("^runtime/") or path:find("^lua/neap/")
          or path:find("^tests/") or path:find("^bindings/")
        if is_ours and not path:find("NAME") and not is_there(path) then
          missing[#missing + 1] = path
        end
      end
      assert.same({}, missing)
    end)
  end

  it("walk.md names functions of the files that it names", function()
    local page, code, missing, count = read("docs/internals/walk.md"), "", {}, 0
    for path in page:gmatch("`([%w_]+/[%w_/]+%.%l+)`") do
      code = code .. read(path)
    end
    for name in page:gmatch("`([%a_][%w_%.:]*)`") do
      if name ~= "decode" then -- the example's own
        count = count + 1
        missing[#missing + 1] = not code:find(name .. "(", 1, true) and name
          or nil
      end
    end
    assert.same({}, missing)
    assert.is_true(count > 25)
  end)
end)
