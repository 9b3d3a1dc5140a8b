-- SPDX-License-Identifier: MIT
--- The rooms of the code: which folder may use which, and which does.
--
-- A room is a folder of runtime/ or lua/neap/. It may use itself and the rooms
-- that stand before it in its list. The arrows are read from the code's own
-- #includes and requires. Run as a script, it prints docs/pictures/rooms.svg;
-- tests/spec/rooms_spec.lua holds the code to the order.
-- @module docs.rooms

local rooms = {}

-- Lowest first: {room, what is in it}.
rooms.houses = {
  {
    folder = "runtime", title = "runtime/ (C)",
    { "base", "errors, bits, futexes, clock, random numbers" },
    { "tensor", "dtypes, shapes, conversion, DLPack" },
    { "seq", "index trees: one file per adapter" },
    { "value", "the layout of items: reader and writer" },
    { "memory", "segments, slots, the heap of shared tensors" },
    { "source", "file formats that are read in C" },
    { "chain", "chains in C: sources, native stages, batches" },
    { "ring", "the ring, its filler and its consumer" },
    { "pool", "worker processes, supervisor, statistics" },
    { "host", "loaders and items, for C hosts" },
  },
  {
    folder = "lua/neap", title = "lua/neap/ (Lua)",
    { "base", "libneap by the FFI, checks, classes, errors" },
    { "tensor", "arrays, dtypes, stacking" },
    { "value", "items in slots, and how long they are valid" },
    { "codec", "decoders and encoders, one file per format" },
    { "travel", "how chains are packed for other processes" },
    { "waiting", "the event loop: sleep, files, limits, HTTP" },
    { "sequence", "handles, nodes, iteration, compilation" },
    { "source", "one file per source" },
    { "native", "stages that are C functions" },
    { "prefetch", "pool, iteration, the worker's loop" },
    { "dataset", "the loop that writes saved items" },
    { "adapter", "one file per adapter" },
    { "loader", "loader files, and the process that runs them" },
    { "inspect", "what a chain and its items are, and what is doubtful" },
    { "console", "what commands share: words, output, JSON" },
    { "command", "one file per command of neap" },
  },
}

-- What a line of code names: runtime/seq/slice.c has #include "base/error.h",
-- lua/neap/adapter/map.lua has require("neap.base.check").
local PATTERNS = {
  runtime = '^#include "(%l+)/[%w_]+%.h"',
  ["lua/neap"] = 'require%("neap%.(%l+)%.[%w_.]+"%)',
}

local function files_of(folder)
  local list = {}
  local pipe = io.popen(("find %s -name '*.[ch]' -o -name '*.lua' | sort")
    :format(folder))
  for path in pipe:lines() do
    list[#list + 1] = path
  end
  pipe:close()
  return list
end

--- The arrows of a house, in the order of files.
-- @treturn table a list of {from = room, to = room, file = path, line = text};
--   files beside the rooms (init.lua, include/) are in none
function rooms.arrows(house)
  local known, arrows = {}, {}
  for _, room in ipairs(house) do
    known[room[1]] = true
  end
  for _, path in ipairs(files_of(house.folder)) do
    local from = path:sub(#house.folder + 2):match("^(%l+)/")
    if known[from] then
      for line in io.lines(path) do
        local to = line:match(PATTERNS[house.folder])
        if to then
          arrows[#arrows + 1] = {
            from = from, to = to, file = path, line = line,
          }
        end
      end
    end
  end
  return arrows
end

--- The folders of a house that are in no list.
function rooms.strangers(house)
  local known, found = { include = true }, {}
  for _, room in ipairs(house) do
    known[room[1]] = true
  end
  for _, path in ipairs(files_of(house.folder)) do
    local room = path:sub(#house.folder + 2):match("^([%w_]+)/")
    if room and not known[room] then
      found[#found + 1] = path
    end
  end
  return found
end

-- -- The picture -------------------------------------------------------------

local WIDTH, BOX, STEP, HEAD, ARCS = 400, 30, 44, 36, 110

local function arc(x, from_y, to_y)
  local reach = 14 + (to_y - from_y) * 0.2
  return ('<path d="M%d %g C%g %g %g %g %d %g" fill="none" stroke="#768390" '
    .. 'stroke-opacity="0.6" marker-end="url(#tip)"/>'):format(x, from_y,
    x + reach, from_y, x + reach, to_y, x + 2, to_y)
end

local function draw_house(house, left, lines)
  local y_of, count = {}, #house
  lines[#lines + 1] = ('<text x="%d" y="22" font-size="14" fill="#768390">%s'
    .. "</text>"):format(left, house.title)
  for k, room in ipairs(house) do
    local y = HEAD + (count - k) * STEP
    y_of[room[1]] = y + BOX / 2
    lines[#lines + 1] = ('<rect x="%d" y="%d" width="%d" height="%d" rx="4" '
      .. 'fill="#8ec5ff"/>'):format(left, y, WIDTH - ARCS, BOX)
    lines[#lines + 1] = ('<text x="%d" y="%d" font-size="12" fill="#1f2328">'
      .. '<tspan font-weight="bold">%s</tspan></text>'):format(left + 8, y + 13,
      room[1])
    lines[#lines + 1] = ('<text x="%d" y="%d" font-size="9" fill="#1f2328">%s'
      .. "</text>"):format(left + 8, y + 25, room[2])
  end
  local seen = {}
  for _, arrow in ipairs(rooms.arrows(house)) do
    local name = arrow.from .. " " .. arrow.to
    if arrow.from ~= arrow.to and not seen[name] then
      seen[name] = true
      lines[#lines + 1] = arc(left + WIDTH - ARCS, y_of[arrow.from],
        y_of[arrow.to])
    end
  end
end

--- The picture of both houses, as SVG.
function rooms.picture()
  local most = 0
  for _, house in ipairs(rooms.houses) do
    most = math.max(most, #house)
  end
  local width, height = WIDTH * #rooms.houses + 16, HEAD + most * STEP + 8
  local lines = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
      .. 'viewBox="0 0 %d %d" font-family="monospace">'):format(width, height,
      width, height),
    "<title>rooms</title>",
    '<defs><marker id="tip" viewBox="0 0 6 6" refX="5" refY="3" '
      .. 'markerWidth="6" markerHeight="6" orient="auto">'
      .. '<path d="M0 0 L6 3 L0 6" fill="#768390"/></marker></defs>',
  }
  for k, house in ipairs(rooms.houses) do
    draw_house(house, 8 + (k - 1) * WIDTH, lines)
  end
  lines[#lines + 1] = "</svg>"
  return table.concat(lines, "\n") .. "\n"
end

if arg and arg[0] and arg[0]:find("rooms%.lua$") then
  io.write(rooms.picture())
end

return rooms
