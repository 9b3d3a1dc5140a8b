-- SPDX-License-Identifier: MIT
--- The main job: a linear model that learns Fashion-MNIST while workers
-- augment and batch the images (examples/fashion_mnist.lua). Where its
-- data set is not installed there are no rows.

local measure = require("measure")

local EXAMPLE = (arg[0]:match("^.*/") or "./")
  .. "../../examples/fashion_mnist.lua"
local DATA = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"

local function is_there(path)
  local file = io.open(path)
  return file ~= nil and file:close()
end

-- Thousands of images a second: computed, read and learnt from.
local function rate(workers)
  local text = measure.output("%s %s --epochs 1 --limit %d --workers %d",
    measure.neap, EXAMPLE, measure.count(60000), workers)
  return (text:match("(%d+) images/s") or error(text, 0)) / 1000
end

local function row(workers)
  return {
    name = ("Fashion-MNIST, learnt, workers = %d"):format(workers),
    unit = "k/s",
    limit_name = "workers = 0, in place",
    run = function()
      return rate(workers)
    end,
    limit = function()
      return rate(0)
    end,
  }
end

return is_there(DATA) and { row(1), row(2) } or {}
