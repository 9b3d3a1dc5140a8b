-- SPDX-License-Identifier: MIT
--- A progress bar on a terminal: stderr.
--
-- A bar does not learn that its loop broke or failed. So each line fills the
-- terminal's width exactly. The cursor is then past the last column: "\r"
-- returns to the line to redraw it, and other output begins on the next line.
-- @module neap.base.bar

local ffi = require("ffi")
local class = require("neap.base.class")
local clock = require("neap.base.clock")
local units = require("neap.base.units")

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
local Bar = class("base.bar")
local size = ffi.new("neap_progress_size")

-- -- The line ----------------------------------------------------------------

local function columns()
  if C.neap_progress_ioctl(STDERR, TIOCGWINSZ, size) == 0
    and size.columns > 0 then
    return size.columns
  end
  return tonumber(os.getenv("COLUMNS")) or COLUMNS
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
  local speed = ("%7s%s"):format(units.rate(rate), bar.note
    and ", " .. bar.note(seconds) or "")
  if bar.length == math.huge then
    return ("%s%d %s, %s"):format(label, bar.count, speed,
      time_text(seconds)), ""
  end
  local part = bar.length > 0 and bar.at / bar.length or 1
  local left = bar.at == bar.length and 0 or (bar.length - bar.at) / rate
  return ("%s%3d%% "):format(label, math.floor(part * 100)),
    (" %s/%d %s, %s, %s left"):format(pad(bar.at, bar.length), bar.length,
      speed, time_text(seconds), time_text(left)), part
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

-- -- Counting ----------------------------------------------------------------

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

--- Is called before each item, with the index of the one before.
function Bar:before(i)
  if self.countdown == 0 then
    look(self, i)
  end
  self.countdown = self.countdown - 1
end

--- Is called after the last item, with its index.
function Bar:finish(i)
  advance(self, self.items - self.countdown - 1, i)
  if self.length ~= math.huge then
    self.at = self.length
  end
  draw(self, clock())
  io.stderr:write("\n")
end

--- Whether stderr is a terminal.
function Bar.is_shown()
  return C.neap_progress_isatty(STDERR) ~= 0
end

--- Makes a bar, whose clock starts.
-- @tparam number length items in all; math.huge: not known
-- @tparam string label before the bar; may be empty
-- @tparam[opt] function note note(seconds) returns text that follows the rate
function Bar.make(length, label, note)
  local now = clock()
  return Bar:new({
    length = length, label = label, note = note or false,
    count = 0, -- items delivered up to the last look
    at = 0, -- the highest index among them
    items = 0, -- from the last look to the next
    countdown = 0, -- to the next look
    start = now, looked = now, due = now,
  })
end

return Bar
