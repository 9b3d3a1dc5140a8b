-- SPDX-License-Identifier: MIT
--- What URLs lead to: items, parts, and the folder that keeps them.

local cqueues = require("cqueues")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")
local start = dofile("tests/spec/http_server.lua")

local folder, server, kept

local function set_version(n)
  support.write(folder .. "/version", n .. "\n")
end

-- How often the server was asked for a page, and said that it is the same.
local function asked()
  return tonumber((neap.http.get(server.url .. "/asked/page"))),
    tonumber((neap.http.get(server.url .. "/asked/same")))
end

local function pages(n)
  local list = {}
  for k = 1, n do
    list[k] = server.url .. "/page/" .. k
  end
  return list
end

local function files_in(path)
  local list = {}
  for name in support.shell("ls -A " .. path):gmatch("%S+") do
    list[#list + 1] = name
  end
  return list
end

local function nbytes_of(path)
  return tonumber(support.shell("cat " .. path .. "/* | wc -c"):match("%d+"))
end

describe("neap.url", function()
  setup(function()
    folder = support.folder()
    server = start(folder, support.NEAP)
    neap.http.get(server.url .. "/ok")
    require("neap.waiting.http_connection").close_idle()
    require("neap.waiting.loop").close()
  end)
  teardown(function()
    server.close()
    os.execute("rm -r " .. folder)
  end)
  before_each(function()
    support.remember()
    set_version(1)
    kept = folder .. "/kept"
  end)
  after_each(function()
    os.execute("rm -rf " .. kept)
    require("neap.waiting.http_connection").close_idle()
    require("neap.waiting.loop").close()
    support.check_leaks()
  end)

  it("returns what URLs lead to", function()
    local s = neap.url({ server.url .. "/ok", server.url .. "/size/3",
      { url = server.url .. "/range", offset = 5, bytes = 2 },
      { url = server.url .. "/range", bytes = 2 } })
    assert.same({ "hello", "xxx", "\5\6", "\0\1" }, s:totable())
    assert.equal("url(from(table)): 4 items", tostring(s))
    local lines = support.write(folder .. "/urls", server.url .. "/ok\n"
      .. server.url .. "/size/2\n")
    local p = support.close_later(neap.url(neap.lines(lines))
      :prefetch({ workers = 2 }))
    assert.same({ "hello", "xx" }, p:totable())
  end)

  it("gives its options to each request", function()
    local s = neap.url({ server.url .. "/echo" }, {
      headers = { authorization = "x" }, timeout = 5,
    })
    assert.truthy(s[1]:find("\nauthorization: x\n"))
  end)

  it("makes what cannot be had an error of the item", function()
    local s = neap.url({ server.url .. "/status/404_Not_Found", "a",
      { url = server.url .. "/range", offset = -1 }, server.url .. "/ok" },
      { retries = 0 })
    local items, errors = {}, {}
    for i, x in s:each({ on_error = "skip" }) do
      items[i] = x
    end
    for k, e in ipairs(s:skipped()) do
      errors[k] = e.message:gsub("^[^\n:]+:%d+: ", "")
        :gsub("127%.0%.0%.1:%d+", "HOST")
    end
    assert.same({ [4] = "hello" }, items)
    assert.same({
      "cannot get http://HOST/status/404_Not_Found: status 404 Not Found: "
        .. "because of it",
      'cannot request "a": it does not begin with http:// or https://',
      "cannot get an item: a URL expected, got table",
    }, errors)
  end)

  describe("with a cache", function()
    it("asks whether what it keeps has changed", function()
      local s = neap.url(pages(3), { cache = kept })
      local before, same = asked()
      local first = s:totable()
      assert.equal('page /page/2 of version "1"', first[2])
      assert.same(first, s:totable())
      local now, now_same = asked()
      assert.equal(before + 6, now)
      assert.equal(same + 3, now_same)
      set_version(2)
      assert.equal('page /page/2 of version "2"', s[2])
      assert.equal('page /page/2 of version "2"', s[2])
      assert.equal(3, #files_in(kept))
    end)

    it("does not ask for max_age seconds", function()
      local s = neap.url(pages(3), { cache = kept, max_age = math.huge })
      local first = s:totable()
      set_version(2)
      local before = asked()
      assert.same(first, s:totable())
      assert.same(first, neap.url(pages(3), { cache = kept, max_age = 100 })
        :totable())
      assert.equal(before, (asked()))
      assert.equal('page /page/1 of version "2"',
        neap.url(pages(3), { cache = kept })[1])
    end)

    it("keeps parts apart", function()
      local url = server.url .. "/range"
      local s = neap.url({ url, { url = url, offset = 3, bytes = 1 },
        { url = url, offset = 3 } }, { cache = kept, max_age = 100 })
      for _ = 1, 2 do
        assert.equal(1000, #s[1])
        assert.equal("\3", s[2])
        assert.equal(997, #s[3])
      end
    end)

    it("keeps so many bytes, and lets go what was used longest ago",
      function()
        local list = {}
        for k = 1, 20 do
          list[k] = ("%s/size/%d"):format(server.url, 1000 + k)
        end
        local s = neap.url(list, { cache = kept, max_age = 100,
          cache_bytes = 6000 })
        local _ = s[1]
        for k = 2, 20 do
          neap.sleep(0.005)
          assert.equal(1000 + k, #s[k])
          assert.equal(1001, #s[1])
        end
        assert.truthy(nbytes_of(kept) <= 6000)
        assert.truthy(#files_in(kept) >= 4)
        local before = select(2, neap.http.get(server.url .. "/count"))
        assert.truthy(before)
        local function requests()
          return tonumber((neap.http.get(server.url .. "/count"))
            :match("^%d+ (%d+)"))
        end
        local count = requests()
        assert.equal(1001, #s[1])
        assert.equal(1020, #s[20])
        assert.equal(count + 1, requests())
        assert.equal(1002, #s[2])
        assert.equal(count + 3, requests())
      end)

    it("does not believe a damaged file", function()
      local s = neap.url(pages(1), { cache = kept, max_age = 100 })
      local first = s[1]
      local path = kept .. "/" .. files_in(kept)[1]
      local text = support.read(path)
      for _, damaged in ipairs({ "", text:sub(1, -2), text .. "x",
        text:sub(1, 40), ("\0"):rep(#text),
        (text:gsub("page /", "page :")) }) do
        support.write(path, damaged)
        assert.equal(first, s[1])
        assert.equal(text, support.read(path))
      end
    end)

    it("is safe with many workers", function()
      local list = {}
      for k = 1, 200 do
        list[k] = ("%s/size/%d"):format(server.url, 100 + k % 10)
      end
      local s = neap.url(list, { cache = kept, max_age = 100,
        cache_bytes = 900 })
      local p = support.close_later(s:prefetch({ workers = 4, chunk = 1 }))
      for i, x in p:each() do
        assert.equal(100 + i % 10, #x)
      end
      for _, name in ipairs(files_in(kept)) do
        assert.falsy(name:find("partial"))
      end
    end)

    it("lets go what a process that was killed left", function()
      local partial = ("0"):rep(32) .. ".neap.partial-1-1"
      support.shell("mkdir " .. kept)
      support.write(kept .. "/" .. partial, ("x"):rep(5000))
      support.shell("touch -d 2000-01-01 " .. kept .. "/" .. partial)
      local s = neap.url(pages(1), { cache = kept, cache_bytes = 1000 })
      assert.truthy(s[1])
      assert.equal(1, #files_in(kept))
      assert.falsy(files_in(kept)[1]:find("partial"))
    end)

    it("works in coroutines", function()
      local s = neap.url(pages(10), { cache = kept, max_age = 100 })
      local queue, items = cqueues.new(), {}
      for k = 1, 20 do
        queue:wrap(function()
          items[k] = s[(k - 1) % 10 + 1]
        end)
      end
      assert(queue:loop(10))
      queue:close()
      for k = 1, 20 do
        assert.equal(("page /page/%d of version \"1\""):format(
          (k - 1) % 10 + 1), items[k])
      end
    end)

    it("tells what cannot be kept", function()
      assert.truthy(support.message(neap.url, {}, { cache = "/proc/none" })
        :find("cannot make the folder /proc/none: ", 1, true))
      assert.truthy(support.message(neap.url, {}, { cache = folder .. "/err" })
        :find("/err: it is no folder", 1, true))
      local s = neap.url(pages(1), { cache = kept })
      support.shell("rmdir " .. kept)
      assert.truthy(support.message(function()
        return s[1]
      end):find("cannot keep a body in ", 1, true))
    end)
  end)

  it("refuses what is no list or option", function()
    assert.truthy(support.message(neap.url, "http://a")
      :find("sequence expected", 1, true))
    assert.truthy(support.message(neap.url, {}, { max_age = -1 })
      :find("option 'max_age': number, 0 or more, expected", 1, true))
    assert.truthy(support.message(neap.url, {}, { offset = 1 })
      :find("unknown option 'offset'", 1, true))
  end)
end)
