-- SPDX-License-Identifier: MIT
--- What specs share: counting what a test leaves behind, waiting with a
-- deadline, files, running a script in a process of its own, naive models.
--
-- A spec begins with `local support = dofile("tests/spec/support.lua")`, and
-- each of its describe blocks that may start workers says
--
--     before_each(support.remember)
--     after_each(support.check_leaks)
--
-- which also closes what support.close_later was told of.

local ffi = require("ffi")
local lib = require("neap.base.lib")
local neap = require("neap")

ffi.cdef([[
  void *opendir(const char *path);
  void *readdir(void *dir);
  int closedir(void *dir);
  ssize_t readlink(const char *path, char *text, size_t size);
  int poll(void *polls, unsigned long count, int timeout_ms);
  int kill(int pid, int signal);
  int getpid(void);
  char *getcwd(char *path, size_t size);
]])

local support = {}

--- A word as the shell reads it.
function support.quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local PATH_MAX = 4096

-- Tests may run without an environment: $PWD may not be set, or be wrong.
--- The folder that the tests run in.
function support.current_folder()
  return ffi.string(ffi.C.getcwd(ffi.new("char[?]", PATH_MAX), PATH_MAX))
end

--- The path of the executable, which may have blanks; and as the shell reads
-- it.
support.NEAP = os.getenv("NEAP_EXECUTABLE")
  or support.current_folder() .. "/build/bin/neap"
support.QUOTED_NEAP = support.quote(support.NEAP)

--- Whether the executable has address sanitizer's shadow memory.
support.is_asan = support.NEAP:find("asan", 1, true) ~= nil

-- Large tensors open this process's heap, once, for good, and limits do.
local _ = { neap.tensor("u8", { 2 ^ 16 }), neap.limit({ rate = 1 }) }

-- -- Waiting -----------------------------------------------------------------

--- Waits until `f` answers something true, and answers that; false if it does
-- not within the seconds.
function support.await(seconds, f)
  for _ = 1, seconds * 1000 do
    local answer = f()
    if answer then
      return answer
    end
    ffi.C.poll(nil, 0, 1)
  end
  return f()
end

-- -- Finalizers --------------------------------------------------------------

local PAUSE, STEPS = 200, 200 -- LuaJIT's own settings of the collector

--- Calls f while the collector runs all the time, and `finalize` with it, again
-- and again, wherever the code stands; in the interpreter, for more of that.
function support.among_finalizers(finalize, f)
  local is_over, is_within = false, false
  local function arm()
    ffi.gc(ffi.new("char[16]"), function()
      if not is_over and not is_within then
        is_within = true
        finalize()
        is_within = false
        arm()
      end
    end)
  end
  for _ = 1, 10 do
    arm()
  end
  collectgarbage("setpause", 10)
  collectgarbage("setstepmul", 1000)
  jit.off()
  local ok, e = pcall(f)
  jit.on()
  collectgarbage("setpause", PAUSE)
  collectgarbage("setstepmul", STEPS)
  is_over = true
  assert(ok, e)
end

-- -- Leaks -------------------------------------------------------------------

local entry = ffi.typeof([[
  struct {
    uint64_t inode; int64_t offset; unsigned short length; unsigned char type;
    char name[256];
  } *
]])

