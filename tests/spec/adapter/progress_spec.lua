-- SPDX-License-Identifier: MIT
--- neap.progress: a sequence like its source, and what a terminal shows.

local ffi = require("ffi")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local NEAP = support.QUOTED_NEAP

ffi.cdef([[
  int posix_openpt(int flags);
  int grantpt(int fd);
  int unlockpt(int fd);
  char *ptsname(int fd);
  int ioctl(int fd, unsigned long request, ...);
  int open(const char *path, int flags, ...);
  int close(int fd);
  long read(int fd, void *into, size_t nbytes);
  int neap_test_size(int fd, unsigned long request,
    const unsigned short *size) __asm__("ioctl");
]])

local TERMINAL = 0x902 -- O_RDWR | O_NOCTTY | O_NONBLOCK
local TIOCSWINSZ = 0x5414

local function read_all(fd)
  local into, said = ffi.new("char[4096]"), {}
  local n = ffi.C.read(fd, into, 4096)
  while n > 0 do
    said[#said + 1] = ffi.string(into, n)
    n = ffi.C.read(fd, into, 4096)
  end
  return table.concat(said)
end

-- Stands for the clock: time goes by as the code says. Answers are counted.
local CLOCK = [[
  local now, looks = 0, 0
  package.loaded["neap.base.clock"] = function()
    looks = looks + 1
    return now
  end
  local neap = require("neap")
]]

-- Runs code with stderr on a terminal of that many columns; answers what the
-- terminal got, and what stdout did.
local function on_terminal(columns, code)
  local fd = ffi.C.posix_openpt(TERMINAL)
  assert(fd >= 0 and ffi.C.grantpt(fd) == 0 and ffi.C.unlockpt(fd) == 0)
  local path = ffi.string(ffi.C.ptsname(fd))
  local slave = ffi.C.open(path, TERMINAL)
  ffi.C.neap_test_size(fd, TIOCSWINSZ,
    ffi.new("unsigned short[4]", 24, columns, 0, 0))
  local pipe = io.popen(("%s -e '%s' 2>%s"):format(NEAP, CLOCK .. code, path))
  local printed = pipe:read("*a")
  pipe:close()
  local shown = read_all(fd)
  ffi.C.close(slave)
  ffi.C.close(fd)
  return shown, printed
end

-- The lines that were drawn, one over the other.
local function drawn(shown)
  local lines = {}
  for line in shown:gmatch("\r([^\r\n]+)") do
    lines[#lines + 1] = line
  end
  return lines
end

describe("neap.progress", function()
  it("has the items of its source", function()
    local s = neap.progress(neap.range(3), { label = "x" })
    assert.same({ 1, 2, 3 }, s:totable())
    assert.equal(3, #s)
    assert.equal(3, s[-1])
    assert.equal("progress(range(1, 3)): 3 items", tostring(s))
    assert.equal(math.huge, neap.progress(neap.from(math.abs)):len())
  end)

  it("passes assignments on", function()
    local list = { 1, 2 }
    neap.progress(list)[2] = 5
    assert.same({ 1, 5 }, list)
  end)

  it("passes epochs on", function()
    local s = neap.range(50):shuffle(3)
    assert.same(s:epoch(2):totable(), s:progress():epoch(2):totable())
  end)

  it("keeps the workers of a prefetch, over it and over its epochs",
    function()
      local p = neap.range(50):shuffle(3):prefetch({ workers = 1 })
      local expected = p:epoch(2):totable()
      local pid = p:stats().workers[1].pid
      local items = {}
      for i, x in p:progress():epoch(2):each() do
        items[i] = x
      end
      assert.same(expected, items)
      for i, x in p:epoch(2):progress():each() do
        assert.equal(expected[i], x)
      end
      assert.equal(pid, p:stats().workers[1].pid)
      p:close()
    end)

  it("skips what fails, as its source does", function()
    local p = neap.map(function(i)
      return i == 2 and error("two is bad") or i
    end, neap.range(3)):prefetch({ workers = 1 })
    local s, sum = p:progress(), 0
    for _, x in s:each({ on_error = "skip" }) do
      sum = sum + x
    end
    assert.equal(4, sum)
    assert.equal(2, s:skipped()[1].index)
    assert.same(s:skipped(), p:skipped()) -- the bar may have no name
    for _ in p:monitor():progress():each({ on_error = "skip" }) do end
    assert.not_equal(s:skipped(), p:skipped())
    assert.equal(2, p:skipped()[1].index)
    p:close()
  end)

  it("keeps tensors in totable()", function()
    local p = neap.map(function(i)
      return neap.tensor("u8", { 1 }, i)
    end, neap.range(3)):prefetch({ workers = 1 })
    local list = p:progress():totable()
    assert.equal(1, list[1][1])
    assert.equal(3, list[3][1])
    p:close()
  end)

  it("refuses options that it does not know", function()
    assert.error_matches(function()
      neap.progress(neap.range(3), { lable = "x" })
    end, "unknown option 'lable'; known are label")
    assert.error_matches(function()
      neap.range(3):progress({ label = 3 })
    end, "option 'label': string expected, got 3")
    assert.error_matches(function()
      neap.progress(3)
    end, "bad argument #1 to 'progress' %(sequence expected, got 3%)")
  end)

  it("is silent where stderr is no terminal", function()
    local pipe = io.popen(NEAP .. " -e 'local neap = require(\"neap\") "
      .. "for _ in neap.range(9):progress():each() do end print(1)' 2>&1")
    assert.equal("1\n", pipe:read("*a"))
    pipe:close()
  end)

  describe("on a terminal", function()
    it("shows a bar with label, percent, count, rate and times", function()
      local lines = drawn((on_terminal(60, [[
        for _ in neap.range(200):progress({ label = "name" }):each() do
          now = now + 0.5
        end
      ]])))
      assert.equal("name   0% [...............]   0/200  0.00/s, 0:00, "
        .. "-:-- left", lines[1])
      assert.equal("name  10% [#..............]  20/200  2.00/s, 0:10, "
        .. "1:30 left", lines[21])
      assert.equal("name 100% [###############] 200/200  2.00/s, 1:40, "
        .. "0:00 left", lines[#lines])
    end)

    it("shows hours, and large rates", function()
      local lines = drawn((on_terminal(60, [[
        for i in neap.range(2^18):progress():each() do now = now + 2^-20 end
      ]])))
      assert.truthy(lines[#lines]:find("1.0M/s, 0:00, 0:00 left$"))
      lines = drawn((on_terminal(60, [[
        for i in neap.range(3):progress():each() do now = now + 3601 end
      ]])))
      assert.truthy(lines[2]:find("1/3  0.00/s, 1:00:01, 2:00:02 left$"))
    end)

    it("ends the last line at the end of the loop", function()
      local shown = on_terminal(60,
        "for _ in neap.range(9):progress():each() do end")
      assert.truthy(shown:find("left\r\n$"))
    end)

    -- So that what follows a break or an error begins on the next line.
    it("fills each line, and no more", function()
      for _, columns in ipairs({ 1, 7, 38, 39, 41, 42, 45, 60, 200 }) do
        for _, code in ipairs({
          "for i in neap.range(9):progress():each() do break end",
          "for i in neap.range(9):progress{label = \"x\"}:each() do end",
          "for i in neap.from(math.abs):progress():each() do break end",
        }) do
          for _, line in ipairs(drawn((on_terminal(columns, code)))) do
            assert.equal(columns, #line)
          end
        end
      end
    end)

    it("counts the characters of a label, not its bytes", function()
      local lines = drawn((on_terminal(60,
        "for i in neap.range(9):progress{label = \"Üç\"}:each() do end")))
      assert.equal(60 + 2, #lines[#lines])
    end)

    it("draws ten times a second at most", function()
      local shown = on_terminal(60, [[
        for _ in neap.range(4000):progress():each() do now = now + 1e-3 end
      ]])
      local draws = #drawn(shown)
      assert.truthy(draws >= 20 and draws <= 42)
    end)

    it("looks at the clock once for many items, if they are quick", function()
      local shown = on_terminal(60, [[
        for _ in neap.range(1e5):progress():each() do now = now + 1e-7 end
        io.stderr:write(looks, " looks")
      ]])
      local looks = tonumber(shown:match("(%d+) looks"))
      assert.truthy(looks >= 1000 and looks <= 1100)
    end)

    it("looks again at each item soon after items became slow", function()
      local lines = drawn((on_terminal(60, [[
        for i in neap.range(10000):progress():each() do
          now = now + (i <= 9900 and 1e-7 or 1)
        end
      ]])))
      assert.truthy(#lines >= 10)
    end)

    it("counts what an endless sequence gave", function()
      local shown, printed = on_terminal(40, [[
        for i in neap.from(math.abs):progress({ label = "name" }):each() do
          now = now + 0.125
          if i == 40 then break end
        end
        print("after")
      ]])
      local lines = drawn(shown)
      assert.equal("name 0  0.00/s, 0:00                    ", lines[1])
      assert.truthy(lines[#lines]:find("^name 39  8.00/s, 0:04 +$"))
      assert.equal("after\n", printed)
    end)

    it("starts where a prefetch was told to", function()
      local lines = drawn((on_terminal(60, [[
        local p = neap.range(100):prefetch({ workers = 1 })
        p:seek(51)
        for i in p:progress():each() do now = now + 0.5 end
        p:close()
      ]])))
      assert.truthy(lines[2]:find(
        "^ 51%% %[#+%.+%]  51/100  2.00/s, 0:00, 0:24 left$"))
      assert.truthy(lines[#lines]:find("2%.00/s, 0:25, 0:00 left$"))
    end)

    it("ends the line of an empty sequence", function()
      assert.truthy(on_terminal(60,
        "for _ in neap.range(0):progress():each() do end")
        :find("100%% %[#+%] 0/0  0%.00/s, 0:00, 0:00 left\r\n$"))
    end)
  end)
end)
