-- SPDX-License-Identifier: MIT
--- `neap check`: what it tells of a loader file.

local support = dofile("tests/spec/support.lua")

describe("neap check", function()
  local folder

  setup(function()
    folder = support.folder()
  end)

  teardown(function()
    support.shell("rm -r " .. folder)
  end)

  -- Checks a loader file of that text; `build` is the body of its build.
  local function check(build, before, ...)
    local path = support.write(folder .. "/l.lua", ([[
      local neap = require("neap")
      %s
      return neap.loader{ params = { n = 20 }, build = function(p)
        %s
      end }]]):format(before or "", build))
    return support.command({ "check", path, ... },
      { shell = "cd " .. folder .. ";" }), path
  end

  local FINE = [[
    local images = neap.range(p.n):map(function(i)
      return { image = neap.tensor("u8", { 4, 3 }), label = i }
    end)
    local s = images:shuffle(1):batch(4, { collate = neap.stack })
    return s]]

  it("prints the chain, an item, the time, and that all is well", function()
    local r, path = check(FINE)
    assert.equal("", r.err)
    assert.equal(0, r.status)
    local text = r.out:gsub(path:gsub("%p", "%%%0"), "l.lua")
    assert.truthy(text:find([[
parameters
  n  20  integer
chain
  prefetch(...)              5  l.lua
    batch(..., 4, stacked)   5  l.lua:7
      shuffle(..., 1)       20  l.lua:7
        map(f, ...)         20  l.lua:4
          range(1, 20)      20  l.lua:4
item
  item     table            80 B
    image  tensor u8 4x4x3  48 B
    label  tensor f64 4     32 B
]], 1, true), text)
    assert.matches("\n  map %(l.lua:4%) +20  +%d+%.%d+ ms +%d+ %%\n", text)
    assert.matches("\n  batch %(l.lua:7%) +%d+  %d+%.%d+ ms +%d+ %%\n", text)
    assert.matches("\nresult\n5 items: the same in place and in a worker\n"
      .. "workers run Lua: map %(l.lua:4%): its function is one of Lua\n"
      .. "no doubts\n$", text)
  end)

  it("tells that a chain needs no Lua", function()
    local r = check([[
      local s = neap.zip({ x = neap.range(p.n) }):shuffle()
        :batch(4, { collate = neap.stack })
      return s:prefetch({ threads = 2 })]])
    assert.equal(0, r.status)
    assert.matches("\n  prefetch%(%.%.%., threads = 2%) ", r.out)
    assert.matches("\n5 items: the same in place and in a worker\n"
      .. "workers run no Lua: each stage is native\n", r.out)
    r = check("return neap.range(p.n):shuffle()", "", "--json")
    assert.truthy(r.out:find('"needs_lua":false', 1, true))
  end)

  it("takes parameters and a limit", function()
    local r = check(FINE, "", "n=100", "--limit", "2")
    assert.matches("\n        map%(f, %.%.%.%) +100 ", r.out)
    assert.matches("\n2 items: the same", r.out)
  end)

  it("prints the options and parameters that are in force", function()
    local path = support.write(folder .. "/o.lua", [[
      return require("neap").loader{
        params = { batch = { default = 2, min = 1, help = "of an item" },
          sizes = { 1, 2 } },
        build = function(p) return { 1, 2, 3 } end,
        prefetch = { workers = 2, buffered = 8, on_start = print } }]])
    local r = support.command({ "check", path, "sizes=3" })
    assert.truthy(r.out:find("parameters\n"
      .. "  batch  2  integer   of an item\n  sizes  3  integers\nchain\n"
      .. "  prefetch(..., buffered = 8, on_start = f, workers = 2)  3  ", 1,
      true), r.out)
    r = support.command({ "check", path, "--json" })
    assert.truthy(r.out:find('"prefetch":{"buffered":8,"on_start":null,'
      .. '"workers":2}', 1, true), r.out)
  end)

  it("prints JSON", function()
    local r = check(FINE, "", "--json")
    assert.equal(0, r.status)
    assert.equal(1, select(2, r.out:gsub("\n", "")))
    for _, part in ipairs({
      '"fine":true', '"parameters":{"n":20}', '"failures":[]', '"doubts":[]',
      '"label":{"bytes":32,"bytes_max":32,"dtype":"f64","shape":[4],'
        .. '"type":"tensor"}',
      '{"depth":1,"length":20,"name":"shuffle(..., 1)","where":',
    }) do
      assert.truthy(r.out:find(part, 1, true), part .. "\n" .. r.out)
    end
  end)

  it("shows how items differ from one another", function()
    local r = check([[return neap.range(p.n):map(function(i)
      return { a = i % 2 == 0 and i or "x", b = neap.tensor("f32", { i, 2 }),
        c = i == 1 and { 1, 2 } or nil }
    end)]])
    assert.matches("\n    a +string or number +1 B to 8 B\n", r.out)
    assert.matches("\n    b +tensor f32 %*x2 +8 B to 64 B\n", r.out)
    assert.matches("\n    c +table or nil, list of %* +0 B to 16 B\n", r.out)
  end)

  it("saves the images of the items as one picture", function()
    local r = check([[
      return neap.range(p.n):map(function(i)
        return { image = neap.tensor("f32", { 3, 16, 24 }, i) }
      end):batch(4, { collate = neap.stack })]], "", "--limit", "2",
      "--sheet", "sheet.png")
    assert.matches("8 images of these items are in sheet.png\n$", r.err)
    local sheet = require("neap").decode.image({ path = folder
      .. "/sheet.png" })
    assert.truthy(sheet.shape[1] >= 48 and sheet.shape[2] >= 72)
    assert.matches("no images in these items\n$",
      (check("return neap.range(p.n)", "", "--sheet", "sheet.png")).err)
  end)

  it("tells what cannot travel", function()
    local r, path = check(
      "return neap.range(p.n):map(function() return f:read(1) end)",
      "local f = io.open('/etc/passwd')")
    assert.matches("\ncannot travel: cannot send the function at "
      .. path:gsub("%p", "%%%0") .. ":4 to a worker: its upvalue 'f' is a "
      .. "file;", r.out)
    assert.equal(1, r.status)
  end)

  it("tells which items fail, in place or in a worker", function()
    local r = check([[return neap.range(p.n):map(function(i)
      if i == 3 then error("bad item") end
      return i == 5 and print or i
    end)]])
    assert.matches("\nitem 3 fails in place: [^\n]+: bad item\n", r.out)
    assert.matches("\nitem 5 fails in a worker: cannot send the item", r.out)
    assert.equal(1, r.status)
  end)

  it("outlives items that end their process", function()
    local r = check([[return neap.range(p.n):map(function(i)
      if i == 3 then os.exit(7) end
      return i
    end)]])
    assert.matches("\nitem 3 fails in a worker: a worker died of this item, .*"
      .. "exit status 7", r.out)
    assert.equal(1, r.status)
  end)

  it("tells which items differ in a worker", function()
    local r = check([[local pid = 0
      return neap.range(p.n):map(function(i)
        pid = i > 1 and io.open("/proc/self/stat"):read("*n") or pid
        return { i, { deep = pid } }
      end)]])
    assert.matches("\nitem 2 differs: item%[2%]%.deep is %d+ in place, %d+ in "
      .. "a worker\n", r.out)
    assert.matches("\n  and %d more\n  help: let items depend", r.out)
    assert.equal(1, r.status)
  end)

  describe("doubts", function()
    local function doubts(message, build, before)
      local r = check(build, before)
      assert.truthy(r.out:find(message, 1, true), r.out)
      assert.matches("\n  help: ", r.out)
      return r.status
    end

    it("a shuffle above a prefetch", function()
      assert.equal(0, doubts("stands above it", [[
        local s = neap.range(p.n):prefetch({ workers = 1 })
        local t = s:shuffle(1):map(tostring)
        return t]]))
    end)

    it("math.random, also in a function that is called", function()
      assert.equal(1, doubts("calls math.random", [[
        return neap.range(p.n):map(function(i) return math.random() end)]]))
      assert.equal(1, doubts("the function at " .. folder .. "/l.lua:2 calls",
        "return neap.range(p.n):map(function(i) return noise(i) end)",
        "local random = math.random local function noise(i) return random() end"
      ))
    end)

    it("an upvalue of many MiB", function()
      assert.equal(0, doubts("the upvalue 'words' of the function at ",
        "return neap.range(p.n):map(function(i) return words[i] end)",
        "local words = {} for i = 1, 300000 do words[i] = 'a word ' .. i end"))
    end)

    it("a batch of tensors that is not stacked", function()
      assert.equal(0, doubts("its items are lists of 4, with tensors", [[
        return neap.range(p.n):map(function(i)
          return { neap.tensor("f32", { 3 }), i }
        end):batch(4)]]))
    end)

    it("a loader without items", function()
      assert.equal(0, doubts("it has no items", "return neap.range(0)"))
    end)

    it("nothing of neap's own code", function()
      local r = check([[return neap.range(p.n):random_map(function(i, rng)
        return rng:uniform()
      end):batch(2)]])
      assert.matches("\nno doubts\n$", r.out)
    end)
  end)

  it("has colours on terminals only, and none with NO_COLOR", function()
    local _, path = check(FINE)
    local command = support.QUOTED_NEAP .. " check " .. path
    local function on_terminal(env)
      return (support.shell(("TERM=xterm %s script -qec %s /dev/null"):format(
        env, support.quote(command))))
    end
    if support.shell("command -v script") == "" then
      pending("there is no script(1)")
      return
    end
    assert.truthy(on_terminal("NO_COLOR="):find("\27[1mchain\27[0m", 1, true))
    assert.falsy(on_terminal("NO_COLOR=1"):find("\27", 1, true))
    assert.falsy(check(FINE).out:find("\27", 1, true))
  end)
end)
