-- SPDX-License-Identifier: MIT
--- Errors of items, in place and through workers; statuses and kinds.

local ffi = require("ffi")
local errors = require("neap.base.errors")
local kinds = require("neap.base.kinds")
local lib = require("neap.base.lib")
local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local FILE = "tests/spec/base/errors_spec.lua"

local function fail_deep(x)
  local text = "deep " .. x
  error(text)
end
local FAIL_LINE = debug.getinfo(fail_deep, "S").linedefined + 2

-- Items 1 to 9; item 4 raises.
local MAP_LINE = debug.getinfo(1, "l").currentline + 2
local function with_bad_item()
  local s = neap.map(function(x)
    if x == 4 then
      fail_deep(x)
    end
    return x
  end, neap.range(9))
  return s
end

local function each_way(f)
  for _, workers in ipairs({ 0, 1, 2 }) do
    local p = with_bad_item():prefetch({ workers = workers, chunk = 3 })
    f(p, workers)
    p:close()
  end
end

describe("an error of an item", function()
  before_each(support.remember)
  after_each(function()
    neap.errors("wrap")
    support.check_leaks()
  end)

  it("has message, index, stage, worker and cause", function()
    each_way(function(p, workers)
      local e = support.raised(function() return p[4] end)
      local message = ("%s:%d: deep 4"):format(FILE, FAIL_LINE)
      assert.equal(message, e.message)
      assert.equal(message, e.cause)
      assert.equal(4, e.index)
      assert.equal(("map (%s:%d)"):format(FILE, MAP_LINE), e.stage)
      assert.equal("item", e.kind)
      if workers == 0 then
        assert.falsy(e.worker)
      else
        assert.truthy(e.worker >= 1 and e.worker <= workers)
      end
    end)
  end)

  it("has a traceback of the user's lines, and of no others", function()
    each_way(function(p)
      local e = support.raised(function() return p[4] end)
      assert.truthy(e.traceback:find("^stack traceback:\n\t"))
      assert.truthy(e.traceback:find(("%s:%d: in "):format(FILE, FAIL_LINE), 1,
        true), e.traceback)
      assert.truthy(e.traceback:find(("%s:%d: in "):format(FILE, MAP_LINE + 2),
        1, true), e.traceback)
      assert.is_nil(e.traceback:find("neap/", 1, true))
      assert.is_nil(e.traceback:find("=neap", 1, true))
      assert.is_nil(e.traceback:find("[C]", 1, true))
    end)
  end)

  it("prints what happened, to which item, where and in which worker",
    function()
      each_way(function(p, workers)
        local text = tostring(support.raised(function() return p[4] end))
        assert.truthy(text:find(("^%s:%d: deep 4\n  item 4 of map "
          .. "%%(%s:%d%%)\n"):format(FILE, FAIL_LINE, FILE, MAP_LINE)), text)
        assert.equal(workers > 0, text:find("\n  in worker %d\n") ~= nil)
        assert.truthy(text:find("\nstack traceback:\n", 1, true))
      end)
    end)

  it("is the same in a loop, by index, and in a table", function()
    each_way(function(p)
      local list = {}
      for _, f in ipairs({
        function() return p[4] end,
        function() return p:totable() end,
        function() for _ in p:each() do end end, -- luacheck: ignore
        function() return p[-6] end,
      }) do
        list[#list + 1] = support.raised(f)
      end
      assert.equal(4, #list)
      for _, e in ipairs(list) do
        assert.equal(list[1].message, e.message)
        assert.equal(4, e.index)
        assert.equal(list[1].stage, e.stage)
      end
    end)
  end)

  it("does not affect the other items of its run", function()
    each_way(function(p)
      local seen = {}
      for i, x in p:each({ on_error = "skip" }) do
        seen[#seen + 1] = i
        assert.equal(i, x)
      end
      assert.same({ 1, 2, 3, 5, 6, 7, 8, 9 }, seen)
      assert.equal(1, #p:skipped())
      assert.equal(4, p:skipped()[1].index)
      for _, i in ipairs({ 3, 5 }) do
        assert.equal(i, p[i])
      end
    end)
  end)

  it("lets the loop go on after a seek", function()
    each_way(function(p)
      local seen = {}
      local e = support.raised(function()
        for i in p:each() do
          seen[#seen + 1] = i
        end
      end)
      p:seek(e.index + 1)
      for i in p:each() do
        seen[#seen + 1] = i
      end
      assert.same({ 1, 2, 3, 5, 6, 7, 8, 9 }, seen)
    end)
  end)

  it("is in the record of its own loop only", function()
    each_way(function(p)
      for _ = 1, 2 do
        for _ in p:each({ on_error = "skip" }) do end -- luacheck: ignore
        assert.equal(1, #p:skipped())
      end
    end)
  end)

  it("carries a table as its cause", function()
    for _, workers in ipairs({ 0, 1 }) do
      local p = neap.range(2):map(function()
        error({ code = 7, list = { 1, "two" } })
      end):prefetch({ workers = workers })
      local e = support.raised(function() return p[1] end)
      assert.same({ code = 7, list = { 1, "two" } }, e.cause)
      assert.equal("error() was called with a table: see e.cause", e.message)
      p:close()
    end
  end)

  it("has the text of a cause that cannot travel", function()
    local p = neap.range(1):map(function()
      error(setmetatable({}, { __tostring = function() return "so it is" end }))
    end):prefetch({ workers = 1 })
    local e = support.raised(function() return p[1] end)
    assert.equal("so it is", e.message)
    assert.equal("so it is", e.cause)
    p:close()
  end)

  it("is made even where there is no cause, or a broken one", function()
    for _, workers in ipairs({ 0, 1 }) do
      for message, f in pairs({
        ["error() was called without a message"] = function() error() end,
        ["false"] = function() error(false) end,
        ["7"] = function() error(7, 0) end,
        ["(a table whose __tostring fails)"] = function()
          error(setmetatable({}, { __tostring = function() error("x") end }))
        end,
      }) do
        local p = neap.range(2):map(f):prefetch({ workers = workers })
        local e = support.raised(function() return p[2] end)
        assert.equal(message, e.message)
        assert.equal(2, e.index)
        assert.truthy(e.stage:find("^map "))
        p:close()
      end
    end
  end)

  it("is short even where the recursion was deep", function()
    local function recurse(n)
      return n == 0 and error("bottom") or 1 + recurse(n - 1)
    end
    for _, workers in ipairs({ 0, 1 }) do
      local p = neap.range(1):map(function() return recurse(2000) end)
        :prefetch({ workers = workers })
      local e = support.raised(function() return p[1] end)
      assert.truthy(e.message:find("bottom"))
      assert.truthy(#e.traceback < 3000)
      assert.truthy(e.traceback:find("\n\t...\n", 1, true))
      p:close()
    end
  end)

  it("has a message where __tostring returns no text", function()
    local function fail()
      error(setmetatable({}, { __tostring = function() return {} end }))
    end
    for _, workers in ipairs({ 0, 1 }) do
      local p = neap.range(2):map(fail):prefetch({ workers = workers })
      local e = support.raised(function() return p[1] end)
      assert.equal("(a table whose __tostring fails)", e.message)
      assert.truthy(tostring(e):find(e.message, 1, true))
      p:close()
    end
  end)

  it("is short where the stack overflows", function()
    local function recurse(x)
      return 1 + recurse(x)
    end
    for _, workers in ipairs({ 0, 1 }) do
      local p = neap.range(2):map(recurse):prefetch({ workers = workers })
      local e = support.raised(function() return p[1] end)
      assert.truthy(e.message:find("stack overflow", 1, true))
      assert.truthy(#tostring(e) < 3000)
      assert.equal(1, e.index)
      assert.truthy(e.stage:find(FILE, 1, true))
      p:close()
    end
    local s = neap.range(2):map(recurse)
    assert.equal(2, s:rescue(function(e) return e.index end)[2])
    support.items(s, { on_error = "skip" })
    assert.equal(2, s:skipped()[2].index)
  end)

  it("names the item that was read in compiled code too", function()
    local s = neap.range(5) .. neap.range(300):map(function(x)
      return x ~= 200 and x or error("no luck")
    end):retry(1)
    for _, p in ipairs({ s, s:prefetch({ workers = 1 }) }) do
      local e = support.raised(function() p:totable() end)
      assert.equal(200, e.index)
      assert.equal(205, e.outer_index)
    end
  end)

  it("names the item that was read where an iterator has ended", function()
    for workers = 0, 1 do
      local s = neap.from_iter(function() return ("abcde"):gmatch("%a") end,
        { size = 8 }):batch(2):prefetch({ workers = workers })
      local e = support.raised(function() return s[3] end)
      assert.same({ "end", 6, 3 }, { e.kind, e.index, e.outer_index })
      assert.equal("the size is too large: set { size = 5 }", e.help)
    end
    local e = support.raised(function()
      local s = neap.from_iter(("abc"):gmatch("%a"))
      return s[4]
    end)
    assert.same({ 4, nil }, { e.index, e.outer_index })
    assert.matches("{ size = 3 } tells it$", e.help)
  end)

  it("names the stages on both sides of workers", function()
    local function fail(x)
      return x ~= 3 and x or error("no luck")
    end
    local texts = {}
    for workers = 0, 1 do
      local s = neap.range(9):map(fail):prefetch({ workers = workers }):batch(2)
      local e = support.raised(function() return s[2] end)
      assert.equal(3, e.index)
      assert.equal(2, e.outer_index)
      texts[workers] = e.outer_stage
    end
    assert.truthy(texts[1]:find("^batch"))
    assert.equal(texts[0], texts[1])
  end)

  -- Each makes a chain whose item 2 fails in a stage of that name.
  local FAILING = {
    map = function(s, fail) return s:map(fail) end,
    starmap = function(s) return s:starmap(print) end,
    random_map = function(s, fail) return neap.random_map(fail, s) end,
    from = function(_, fail) return neap.from(fail, 3) end,
    rescue = function(s, fail) return s:map(fail):rescue(fail) end,
    debug = function(s, fail) return s:debug(fail) end,
    unbatch = function(s) return s:unbatch(1) end,
    batch = function(s, fail) return s:batch(3, { collate = fail }) end,
    ["batch, stacked"] = function(s)
      return s:map(function(x) return x == 5 and "x" or x end)
        :batch(3, { collate = neap.stack })
    end,
    from_iter = function(_, fail) return neap.from_iter(fail) end,
  }

  for name, make in pairs(FAILING) do
    it("names its own stage: " .. name, function()
      local function fail()
        error("no luck")
      end
      local s = make(neap.range(12), fail)
      for _, p in ipairs({ s, s:prefetch({ workers = 1 }) }) do
        local e = support.raised(function() return p[2] end)
        assert.equal(name:match("^[%w_]+"), e.stage:match("^[%w_]+"))
        assert.truthy(e.stage:find(FILE .. ":%d+%)$"), e.stage)
        assert.equal(2, e.index)
      end
    end)
  end

  it("shows all digits of a large index", function()
    local s = neap.from(function() error("no luck") end)
    local e = support.raised(function() return s[123456789012345] end)
    assert.truthy(tostring(e):find("item 123456789012345 of from", 1, true))
  end)

  it("follows the mode for functions in workers too", function()
    local s = neap.range(2):map(function(x)
      error({ code = x })
    end):rescue(function(e)
      return e.code
    end)
    assert.same({}, s:prefetch({ workers = 1 }):totable())
    neap.errors("passthrough")
    assert.same({ 1, 2 }, s:prefetch({ workers = 1 }):totable())
  end)

  it("names the line of the split for what it cuts off", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local s = neap.range(6):map(error):split(2):prefetch({ workers = 1 })
    local e = support.raised(function() return s[1] end)
    assert.equal(("slice (%s:%d)"):format(FILE, line), e.outer_stage)
  end)

  it("names a tensor that was released", function()
    local p = neap.range(3):map(function()
      return neap.tensor("u8", { 2 })
    end):prefetch({ workers = 1 })
    local s
    for i, t in p:each() do
      s = s or neap.from(t)
      if i == 2 then
        break
      end
    end
    local e = support.raised(function() return s[2] end)
    assert.truthy(e.message:find("has been released", 1, true))
    assert.equal(2, e.index)
    assert.truthy(e.stage:find("^from"))
    p:close()
  end)

  it("names the item that was read, where another one failed", function()
    local function fail(x)
      return x ~= 13 and x or error("no luck")
    end
    local s = neap.range(40):map(fail):shuffle(1):batch(4)
    local line = debug.getinfo(1, "l").currentline - 1
    for _, p in ipairs({ s, s:prefetch({ workers = 1 }) }) do
      local e = support.raised(function() p:totable() end)
      assert.equal(13, e.index)
      assert.truthy(e.stage:find("^map"))
      assert.truthy(e.outer_stage:find("^batch %(tests/spec/base/"
        .. "errors_spec.lua:"
        .. line))
      assert.truthy(tostring(e):find("\n  item 13 of map ([^\n]+)\n  for item "
        .. e.outer_index .. " of batch"), tostring(e))
      assert.is_false((pcall(function() return p[e.outer_index] end)))
      assert.is_true((pcall(function() return p[e.outer_index - 1] end)))
    end
  end)

  it("names one item, where the item that was read failed", function()
    local e = support.raised(function() return neap.range(3):map(error)[2] end)
    assert.equal(2, e.index)
    assert.is_nil(e.outer_stage)
    assert.is_nil(e.outer_index)
  end)

  it("is made whatever a broken worker reports", function()
    local p = neap.range(2):map(function()
      local write = require("neap.value.write")
      local failure = write.failure
      function write.failure(item, k)
        return failure(item, k, { message = 5, index = {}, kind = false,
          stage = 1, worker = "one", traceback = { "?" } })
      end
      error("never reported")
    end):prefetch({ workers = 1 })
    local e = support.raised(function() return p[2] end)
    assert.equal("its worker does not say why", e.message)
    assert.equal(2, e.index)
    assert.truthy(tostring(e):find("item 2 of prefetch", 1, true))
    p:close()
  end)

  it("may be ten megabytes long", function()
    local p = neap.range(2):map(function()
      error(("x"):rep(10 * 2 ^ 20), 0)
    end):prefetch({ workers = 1 })
    assert.equal(10 * 2 ^ 20, #support.raised(function() return p[1] end)
      .message)
    p:close()
  end)

  it("is not wrapped a second time", function()
    local inner = neap.range(5):map(function(x)
      return x == 2 and error("inner") or x
    end)
    local outer = neap.range(5):map(function(x) return inner[6 - x] end)
    local e = support.raised(function() return outer[4] end)
    assert.equal(2, e.index)
    assert.truthy(e.message:find("inner$"))
    local p = outer:prefetch({ workers = 1 })
    local f = support.raised(function() return p[4] end)
    assert.equal(2, f.index)
    assert.equal(e.message, f.message)
    local g = support.raised(function()
      return p:map(function(x) return x end)[4]
    end)
    assert.equal(2, g.index)
    p:close()
  end)

  it("is the value that was raised in passthrough mode", function()
    assert.equal("passthrough", neap.errors("passthrough"))
    assert.equal("passthrough", neap.errors())
    each_way(function(p)
      for _, f in ipairs({
        function() return p[4] end, function() return p:totable() end,
      }) do
        assert.equal(("%s:%d: deep 4"):format(FILE, FAIL_LINE),
          support.raised(f))
      end
      for _ in p:each({ on_error = "skip" }) do end -- luacheck: ignore
      assert.equal(4, p:skipped()[1].index)
    end)
    local t = { 5 }
    assert.equal(t, support.raised(function()
      return neap.map(function() error(t) end, { 1 })[1]
    end))
  end)

  it("is wrapped again after that", function()
    neap.errors("passthrough")
    assert.equal("wrap", neap.errors("wrap"))
    assert.equal(4, support.raised(function()
      return with_bad_item()[4]
    end).index)
  end)

  it("comes from the right stage of a long chain", function()
    local lines = {}
    local function stage(s, k)
      lines[k] = debug.getinfo(1, "l").currentline + 1
      s = s:map(function(x) return x == k and error("stage " .. k) or x end)
      return s
    end
    local s = neap.range(9)
    for k = 1, 9 do
      s = stage(s, k)
    end
    local p = s:prefetch({ workers = 2 })
    for k = 1, 9 do
      local e = support.raised(function() return p[k] end)
      assert.equal(k, e.index)
      assert.truthy(e.message:find("stage " .. k .. "$"))
      assert.equal(("map (%s:%d)"):format(FILE, lines[k]), e.stage)
    end
    p:close()
  end)

  it("ends a script with its text and status 1", function()
    local run = support.run([[
      local neap = require("neap")
      local p = neap.range(9):map(function(x)
        return x == 4 and error("no four") or x
      end):prefetch({ workers = 2 })
      for i, x in p:each() do print(i, x) end
    ]])
    assert.equal(1, run.status)
    assert.equal("1\t1\n2\t2\n3\t3\n", run.out)
    assert.truthy(run.err:find("^neap: " .. run.path:gsub("%p", "%%%0")
      .. ":3: no four\n  item 4 of map %(" .. run.path:gsub("%p", "%%%0")
      .. ":2%)\n  in worker %d\n"), run.err)
  end)
end)

describe("an error from a status of C", function()
  local function fail()
    lib.check(lib.C.neap_idx_open("/nonexistent", ffi.new("neap_idx *[1]"),
      lib.error))
  end

  it("is a failure with that status, which prints its message", function()
    local e = support.raised(fail)
    assert.equal(lib.C.NEAP_ESYSTEM, e.status)
    assert.truthy(e.message:find("/nonexistent", 1, true))
    assert.equal(e.message, tostring(e))
    assert.equal(e.status, lib.status_of(e))
    assert.is_nil(lib.status_of("text"))
    assert.is_nil(lib.status_of({ status = -3 }))
  end)

  it("keeps the status as the error of an item, with text as its cause",
    function()
      local s = neap.range(3):map(function()
        local C = require("neap.base.lib")
        C.check(C.C.neap_tensor_fill(neap.tensor("u8", { 1 }).d, 300, C.error))
      end)
      for _, p in ipairs({ s, s:prefetch({ workers = 1 }) }) do
        local e = support.raised(function() return p[2] end)
        assert.same({ "item", lib.C.NEAP_EINVAL, 2 },
          { e.kind, e.status, e.index })
        assert.equal(e.message, e.cause)
      end
    end)

  it("has the kind that the status means, for an item or for all", function()
    local C = lib.C
    for status, kind in pairs({
      [C.NEAP_EDEATH] = "death", [C.NEAP_ETIMEOUT] = "timeout",
      [C.NEAP_EMEMORY] = "memory", [C.NEAP_EDAMAGED] = "damaged",
    }) do
      local e = errors.of_failure(lib.failure(status, "why"), 7, "map (x:1)")
      assert.same({ kind, status, "why", 7, "map (x:1)" },
        { e.kind, e.status, e.message, e.index, e.stage })
      assert.is_true(errors.is_of_item(e))
    end
    assert.is_nil(errors.of_failure(lib.failure(C.NEAP_EINVAL, "why"), 7))
    assert.is_nil(errors.of_failure("is damaged", 7))
    for status, kind in pairs({
      [C.NEAP_EHELD] = "held", [C.NEAP_ECLOSED] = "closed",
      [C.NEAP_EWORKER] = "worker", [C.NEAP_EDAMAGED] = "worker",
      [C.NEAP_EMEMORY] = "worker",
    }) do
      local e = support.raised(errors.refuse, lib.failure(status, "why"))
      assert.same({ kind, status }, { e.kind, e.status })
      assert.is_false(errors.is_of_item(e))
    end
    assert.equal("worker", support.raised(errors.refuse, "why").kind)
  end)
end)

describe("the help of an error", function()
  before_each(support.remember)
  after_each(support.check_leaks)

  -- What a map returns or does, and what to do about it.
  local HELPS = {
    ["return plain values: numbers, strings, booleans, tensors, and tables of "
      .. "these"] = function() return print end,
    ["return a plain table with its fields"] = function()
      return setmetatable({}, {})
    end,
    ["put nil or false in its place, or leave the field out"] = function()
      return { n = require("string.buffer").decode("\3") }
    end,
    ["compute it in the script, where a debugger shows the cause: prefetch({ "
      .. "workers = 0 })"] = function() os.exit(3) end,
    ["what the script says"] = function()
      error("no luck\nhelp: what the script says", 0)
    end,
  }

  for help, f in pairs(HELPS) do
    it("is a field, and its last line: " .. help, function()
      local p = neap.range(1):map(f):prefetch({ workers = 1, retries = 0 })
      local e = support.raised(function() return p[1] end)
      assert.equal(help, e.help)
      assert.falsy(e.message:find("help: ", 1, true))
      assert.truthy((tostring(e) .. "\nstack"):find("\nhelp: " .. help
        .. "\nstack", 1, true), tostring(e))
      p:close()
    end)
  end

  it("is none where there is no remedy", function()
    local e = support.raised(function() return neap.range(1):map(error)[1] end)
    assert.is_nil(e.help)
  end)
end)

describe("the kinds of errors", function()
  it("are those that the reference lists, in this order", function()
    local page = support.read("docs/reference/lua.md")
    local table_of_kinds = page:match("\n| kind of error |[^\n]*\n(.-)\n\n")
    local rows = { "|---|---|---|" }
    for _, kind in ipairs(kinds.list) do
      rows[#rows + 1] = ("| `%s` | %s | %s |"):format(kind.name,
        kind.is_of_all and "all" or "one", kind.text)
    end
    assert.equal(table.concat(rows, "\n"), table_of_kinds)
  end)

  it("are all that neap makes", function()
    local known = {}
    for _, kind in ipairs(kinds.list) do
      known[kind.name] = true
    end
    local found = support.shell(
      "grep -rhoE '\\bkind = \"[a-z]+\"' lua/neap | sort -u")
    for name in found:gmatch('kind = "(%l+)"') do
      assert(known[name], name)
    end
  end)
end)
