-- SPDX-License-Identifier: MIT
--- What a worker process runs (`neap --worker`).
--
-- A worker begins with the classes of its chain alone: all of neap takes it
-- 0.4 ms and 190 KiB more.
-- @module neap.worker

local handle = require("neap.sequence.handle")
local run = require("neap.prefetch.worker")

handle.set_loader(function()
  require("neap")
end)

return run
