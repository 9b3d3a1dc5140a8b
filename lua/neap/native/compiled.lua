-- SPDX-License-Identifier: MIT
--- The cache of compiled C files, in $XDG_CACHE_HOME/neap or ~/.cache/neap.
--
-- A library is named by a hash of the file, the flags, the compiler's version,
-- and the headers that the file includes. Which headers these are is known
-- since it was first compiled: the library's file of headers (.h) says so.
-- (Headers of the system are left out.) Libraries are made elsewhere and
-- renamed, so that two processes at once are safe.
-- @module neap.native.compiled

local bit = require("bit")
local check = require("neap.base.check")
local lib = require("neap.base.lib")

local C = lib.C

local FLAGS = "-O2 -shared -fPIC"
local LINES_MAX = 40 -- of what the compiler says

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a") -- nil for a folder
  if file then
    file:close()
  end
  return text
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function output_of(command)
  local pipe = io.popen(command)
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function refuse(path, why, help)
  check.raise(("cannot compile %s: %s"):format(path, why), help)
end

-- -- Names -------------------------------------------------------------------

local function cache_folder(path)
  local named, home = os.getenv("XDG_CACHE_HOME"), os.getenv("HOME")
  if named and named:sub(1, 1) == "/" then
    return named .. "/neap"
  elseif home and home ~= "" then
    return home .. "/.cache/neap"
  end
  refuse(path, "there is no folder for the library",
    "set HOME, or XDG_CACHE_HOME")
end

local function compiler()
  local named = os.getenv("CC")
  return named and named:find("%S") and named or "cc"
end

local versions = {} -- command -> what it says

local function version_of(command, path)
  if not versions[command] then
    local said = output_of(command .. " --version 2>/dev/null")
    if said == "" then
      refuse(path, ("the compiler '%s' does not run"):format(command),
        "install Debian's package: apt-get install gcc, or set CC")
    end
    versions[command] = said
  end
  return versions[command]
end

local function hash(text)
  return bit.tohex(C.neap_hash(text, #text, 1), 16)
    .. bit.tohex(C.neap_hash(text, #text, 2), 16)
end

-- The name of a library, from what is hashed without headers.
local function name_of(stem, key, headers)
  local parts = { key }
  for _, path in ipairs(headers) do
    parts[#parts + 1] = path
    parts[#parts + 1] = read(path) or ""
  end
  return ("%s-%s.so"):format(stem, hash(table.concat(parts, "\0")))
end

-- The lines of a file of headers; nil if there is none.
local function known_headers(path)
  local text, list = read(path), {}
  for line in (text or ""):gmatch("[^\n]+") do
    list[#list + 1] = line
  end
  return text and list
end

-- -- Compiling ---------------------------------------------------------------

-- The headers in a rule for make: "so: kernel.c a.h \<newline> b\ c.h".
local function headers_of(rule)
  local list = {}
  rule = rule:gsub("\\\n", " "):gsub("^.-:%s", ""):gsub("\\ ", "\0")
  for word in rule:gmatch("%S+") do
    list[#list + 1] = word:gsub("%z", " ")
  end
  table.remove(list, 1) -- the file itself
  return list
end

-- The first lines of what the compiler said, indented.
local function shown(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = "  " .. line
  end
  if #lines > LINES_MAX then
    lines[LINES_MAX] = "  ..."
  end
  return table.concat(lines, "\n", 1, math.min(#lines, LINES_MAX))
end

-- Compiles into a new folder in the cache's; returns the folder.
local function build(command, path, flags, folder)
  if path:sub(1, 1) == "-" then -- else the compiler takes it for a flag
    path = "./" .. path
  end
  local said = output_of(table.concat({
    "{ mkdir -p -m 700 ", quote(folder), " && t=$(mktemp -d ",
    quote(folder .. "/build.XXXXXX"), ") || exit; ", command, " ", FLAGS,
    ' -MMD -MF "$t/rule" -o "$t/so" ', quote(path), flags,
    '; echo; echo "$? $t"; } 2>&1',
  }))
  local text, status, made = said:match("^(.-)\n?(%d+) (/[^\n]*)\n$")
  if not text then
    refuse(path, shown(said):gsub("^ *", ""),
      "set XDG_CACHE_HOME to a folder that can be written")
  end
  return made, text, status
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function remove(folder)
  os.execute("rm -rf " .. quote(folder))
end

local function compile(about)
  local made, said, status = build(about.command, about.path, about.flags,
    about.folder)
  local headers = headers_of(read(made .. "/rule") or "")
  local place = ("%s/%s"):format(about.folder,
    name_of(about.stem, about.key, headers))
  local is_there = status == "0" and os.rename(made .. "/so", place)
  if is_there then
    write(made .. "/headers", table.concat(headers, "\n"))
    os.rename(made .. "/headers", about.list)
  end
  remove(made)
  if not is_there then
    refuse(about.path, ("%s failed\n%s"):format(about.command, shown(said)))
  end
  return place
end

--- Returns the path of the library of a C file; compiles it if need be.
-- @tparam string path
-- @tparam table flags of the compiler, a list
local function compiled(path, flags)
  local text = read(path)
  if not text then
    refuse(path, "there is no such file, or it cannot be read")
  end
  local command, folder = compiler(), cache_folder(path)
  local words = {}
  for k, flag in ipairs(flags) do
    words[k] = " " .. quote(flag)
  end
  words = table.concat(words)
  local key = hash(table.concat({
    path, text, FLAGS, words, command, version_of(command, path),
  }, "\0"))
  local stem = path:match("([^/]*)$"):gsub("%.%w+$", ""):gsub("[^%w_-]", "_")
  local list = ("%s/%s-%s.h"):format(folder, stem, key)
  local headers = known_headers(list)
  local place = headers and folder .. "/" .. name_of(stem, key, headers)
  if place and (read(place) or "") ~= "" then -- else a disk was full
    return place
  end
  return compile({
    path = path, command = command, flags = words, folder = folder,
    stem = stem, key = key, list = list,
  })
end

jit.off(true, true) -- cold: it runs once for each stage

return compiled
