-- SPDX-License-Identifier: MIT
--- The man pages say what the reference and the header say, in sound roff.

local support = dofile("tests/spec/support.lua")

local read, shell = support.read, support.shell
local PAGES = { "neap.1", "neap.3", "neap-loader.5" }

describe("docs/man.lua", function()
  local folder

  setup(function()
    folder = support.folder()
    assert.equal("", (shell(("%s docs/man.lua %s"):format(support.QUOTED_NEAP,
      folder))))
  end)

  teardown(function()
    shell("rm -r " .. folder)
  end)

  local function page(name)
    return read(folder .. "/" .. name)
  end

  -- A page as a terminal shows it, in lines of any length.
  local function shown(name)
    return (shell(("groff -Tascii -P-cbou -man -rLL=2000n %s/%s"):format(
      folder, name)))
  end

  local function is_missing(tool)
    if select(2, shell("command -v " .. tool)) ~= 0 then
      pending("cannot find " .. tool)
      return true
    end
  end

  for _, name in ipairs(PAGES) do
    it("writes a " .. name .. " that groff does not warn of", function()
      if not is_missing("groff") then
        assert.equal("", (shell(("groff -ww -man -Tutf8 -z %s/%s"):format(
          folder, name))))
      end
    end)

    it("writes a " .. name .. " that mandoc does not warn of", function()
      if not is_missing("mandoc") then
        assert.equal("", (shell(("mandoc -Tlint -Wwarning %s/%s"):format(
          folder, name))))
      end
    end)
  end

  it("names each page", function()
    assert.matches("\n.SH NAME\nneap \\%- %l[^\n]+[^.\n]\n", page("neap.1"))
    assert.matches("\n.SH NAME\nneap \\%- %l[^\n]+\n", page("neap.3"))
    assert.matches("\n.SH NAME\nneap\\%-loader \\%- %l[^\n]+\n",
      page("neap-loader.5"))
    assert.matches(".BR neap (1),\n.BR neap\\-loader (5)\n", page("neap.3"), 1,
      true)
  end)

  it("has the date that a package asks for", function()
    shell(("SOURCE_DATE_EPOCH=86400 %s docs/man.lua %s"):format(
      support.QUOTED_NEAP, folder))
    assert.matches('^%.TH NEAP 1 1970%-01%-02 "neap [%d.]+" neap\n',
      page("neap.1"))
  end)

  it("keeps every declaration and section of neap.h", function()
    if is_missing("groff") then
      return
    end
    local header, text = read("runtime/include/neap.h"), shown("neap.3")
    local count = 0
    for line in header:match("cdef: begin %*/(.*)/%* cdef: end")
      :gmatch("\n(%l[^\n]+)") do
      count = count + 1
      assert(text:find(line, 1, true), line)
    end
    assert.is_true(count > 50)
    for title in header:gmatch("/%* %-%-%-%- (.-) %-+ %*/") do
      assert(text:find("\n" .. title:upper() .. "\n", 1, true), title)
    end
    assert.falsy(text:find("*/\n *\n", 1, true))
  end)

  it("keeps every entry of the command's page", function()
    if is_missing("groff") then
      return
    end
    local text = shown("neap.1")
    for word in read("docs/reference/neap.md"):gmatch("\n| `([^`]+)`") do
      assert(text:find("\n +" .. word .. "%f[%s]"), word)
    end
    assert.matches("libneap.so for a plain LuaJIT, instead of", text, 1, true)
    assert.falsy(text:find("`", 1, true))
  end)
end)
