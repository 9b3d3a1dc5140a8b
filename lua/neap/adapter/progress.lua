-- SPDX-License-Identifier: MIT
--- A progress bar on a terminal while a sequence is iterated.
--
-- An iterator does not learn that its loop broke or failed. So each line fills
-- the terminal's width exactly. The cursor is then past the last column: "\r"
-- returns to the line to redraw it, and other output begins on the next line.
-- @module neap.adapter.progress

local ffi = require("ffi")
local check = require("neap.base.check")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local epoch = require("neap.adapter.epoch")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")

local STDERR = 2
local TIOCGWINSZ = 0x5413
local COLUMNS = 80 -- where the terminal does not say
local REDRAW_S = 0.1
local LOOK_S = 0.01 -- between looks at the clock, about
local ITEMS_MAX = 100 -- between looks at the clock
local BAR_MIN = 3 -- columns, or none

-- Under names of neap's own: scripts may declare these as they like.
ffi.cdef([[
  typedef struct neap_progress_size {
    unsigned short rows, columns, x, y;
  } neap_progress_size;
  int neap_progress_isatty(int fd) __asm__("isatty");
  int neap_progress_ioctl(int fd, unsigned long request, ...) __asm__("ioctl");
]])

local C = ffi.C
local size = ffi.new("neap_progress_size")

-- -- The line ----------------------------------------------------------------

local function columns()
  if C.neap_progress_ioctl(STDERR, TIOCGWINSZ, size) == 0
    and size.columns > 0 then
    return size.columns
  end
  return tonumber(os.getenv("COLUMNS")) or COLUMNS
end

local function rate_text(rate)
  if rate >= 1e6 then
    return ("%.1fM/s"):format(rate / 1e6)
  elseif rate >= 1e4 then
    return ("%.1fk/s"):format(rate / 1e3)
  end
  return (rate >= 100 and "%.0f/s" or rate >= 10 and "%.1f/s" or "%.2f/s")
    :format(rate)
end

local function time_text(seconds)
  if seconds == math.huge then
    return "-:--"
  end
  local hours = math.floor(seconds / 3600)
  local minutes = math.floor(seconds / 60) % 60
  return (hours > 0 and ("%d:%02d"):format(hours, minutes) or minutes)
    .. (":%02d"):format(seconds % 60)
end

-- Columns that a UTF-8 text takes, nearly.
local function width(text)
  return select(2, text:gsub("[^\128-\191]", ""))
end

-- A count as wide as its limit, so that the bar keeps its width.
local function pad(count, limit)
  local text = ("%d"):format(count)
  return (" "):rep(#("%d"):format(limit) - #text) .. text
end

-- Returns the texts left and right of the bar, and the part that is done. An
-- endless sequence has the left text alone.
local function parts(bar, seconds)
  local rate = bar.count > 0 and bar.count / math.max(seconds, 1e-9) or 0
  local label = bar.label == "" and "" or bar.label .. " "
  if bar.length == math.huge then
    return ("%s%d %7s, %s"):format(label, bar.count, rate_text(rate),
      time_text(seconds)), ""
  end
  local part = bar.length > 0 and bar.at / bar.length or 1
  local left = bar.at == bar.length and 0 or (bar.length - bar.at) / rate
  return ("%s%3d%% "):format(label, math.floor(part * 100)),
    (" %s/%d %7s, %s, %s left"):format(pad(bar.at, bar.length), bar.length,
      rate_text(rate), time_text(seconds), time_text(left)), part
end

local function line(bar, seconds)
  local left, right, part = parts(bar, seconds)
  local total = columns()
  local room = total - width(left) - #right
  local middle = (" "):rep(room)
  if part and room >= BAR_MIN then
    local filled = math.floor(part * (room - 2))
    middle = "[" .. ("#"):rep(filled) .. ("."):rep(room - 2 - filled) .. "]"
  end
  return (left .. middle .. right):sub(1, total + #left - width(left))
end

local function draw(bar, now)
  io.stderr:write("\r" .. line(bar, now - bar.start))
  bar.due = now + REDRAW_S
end

-- -- Iterating ---------------------------------------------------------------

-- Takes in that `items` more were delivered, the last of them with index i.
local function advance(bar, items, i)
  bar.count = bar.count + items
  bar.at = math.max(bar.at, i or 0)
end

local function look(bar, i)
  local now = clock()
  local lapse = now - bar.looked
  advance(bar, bar.items, i)
  if lapse > 2 * LOOK_S then
    bar.items = math.max(1, math.floor(bar.items / 4))
  elseif lapse < LOOK_S then
    bar.items = math.min(math.max(1, 2 * bar.items), ITEMS_MAX)
  end
  bar.countdown, bar.looked = bar.items, now
  if now >= bar.due then
    draw(bar, now)
  end
end

local function finish(bar, i)
  advance(bar, bar.items - bar.countdown - 1, i)
  if bar.length ~= math.huge then
    bar.at = bar.length
  end
  draw(bar, clock())
  io.stderr:write("\n")
end

local function step(bar, i)
  if bar.countdown == 0 then
    look(bar, i)
  end
  bar.countdown = bar.countdown - 1
  local j, x = bar.next_item(bar.state, i)
  if j == nil then
    finish(bar, i)
  end
  return j, x
end

local Progress = class("adapter.progress", Node)

Progress.is_timed = false

Progress.loops_source = true

function Progress:iterate(options)
  local next_item, state, first = self.source:iterate(options)
  if C.neap_progress_isatty(STDERR) == 0 then
    return next_item, state, first
  end
  local now = clock()
  return step, {
    next_item = next_item, state = state,
    label = self.label, length = self.length,
    count = 0, -- items delivered up to the last look
    at = 0, -- the highest index among them
    items = 0, -- from the last look to the next
    countdown = 0, -- to the next look
    start = now, looked = now, due = now,
  }, first
end

-- -- As a node ---------------------------------------------------------------

function Progress:emit(g, i, e)
  return g:value(self.source, i, e)
end

function Progress:set(i, value, e)
  self.source:set(i, value, e)
end

-- Below the bar, so that the bar is still what is iterated.
function Progress:at_epoch(n)
  local source = handle.node(epoch.make(handle.wrap(self.source), n))
  return Progress:make({
    source = source, length = self.length, label = self.label,
    where = self.where,
  })
end

local OPTIONS = { label = check.kinds.text }

--- Returns the same items; while they are iterated, and stderr is a terminal, a
-- bar shows the items done, the items per second, the time passed and the time
-- left.
-- @function progress
-- @tparam Sequence source
-- @tparam[opt] table options {label = text that stands before the bar}
-- @treturn Sequence
local function progress(source, options)
  source = handle.check(1, source)
  options = check.options(2, options, OPTIONS)
  return handle.wrap(Progress:make({
    source = source, length = source.length, label = options.label or "",
  }))
end

return {
  class = Progress, make = progress, options = OPTIONS,
  example = [[neap.progress({ 1, 2 }, { label = "epoch 1" }):totable()
    --> 1, 2]],
}
