-- SPDX-License-Identifier: MIT
--- Tensors of 602,112 bytes, filled in their slots.
local neap = require("neap")
return neap.loader({
  params = { count = 10000 },
  build = function(p)
    return neap.range(p.count):map(function(i)
      local t = neap.empty("f32", { 3, 224, 224 })
      t:fill(i)
      return t
    end)
  end,
  prefetch = { workers = 2, buffered = 16 },
})
