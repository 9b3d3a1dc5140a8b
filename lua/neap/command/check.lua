-- SPDX-License-Identifier: MIT
--- `neap check FILE`: builds a loader, reads its first items, and tells what it
-- is, what does not work, and what is doubtful.
-- @module neap.command.check

local command = require("neap.console.command")

local DONE, FAILED = 0, 1
local COUNT = 8 -- items that are read
local SHOWN = 3 -- failures, and differences

local OPTIONS = {
  { flag = "--limit", value = "N", reads = "count",
    help = ("items to read; default: %d"):format(COUNT) },
  { flag = "--sheet", value = "PATH", reads = "text",
    help = "save the images of these items as one picture: PATH ends in "
      .. ".png, .jpg or .webp" },
  { flag = "--json", help = "print JSON" },
}

-- -- Looking -----------------------------------------------------------------

local function message_of(e)
  return type(e) == "table" and e.message or tostring(e)
end

-- Reads the items of both prefetches, and closes them.
local function try(loader, here, there, count)
  local trial = require("neap.inspect.trial")
  local found = loader:within(trial.run, here, there, count)
  found.report = here:report()
  here:close()
  if there then
    there:close()
  end
  return found
end

local function look(loader, count)
  local tree = require("neap.inspect.tree")
  local doubts = require("neap.inspect.doubts")
  local node = loader.node
  count = math.min(count, node.length)
  local there, why = loader:try_prefetch({ [loader:crew()] = 1,
    buffered = count > 0 and count or nil })
  local here = loader:prefetch({ workers = 0 })
  local found = try(loader, here, there, count)
  found.stays = why and message_of(why) or nil
  found.chain = tree.list(node)
  found.needs_lua = loader:needs_lua()
  found.doubts = loader:within(doubts, node)
  found.is_fine = not found.stays and #found.failures == 0
    and #found.differences == 0
  return found
end

-- Says on stderr what became of it: data are on stdout.
local function save_sheet(loader, count, path)
  local p = loader:prefetch({ workers = 0 })
  local images = loader:within(require("neap.inspect.sheet"), p, count, path)
  p:close()
  io.stderr:write(images == 0 and "neap: no images in these items\n"
    or ("neap: %d images of these items are in %s\n"):format(images, path))
end

-- -- As text -----------------------------------------------------------------

local function head(text)
  local output = require("neap.console.output")
  output.line("%s", output.paint("bold", text))
end

local function print_parameters(loader)
  local list = loader.file.parameters
  local text = require("neap.loader.parameter").text
  local rows = {}
  for k, p in ipairs(list) do
    rows[k] = { p.name, text(p, loader.values[p.name]), p.type, p.help or "" }
  end
  if #rows > 0 then
    head("parameters")
    require("neap.console.output").line("%s",
      require("neap.console.columns")(rows))
  end
end

-- "prefetch(..., workers = 2)"
local function prefetch_text(options)
  local parts, keys = { "..." }, require("neap.base.traverse").keys(options)
  table.sort(keys)
  for _, key in ipairs(keys) do
    parts[#parts + 1] = ("%s = %s"):format(key, type(options[key])
      == "function" and "f" or tostring(options[key]))
  end
  return ("prefetch(%s)"):format(table.concat(parts, ", "))
end

local function print_chain(loader, found)
  local units = require("neap.base.units")
  local rows = { { prefetch_text(loader.options),
    units.count(loader.node.length), loader.path } }
  for _, stage in ipairs(found.chain) do
    rows[#rows + 1] = {
      ("  "):rep(stage.depth + 1) .. stage.name, units.count(stage.length),
      stage.where,
    }
  end
  head("chain")
  require("neap.console.output").line("%s",
    require("neap.console.columns")(rows, { [2] = true }))
end

local function print_item(found)
  if not found.structure then
    return
  end
  local structure = require("neap.inspect.structure")
  local rows = structure.rows(found.structure, "item")
  for _, row in ipairs(rows) do
    row[1] = ("  "):rep(row.depth) .. row[1]
  end
  head("item")
  require("neap.console.output").line("%s",
    require("neap.console.columns")(rows))
end

