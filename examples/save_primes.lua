-- SPDX-License-Identifier: MIT
-- Finds the primes below 8192, and saves each over HTTP, which takes 50 ms.
-- While some are saved, the workers look for others.
--
-- neap examples/save_primes.lua [--below N] [--workers N] [--at-once N]
--   [--delay MS] [--svg FILE] [--url URL]

local neap = require("neap")
local clock = require("neap.base.clock")
local chronology = require("web.chronology")()
local start = require("web.start")

local options = {
  below = 8192, workers = 2, ["at-once"] = 100, delay = 50,
  svg = "save_primes.svg", url = "",
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

-- Tries all smaller numbers, to have something to compute.
local function is_prime(n)
  local divisors = 0
  for d = 2, n - 1 do
    if n % d == 0 then
      divisors = divisors + 1
    end
  end
  return divisors == 0
end

local worker = 0

local p = neap.range(2, options.below - 1):map(function(n)
  if not is_prime(n) then
    return false
  end
  local began = clock()
  neap.http.request({
    url = url .. "/prime/" .. n, method = "PUT", body = tostring(n),
  })
  return { prime = n, began = began, ended = clock(), worker = worker }
end):prefetch({
  workers = options.workers, buffered = 4096,
  on_start = function(number)
    worker = number
  end,
  concurrency = math.ceil(options["at-once"] / math.max(1, options.workers)),
})

local count, began = 0, clock()
for _, saved in p:each() do
  if saved then
    count = count + 1
    chronology:add(saved)
  end
end
local seconds = clock() - began
p:close()

print(("%d primes found, %s saved"):format(count,
  neap.http.get(url .. "/primes")))
--> 1028 primes found, 1028 saved
stop()
local title = ("%d requests in %.2f s; one after another %.0f s"):format(count,
  seconds, chronology:serial())
print(title)
chronology:print()
chronology:save(options.svg, title)
