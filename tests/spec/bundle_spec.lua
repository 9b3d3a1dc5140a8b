-- SPDX-License-Identifier: MIT
--- The bundle of bytecode: used while it is fresh, never instead of a file.

local support = dofile("tests/spec/support.lua")

local NEAP = support.QUOTED_NEAP

local function shell(command)
  local pipe = io.popen(command .. " 2>&1")
  local said = pipe:read("*a")
  pipe:close()
  return (said:gsub("%s+$", ""))
end

local ASK = [[-e 'local neap = require("neap") print(neap.range(3):totable()[3],
  package.preload["neap.source.range"] ~= nil, rawget(neap, "mark"))']]

describe("the bundle", function()
  local root, lua_dir

  local function neap(arguments)
    return shell(root .. "/bin/neap " .. arguments)
  end

  before_each(function()
    root = shell("mktemp -d")
    lua_dir = root .. "/share/lua/5.1"
    shell(("mkdir -p %s/bin %s/lib %s && cp %s %s/bin && cp -r lua/neap %s")
      :format(root, root, lua_dir, NEAP, root, lua_dir))
  end)

  after_each(function()
    shell("rm -r " .. root)
  end)

  local function write_bundle()
    return neap(("--bundle %s/lib/neap.bundle %s %s"):format(root, lua_dir,
      lua_dir))
  end

  it("is not needed", function()
    assert.equal("3\tfalse\tnil", neap(ASK))
  end)

  it("stands for the modules' files", function()
    assert.equal("", write_bundle())
    assert.equal("3\ttrue\tnil", neap(ASK))
  end)

  it("serves workers", function()
    write_bundle()
    assert.equal("true", neap([[-e 'local neap = require("neap")
      print(neap.range(3):map(function()
        return package.preload["neap.source.range"] ~= nil
      end):prefetch({workers = 1})[2])']]))
  end)

  it("keeps the lines of the modules' files", function()
    write_bundle()
    assert.match("bundle.lua:1: bad argument #1 to 'range'",
      neap([[-e 'loadstring("require([=[neap]=]).range({})", "@bundle.lua")()']]
      ), nil, true)
  end)

  it("gives way to a file that has changed", function()
    write_bundle()
    shell(("sed -i 's/^return setmetatable(neap/neap.mark = 7 &/' "
      .. "%s/neap/init.lua"):format(lua_dir))
    assert.equal("3\ttrue\t7", neap(ASK))
  end)

  it("gives way to another folder", function()
    write_bundle()
    shell(("cp -r %s %s/other"):format(lua_dir, root))
    assert.equal("3\tfalse\tnil", shell(("NEAP_LUA=%s/other %s/bin/neap %s")
      :format(root, root, ASK)))
  end)

  it("is passed over where it is damaged", function()
    write_bundle()
    shell(("truncate -s 30000 %s/lib/neap.bundle"):format(root))
    assert.equal("3\tfalse\tnil", neap(ASK))
  end)

  it("is passed over where a byte of it is damaged", function()
    write_bundle()
    local path = root .. "/lib/neap.bundle"
    local text = support.read(path)
    for k = 0, 40 do
      local at = 1 + math.floor(k * (#text - 1) / 40)
      local byte = string.char((text:byte(at) + 1) % 256)
      support.write(path, text:sub(1, at - 1) .. byte .. text:sub(at + 1))
      assert.matches("^3\t%a+\tnil$", neap(ASK), "byte " .. at)
    end
  end)

  it("gives way to a module's file where its bytecode is damaged", function()
    write_bundle()
    local path = root .. "/lib/neap.bundle"
    local text = support.read(path)
    local file = "@" .. lua_dir .. "/neap/source/range.lua"
    local at = assert(text:find(file, 1, true))
    support.write(path, text:sub(1, at) .. "?" .. text:sub(at + 2))
    assert.matches("^3\ttrue\tnil$", neap(ASK))
    assert.equal("@" .. lua_dir .. "/neap/source/range.lua", neap([[-e 'print(
      debug.getinfo(require("neap.source.range").make, "S").source)']]))
  end)

  local function is_used()
    return neap(ASK) == "3\ttrue\tnil"
  end

  it("is for its owner alone to write", function()
    write_bundle()
    for mode, is_safe in pairs({
      ["664"] = false, ["646"] = false, ["644"] = true, ["444"] = true,
    }) do
      shell(("chmod %s %s/lib/neap.bundle"):format(mode, root))
      assert.equal(is_safe, is_used(), mode)
    end
    shell(("chmod 757 %s/lib"):format(root))
    assert.is_false(is_used())
  end)

  it("is for all to read, whatever the umask", function()
    assert.equal("", shell(("umask 077; %s/bin/neap --bundle "
      .. "%s/lib/neap.bundle %s %s"):format(root, root, lua_dir, lua_dir)))
    assert.equal("644", shell(("stat -c %%a %s/lib/neap.bundle"):format(root)))
  end)

  it("is not another user's", function()
    if shell("id -u") ~= "0" then
      pending("only root can give files away")
      return
    end
    write_bundle()
    local lib, bundle = root .. "/lib", root .. "/lib/neap.bundle"
    shell("chown 65534 " .. bundle)
    assert.is_false(is_used())
    shell("chown 0 " .. bundle .. " && chown 65534 " .. lib)
    assert.is_false(is_used())
    shell(("chown 65534 %s %s %s/bin/neap"):format(lib, bundle, root))
    assert.is_true(is_used()) -- the executable's owner's
  end)

  it("is a file, not a link or a pipe", function()
    write_bundle()
    shell(("cd %s/lib && mv neap.bundle other && ln -s other neap.bundle")
      :format(root))
    assert.is_false(is_used())
    shell(("cd %s/lib && rm neap.bundle && mkfifo neap.bundle"):format(root))
    assert.equal("3\tfalse\tnil", shell(("timeout 20 %s/bin/neap %s"):format(
      root, ASK)))
  end)

  it("cannot be written to a folder that is not there", function()
    assert.match("cannot write /nowhere/neap.bundle",
      neap("--bundle /nowhere/neap.bundle " .. lua_dir .. " " .. lua_dir),
      nil, true)
  end)
end)
