-- SPDX-License-Identifier: MIT
--- Draws how many items a second arrive by workers and concurrency, of items
-- that wait 50 ms and compute for about 0.1 ms.
--
--   build/bin/neap tests/bench/concurrency.lua > docs/concurrency.svg

local clock = require("neap.base.clock")
local neap = require("neap")

local WAIT_S, TURNS = 0.05, 20000 -- turns of a loop: what an item computes
local WORKERS = { 1, 2, 4 }
local AT_ONCE = { 1, 2, 5, 10, 20, 50, 100, 200 } -- of each worker
local SECONDS = 1.5 -- of each measurement

local function compute()
  local x = 0
  for k = 1, TURNS do
    x = x + math.sqrt(k)
  end
  return x
end

local function item(i)
  neap.sleep(WAIT_S)
  return i + 0 * compute()
end

-- Items a second.
local function measure(workers, concurrency)
  local p = neap.map(item, neap.range(1e6)):prefetch({
    workers = workers, concurrency = concurrency, chunk = 1,
  })
  local _ = p[1]
  local start, count = clock(), 0
  for _ in p:each() do
    count = count + 1
    if clock() - start > SECONDS then
      break
    end
  end
  local rate = count / (clock() - start)
  p:close()
  return rate
end

-- -- The picture -------------------------------------------------------------

local LEFT, TOP, WIDTH, HEIGHT = 60, 30, 520, 260
local MOST = 4000 -- items a second at the top
local COLOURS = { "#4e79a7", "#f28e2b", "#59a14f" }

local function x_of(concurrency)
  return LEFT + math.log(concurrency) / math.log(200) * WIDTH
end

local function y_of(rate)
  return TOP + HEIGHT * (1 - math.log(math.max(rate, 10) / 10)
    / math.log(MOST / 10))
end

local function text(x, y, anchor, said)
  return ('<text x="%d" y="%d" font-size="11" fill="#768390" '
    .. 'text-anchor="%s">%s</text>'):format(x, y, anchor, said)
end

local lines = {
  ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
    .. 'font-family="monospace">'):format(LEFT + WIDTH + 110,
    TOP + HEIGHT + 50),
  "<title>items a second, by workers and concurrency</title>",
  text(LEFT, 16, "start",
    "items a second, which wait 50 ms and compute 0.1 ms"),
  text(LEFT + WIDTH / 2, TOP + HEIGHT + 40, "middle",
    "concurrency: items in work in each worker"),
}
for _, rate in ipairs({ 10, 100, 1000 }) do
  lines[#lines + 1] = text(LEFT - 8, y_of(rate) + 4, "end", rate)
  lines[#lines + 1] = ('<path d="M%d %.1f h%d" stroke="#768390" '
    .. 'stroke-opacity="0.3"/>'):format(LEFT, y_of(rate), WIDTH)
end
for _, concurrency in ipairs(AT_ONCE) do
  lines[#lines + 1] = text(x_of(concurrency), TOP + HEIGHT + 18, "middle",
    concurrency)
end
for k, workers in ipairs(WORKERS) do
  local path, rate = {}, nil
  for n, concurrency in ipairs(AT_ONCE) do
    rate = measure(workers, concurrency)
    io.stderr:write(("%d workers, concurrency %d: %.0f a second\n"):format(
      workers, concurrency, rate))
    path[n] = ("%s%.1f %.1f"):format(n == 1 and "M" or "L", x_of(concurrency),
      y_of(rate))
  end
  lines[#lines + 1] = ('<path d="%s" fill="none" stroke="%s" '
    .. 'stroke-width="2"/>'):format(table.concat(path, " "), COLOURS[k])
  lines[#lines + 1] = text(LEFT + WIDTH + 8, y_of(rate) + 4, "start",
    workers .. (workers == 1 and " worker" or " workers"))
end
lines[#lines + 1] = "</svg>\n"
io.write(table.concat(lines, "\n"))
