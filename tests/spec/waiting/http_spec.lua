-- SPDX-License-Identifier: MIT
--- HTTP requests: answers, connections that are kept, redirects, TLS, proxies,
-- time, retries, limits of bytes, ranges, and servers that misbehave.

local cqueues = require("cqueues")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")
local start = dofile("tests/spec/http_server.lua")

local get, request = neap.http.get, neap.http.request

local folder, server

local function body(path, options)
  return (get(server.url .. path, options))
end

-- Why a request fails, without the place and with HOST for the server's name.
local function why(path, options)
  local text = support.message(get, server.url .. path, options)
  return text and (text:gsub("127%.0%.0%.1:%d+", "HOST"))
end

local function counts()
  local text = body("/count")
  local connections, requests = text:match("^(%d+) (%d+)")
  return tonumber(connections), tonumber(requests)
end

-- Calls f(1) to f(n), each in a coroutine of one controller.
local function together(n, f)
  local queue, results = cqueues.new(), {}
  for k = 1, n do
    queue:wrap(function()
      results[k] = { pcall(f, k) }
    end)
  end
  assert(queue:loop())
  queue:close()
  return results
end

-- Seconds that f takes.
local function seconds(f, ...)
  local before = cqueues.monotime()
  f(...)
  return cqueues.monotime() - before
end

local function close_all()
  require("neap.waiting.http_connection").close_idle()
  require("neap.waiting.loop").close()
end

