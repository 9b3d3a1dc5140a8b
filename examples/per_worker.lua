-- SPDX-License-Identifier: MIT
-- Resources of each worker: a file that each one opens at its first use, and
-- closes when it ends.

local neap = require("neap")

local path = os.tmpname()
local out = io.open(path, "wb")
for i = 1, 1000 do
  out:write(("%8d"):format(i * i))
end
out:close()

local records = neap.per_worker(function()
  return io.open(path, "rb")
end, function(file)
  file:close()
end)

local p = neap.range(1000):map(function(i)
  records():seek("set", 8 * (i - 1))
  return tonumber(records():read(8))
end):prefetch({ workers = 2 })

local sum = 0
for _, x in p:each() do
  sum = sum + x
end
print(sum)
--> 333833500

p:close()
os.remove(path)
