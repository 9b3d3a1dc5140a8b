-- SPDX-License-Identifier: MIT
--- A prefetch under small limits on descriptors, memory, processes and file
-- sizes: under each it works, or the error says why not.
--
-- A process of its own sets each limit and prints a line: "all", or the error's
-- message, and what was left behind.

local support = dofile("tests/spec/support.lua")

local SCRIPT = [=[
local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

ffi.cdef([[
  struct limit { unsigned long now, most; };
  int setrlimit(int which, const struct limit *limit);
  int getrlimit(int which, struct limit *limit);
  int setuid(unsigned int user);
  unsigned int getuid(void);
  int prctl(int option, unsigned long a, ...);
]])

local function square(i)
  return i * i
end

local function read_all(workers)
  local p = neap.prefetch(neap.range(20):map(square), {
    workers = workers or 2, buffered = 4, slot_bytes = 2 ^ 20,
  })
  local message = support.message(function()
    local count = 0
    for i, x in p:each() do
      assert(x == i * i)
      count = count + 1
    end
    assert(count == 20)
  end)
  p:close()
  return message or "all"
end

local function within(which, now, workers)
  local limit = ffi.new("struct limit")
  ffi.C.getrlimit(which, limit)
  local most = limit.most
  limit.now = now
  assert(ffi.C.setrlimit(which, limit) == 0)
  local result = read_all(workers)
  limit.now = most
  assert(ffi.C.setrlimit(which, limit) == 0)
  local leaks = table.concat(support.leaks(), ", ")
  return result:gsub("\n", " ") .. (leaks == "" and "" or " LEFT " .. leaks)
end

-- Bytes of address space that are in use.
local function mapped_bytes()
  local file = io.open("/proc/self/status")
  local kib = file:read("*a"):match("VmSize:%s+(%d+)")
  file:close()
  return tonumber(kib) * 1024
end

read_all() -- loads all modules
support.remember()
]=]

-- The lines of a script that goes on from there.
local function lines_of(script)
  local result = support.run(SCRIPT .. script, { limit = 60 })
  assert.equal("", result.err)
  assert.equal(0, result.status)
  local lines = {}
  for line in result.out:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  return lines
end

-- Of all limits, from too little to enough.
local function check(lines)
  for k, line in ipairs(lines) do
    assert.equal(nil, line:match("LEFT .*"))
    if line ~= "all" and line ~= "not enough memory" then
      assert.equal(k .. ": cannot ", k .. ": " .. line:sub(1, 7))
    end
  end
  assert.not_equal("all", lines[1])
  assert.equal("all", lines[#lines])
end

describe("a prefetch says what it is short of", function()
  it("with few descriptors", function()
    local lines = lines_of([[
      for n = 3, 40 do
        print(within(7, n))
      end
    ]])
    check(lines)
    assert.equal(nil, table.concat(lines):match("[^:]*slot_bytes"))
  end)

  it("with few descriptors for many workers", function()
    check(lines_of([[
      for n = 15, 90, 5 do
        print(within(7, n, 16))
      end
    ]]))
  end)

  it("with little address space", function()
    if support.is_asan then
      return
    end
    check(lines_of([[
      for mib = 1, 120 do
        collectgarbage()
        print(within(9, mapped_bytes() + mib * 2 ^ 20))
      end
    ]]))
  end)

  it("with few processes", function()
    local lines = lines_of([[
      if ffi.C.getuid() == 0 then -- root has no limit
        ffi.C.setuid(65534)
        ffi.C.prctl(4, 1) -- dumpable: /proc/self stays readable
      end
      print(read_all())
      for n = 1, 20 do
        print(within(6, n))
      end
      print(within(6, 10000))
    ]])
    if table.remove(lines, 1) ~= "all" then
      pending("the user nobody cannot read this folder")
    else
      check(lines)
    end
  end)

  it("with no large files", function()
    check(lines_of([[
      for n = 10, 40 do
        print(within(1, 2 ^ n))
      end
    ]]))
  end)
end)
