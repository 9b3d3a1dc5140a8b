-- SPDX-License-Identifier: MIT
--- A CSV file to a table of tensors, and a linear regression over batches.
--
-- The file is made here: prices of houses, by area and rooms.

local neap = require("neap")

local ROWS, EPOCHS, BATCH, RATE = 2000, 30, 50, 0.1

local function make_file()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write("area,rooms,price,street\n")
  math.randomseed(1)
  for k = 1, ROWS do
    local area, rooms = math.random(30, 200), math.random(1, 6)
    local price = 3 * area + 20 * rooms + 50 + math.random(-10, 10)
    file:write(("%d,%d,%d,\"%d, Elm street\"\n"):format(area, rooms, price, k))
  end
  file:close()
  return path
end

local path = make_file()
print((tostring(neap.csv(path)):gsub(path, "houses.csv")))
--> csv(houses.csv: area i64, rooms i64, price i64, street string): 2000 items

-- The columns that are wanted, as tensors: parsed in C, at once.
local houses = neap.csv(path, {
  columns = { area = "f32", rooms = "f32", price = "f32" }, as = "columns",
})
os.remove(path)
print(houses.area.dtype, #houses.area) --> f32 2000

-- Areas are of other sizes than rooms: divide, so that one rate fits both.
local batches = neap.zip({
  x = neap.from(houses.area):map(function(v) return v / 100 end),
  y = neap.from(houses.rooms),
  price = neap.from(houses.price),
}):shuffle(7):batch(BATCH, { collate = neap.stack })

local w = { x = 0, y = 0, bias = 0 }

local function step(batch)
  local x, y, price = batch.x:ptr(), batch.y:ptr(), batch.price:ptr()
  local n, gx, gy, gb = #batch.x, 0, 0, 0
  for k = 0, n - 1 do
    local wrong = w.x * x[k] + w.y * y[k] + w.bias - price[k]
    gx, gy, gb = gx + wrong * x[k], gy + wrong * y[k], gb + wrong
  end
  w.x = w.x - RATE * gx / n
  w.y = w.y - RATE * gy / n
  w.bias = w.bias - RATE * gb / n
end

local p = batches:prefetch({ workers = 2 })
for epoch = 1, EPOCHS do
  for _, batch in p:epoch(epoch):each() do
    step(batch)
  end
end
p:close()

local function near(value, wanted, tolerance)
  return math.abs(value - wanted) <= tolerance
end

print("3 a square metre:", near(w.x / 100, 3, 0.05)) --> 3 a square metre: true
print("20 a room:", near(w.y, 20, 1)) --> 20 a room: true
print("and 50:", near(w.bias, 50, 5)) --> and 50: true
