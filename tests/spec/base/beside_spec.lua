-- SPDX-License-Identifier: MIT
--- Modules beside a script are found in the script and in its workers, from any
-- folder.

local support = dofile("tests/spec/support.lua")

local SCRIPT = [[
local neap = require("neap")
local near = require("beside_module")
local inner = require("beside_package")
local p = neap.range(2):map(function(x)
  return near.double(x) + inner.one + require("beside_late").two
end):prefetch({ workers = 1 })
print(table.concat(p:totable(), " "))
]]

describe("a module beside the script", function()
  local folder

  before_each(function()
    folder = support.folder()
    support.shell(("mkdir -p '%s/a b' '%s/far' '%s/a b/beside_package'")
      :format(folder, folder, folder))
    support.write(folder .. "/a b/train.lua", SCRIPT)
    support.write(folder .. "/a b/beside_module.lua",
      "return { double = function(x) return 2 * x end }")
    support.write(folder .. "/a b/beside_package/init.lua",
      "return { one = 1 }")
    support.write(folder .. "/a b/beside_late.lua", "return { two = 2 }")
    -- What is beside the current folder does not hide it.
    support.write(folder .. "/far/beside_module.lua", "return {}")
  end)

  after_each(function()
    os.execute("rm -r " .. folder)
  end)

  local PLAIN = ("LUA_PATH='%s' luajit"):format(package.path:gsub(
    "%f[^;%z]%.?([^/;][^;]*)", support.current_folder() .. "/%1"))

  for name, program in pairs({
    ["neap"] = support.QUOTED_NEAP,
    ["a plain LuaJIT that has loaded neap"] = PLAIN,
  }) do
    it("is found by " .. name, function()
      for _, at in ipairs({
        { ".", "a b/train.lua" }, { "a b", "train.lua" },
        { "far", "../a b/train.lua" }, { "/", folder .. "/a b/train.lua" },
      }) do
        local there = at[1]:sub(1, 1) == "/" and at[1] or folder .. "/" .. at[1]
        assert.equal("5 7\n", (support.shell(("cd '%s' && %s '%s'"):format(
          there, program, at[2]))))
      end
    end)
  end

  it("is found through a link to the script", function()
    support.shell(("ln -s '%s/a b/train.lua' '%s/far/link.lua'"):format(folder,
      folder))
    assert.equal("5 7\n", (support.shell(("%s '%s/far/link.lua'"):format(
      support.QUOTED_NEAP, folder))))
  end)

  it("does not hide neap's own modules", function()
    support.shell(("mkdir '%s/a b/neap'"):format(folder))
    support.write(folder .. "/a b/neap/init.lua", "error('not this one')")
    support.write(folder .. "/a b/neap.lua", "error('nor this one')")
    assert.equal("5 7\n", (support.shell(("%s '%s/a b/train.lua'"):format(
      support.QUOTED_NEAP, folder))))
  end)

  it("is found for no piece of code, and no standard input", function()
    local print_path = "require('neap') print(package.path)"
    for _, command in ipairs({
      ("%s -e %s"):format(support.QUOTED_NEAP, support.quote(print_path)),
      ("echo %s | %s -"):format(support.quote(print_path), support.QUOTED_NEAP),
    }) do
      assert.is_nil(support.shell(("cd %s/far && %s"):format(folder, command))
        :find(folder, 1, true))
    end
  end)
end)
