-- SPDX-License-Identifier: MIT
--- Saved items: the same whichever way they are saved; a save that is killed,
-- fails or finds the disk full leaves no file of that name, and goes on later.

local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

ffi.cdef([[
  int open(const char *path, int flags, ...);
  int flock(int fd, int operation);
  int close(int fd);
]])

local LOCK_EX = 2

local folder

local function path(name)
  return folder .. "/" .. name
end

local function exists(name)
  local file = io.open(path(name), "rb")
  return file ~= nil and file:close()
end

-- One of everything that an item may be.
local function item(i)
  return {
    i, name = ("item %d"):format(i), half = i / 2, [i % 2 == 0] = true,
    exact = 2LL ^ 62 + i, none = {}, deep = { { { i } } },
    image = neap.tensor("u8", { 2, 3 }, i % 256),
    scalar = neap.tensor("f64", {}, i),
  }
end

local function check_item(i, x)
  assert.equal(i, x[1])
  assert.equal("item " .. i, x.name)
  assert.equal(i / 2, x.half)
  assert.is_true(x[i % 2 == 0])
  assert.equal(2LL ^ 62 + i, x.exact)
  assert.same({}, x.none)
  assert.equal(i, x.deep[1][1][1])
  assert.equal(i % 256, x.image:get(2, 3))
  assert.equal(i, x.scalar:get())
end

