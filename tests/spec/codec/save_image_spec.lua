-- SPDX-License-Identifier: MIT
--- Saved images and contact sheets.

local neap = require("neap")
local images = dofile("tests/spec/codec/images.lua")
local support = dofile("tests/spec/support.lua")

local path = os.tmpname()

local function saved(t, extension, options, wanted)
  local file = path .. "." .. extension
  neap.save_image(t, file, options)
  local back = neap.decode.image({ path = file }, wanted)
  os.remove(file)
  return back
end

local message = support.message

describe("neap.save_image", function()
  local rgb = images.gradient(5, 7)

  teardown(function()
    os.remove(path)
  end)

  it("saves what decode.image reads again", function()
    assert.equal(0, images.distance(saved(rgb, "png"), rgb))
    assert.equal(0, images.distance(saved(rgb, "webp", { quality = 100 }), rgb))
    assert.is_true(images.distance(saved(rgb, "JPG"), rgb) < 12)
    assert.is_true(images.distance(saved(rgb, "jpeg", { quality = 50 }), rgb)
      < 60)
  end)

  it("saves grey images and transparent ones", function()
    local grey = neap.tensor("u8", { 2, 3 }, { 0, 50, 100, 150, 200, 250 })
    for _, extension in ipairs({ "png", "webp" }) do
      local back = saved(grey, extension, { quality = 100 }, { channels = 1 })
      assert.is_true(images.distance(back, grey:reshape(2, 3, 1)) <= 1)
    end
    local rgba = neap.tensor("u8", { 1, 2, 4 }, { 9, 8, 7, 6, 5, 4, 3, 2 })
    assert.equal(0, images.distance(saved(rgba, "png", {}, { channels = 4 }),
      rgba))
    assert.same({ 1, 2, 3 }, saved(rgba, "jpg").shape)
  end)

  it("saves floats of either layout, and undoes a normalisation", function()
    local wanted = neap.decode.image(images.encode(rgb, "png"), {
      layout = "chw", mean = { 0.1, 0.2, 0.3 }, std = { 0.5, 0.25, 2 } })
    local back = saved(wanted, "png", { mean = { 0.1, 0.2, 0.3 },
      std = { 0.5, 0.25, 2 } })
    assert.equal(0, images.distance(back, rgb))
    assert.equal(0, images.distance(saved(rgb:to("f32", 1 / 255), "png"), rgb))
  end)

  it("takes what is out of range to black and white", function()
    local back = saved(neap.tensor("f32", { 1, 2, 1 }, { -3, 7 }), "png", {},
      { channels = 1 })
    assert.same({ 0, 255 }, back:reshape(-1):totable())
  end)

  it("asks for the layout where it cannot be told", function()
    local t = neap.tensor("u8", { 3, 2, 3 })
    assert.same({ 3, 2, 3 }, saved(t, "png").shape)
    assert.same({ 2, 3, 3 }, saved(t, "png", { layout = "chw" }).shape)
    assert.equal("cannot show a tensor u8 5x5x5: an image has 2 or 3 "
      .. "dimensions, of which the first or last is 1, 3 or 4 channels\nhelp: "
      .. 'say layout = "hwc" or "chw"',
      message(neap.save_image, neap.tensor("u8", { 5, 5, 5 }), "x.png"))
  end)

  it("tells what cannot be saved, and where to", function()
    assert.equal("bad argument #2 to 'save_image' (path that ends in .png, "
      .. '.jpg or .webp expected, got "x.gif")',
      message(neap.save_image, rgb, "x.gif"))
    assert.equal("cannot write /none/x.png: No such file or directory",
      message(neap.save_image, rgb, "/none/x.png"))
    assert.equal("cannot write /dev/full/x.png: Not a directory",
      message(neap.save_image, rgb, "/dev/full/x.png"))
    assert.matches("cannot show a tensor i32 2x2: an image is of u8 or of "
      .. "floats", message(neap.save_image, neap.tensor("i32", { 2, 2 }),
      "x.png"))
    assert.matches("tensor expected", message(neap.save_image, {}, "x.png"))
  end)
end)

describe("neap.contact_sheet", function()
  it("puts images beside and below each other", function()
    local list = {}
    for k = 1, 5 do
      list[k] = neap.tensor("u8", { 4, 6, 3 }, k)
    end
    local sheet = neap.contact_sheet(list)
    assert.same({ 2 + 2 * 6, 2 + 3 * 8, 3 }, sheet.shape)
    assert.equal(1, sheet:get(3, 3, 1))
    assert.equal(255, sheet:get(3, 9, 1))
    assert.equal(2, sheet:get(3, 11, 2))
    assert.equal(5, sheet:get(9, 11, 3))
    assert.equal(255, sheet:get(9, 19, 3))
    assert.same({ 4 + 2 + 2, 5 * 8 + 2, 3 },
      neap.contact_sheet(list, { columns = 9 }).shape)
  end)

  it("takes images of several sizes, grey ones, and a batch", function()
    local sheet = neap.contact_sheet({ neap.tensor("u8", { 2, 2 }, 9),
      neap.tensor("f32", { 3, 1, 1 }, 1) })
    assert.same({ 7, 10, 3 }, sheet.shape)
    assert.same({ 9, 9, 9 }, sheet[3][3]:totable())
    local batch = neap.tensor("f32", { 2, 3, 4, 4 }, 0)
    assert.same({ 8, 14, 3 }, neap.contact_sheet(batch,
      { layout = "chw" }).shape)
    assert.equal(128, neap.contact_sheet(batch, { layout = "chw", mean = 0.5,
      std = 0.5 }):get(3, 3, 1))
  end)

  it("saves itself, as save_image saves a batch", function()
    local batch = neap.tensor("u8", { 2, 4, 4, 3 }, 7)
    local file = path .. ".png"
    local sheet = neap.contact_sheet(batch, { path = file })
    local first = neap.decode.image({ path = file })
    neap.save_image(batch, file)
    assert.equal(0, images.distance(first, sheet))
    assert.equal(0, images.distance(neap.decode.image({ path = file }), sheet))
    os.remove(file)
  end)

  it("tells what is no image", function()
    assert.matches("list of images or a batch of them expected, got table",
      message(neap.contact_sheet, {}))
    assert.matches("a tensor expected as image 2, got 5",
      message(neap.contact_sheet, { neap.tensor("u8", { 1, 1 }), 5 }))
  end)
end)