describe("neap.http", function()
  setup(function()
    folder = support.folder()
    server = start(folder, support.NEAP)
    get(server.url .. "/ok") -- loads lua-http
    close_all()
  end)
  teardown(function()
    server.close()
    os.execute("rm -r " .. folder)
  end)
  before_each(support.remember)
  after_each(function()
    close_all()
    support.check_leaks()
  end)

  it("gets a body, and what came with it", function()
    local text, answer = get(server.url .. "/ok")
    assert.equal("hello", text)
    assert.equal(200, answer.status)
    assert.equal("5", answer.headers["content-length"])
    assert.equal(server.url .. "/ok", answer.url)
    assert.equal("hello", answer.body)
  end)

  it("reads bodies of any framing", function()
    assert.equal("hello, world", body("/chunks"))
    assert.equal("until the end", body("/no_length"))
    assert.equal("old", body("/old"))
    assert.equal("after hints", body("/early"))
    assert.equal("xxx", body("/drip"))
    assert.equal(10 ^ 6, #body("/size/1000000"))
    assert.equal("", body("/size/0"))
  end)

  it("sends methods, headers and bodies", function()
    local answer = request({
      url = server.url .. "/echo?a=1", method = "PUT", body = "text\0more",
      headers = { ["X-One"] = "1", accept = "a/b" },
    })
    assert.equal(200, answer.status)
    assert.truthy(answer.body:find("^PUT /echo%?a=1\n"))
    assert.truthy(answer.body:find("\nx%-one: 1\n"))
    assert.truthy(answer.body:find("\naccept: a/b\n"))
    assert.truthy(answer.body:find("\nuser%-agent: neap/"))
    assert.truthy(answer.body:find("\ntext%zmore$"))
    assert.equal("", request({ url = server.url .. "/ok",
      method = "HEAD" }).body)
    assert.truthy(body("/echo", { headers = { ["user-agent"] = "me" } })
      :find("user-agent: me", 1, true))
  end)

  it("returns an answer of any status, and get raises it", function()
    local answer = request({ url = server.url .. "/status/404_Not_Found" })
    assert.equal(404, answer.status)
    assert.equal("because of it", answer.body)
    assert.equal("cannot get http://HOST/status/404_Not_Found: status 404 "
      .. "Not Found: because of it", why("/status/404_Not_Found"))
  end)

  it("works as the function of a map, here and in workers", function()
    local url = server.url
    local urls = neap.map(function(n)
      return url .. "/size/" .. n
    end, neap.range(20))
    local p = support.close_later(urls:map(get):prefetch({ workers = 2 }))
    for i, text in p:each() do
      assert.equal(i, #text)
    end
    assert.equal(7, #urls:map(get)[7])
  end)

  describe("connections", function()
    it("are kept for the next requests", function()
      local before = counts()
      for _ = 1, 10 do
        body("/ok")
      end
      assert.equal(before, (counts()))
    end)

    it("are as many as requests at once", function()
      close_all()
      local before = counts()
      for _ = 1, 3 do
        for _, result in ipairs(together(20, function()
          return body("/delay/50")
        end)) do
          assert.same({ true, "late" }, result)
        end
      end
      assert.equal(before + 19, (counts()))
    end)

    it("that the server closed are not used again", function()
      for _ = 1, 5 do
        assert.equal("bye", body("/stale"))
        neap.sleep(0.01)
      end
      assert.equal("hello", body("/ok", { retries = 0 }))
    end)

    it("that the server closes when they are used again are replaced",
      function()
        for _ = 1, 5 do
          assert.equal("first", body("/once", { retries = 0 }))
        end
      end)

    it("are not kept after bytes that nobody asked for", function()
      assert.equal("abc", body("/more"))
      assert.equal("hello", body("/ok", { retries = 0 }))
    end)

    it("are closed when what waits raises", function()
      local p = support.close_later(neap.map(get, { server.url .. "/hang" })
        :prefetch({ workers = 0, concurrency = 2, timeout = 0.1 }))
      local e = support.raised(function()
        return p[1]
      end)
      assert.truthy(e.message:find("took longer than timeout = 0.1"), e.message)
      assert.truthy(support.await(2, function()
        return body("/count"):match("%d+$") == "1"
      end))
    end)
  end)

  describe("redirects", function()
    it("are followed", function()
      local _, answer = get(server.url .. "/to/%2Fok")
      assert.equal(server.url .. "/ok", answer.url)
      assert.equal("hello", body("/to/http:%2F%2F127.0.0.1:" .. server.port
        .. "%2Fok"))
      assert.equal("hello", body("/to/%2F%2F127.0.0.1:" .. server.port
        .. "%2Fok"))
    end)

    it("make a POST a GET, or keep it, by their status", function()
      assert.truthy(request({ url = server.url .. "/see/a", method = "POST",
        body = "x" }).body:find("^GET /echo%?x=1\n"))
      assert.truthy(request({ url = server.url .. "/keep", method = "POST",
        body = "x" }).body:find("^POST /echo\n.*\nx$"))
    end)

    it("to another site do not get what is secret", function()
      local where = "/to/http:%2F%2Flocalhost:" .. server.port .. "%2Fecho"
      local options = { headers = { authorization = "secret", other = "1" } }
      local there = body(where, options)
      assert.falsy(there:find("secret", 1, true))
      assert.truthy(there:find("other: 1", 1, true))
      assert.truthy(body("/to/%2Fecho", options):find("secret", 1, true))
    end)

    it("have a limit", function()
      assert.equal("cannot get http://HOST/loop/1: it redirects more than 10 "
        .. "times, the last time to http://HOST/loop/12", why("/loop/1"))
      assert.truthy(why("/loop/1", { redirects = 2 }):find("more than 2 times"))
      assert.equal(302, request({ url = server.url .. "/loop/1",
        redirects = 0 }).status)
      assert.truthy(why("/to/ftp:%2F%2Fx"):find('"ftp://x" is no URL'))
    end)
  end)

  describe("TLS", function()
    local function secure(options, host)
      return support.message(get, server.tls_url:gsub("localhost",
        host or "localhost") .. "/ok", options)
    end

    it("verifies certificates", function()
      local text = secure()
      assert.truthy(text:find("the certificate of localhost:%d+ is not valid: "
        .. "self%-signed certificate\nhelp: to trust"))
      assert.is_nil(secure({ ca = server.ca }))
      assert.is_nil(secure({ verify = false }))
      assert.truthy(secure({ ca = server.ca }, "127.0.0.1")
        :find("is not valid: IP address mismatch", 1, true))
      assert.truthy(secure({ ca = "/nowhere" })
        :find("cannot read certificates of /nowhere: ", 1, true))
    end)

    it("keeps connections, each for its way of verifying", function()
      local url = server.tls_url .. "/count"
      local function count(options)
        return tonumber(get(url, options):match("%d+"))
      end
      local before = count({ ca = server.ca })
      assert.equal(before, count({ ca = server.ca }))
      assert.equal(before + 1, count({ verify = false }))
      assert.truthy(secure():find("not valid"))
    end)

    it("that never begins is limited by the time", function()
      local s = require("cqueues.socket").listen("127.0.0.1", 0)
      assert(s:listen()) -- and nobody accepts
      local _, _, port = s:localname()
      local took = seconds(function()
        local text = support.message(get, "https://127.0.0.1:" .. port .. "/",
          { timeout = 0.3, retries = 0 })
        assert.truthy(text:find("no TLS connection to 127%.0%.0%.1:%d+ within "
          .. "0%.[23]%d* s$"), text)
      end)
      s:close()
      assert.truthy(took < 10)
    end)

    it("is not spoken by everyone", function()
      local text = support.message(get, server.url:gsub("http:", "https:"),
        { retries = 0, timeout = 2 })
      assert.truthy(text:find("cannot begin TLS with 127.0.0.1", 1, true))
    end)
  end)

  describe("proxies", function()
    it("are used for http and https", function()
      assert.equal("through a proxy: http://a.invalid/b?c", (get(
        "http://a.invalid/b?c", { proxy = server.url })))
      local proxy = server.url:gsub("//", "//u:p@")
      assert.equal("hello", (get(server.tls_url .. "/ok",
        { proxy = proxy, ca = server.ca })))
    end)

    it("come from the environment", function()
      local result = support.run(([[
        local neap = require("neap")
        print((neap.http.get("http://a.invalid/b")))
        print((neap.http.get("%s/ok")))
      ]]):format(server.url), { env = "no_proxy=127.0.0.1 http_proxy="
        .. server.url })
      assert.equal("through a proxy: http://a.invalid/b\nhello\n", result.out)
    end)

    it("tell why they do not connect", function()
      local text = support.message(get, server.tls_url .. "/ok",
        { proxy = server.url, ca = server.ca })
      assert.truthy(text:find("the proxy 127.0.0.1:%d+ does not connect to "
        .. "localhost:%d+: status 407"))
      assert.equal("cannot get http://a.invalid/: cannot use the proxy "
        .. "socks5://h: only proxies of http:// can be used\nhelp: proxy = "
        .. "false does without one", support.message(get, "http://a.invalid",
        { proxy = "socks5://u:p@h" }))
    end)
  end)

  describe("time", function()
    it("of a request is limited, whatever the server does", function()
      for path, text in pairs({
        hang = "timeout after 0.3 s, before it answered",
        slow = "timeout after 0.3 s, after %d+ of 1000 bytes of the answer",
        stall = "timeout after 0.3 s, after 10 of 100 bytes of the answer",
        continues = "timeout after 0.3 s, before it answered",
      }) do
        local took = seconds(function()
          local said = why("/" .. path, { timeout = 0.3 })
          assert.truthy(said:find("^cannot get http://HOST/" .. path .. ": "
            .. text .. "$"), said)
        end)
        assert.truthy(took > 0.25 and took < 10, path .. " took " .. took)
      end
    end)

    it("without a byte is limited, and then it is tried again", function()
      assert.equal("try 2", body("/stuck/1/k", { idle_timeout = 0.2 }))
      assert.truthy(why("/stall", { idle_timeout = 0.1, retries = 1 })
        :find("HOST sent nothing for 0.1 s, after 10 of 100 bytes of the "
        .. "answer %(2 tries in 0.%d+ s%)$"))
    end)

    it("of connecting is limited", function()
      -- (Nothing answers there: TEST-NET-1.)
      local text = support.message(get, "http://192.0.2.1/", {
        connect_timeout = 0.1, retries = 0, proxy = false })
      assert.truthy(text:find("cannot connect to 192.0.2.1", 1, true), text)
    end)

    it("of a neighbour does not matter", function()
      local results
      local took = seconds(function()
        results = together(11, function(k)
          return body(k == 1 and "/hang" or "/delay/100", { timeout = 0.5 })
        end)
      end)
      assert.is_false(results[1][1])
      for k = 2, 11 do
        assert.same({ true, "late" }, results[k])
      end
      assert.truthy(took < 10)
    end)
  end)

  describe("retries", function()
    it("follow connections that fail, and busy servers", function()
      assert.equal("try 3", body("/flaky/2/a"))
      assert.equal("try 3", body("/drop/2/b"))
    end)

    it("wait for as long as the server asks", function()
      local took = seconds(function()
        assert.equal("try 2", body("/retry_after/1/c"))
      end)
      assert.truthy(took >= 0.99 and took < 10)
      took = seconds(function()
        assert.equal("try 2", body("/retry_date/1/d"))
      end)
      assert.truthy(took >= 0.5 and took < 10)
      assert.equal("cannot get http://HOST/later: status 429 Too Many Requests,"
        .. " and asks to wait 3600 s", why("/later"))
    end)

    it("have a number, and errors tell it", function()
      local text = why("/flaky/9/e")
      assert.truthy(text:find("status 503 Service Unavailable: busy %(4 tries "
        .. "in [%d.]+ s%)$"), text)
      assert.truthy(why("/flaky/9/f", { retries = 0 }):find("busy$"))
      assert.equal(503, request({ url = server.url .. "/flaky/9/g",
        retries = 1 }).status)
    end)

    it("are not for what may have been done", function()
      local url = server.url .. "/drop/1/h"
      assert.truthy(support.message(request, { url = url, method = "POST",
        body = "x" }):find("^cannot POST .* closed the connection before it "
        .. "answered$"))
      assert.equal("try 2", request({ url = url, method = "POST", body = "x",
        retries = 1 }).body)
    end)
  end)

  it("limits the bytes of an answer", function()
    local help = "\nhelp: ask for more with max_bytes = n, or for a part of it "
      .. "with offset and bytes"
    assert.equal("cannot get http://HOST/size/1001: the answer has 1001 bytes, "
      .. "and max_bytes is 1000" .. help,
      why("/size/1001", { max_bytes = 1000 }))
    assert.equal(1000, #body("/size/1000", { max_bytes = 1000 }))
    for _, path in ipairs({ "much", "long_chunk" }) do
      assert.equal(("cannot get http://HOST/%s: the answer has more bytes, and "
        .. "max_bytes is 100000"):format(path) .. help,
        why("/" .. path, { max_bytes = 100000 }))
    end
    assert.truthy(why("/huge"):find("has 100000000000 bytes", 1, true))
  end)

  it("gets ranges", function()
    assert.equal("\10\11\12", body("/range", { offset = 10, bytes = 3 }))
    assert.equal("\10\11\12", body("/no_range", { offset = 10, bytes = 3 }))
    assert.equal(990, #body("/range", { offset = 10 }))
    assert.equal("\0\1", body("/range", { bytes = 2 }))
    assert.truthy(why("/range", { offset = 990, bytes = 20 })
      :find("the answer has 10 of the 20 bytes from offset 990$"))
    assert.truthy(why("/no_range", { offset = 990, bytes = 20 })
      :find("the answer has 10 of the 20 bytes from offset 990$"))
    assert.truthy(why("/range", { offset = 1000 }):find("status 416"))
    assert.truthy(why("/other_range", { offset = 1, bytes = 3 })
      :find("sends another range", 1, true))
  end)

  describe("a server that breaks the protocol", function()
    for path, text in pairs({
      garbage = 'its answer begins with "this is no HTTP"',
      nul = "its answer begins with",
      length = 'its content-length is "-5"',
      lengths = 'its content-length is "5, 6"',
      text_length = 'its content-length is "five"',
      chunk = "a chunk has no valid size",
      encoding = 'its transfer-encoding is "foo"',
      gzip = 'its transfer-encoding is "gzip, chunked"',
      header = 'it sends a header "no colon here"',
      headers = "its answer has no end of its headers",
      line = "its answer has no end of its headers",
      status = 'its answer begins with "HTTP/1.1 99999 OK"',
      switch = "it switches to another one",
    }) do
      it("is told of: " .. path, function()
        local said = why("/broken/" .. path)
        assert.truthy(said:find("the server breaks the protocol: " .. text, 1,
          true), said)
      end)
    end

    it("is told of: connections that end early", function()
      for path, text in pairs({
        ["broken/nothing"] = "before it answered",
        ["broken/chunk_end"] = "after 5 bytes of the answer",
        cut = "after 10 of 100 bytes of the answer",
        cut_chunk = "after 6 bytes of the answer",
        reset = "before it answered (Connection reset by peer)",
        reset_body = "after 10 of 100 bytes of the answer (Connection reset by "
          .. "peer)",
      }) do
        assert.equal(("cannot get http://HOST/%s: HOST closed the connection "
          .. "%s"):format(path, text), why("/" .. path, { retries = 0 }))
      end
    end)
  end)

  it("tells who cannot be reached", function()
    local text = support.message(get, "http://127.0.0.1:1/", { retries = 0 })
    assert.equal("cannot get http://127.0.0.1:1/: cannot connect to "
      .. "127.0.0.1:1: Connection refused", text)
    -- a machine may have no server of names, or one that does not answer
    assert.truthy(support.message(get, "http://name.invalid/", {
      retries = 0, timeout = 5,
    }):find("^cannot get http://name.invalid/: "))
  end)

  it("refuses what is no request", function()
    local function message(...)
      return support.message(get, ...)
    end
    assert.equal('cannot request "a/b": it does not begin with http:// or '
      .. "https://", message("a/b"))
    assert.equal('cannot request "http://u v": it has no valid host and port',
      message("http://u v"))
    assert.equal('cannot request "http://h:99999": it has no valid host and '
      .. "port", message("http://me:secret@h:99999"))
    assert.truthy(message("http://a", { retry = 1 })
      :find("unknown option 'retry'", 1, true))
    assert.truthy(message("http://a", { timeout = 0 })
      :find("option 'timeout': number above 0 expected", 1, true))
    assert.truthy(message("http://a", { headers = { a = "b\r\nc: d" } })
      :find("is no header", 1, true))
    assert.truthy(message("http://a", { headers = { Range = "bytes=1-" } })
      :find("neap sets 'range')\nhelp: give offset and bytes", 1, true))
    assert.truthy(support.message(request, {}):find("option 'url' expected"))
    assert.truthy(support.message(request, "http://a")
      :find("help: write neap.http.request({ url = url, ", 1, true))
    assert.truthy(support.message(neap.http.get, neap.http)
      :find("help: write neap.http.get(...), with a dot", 1, true))
    assert.truthy(support.message(function()
      return neap.http.post
    end):find("neap.http has no function 'post'\nhelp: neap.http.request({ url "
      .. "= url, method = 'POST' }) sends it", 1, true))
    assert.truthy(support.message(request, { url = "http://a", method = "get" })
      :find("method in capital letters expected", 1, true))
  end)

  it("says which package is missing", function()
    local result = support.run([[
      package.preload["http.client"] = function()
        error("no such module", 0)
      end
      local ok, why = pcall(require("neap").http.get, "http://127.0.0.1:1/")
      print(why)
    ]])
    assert.truthy(result.out:find("cannot send HTTP requests: cannot load "
      .. "module 'http.client': no such module\nhelp: install Debian's "
      .. "package: apt-get install lua-http\n", 1, true), result.out)
  end)

  it("loads nothing before it is used", function()
    local result = support.run([[
      require("neap").sleep(0)
      for name in pairs(package.loaded) do
        assert(not name:find("cqueues") and not name:find("^http"), name)
      end
    ]])
    assert.same("", result.err)
  end)

  it("leaves nothing behind over many requests, good and bad", function()
    local paths = { "/ok", "/cut", "/chunks", "/broken/garbage", "/once",
      "/reset", "/status/404_Not_Found" }
    local function round()
      together(50, function(k)
        return body(paths[k % #paths + 1], { retries = 0 })
      end)
      close_all()
      collectgarbage()
      collectgarbage()
    end
    round()
    local before = collectgarbage("count")
    for _ = 1, 20 do
      round()
    end
    assert.truthy(collectgarbage("count") < before + 100)
  end)
end)
