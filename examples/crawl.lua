-- SPDX-License-Identifier: MIT
-- Sums the bytes of 500 web pages, of which each takes 100 ms to arrive.
--
-- neap examples/crawl.lua [--pages N] [--workers N] [--at-once N] [--delay MS]
--   [--svg FILE] [--url URL]

local neap = require("neap")
local clock = require("neap.base.clock")
local chronology = require("web.chronology")()
local start = require("web.start")

local options = {
  pages = 500, workers = 1, ["at-once"] = 100, delay = 100, svg = "crawl.svg",
  url = "",
}
for k = 1, #arg, 2 do
  local name = arg[k]:match("^%-%-([%l-]+)$")
  if options[name or 0] == nil or not arg[k + 1] then
    error("unknown option " .. arg[k], 0)
  end
  options[name] = tonumber(arg[k + 1]) or arg[k + 1]
end

local url, stop = options.url, function() end
if url == "" then
  url, stop = start(options.delay)
end

local worker = 0

local p = neap.range(options.pages):map(function(i)
  local began = clock()
  local body = neap.http.get(url .. "/page/" .. i)
  return { nbytes = #body, began = began, ended = clock(), worker = worker }
end):prefetch({
  workers = options.workers,
  on_start = function(number)
    worker = number
  end,
  concurrency = math.ceil(options["at-once"] / math.max(1, options.workers)),
})

local sum = 0
for _, page in p:each() do
  sum = sum + page.nbytes
  chronology:add(page)
end
p:close()
stop()

print(sum .. " bytes")
--> 754140 bytes
local title = ("%d pages in %.2f s; one after another %.0f s"):format(
  options.pages, chronology:seconds(), chronology:serial())
print(title)
chronology:print()
chronology:save(options.svg, title)
