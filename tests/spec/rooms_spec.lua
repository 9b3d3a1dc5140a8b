-- SPDX-License-Identifier: MIT
--- A room uses only itself and the rooms below it (docs/rooms.lua).

local support = dofile("tests/spec/support.lua")
local rooms = dofile("docs/rooms.lua")

-- The arrows that point up, as lines to read.
local function climbing(house, arrows)
  local place, found = {}, {}
  for k, room in ipairs(house) do
    place[room[1]] = k
  end
  for _, arrow in ipairs(arrows) do
    if (place[arrow.to] or math.huge) > place[arrow.from] then
      found[#found + 1] = ("%s uses %s, which is not below %s: %s"):format(
        arrow.file, arrow.to, arrow.from, arrow.line)
    end
  end
  return found
end

for _, house in ipairs(rooms.houses) do
  describe(house.folder, function()
    it("has no arrow that points up", function()
      assert.same({}, climbing(house, rooms.arrows(house)))
    end)

    it("has its code in the rooms that are listed", function()
      assert.same({}, rooms.strangers(house))
    end)

    it("shows an arrow that points up", function()
      local low, high = house[1][1], house[#house][1]
      assert.equal(1, #climbing(house, {
        { from = low, to = high, file = "a.c", line = "" },
        { from = high, to = low, file = "b.c", line = "" },
      }))
      assert.truthy(#rooms.arrows(house) > 20)
    end)
  end)
end

it("docs/pictures/rooms.svg is what docs/rooms.lua draws", function()
  assert.equal(rooms.picture(), support.read("docs/pictures/rooms.svg"))
end)
