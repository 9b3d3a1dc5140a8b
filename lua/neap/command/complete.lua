-- SPDX-License-Identifier: MIT
--- `neap complete WORD...`: prints the words that may stand for the last one,
-- for the shell (bindings/neap.bash): commands, a command's options, and the
-- parameters of a loader file with their values. Where it prints nothing, a
-- file's name may stand.
-- @module neap.command.complete

local output = require("neap.console.output")

local complete = {
  usage = "neap complete WORD...",
  summary = "print what the last word may become, for shells",
}

local FIRST = { "-e", "--help", "--version" }
local BOOLEANS = { "false", "true" }

local function known(list, name)
  for _, word in ipairs(list) do
    if word == name then
      return true
    end
  end
end

local function options_of(name)
  local usage, list = require("neap.command." .. name).usage, {}
  for option in usage:gmatch("%-%-[%w-]+") do
    list[#list + 1] = option
  end
  return list
end

-- The parameters that a file declares; none if it is no loader.
local function parameters_of(path)
  local ok, file = pcall(require("neap.loader.file").read, path)
  return ok and file.parameters or {}
end

local function assignments(path, last)
  local list, name = {}, last:match("^([^=]+)=")
  for _, parameter in ipairs(parameters_of(path)) do
    if not name then
      list[#list + 1] = parameter.name .. "="
    elseif parameter.name == name then
      local values = parameter.type == "boolean" and BOOLEANS
        or parameter.choices or {}
      for _, value in ipairs(values) do
        list[#list + 1] = name .. "=" .. tostring(value)
      end
    end
  end
  return list
end

local function file_among(words)
  for k = 3, #words - 1 do
    if words[k]:find("%.lua$") then
      return words[k]
    end
  end
end

-- words: those of the command line, after "complete"; `commands` are neap's.
local function candidates(words, commands)
  local command, last = words[2], words[#words]
  if #words == 2 then
    return last:find("^%-") and FIRST or commands
  elseif not known(commands, command) then
    return {}
  elseif command == "help" then
    return commands
  elseif last:find("^%-") then
    return options_of(command)
  end
  local path = file_among(words)
  return path and assignments(path, last) or {}
end

function complete.run(words, commands)
  output.open() -- a loader file may print
  local last, list = words[#words], {}
  for _, word in ipairs(candidates(words, commands)) do
    if word:sub(1, #last) == last then
      list[#list + 1] = word .. "\n"
    end
  end
  table.sort(list)
  return output.send(table.concat(list))
end

return complete
