-- SPDX-License-Identifier: MIT
--- Numbers in runs as long as may be.
local neap = require("neap")
return neap.loader({
  params = { count = 1000000 },
  build = function(p)
    return neap.range(p.count):map(function(i)
      return i
    end)
  end,
  prefetch = { workers = 1, buffered = 8192, chunk = 1024 },
})
