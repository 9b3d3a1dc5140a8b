-- SPDX-License-Identifier: MIT
--- Numbers, by four workers.
local neap = require("neap")
return neap.loader({
  build = function()
    return neap.range(1000000):map(function(i)
      return i
    end)
  end,
  prefetch = { workers = 4 },
})
