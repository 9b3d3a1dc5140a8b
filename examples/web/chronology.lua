-- SPDX-License-Identifier: MIT
--- A chart of when requests began and ended, one line below the other, for the
-- terminal and as SVG.

local ROWS, COLUMNS = 20, 60 -- of the chart in the terminal
local WIDTH, HEIGHT, HEAD = 900, 420, 40 -- of the picture
local SHADES = { " ", "░", "▒", "▓", "█" }
local COLOURS = { "#4e79a7", "#f28e2b", "#59a14f", "#e15759" }

local Chronology = {}
Chronology.__index = Chronology

local function new()
  return setmetatable({
    list = {}, first = math.huge, last = 0, workers = {}, worker_count = 0,
  }, Chronology)
end

--- Adds a request: {began =, ended =} in seconds on one clock, worker = any.
function Chronology:add(request)
  self.list[#self.list + 1] = request
  self.first = math.min(self.first, request.began)
  self.last = math.max(self.last, request.ended)
  if not self.workers[request.worker] then
    self.worker_count = self.worker_count + 1
    self.workers[request.worker] = self.worker_count
  end
end

--- Seconds from the first request to the end of the last.
function Chronology:seconds()
  return self.last - self.first
end

--- Seconds of all requests, one after another.
function Chronology:serial()
  local sum = 0
  for _, request in ipairs(self.list) do
    sum = sum + request.ended - request.began
  end
  return sum
end

local function sort(list)
  table.sort(list, function(a, b)
    return a.began < b.began
  end)
end

-- The part of some requests that was under way in a column's time.
local function share(self, first, last, column)
  local width = self:seconds() / COLUMNS
  local from = self.first + (column - 1) * width
  local sum = 0
  for k = first, last do
    local request = self.list[k]
    sum = sum + math.max(0, math.min(request.ended, from + width)
      - math.max(request.began, from))
  end
  return sum / width / (last - first + 1)
end

--- Prints the chart: a row for some requests, darker where more of them were
-- under way.
function Chronology:print()
  sort(self.list)
  local count = #self.list
  local rows = math.min(ROWS, count)
  print(("request  0 s%s%.2f s"):format((" "):rep(COLUMNS - 8), self:seconds()))
  for row = 1, rows do
    local first = math.floor((row - 1) * count / rows) + 1
    local cells = {}
    for column = 1, COLUMNS do
      local part = share(self, first, math.floor(row * count / rows), column)
      cells[column] = SHADES[math.min(4, math.ceil(part * 4)) + 1]
    end
    print(("%7d  %s"):format(first, (table.concat(cells):gsub(" +$", ""))))
  end
end

--- Writes the chart as SVG: a line for each request, a colour for each worker.
function Chronology:save(path, title)
  sort(self.list)
  local x_scale = (WIDTH - 20) / self:seconds()
  local y_scale = (HEIGHT - HEAD - 10) / #self.list
  local lines = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
      .. 'font-family="monospace">'):format(WIDTH, HEIGHT),
    ("<title>%s</title>"):format(title),
    ('<text x="10" y="16" font-size="14" fill="#768390">%s</text>'):format(
      title),
    ('<text x="10" y="34" font-size="11" fill="#768390">0 s</text>'),
    ('<text x="%d" y="34" font-size="11" fill="#768390" text-anchor="end">'
      .. "%.2f s</text>"):format(WIDTH - 10, self:seconds()),
  }
  for k, request in ipairs(self.list) do
    lines[#lines + 1] = ('<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" '
      .. 'fill="%s"/>'):format(10 + (request.began - self.first) * x_scale,
      HEAD + (k - 1) * y_scale,
      math.max(0.5, (request.ended - request.began) * x_scale),
      math.max(0.4, 0.8 * y_scale),
      COLOURS[(self.workers[request.worker] - 1) % #COLOURS + 1])
  end
  lines[#lines + 1] = "</svg>\n"
  local file = assert(io.open(path, "w"))
  file:write(table.concat(lines, "\n"))
  file:close()
end

return new
