-- SPDX-License-Identifier: MIT
--- A host or a worker that forks. The child has copies of its parent's
-- prefetches and tensors, and must change nothing of the parent's.

local support = dofile("tests/spec/support.lua")

-- A host that keeps items 1 to 10, forks a child that runs some code, and reads
-- on. The output is the child's, and then how many elements are wrong.
local HOST = [[
  local ffi = require("ffi")
  local neap = require("neap")
  ffi.cdef("int fork(void); int waitpid(int, int *, int); void _exit(int);")
  local large = neap.tensor("f64", { 100000 }, 7)
  local p = neap.range(60):map(function(i)
    return require("neap").tensor("f64", { 200000 }, i)
  end):prefetch({ workers = 1, buffered = 4, chunk = 1 })
  local kept = {}
  for i, t in p:each() do
    kept[i] = neap.keep(t)
    if i == 10 then break end
  end
  local function child() %s end
  local pid = ffi.C.fork()
  if pid == 0 then
    child()
    io.stdout:flush()
    ffi.C._exit(0)
  end
  local status = ffi.new("int[1]", -1)
  ffi.C.waitpid(pid, status, 0)
  local count, wrong = 0, 0
  for i, t in p:each() do
    count = count + 1
    wrong = wrong + (t[1] == i and t[200000] == i and 0 or 1)
  end
  for i = 1, 10 do
    for _, k in ipairs({ 1, 100000, 200000 }) do
      wrong = wrong + (kept[i][k] == i and 0 or 1)
    end
  end
  print(status[0], count, wrong, large[1], large[100000])
]]

local UNHARMED = "0\t60\t0\t7\t7\n"

local function run(child)
  local result = support.run(HOST:format(child))
  assert.equal("", result.err)
  return result.out
end

describe("a worker's forked child", function()
  local neap = require("neap")

  before_each(support.remember)
  after_each(support.check_leaks)

  it("makes tensors of its own", function()
    local function work(i)
      local libc, make = require("ffi"), require("neap").tensor
      libc.cdef("int fork(void); int waitpid(int, int *, int);"
        .. "void _exit(int);")
      local pid = libc.C.fork()
      if pid == 0 then
        for size = 1, 20 do
          make("f64", { size * size * 100 }, -1)
        end
        libc.C._exit(0)
      end
      local t = make("f64", { 100 }, i)
      libc.C.waitpid(pid, nil, 0)
      return t
    end
    local p = support.close_later(neap.range(20):map(work)
      :prefetch({ workers = 1 }))
    for i, t in p:each() do
      for k = 1, 100 do
        assert.equal(i, t[k])
      end
    end
  end)
end)

describe("a host's forked child", function()
  it("releases kept items without an effect on the host", function()
    assert.equal(UNHARMED, run("neap.release(kept)"))
    assert.equal(UNHARMED, run([[
      kept = nil
      for _ = 1, 3 do collectgarbage() end
    ]]))
  end)

  it("ends as other processes do", function()
    assert.equal(UNHARMED, run("os.exit(0, true)"))
    assert.equal(UNHARMED, run("p:close() os.exit(0, true)"))
  end)

  it("cannot read what its parent prefetches", function()
    local output = run([[
      for _, read in ipairs({
        function() return p[5] end,
        function() for _ in p:each() do end end,
        function() for _ in p:each({ on_error = "skip" }) do end end,
      }) do
        local ok, e = pcall(read)
        print(ok, e.kind, (tostring(e):gsub("^[^\n:]+:%d+: ", "")))
      end
    ]])
    local refused = "false\tclosed\tcannot %s: this process was forked off the "
      .. "one whose prefetch it is\nhelp: make a prefetch of its own in this "
      .. "process\n"
    assert.equal(refused:format("read") .. refused:format("seek"):rep(2)
      .. UNHARMED, output)
  end)

  it("reads its copies of kept items, and prefetches for itself", function()
    assert.equal("10\t7\t28\n" .. UNHARMED, run([[
      local sums = neap.range(4):map(function(i)
        return i * large[i * 1000]
      end):prefetch({ workers = 1 })
      print(kept[10][200000], sums[1], sums[4])
      sums:close()
    ]]))
  end)

  it("makes large tensors of its own", function()
    assert.equal(UNHARMED, run([[
      large = nil
      collectgarbage()
      collectgarbage()
      for k = 1, 20 do
        assert(neap.tensor("f64", { 100000 }, -k)[100000] == -k)
      end
    ]]))
  end)
end)