local function list(path)
  local names, dir = {}, ffi.C.opendir(path)
  if dir == nil then
    return names
  end
  while true do
    local found = ffi.C.readdir(dir)
    if found == nil then
      break
    end
    local name = ffi.string(ffi.cast(entry, found).name)
    if name:find("^%d+$") then
      names[#names + 1] = name
    end
  end
  ffi.C.closedir(dir)
  return names
end

local function link(path)
  local text = ffi.new("char[256]")
  local length = ffi.C.readlink(path, text, 255)
  return length > 0 and ffi.string(text, length) or nil
end

-- "" where there is no such file: a process that is no more.
local function text_of(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return text
end

-- "descriptor 7: /memfd:neap-slots" and so on -> how many of them.
local function holdings()
  local found = {}
  local function add(what)
    found[what] = (found[what] or 0) + 1
  end
  for _, fd in ipairs(list("/proc/self/fd")) do
    local to = link("/proc/self/fd/" .. fd)
    if to and not to:find("/fd$") then
      add("descriptor of " .. to:gsub("%d+", "N"))
    end
  end
  for _, task in ipairs(list("/proc/self/task")) do
    for pid in text_of(("/proc/self/task/%s/children"):format(task))
      :gmatch("%d+") do
      add("child " .. pid)
    end
  end
  -- The heap keeps freed blocks for the next tensors.
  for map in text_of("/proc/self/maps"):gmatch("/memfd:neap%-[^\n]*") do
    if not map:find("neap-heap", 1, true) then
      add("map of " .. map)
    end
  end
  return found
end

-- Kept items are let go a cycle after what holds them.
local function collect()
  for _ = 1, 3 do
    collectgarbage()
  end
end

local before

--- Notes what this process holds.
function support.remember()
  collect()
  before = holdings()
end

--- What it holds more of since then: a list of words.
function support.leaks()
  local now
  local function extra()
    collect()
    now = {}
    for what, count in pairs(holdings()) do
      if count > (before[what] or 0) then
        now[#now + 1] = ("%d x %s"):format(count - (before[what] or 0), what)
      end
    end
    return #now == 0
  end
  support.await(0.3, extra)
  table.sort(now)
  return now
end

local prefetches = {}

--- Lets check_leaks() close a prefetch, however the test ends; answers it.
function support.close_later(p)
  prefetches[#prefetches + 1] = p
  return p
end

--- Closes the prefetches of a test; raises what it holds more of since then.
function support.check_leaks()
  for _, p in ipairs(prefetches) do
    p:close()
  end
  prefetches = {}
  local leaks = support.leaks()
  if #leaks > 0 then
    error("left behind:\n  " .. table.concat(leaks, "\n  "), 0)
  end
end

-- -- Files -------------------------------------------------------------------

function support.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

--- Writes a file; answers its path.
function support.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

-- -- Processes ---------------------------------------------------------------

--- Runs a shell command; answers all that it printed, and its exit status. It
-- reads until nobody holds the pipe any more: not the workers either.
function support.shell(command)
  local pipe = io.popen("{ " .. command .. "\n} 2>&1; echo status $?")
  local said, status = pipe:read("*a"):match("^(.*)status (%d+)\n$")
  pipe:close()
  return said, tonumber(status)
end

--- A new folder.
function support.folder()
  return support.shell("mktemp -d"):match("%S+")
end

-- Runs neap with words; `path` is the start of the names of temporary files.
local function run_words(words, path, how)
  local command = ("exec 2>/dev/null; (%s %s timeout -k 1 %d %s %s >%s.out "
    .. "2>%s.err %s)"):format(
    how.shell or "", how.env or "", how.limit or 20,
    support.QUOTED_NEAP, words, path, path, how.redirect or "")
  local pipe = assert(io.popen(command .. "\necho $?"))
  local status = tonumber(pipe:read("*a"):match("(%d+)%s*$"))
  pipe:close()
  local result = {
    out = text_of(path .. ".out"), err = text_of(path .. ".err"),
    status = status, path = path,
  }
  os.remove(path)
  os.remove(path .. ".out")
  os.remove(path .. ".err")
  return result
end

--- Runs a script in a fresh neap process.
-- @tparam string script its text
-- @tparam[opt] table how env (text before the command), shell (what the shell
--   does before), limit (seconds, 20), redirect (text after the command)
-- @treturn table out, err, status (124: it did not end in time)
function support.run(script, how)
  local path = support.write(os.tmpname(), script)
  return run_words(path, path, how or {})
end

--- Runs a command of neap.
-- @tparam table words its words
-- @tparam[opt] table how as for support.run
-- @treturn table out, err, status
function support.command(words, how)
  local quoted = {}
  for k, word in ipairs(words) do
    quoted[k] = support.quote(word)
  end
  return run_words(table.concat(quoted, " "), os.tmpname(), how or {})
end

--- Whether a process of that id is there, and no zombie.
function support.is_alive(pid)
  local state = text_of(("/proc/%d/stat"):format(pid)):match("%) (%a)")
  return state ~= nil and state ~= "Z"
end

-- -- What neap has -----------------------------------------------------------

--- The names in a list of lua/neap/init.lua: "SOURCES" or "ADAPTERS".
function support.listed(title)
  local text = text_of(lib.lua_dir .. "/neap/init.lua")
  local names = {}
  local list_text = text:match("\nlocal " .. title .. " = (%b{})")
  for name in list_text:gmatch('"([%w_]+)"') do
    names[#names + 1] = name
  end
  return #names > 0 and names or error("init.lua lists no " .. title, 0)
end

-- -- Errors ------------------------------------------------------------------

--- What f raises: an error object or a string; nil if it returns.
function support.raised(f, ...)
  local ok, e = pcall(f, ...)
  return not ok and e or nil
end

--- The message of what f raises, without the place before it.
function support.message(f, ...)
  local ok, e = pcall(f, ...)
  if ok then
    return nil
  end
  local text = type(e) == "table" and e.message or tostring(e)
  return (text:gsub("^[^\n:]+:%d+: ", ""))
end

-- -- Items -------------------------------------------------------------------

--- A value in one line, fields sorted: to compare, and to be read in failures.
function support.show(x)
  if type(x) ~= "table" then
    return type(x) == "string" and ("%q"):format(x) or tostring(x)
  end
  local parts = {}
  for k = 1, #x do
    parts[k] = support.show(x[k])
  end
  local fields = {}
  for key, value in pairs(x) do
    if type(key) ~= "number" or key < 1 or key > #x or key % 1 ~= 0 then
      fields[#fields + 1] = tostring(key) .. " = " .. support.show(value)
    end
  end
  table.sort(fields)
  for k = 1, #fields do
    parts[#parts + 1] = fields[k]
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

--- All that a `for` over a sequence delivers: its items, in a table with `n`.
function support.items(s, options)
  local items = { n = 0 }
  for i, x in s:each(options) do
    if i ~= items.n + 1 then
      error(("item %d follows item %d"):format(i, items.n), 0)
    end
    items.n = i
    items[i] = x
  end
  return items
end

--- The same by index.
function support.by_index(s)
  local items = { n = #s }
  for i = 1, #s do
    items[i] = s[i]
  end
  return items
end

--- The seed of random tests: NEAP_SEED, or another one each time; printed.
function support.seed(what)
  local seed = tonumber(os.getenv("NEAP_SEED") or "")
    or os.time() % 100000 * 1000 + ffi.C.getpid() % 1000
  print(("%s: NEAP_SEED=%d"):format(what, seed))
  math.randomseed(seed)
  return seed
end

return support
