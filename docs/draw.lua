-- SPDX-License-Identifier: MIT
--- Draws a picture of each adapter from what the adapter answers.
--
-- A picture is a list of rows. A row is a piece of Lua, which is run and shown,
-- with a box for each item that it answered; a box has the colours of the items
-- that its text names. So a picture cannot show what the adapter does not do.
--
-- Usage: build/bin/neap docs/draw.lua [FOLDER]    default: docs/pictures

local ffi = require("ffi")

-- Time goes by as the rows say, so that what is measured is always the same.
local now = 0

local function sleep(seconds)
  now = now + seconds
end

package.loaded["neap.base.clock"] = setmetatable({ sleep = sleep }, {
  __call = function()
    return now
  end,
})

local neap = require("neap")
local archive = dofile("tests/spec/archive.lua")
local database = dofile("tests/spec/database.lua")

ffi.cdef([[
  int posix_openpt(int flags);
  int grantpt(int fd);
  int unlockpt(int fd);
  char *ptsname(int fd);
  int open(const char *path, int flags, ...);
  int dup(int fd);
  int dup2(int from, int to);
  int close(int fd);
  int ioctl(int fd, unsigned long request, const unsigned short *size);
  long read(int fd, void *into, size_t nbytes);
  int usleep(unsigned us);
]])

local C = ffi.C

-- -- What rows may use --------------------------------------------------------

local tools = { neap = neap, sqrt = math.sqrt }

function tools.f(...)
  return ("f(%s)"):format(table.concat({ ... }, ", "))
end

function tools.join(list)
  return table.concat(list, " ")
end

function tools.roll(x, rng)
  return ("%s: %d"):format(x, rng:integer(1, 6))
end

function tools.decode(x)
  return x ~= "a3" and x or error("damaged")
end

function tools.blank()
  return "blank"
end

function tools.slow(x)
  sleep(0.25)
  return x
end

-- A field of each row that pack made, as a list.
function tools.field(s, name)
  return s:map(function(row)
    return row[name]:totable()
  end)
end

-- An IDX file of three images, 5 by 5.
local IMAGES = table.concat({
  "..#..", ".##..", "..#..", "..#..", ".###.",
  "####.", "...#.", "..#..", ".#...", ".#...",
  "...#.", "..##.", ".#.#.", "#####", "...#.",
})

function tools.idx_of_images()
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write("\0\0\8\3", "\0\0\0\3", "\0\0\0\5", "\0\0\0\5",
    (IMAGES:gsub(".", { ["#"] = "\255", ["."] = "\0" })))
  file:close()
  local s = neap.idx(path)
  os.remove(path)
  return s
end

-- What read(path) makes of a file with that text, which stays open.
local function of_file(read, text, ...)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local s = read(path, ...)
  os.remove(path)
  return s
end

