-- SPDX-License-Identifier: MIT
--- The command line: runs a script, a piece of code or a command. A command is
-- a module `neap.command.NAME`, named in COMMANDS: a table with `usage`,
-- `summary`, and `run(words, commands)`, which returns the exit status.
-- @module neap.main

local COMMANDS = { "help" }

local luajit = require("neap.base.luajit")

local HERE = debug.getinfo(1, "S").source:match("^@.*/")

local DONE, FAILED, MISUSED = 0, 1, 2
local INTERRUPTED = 130 -- bindings/neap.c ends the process by the signal then

local ALIASES = { ["-h"] = "help", ["--help"] = "help" }

local function complain(status, message)
  io.stdout:flush()
  io.stderr:write("neap: ", message, "\n")
  return status
end

-- The sources of neap's own frames in the stack, as tracebacks show them.
local function our_sources()
  local ours, level = {}, 2
  local info = debug.getinfo(level, "S")
  while info do
    if info.source:sub(1, #HERE) == HERE or info.source:find("^=neap: ") then
      ours[info.short_src] = true
    end
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  return ours
end

-- The script's part of the stack: without ours in it and below it, and without
-- functions of C that ours call, as `error`.
local function stack_of_script()
  local ours, lines, held = our_sources(), {}, nil
  local stack = debug.traceback("", 3):gsub(
    "\n\t%[C%]: in function 'xpcall'\n.*$", "")
  for line in stack:gmatch("[^\n]+") do
    local is_ours = ours[line:match("^\t(.-):%d+: in ")]
    if not is_ours then
      lines[#lines + 1] = held
      held = line
    elseif held and held:find("^\t%[C%]") then
      held = nil
    end
  end
  lines[#lines + 1] = held
  return lines[2] and "\n" .. table.concat(lines, "\n") or ""
end

-- The error with the script's part of the stack, unless it has one. As in lua,
-- `error()` ends a script without a word.
local function explain(err)
  if err == nil then
    return nil
  end
  local text = tostring(err)
  if text:find("^[^\n]*: interrupted!") then
    return text:match("^[^\n]*")
  end
  return text:find("\nstack traceback:\n", 1, true) and text
    or text .. stack_of_script()
end

local SUSPECT = [[
neap: this LuaJIT compiles pairs() and next() wrongly now and then: bug 829
help: `neap` keeps it from that; what runs in plain luajit may crash: see
  docs/guide/troubleshooting.md
]]

local function print_version()
  print(("neap %s\n%s"):format(require("neap.base.version"), jit.version))
  if luajit.is_suspect and luajit.compiles_traversals() then
    io.stdout:flush()
    io.stderr:write(SUSPECT)
  end
  return DONE
end

-- Makes `arg` what it is in lua: item 0 is what runs, its arguments follow.
local function shift(words, by)
  local shifted = {}
  for i = 0, #words do
    shifted[i - by] = words[i]
  end
  return shifted
end

local function close_resources()
  local per_worker = package.loaded["neap.prefetch.per_worker"]
  if per_worker then
    per_worker.close_all()
  end
end

local function execute(chunk, words, by)
  _G.arg = shift(words, by)
  local ok, message = xpcall(chunk, explain, unpack(_G.arg))
  close_resources()
  if ok then
    return DONE
  end
  local status = message and message:find(": interrupted!$") and INTERRUPTED
    or FAILED
  return message and complain(status, message) or status
end

local function run_script(words)
  local path = words[1]
  local chunk, message = loadfile(path ~= "-" and path or nil)
  if not chunk then
    local is_unreadable = message:match("^cannot ")
    return complain(is_unreadable and MISUSED or FAILED, message)
  end
  require("neap.base.beside")(path)
  return execute(chunk, words, 1)
end

local function run_code(words)
  if not words[2] then
    return complain(MISUSED, "cannot run -e: no code follows it")
  end
  local chunk, message = loadstring(words[2], "=(command line)")
  if not chunk then
    return complain(FAILED, message)
  end
  return execute(chunk, words, 2)
end

local function find_command(word)
  local name = ALIASES[word] or word
  for _, known in ipairs(COMMANDS) do
    if known == name then
      return require("neap.command." .. name)
    end
  end
end

--- Does what the command line says.
-- @tparam table words the command line; item 0 is the program
-- @treturn int the status to exit with: 0 done, 1 failed, 2 misused
local function main(words)
  local first = words[1]
  if not first then
    return complain(MISUSED, "nothing to run: see `neap help`")
  end
  if first == "--version" then
    return print_version()
  end
  luajit.guard()
  local command = find_command(first)
  if command then
    return command.run(words, COMMANDS)
  elseif first == "-e" then
    return run_code(words)
  elseif first:match("^%-.") then
    return complain(MISUSED, ("unknown option %s: see `neap help`")
      :format(first))
  end
  return run_script(words)
end

return main
