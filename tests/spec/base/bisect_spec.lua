-- SPDX-License-Identifier: MIT
--- Finding the part that has an index.

local bisect = require("neap.base.bisect")

it("finds the last start at or before an index", function()
  local list = {}
  for n = 1, 20 do
    list[n] = n * n
    for i = 1, n * n + 3 do
      assert.equal(math.min(n, math.floor(math.sqrt(i))), bisect(list, i))
    end
  end
  assert.equal(3, bisect({ 1, 5, 5, 9 }, 5)) -- the part before it is empty
end)