function tools.pets()
  local folder = os.tmpname()
  os.execute(("rm %s && mkdir -p %s/cat %s/dog"):format(folder, folder, folder))
  for _, name in ipairs({ "cat/1.jpg", "cat/2.jpg", "dog/1.jpg" }) do
    assert(io.open(folder .. "/" .. name, "wb")):close()
  end
  local s = neap.files(folder, { labels = "folder", read = false })
  local list = s:map(function(item)
    return ("%s, %d"):format(item.path:sub(#folder + 2), item.label)
  end):totable()
  os.execute("rm -r " .. folder)
  return neap.from(list)
end

function tools.lines_of_poem()
  return of_file(neap.lines, "a rose\nis a rose\nis a rose\n")
end

function tools.table_of_houses()
  local s = of_file(neap.csv, "rooms,street\n3,Elm\n4,\"Oak, N\"\n")
  return s:map(function(row)
    return ("{ rooms = %d, street = '%s' }"):format(row.rooms, row.street)
  end)
end

function tools.comments()
  local s = of_file(neap.jsonl, '{"stars": 5}\n{"stars": 2}\n')
  return s:map(function(x)
    return ("{ stars = %d }"):format(x.stars)
  end)
end

-- An npy file of three images, 5 by 5; rows of the same numbers without it.
local function pixels_of_images()
  return (IMAGES:gsub(".", { ["#"] = "\255", ["."] = "\0" }))
end

function tools.npy_of_images()
  local header = "{'descr': '|u1', 'fortran_order': False, "
    .. "'shape': (3, 5, 5), }"
  header = header .. (" "):rep(117 - #header) .. "\n"
  return of_file(neap.npy, "\147NUMPY\1\0\118\0" .. header
    .. pixels_of_images())
end

function tools.of_arrays(labels)
  return neap.map(function(label)
    return ("{ image = tensor u8 5x5, label = %d }"):format(label)
  end, labels)
end

function tools.raw_of_images()
  return of_file(neap.raw, pixels_of_images(), "u8", { 5, 5 })
end

local function first_items(s, n)
  local list = {}
  for i, x in s:each() do
    list[i] = x
    if i == n then
      break
    end
  end
  return list
end

-- The items that a loop over p reads before it stops at item n; nothing in the
-- places of the others.
function tools.loop(p, n)
  local list = first_items(p, n)
  for i = n + 1, #p do
    list[i] = ""
  end
  return list
end

-- The items of s that its prefetch p has computed ahead of that loop.
function tools.ahead(s, p, n, buffered)
  local waited_ms = 0
  while p:stats().items < n + buffered and waited_ms < 10000 do
    C.usleep(1000)
    waited_ms = waited_ms + 1
  end
  local list, count = {}, p:stats().items
  for i = 1, #s do
    list[i] = i > n and i <= count and s[i] or ""
  end
  return list
end

local TERMINAL = 0x102 -- O_RDWR | O_NOCTTY
local TIOCSWINSZ = 0x5414

-- The last line that a loop over s shows on a terminal before item n + 1.
function tools.screen(s, n)
  local fd = C.posix_openpt(TERMINAL)
  assert(fd >= 0 and C.grantpt(fd) == 0 and C.unlockpt(fd) == 0)
  C.ioctl(fd, TIOCSWINSZ, ffi.new("unsigned short[4]", 24, 64))
  local terminal, stderr = C.open(C.ptsname(fd), TERMINAL), C.dup(2)
  C.dup2(terminal, 2)
  first_items(s, n + 1)
  io.stderr:write("!")
  C.dup2(stderr, 2)
  local said, into = "", ffi.new("char[4096]")
  while not said:find("!") do
    said = said .. ffi.string(into, C.read(fd, into, 4096))
  end
  for _, each in ipairs({ fd, terminal, stderr }) do
    C.close(each)
  end
  return said:match("([^\r]*)!")
end

-- Functions that note what they are called with.
local function add_notes(env)
  env.loaded, env.tried, env.noted = {}, {}, {}
  function env.load(x)
    table.insert(env.loaded, x)
    return x
  end
  function env.flaky(x)
    local fails = #env.tried == 1
    table.insert(env.tried, fails and x .. " fails" or x)
    return fails and error("busy") or x
  end
  function env.note(i, x)
    table.insert(env.noted, i .. ", " .. x)
  end
end

-- -- The pictures -------------------------------------------------------------
-- What read(path) makes of a path, at which write(path) puts a file first.
local function at_path(write, read)
  local path = os.tmpname()
  write(path)
  local s = neap.from(read(path):totable())
  os.execute("rm -rf " .. path .. "*")
  return s
end

function tools.saved(s)
  return at_path(function(path)
    neap.save(s, path, { workers = 0 })
  end, neap.load)
end

function tools.snapshot_of(s)
  return at_path(os.remove, function(path)
    return neap.snapshot(s, path, { workers = 0 })
  end)
end

function tools.samples()
  return of_file(function(path)
    return neap.from(neap.tar(path):map(function(x)
      return ("%s: jpg, cls"):format(x.__key__)
    end):totable())
  end, archive.of({ { "cat.jpg", "-" }, { "cat.cls", "1" },
    { "dog.jpg", "-" }, { "dog.cls", "2" } }))
end

function tools.rows()
  return at_path(function(path)
    database.sqlite(path, "CREATE TABLE pets(id INTEGER, name TEXT);"
      .. "INSERT INTO pets VALUES (3, 'cat'), (5, 'dog');")
  end, function(path)
    return neap.sqlite(path, "SELECT id, name FROM pets", { key = "id" })
      :map(function(row) return ("id = %d, name = %s"):format(row.id,
        row.name) end)
  end)
end

-- (What a folder keeps, no server is asked for.)
function tools.pages()
  local cache = require("neap.waiting.http_cache")
  local list = { "http://pets/cat", "http://pets/dog" }
  return at_path(function(path)
    os.remove(path)
    cache.make(path)
    cache.put(path, cache.key(list[1]), "a page on cats", {}, 2 ^ 20)
    cache.put(path, cache.key(list[2]), "a page on dogs", {}, 2 ^ 20)
  end, function(path)
    return neap.url(list, { cache = path, max_age = math.huge })
  end)
end

function tools.entries()
  return at_path(function(path)
    os.remove(path)
    database.lmdb(path, { { "cat", "one" }, { "dog", "two" } }, true)
  end, function(path)
    return neap.lmdb(path):map(function(x)
      return ("key = %s, value = %s"):format(x.key, x.value)
    end)
  end)
end

--
-- Numbers are the lengths of labelled sequences (a1, a2, ...), which come
-- first; other fields are values that rows use. A row is Lua, or what to show
-- and the Lua. Statements are only shown.

local PICTURES = {
  range = {
    "neap.range(4)", "neap.range(2, 10, 4)", "neap.range(3, 1, -1)",
  },
  from = {
    "neap.from({ 'w', 'x', 'y', 'z' })",
    "neap.from(neap.tensor('u8', { 3, 2 }, { 1, 2, 3, 4, 5, 6 }))",
    "neap.from(function(i) return i * i end)",
  },
  from_iter = { "neap.from_iter(('to be or not'):gmatch('%a+'))" },
  rep = { "neap.rep('x', 3)", "neap.rep('x')" },
  idx = { { "neap.idx('images.gz')", "idx_of_images()" } },
  files = {
    { "neap.files('pets', { labels = 'folder' })    path, label", "pets()" },
  },
  csv = { { "neap.csv('houses.csv')", "table_of_houses()" } },
  jsonl = { { "neap.jsonl('comments.jsonl')", "comments()" } },
  npy = { { "neap.npy('images.npy')", "npy_of_images()" } },
  npz = {
    { "neap.npz('train.npz')", "of_arrays({ 1, 7, 4 })" },
  },
  raw = { { "neap.raw('images.bin', 'u8', { 5, 5 })", "raw_of_images()" } },
  lines = { { "neap.lines('poem.txt')", "lines_of_poem()" } },
  load = { a = 4, { "neap.load('a.neap')", "saved(a)" } },
  tar = { { "neap.tar('pets-{000..099}.tar')", "samples()" } },
  sqlite = {
    { "neap.sqlite('pets.db', 'SELECT id, name FROM pets', { key = 'id' })",
      "rows()" },
  },
  url = {
    { "neap.url({ 'http://pets/cat', 'http://pets/dog' })", "pages()" },
  },
  lmdb = { { "neap.lmdb('pets.lmdb')", "entries()" } },

  map = { a = 3, b = 3, "neap.map(f, a)", "neap.map(f, a, b)" },
  starmap = {
    a = 3, b = 3, "neap.zip(a, b)", "neap.starmap(f, neap.zip(a, b))",
  },
  random_map = {
    a = 4, "neap.random_map(roll, a, { seed = 1 })",
    "neap.random_map(roll, a, { seed = 1 }):epoch(2)",
  },

  gather = { a = 4, "a:gather({ 3, 1, -1, 3 })" },
  concat = { a = 3, b = 2, "neap.concat(a, b)", "b .. a" },
  zip = { a = 3, b = 3, "neap.zip(a, b)",
    "neap.zip({ x = a, y = b })" },
  interleave = { a = 4, b = 2, c = 3, "neap.interleave(a, b, c)" },
  cycle = { a = 3, "a:cycle(2)", "a:cycle()" },
  switch = {
    a = 4, b = 4, condition = { true, false, false, true }, "condition",
    "neap.switch(condition, a, b)",
  },
  case = {
    a = 4, b = 4, c = 4, selector = { 1, 3, 2, 1 }, "selector",
    "neap.case(selector, a, b, c)",
  },
  split = {
    a = 6, "a:split(1)", "a:split({ 1, 4 })",
    "a:split({ { 1, 3 }, { 3, 6 } })",
  },
  batch = {
    a = 5, "a:batch(2)", "a:batch(2, { drop_last = true })",
    "a:batch(2, { pad = '-' })", "a:batch(2, { collate = join })",
  },
  unbatch = { a = 5, "a:batch(2)", "a:batch(2):unbatch(2, 1)" },
  shuffle = {
    a = 8, "a:shuffle(1)", "a:shuffle(2)", "a:shuffle(2):shuffle(1)",
  },
  shard = {
    a = 7, "a:shard(1, 3)", "a:shard(2, 3)", "a:shard(3, 3)",
    "a:shard(1, 3, { even = 'drop' })", "a:shard(3, 3, { even = 'pad' })",
  },
  mix = { a = 6, b = 3, "neap.mix({ a, b }, { 2, 1 })" },
  slice = {
    a = 6, "a:slice(2, 4)", "a:slice(-2)", "a:slice(1, -1, 2)",
    "a:slice(nil, nil, -1)",
  },
  window = { a = 5, "a:window(3)", "a:window(2, 2)" },
  where = {
    numbers = { 5, 2, 9, 1, 7 }, "numbers",
    "large = neap.where(numbers, function(x) return x > 4 end)", "large",
    "neap.gather(numbers, large)",
  },
  lengths = {
    words = { "the", "cat", "sat", "on", "it" }, "words", "neap.lengths(words)",
  },
  bucket = {
    a = 8, lengths = { 5, 1, 2, 9, 1, 7, 2, 1 }, "lengths",
    "s = a:bucket(lengths, { batch = 2, boundaries = { 3 } })", "s",
    "s:epoch(2)",
  },
  pack = {
    rows = { { 7, 7, 7, 7 }, { 8 }, { 9, 9, 9 }, { 6, 6 } }, "rows",
    "s = neap.pack(rows, { 4, 1, 3, 2 }, 6)",
    { "the tensor of each row", "field(s, 'tensor')" },
    { "segments: which item an element is of", "field(s, 'segments')" },
    { "positions: its place in the item", "field(s, 'positions')" },
  },
  epoch = {
    a = 6, "s = a:shuffle(3)", "s", "s:epoch(1)", "s:epoch(2)", "s:epoch(3)",
  },

  cache = {
    a = 3, "s = a:map(load):cache(2)", "{ s[1], s[2], s[1], s[3], s[1], s[2] }",
    { "what load was called for", "loaded" },
  },
  save = {
    a = 3, { "neap.save(a:map(f), 'a.neap')", "saved(a:map(f))" },
  },
  snapshot = {
    a = 3, { "a:map(f):snapshot('snapshots')", "snapshot_of(a:map(f))" },
  },
  prefetch = {
    a = 8, "s = a:map(f)",
    "p = s:prefetch({ workers = 2, buffered = 3, chunk = 1 })",
    { "what a loop over p has read", "loop(p, 2)" },
    { "what the workers have computed ahead", "ahead(s, p, 2, 3)" },
  },

  rescue = {
    a = 4, "a:map(decode)", "a:map(decode):rescue(blank)",
  },
  skip = {
    a = 4, "a:map(decode)", "a:map(decode):skip():batch(2)",
  },
  retry = {
    a = 3, "a:map(flaky):retry(1)", { "what flaky was called for", "tried" },
  },
  debug = {
    a = 4, "a:debug(note, { max_calls = 2 })",
    { "what note was called with", "noted" },
  },
  monitor = {
    a = 4, "m = a:map(slow):monitor()", "m",
    { "m:throughput()    items a second", "m:throughput()" },
    { "m:read_delay()    seconds an item", "m:read_delay()" },
  },
  progress = {
    "s = neap.range(60):map(slow):progress({ label = 'epoch 1' })",
    { "a terminal, while s is iterated", "screen(s, 42)" },
  },
}

-- -- From rows to items -------------------------------------------------------

local SHOWN = 7 -- items of an endless sequence
local FAILURE = { "error" }

local function is_sequence(x)
  return type(x) == "cdata" and x.each ~= nil
end

local function item_of(s, i)
  local ok, x = pcall(function()
    return s[i]
  end)
  return ok and x or FAILURE
end

-- The items to draw, and whether more would follow.
local function items_of(answer)
  if not is_sequence(answer) then
    return type(answer) == "table" and answer or { answer }, false
  elseif answer:len() < math.huge then
    local list = {}
    for i = 1, #answer do
      list[i] = item_of(answer, i)
    end
    return list, false
  end
  local list = first_items(answer, SHOWN + 1)
  local goes_on = #list > SHOWN
  list[SHOWN + 1] = nil
  return list, goes_on
end

local function new_row(label, answer)
  local items, goes_on = items_of(answer)
  return {
    label = label, items = items, goes_on = goes_on,
    is_numbered = is_sequence(answer),
  }
end

local function labelled(letter, n)
  local labels = {}
  for i = 1, n do
    labels[i] = letter .. i
  end
  return labels
end

-- Runs a row. A statement answers no items.
local function run(row, env)
  local label, code = row, row
  if type(row) == "table" then
    label, code = row[1], row[2]
  end
  local expression = loadstring("return " .. code)
  local answer = setfenv(expression or assert(loadstring(code)), env)()
  return expression and new_row(label, answer) or { label = label, items = {} }
end

local function rows_of(picture)
  local env, rows = setmetatable({}, { __index = tools }), {}
  add_notes(env)
  for _, letter in ipairs({ "a", "b", "c" }) do
    if picture[letter] then
      local labels = labelled(letter, picture[letter])
      env[letter] = neap.from(labels)
      rows[#rows + 1] = { label = letter, items = labels, is_source = true }
    end
  end
  for name, value in pairs(picture) do
    if type(value) == "table" and type(name) == "string" then
      env[name] = value
    end
  end
  for _, row in ipairs(picture) do
    rows[#rows + 1] = run(row, env)
  end
  return rows
end

-- -- From items to shapes -----------------------------------------------------
--
-- A shape has a width and a height, and is a box with a text, a group of
-- shapes, or an image.

local CHAR, TEXT, SMALL = 7.8, 13, 10 -- of the font, in pixels
local BOX, PADDING, GAP, PIXEL = 24, 7, 4, 6

local shape_of

local function box(text, is_failure)
  return {
    text = text, is_failure = is_failure, height = BOX,
    width = math.max(30, #text * CHAR + 2 * PADDING),
  }
end

local function group(items)
  local shapes = {}
  for k, item in ipairs(items) do
    shapes[k] = shape_of(item)
  end
  return { shapes = shapes, height = BOX + 2 * GAP }
end

local function fields(item)
  local names, shapes = {}, {}
  for name in pairs(item) do
    names[#names + 1] = name
  end
  table.sort(names)
  for k, name in ipairs(names) do
    shapes[k] = box(("%s = %s"):format(name, item[name]))
  end
  return { shapes = shapes, height = BOX + 2 * GAP }
end

function shape_of(item)
  if item == FAILURE then
    return box("error", true)
  elseif type(item) == "cdata" then
    local list = item:totable()
    if type(list[1]) == "table" then
      return {
        image = list, width = #list[1] * PIXEL + 2 * GAP,
        height = #list * PIXEL + 2 * GAP,
      }
    end
    return group(list)
  elseif type(item) == "table" then
    return #item > 0 and group(item) or fields(item)
  end
  return box(tostring(item))
end

-- Boxes of a row are as wide as the widest among them.
local function widest(shapes)
  local width = 0
  for _, shape in ipairs(shapes) do
    width = math.max(width, shape.shapes and widest(shape.shapes)
      or shape.width)
  end
  return width
end

local function widen(shapes, width)
  for _, shape in ipairs(shapes) do
    shape.width = width
    if shape.shapes then
      widen(shape.shapes, width)
      shape.width = #shape.shapes * (width + GAP) + GAP
    end
  end
end

-- Rows of as many items share their columns: a list of widths.
local function lay_out(rows)
  local shared = {}
  for _, row in ipairs(rows) do
    row.shapes, row.height = {}, 0
    for k, item in ipairs(row.items) do
      row.shapes[k] = shape_of(item)
      row.height = math.max(row.height, row.shapes[k].height)
    end
    widen(row.shapes, widest(row.shapes))
    row.columns = shared[#row.shapes] or {}
    shared[#row.shapes] = row.columns
    for k, shape in ipairs(row.shapes) do
      row.columns[k] = math.max(row.columns[k] or 0, shape.width)
    end
  end
end

-- -- From shapes to SVG -------------------------------------------------------
--
-- What stands outside of boxes is grey, for light and dark backgrounds.

local FILLS = { a = "#8ec5ff", b = "#ffc078", c = "#8ce99a" }
local PLAIN, FAILED, INK, GREY = "#d0d7de", "#ff9a9a", "#1f2328", "#768390"
local LEFT, MARGIN = 26, 8

local function escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;",
    [">"] = "&gt;" }))
end

local function put(svg, ...)
  svg[#svg + 1] = (...):format(select(2, ...))
end

local function rect(svg, x, y, width, height, style)
  put(svg, '<rect x="%g" y="%g" width="%g" height="%g" %s/>', x, y, width,
    height, style)
end

local function write(svg, x, y, size, colour, text, style)
  put(svg, '<text x="%g" y="%g" font-size="%d" fill="%s"%s>%s</text>', x, y,
    size, colour, style or "", escape(text))
end

local function fills_of(shape)
  local fills, seen = {}, {}
  for letter in shape.text:gmatch("%f[%w]([abc])%d+%f[%W]") do
    if not seen[letter] then
      fills[#fills + 1], seen[letter] = FILLS[letter], true
    end
  end
  return #fills > 0 and fills or { shape.is_failure and FAILED or PLAIN }
end

local function draw_box(svg, shape, x, y)
  if shape.text == "" then
    rect(svg, x + 0.5, y + 0.5, shape.width - 1, BOX - 1,
      ('rx="4" fill="none" stroke="%s" stroke-dasharray="3"'):format(GREY))
    return
  end
  local fills = fills_of(shape)
  for k, fill in ipairs(fills) do
    local shift = (k - 1) * shape.width / #fills
    rect(svg, x + shift, y, shape.width - shift, BOX,
      ('rx="4" fill="%s"'):format(fill))
  end
  write(svg, x + shape.width / 2, y + 16.5, TEXT, INK, shape.text,
    ' text-anchor="middle"')
end

local function draw_image(svg, shape, x, y)
  rect(svg, x, y, shape.width, shape.height, ('rx="4" fill="%s"'):format(PLAIN))
  for row, pixels in ipairs(shape.image) do
    for column, value in ipairs(pixels) do
      if value > 0 then
        rect(svg, x + GAP + (column - 1) * PIXEL, y + GAP + (row - 1) * PIXEL,
          PIXEL, PIXEL, ('fill="%s"'):format(INK))
      end
    end
  end
end

local function draw_shape(svg, shape, x, y)
  if shape.image then
    draw_image(svg, shape, x, y)
  elseif shape.shapes then
    rect(svg, x + 0.5, y + 0.5, shape.width - 1, shape.height - 1,
      ('rx="6" fill="none" stroke="%s"'):format(GREY))
    for k, inner in ipairs(shape.shapes) do
      draw_box(svg, inner, x + GAP + (k - 1) * (inner.width + GAP), y + GAP)
    end
  else
    draw_box(svg, shape, x, y)
  end
end

-- Answers how wide the row's items are, and where the next row begins.
local function draw_items(svg, row, y)
  local x = LEFT
  if row.is_numbered then
    y = y + SMALL + 2
  end
  for k, shape in ipairs(row.shapes) do
    local middle = x + row.columns[k] / 2
    if row.is_numbered then
      write(svg, middle, y - 3, SMALL, GREY, tostring(k),
        ' text-anchor="middle"')
    end
    draw_shape(svg, shape, middle - shape.width / 2,
      y + (row.height - shape.height) / 2)
    x = x + row.columns[k] + GAP
  end
  if row.goes_on then
    write(svg, x + 2, y + row.height / 2 + 4, TEXT, GREY, "…")
    x = x + 2 * CHAR
  end
  return x, y + row.height
end

-- Sources have their letter on the left, other rows their text above.
local function draw_row(svg, row, y)
  if row.is_source then
    write(svg, MARGIN, y + 16.5, TEXT, GREY, row.label)
    local right, bottom = draw_items(svg, row, y)
    return right, bottom + GAP
  end
  y = y + TEXT + 5
  write(svg, MARGIN, y, TEXT, GREY, row.label, ' font-weight="bold"')
  local right, bottom = draw_items(svg, row, y + (#row.items > 0 and 5 or 0))
  return math.max(right, MARGIN + #row.label * CHAR), bottom + GAP
end

local function draw(name, rows)
  local body, width, y = {}, 0, MARGIN
  for _, row in ipairs(rows) do
    local right
    right, y = draw_row(body, row, y)
    width = math.max(width, right)
  end
  local svg = {}
  put(svg, '<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" '
    .. 'viewBox="0 0 %g %g" font-family="monospace" xml:space="preserve">',
    width + MARGIN, y + MARGIN, width + MARGIN, y + MARGIN)
  put(svg, "<title>%s</title>", name)
  return ("%s\n%s\n</svg>\n"):format(table.concat(svg, "\n"),
    table.concat(body, "\n"))
end

-- -- Main ---------------------------------------------------------------------

local folder = ... or "docs/pictures"
for name, picture in pairs(PICTURES) do
  now = 0
  local rows = rows_of(picture)
  lay_out(rows)
  local file = assert(io.open(("%s/%s.svg"):format(folder, name), "w"))
  file:write(draw(name, rows))
  file:close()
end
