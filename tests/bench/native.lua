-- SPDX-License-Identifier: MIT
--- Native stages without Lua: what a call costs, beside libffi alone and beside
-- C; kernels on items of 4 KiB and more.

local measure = require("measure")

-- Both programs print the least of ten turns.
local function row(name, target, work, limit_name, limit, count)
  return {
    name = "native, " .. name, unit = "ns", target = target, is_alone = true,
    limit_name = limit_name,
    run = function()
      return measure.limit("native_calls %s %d", work, measure.count(count))
    end,
    limit = function()
      return measure.limit("limit_native %s %d", limit, measure.count(count))
    end,
  }
end

return {
  row("double f(double)", "15 ns above libffi", "number", "ffi_call()",
    "libffi", 1e7),
  row("double f(double), directly", "", "number", "a call in C", "direct", 1e7),
  row("a kernel on 4 KiB of f32", "ratio 1.1", "kernel", "a call in C",
    "kernel", 1e6),
  row("a kernel on 64 KiB of f32", "ratio 1.1", "kernel64", "a call in C",
    "kernel64", 1e5),
  row("double f(double) on 4 KiB of f64", "ratio 1.1", "element",
    "a loop in C", "element", 1e6),
}