local function print_stages(found)
  local units = require("neap.base.units")
  local rows, items = { { "stage", "calls", "an item", "share" } },
    found.report.items
  for _, stage in ipairs(found.report.stages) do
    rows[#rows + 1] = {
      stage.name, ("%.0f"):format(stage.calls),
      ("%.3f ms"):format(1e3 * stage.seconds / math.max(items, 1)),
      units.share(stage.share),
    }
  end
  head("time of these items")
  require("neap.console.output").line("%s", require("neap.console.columns")(
    rows, { [2] = true, [3] = true, [4] = true }))
end

local function indented(text)
  return (text:gsub("\n", "\n    "))
end

-- Prints the first of a list of what is wrong.
local function print_first(list, print_one)
  local output = require("neap.console.output")
  for k = 1, math.min(#list, SHOWN) do
    print_one(list[k], output)
  end
  if #list > SHOWN then
    output.line("  and %d more", #list - SHOWN)
  end
end

local function print_failure(f, output)
  output.line("%s %s", output.paint("bad", ("item %d fails %s:"):format(
    f.index, f.where)), indented(f.message))
end

local function print_difference(d, output)
  output.line("%s %s in place, %s in a worker", output.paint("bad",
    ("item %d differs: item%s is"):format(d.index, d.path)), d.here, d.there)
end

local function print_result(found)
  local output = require("neap.console.output")
  if found.stays then
    output.line("%s %s", output.paint("bad", "cannot travel:"),
      indented(found.stays))
  end
  print_first(found.failures, print_failure)
  print_first(found.differences, print_difference)
  if #found.differences > 0 then
    output.line("  help: let items depend on their index and epoch alone: not "
      .. "on chance, the time,\n  or what was read before")
  end
  if found.is_fine then
    output.line("%s", output.paint("good", ("%s: the same in place and in a "
      .. "worker"):format(require("neap.base.units").plural(found.count,
      "item"))))
  end
end

local function print_doubts(found)
  local output = require("neap.console.output")
  for _, doubt in ipairs(found.doubts) do
    output.line("%s %s: %s\n  help: %s", output.paint("doubt", "doubt:"),
      doubt.stage, doubt.what, doubt.help)
  end
  if #found.doubts == 0 then
    output.line("no doubts")
  end
end

local function print_lua(found)
  require("neap.console.output").line("%s", found.needs_lua
    and "workers run Lua: " .. found.needs_lua
    or "workers run no Lua: each stage is native")
end

local function print_all(loader, found)
  print_parameters(loader)
  print_chain(loader, found)
  print_item(found)
  print_stages(found)
  head("result")
  print_result(found)
  print_lua(found)
  print_doubts(found)
end

-- -- As JSON -----------------------------------------------------------------

local function chain_of(found)
  local chain = {}
  for k, stage in ipairs(found.chain) do
    chain[k] = {
      depth = stage.depth, name = stage.name, where = stage.where,
      length = stage.length,
    }
  end
  return chain
end

local function print_json(loader, found)
  local json = require("neap.console.json")
  local options = require("neap.base.traverse").copy(loader.options)
  require("neap.console.output").line("%s", json.encode({
    file = loader.path, parameters = loader:parameters(),
    prefetch = json.object(options), length = loader.node.length,
    chain = chain_of(found), needs_lua = found.needs_lua or false,
    read = found.count, item = found.structure,
    time = found.report.stages, cannot_travel = found.stays,
    failures = found.failures, differences = found.differences,
    doubts = found.doubts, fine = found.is_fine,
  }))
end

-- -- The command -------------------------------------------------------------

local function perform(words)
  local loader = require("neap.console.loader").open(words)
  local found = look(loader, words.limit or COUNT)
  if words.json then
    print_json(loader, found)
  else
    print_all(loader, found)
  end
  if words.sheet and found.is_fine then
    save_sheet(loader, found.count, words.sheet)
  end
  return found.is_fine and DONE or FAILED
end

return command({
  name = "check", summary = "tell what a loader file is, and what is wrong",
  description = "Builds a loader, reads its first items in place and in a "
    .. "worker,\ncompares them, and tells what is wrong or doubtful.",
  takes_file = true, options = OPTIONS, perform = perform,
})