describe("save", function()
  setup(function()
    folder = support.folder()
  end)
  teardown(function()
    os.execute("rm -r " .. folder)
  end)
  before_each(support.remember)
  after_each(support.check_leaks)

  for _, options in ipairs({
    { workers = 0 }, { workers = 2 }, { workers = 0, compress = true },
    { workers = 1, compress = 9 }, { workers = 1, shards = 3 },
  }) do
    it("keeps items of every kind: " .. support.show(options), function()
      local s = neap.save(neap.range(300):map(item), path("all"), options)
      assert.equal(300, #s)
      for i, x in s:each() do
        check_item(i, x)
      end
      for i = 300, 1, -7 do
        check_item(i, s[i])
      end
      assert.is_false(exists("all.partial"))
      os.remove(path("all"))
    end)
  end

  it("keeps nil, booleans and numbers of every kind", function()
    local values = { false, true, 0, -0.5, 1 / 0, -1 / 0, 2 ^ 53, "", "a\0b" }
    local s = neap.save(neap.range(10):map(function(i)
      return values[i]
    end), path("some"), { workers = 0 })
    for i = 1, 10 do
      assert.equal(values[i], s[i])
    end
    local nan = neap.save({ 0 / 0 }, path("some"))[1]
    assert.is_true(nan ~= nan)
  end)

  it("keeps items that are larger than a block, and no items", function()
    local s = neap.save(neap.range(3):map(function(i)
      return neap.tensor("u8", { 3 * 2 ^ 20 }, i)
    end), path("large"), { workers = 0 })
    assert.equal(2, s[2][3 * 2 ^ 20])
    assert.equal(0, #neap.save({}, path("none"), { workers = 0 }))
    assert.equal(0, #neap.save({}, path("none"), { workers = 1 }))
  end)

  it("saves a saved sequence again", function()
    local s = neap.save(neap.range(100):map(item), path("a"), { workers = 0 })
    check_item(70, neap.save(s, path("b"), { workers = 1 })[70])
  end)

  it("raises the error of an item, and has no file then", function()
    for workers = 0, 1 do
      local e = support.raised(neap.save, neap.range(20):map(function(i)
        return i == 7 and error("no seven") or i
      end), path("failed"), { workers = workers })
      assert.equal(7, e.index)
      assert.matches("no seven$", e.message)
      assert.is_false(exists("failed"))
      os.remove(path("failed.partial"))
    end
  end)

  it("raises what was raised, where errors are passed through", function()
    finally(function() neap.errors("wrap") end)
    neap.errors("passthrough")
    local cause = { "the cause" }
    for workers = 0, 1 do
      local e = support.raised(neap.save, neap.range(3):map(function()
        error(cause)
      end), path("failed"), { workers = workers })
      assert.same(cause, e)
      os.remove(path("failed.partial"))
    end
  end)

  it("names the item that cannot be saved", function()
    local e = support.raised(neap.save, neap.range(3):map(function(i)
      return i == 2 and { print } or i
    end), path("failed"), { workers = 0 })
    assert.equal(2, e.index)
    assert.equal("cannot send the item: item[1] is a function", e.message)
    os.remove(path("failed.partial"))
  end)

  local SCRIPT = [[
    local neap = require("neap")
    local s = neap.range(4000):map(function(i)
      if i == 3000 and not io.open(%q) then
        %s
      end
      return neap.tensor("u8", { 1000 }, i %% 256)
    end)
    local saved = neap.save(s:debug(function(i)
      local file = io.open(%q, "a")
      file:write("x")
      file:close()
    end), %q, { workers = %d })
    print(#saved, saved[3001][1], saved[10][1])
  ]]

  local function run(how, workers)
    os.remove(path("reads"))
    local result = support.run(SCRIPT:format(path("go"), how, path("reads"),
      path("killed"), workers))
    local file = io.open(path("reads"))
    local reads = file and #file:read("*a") or 0
    if file then
      file:close()
    end
    return result, reads
  end

  for _, workers in ipairs({ 0, 1 }) do
    for how, code in pairs({
      killed = [[io.popen("kill -9 $PPID"):close()]], failed = [[error("no")]],
    }) do
      if not (how == "killed" and workers > 0) then
        it(("goes on where it was %s, with %d workers"):format(how, workers),
          function()
            os.remove(path("go"))
            os.remove(path("killed"))
            os.remove(path("killed.partial"))
            local result = run(code, workers)
            assert.not_equal(0, result.status)
            assert.is_false(exists("killed"))
            assert.is_true(exists("killed.partial"))
            support.write(path("go"), "")
            local reads
            result, reads = run(code, workers)
            assert.equal("4000\t185\t10\n", result.out, result.err)
            assert.truthy(reads >= 1001 and reads < 2000, reads)
            assert.is_false(exists("killed.partial"))
          end)
      end
    end
  end

  it("starts anew for another chain, and after damage", function()
    local s = neap.range(100):map(item)
    neap.save(s, path("whole"), { workers = 0 })
    local text = support.read(path("whole"))
    for _, partial in ipairs({
      "", text:sub(1, 100), text:sub(1, 5000), ("x"):rep(10000),
      text:sub(1, 200) .. "damage" .. text:sub(207),
    }) do
      support.write(path("again.partial"), partial)
      check_item(100, neap.save(s, path("again"), { workers = 0 })[100])
    end
  end)

  it("tells of a full disk, and has no file then", function()
    local result = support.run([[
      local neap = require("neap")
      print(pcall(neap.save, neap.range(100):map(function(i)
        return neap.tensor("u8", { 60000 }, i)
      end), "]] .. path("full") .. [[", { workers = 0 }))
    ]], { shell = "ulimit -f 1000;" })
    assert.truthy(result.out:find(("cannot write %s.partial: File too large\n"
      .. "help: save again when there is room"):format(path("full")), 1, true),
      result.out)
    assert.is_false(exists("full"))
  end)

  it("refuses what it cannot do", function()
    assert.equal("bad argument #2 to 'save' (string expected, got no value)",
      support.message(neap.save, { 1 }))
    assert.matches("option 'shards': whole number from 1 to 10000 expected",
      support.message(neap.save, { 1 }, "x", { shards = 0 }))
    assert.matches("option 'compress': boolean, or a level",
      support.message(neap.save, { 1 }, "x", { compress = 40 }))
    assert.equal("cannot open /nowhere/x.partial: No such file or directory",
      support.message(neap.save, { 1 }, "/nowhere/x"))
    assert.matches("upvalue 'file'", support.message(function()
      local file = io.tmpfile()
      neap.save(neap.range(1):map(function() return file end), path("x"),
        { workers = 1 })
    end))
  end)

  it("refuses a path that another process is saving", function()
    local fd = ffi.C.open(support.write(path("busy.partial"), ""), 0)
    assert.equal(0, ffi.C.flock(fd, LOCK_EX))
    assert.equal(("cannot save %s: another process is saving it"):format(
      path("busy")), support.message(neap.save, { 1 }, path("busy")))
    ffi.C.close(fd)
  end)

  it("keeps the shards of a save that was killed", function()
    local s = neap.range(100):map(item)
    neap.save(s, path("parts"), { workers = 0, shards = 4 })
    local before = support.shell("stat -c %i " .. path("parts-2-of-4"))
    os.remove(path("parts"))
    os.remove(path("parts-3-of-4"))
    local again = neap.save(s, path("parts"), { workers = 0, shards = 4 })
    check_item(60, again[60])
    assert.equal(before, support.shell("stat -c %i " .. path("parts-2-of-4")))
  end)
end)
