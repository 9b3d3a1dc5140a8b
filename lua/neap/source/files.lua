-- SPDX-License-Identifier: MIT
--- The files of a folder, or those that fit a pattern.
-- Their paths lie one after another in a tensor that all workers share, not in
-- a table of strings.
-- @module neap.source.files

local ffi = require("ffi")
local array = require("neap.tensor.array")
local check = require("neap.base.check")
local class = require("neap.base.class")
local File = require("neap.source.file")
local Node = require("neap.sequence.node")
local handle = require("neap.sequence.handle")
local lib = require("neap.base.lib")
local pattern = require("neap.source.pattern")

local C = lib.C
local cast = ffi.cast

local chars, i64s = ffi.typeof("char *"), ffi.typeof("int64_t *")
local i32s = ffi.typeof("int32_t *")
local out = ffi.new("neap_listing *[1]")

local Files = class("source.files", Node)

function Files:path(i)
  local starts = cast(i64s, self.starts.d.data)
  local start = tonumber(starts[i - 1])
  return self.prefix .. ffi.string(cast(chars, self.paths.d.data) + start,
    tonumber(starts[i]) - start)
end

function Files:get(i)
  local path, labels = self:path(i), self.labels
  return {
    path = path,
    bytes = self.is_read and File.load(path) or nil,
    label = labels and labels[cast(i32s, self.groups.d.data)[i - 1]] or nil,
  }
end

function Files:describe()
  return ("files(%s)"):format(self.where_from)
end

-- -- Listing -----------------------------------------------------------------

local function copy_found(listing)
  local count = tonumber(C.neap_listing_count(listing))
  local found = {
    length = count, names = {},
    paths = array.lasting("u8", {
      math.max(1, tonumber(C.neap_listing_bytes(listing))),
    }),
    starts = array.lasting("i64", { count + 1 }),
    groups = array.lasting("i32", { math.max(1, count) }),
  }
  C.neap_listing_copy(listing, cast(chars, found.paths.d.data),
    cast(i64s, found.starts.d.data), cast(i32s, found.groups.d.data))
  for k = 1, C.neap_listing_group_count(listing) do
    found.names[k] = ffi.string(C.neap_listing_group(listing, k - 1))
  end
  return found
end

local function find(folder, patterns)
  local text = table.concat(patterns, "\0") .. "\0"
  check.status(C.neap_listing_open(folder, text, #patterns, out, lib.error))
  local listing = ffi.gc(out[0], C.neap_listing_close)
  local found = copy_found(listing)
  C.neap_listing_close(ffi.gc(listing, nil))
  return found
end

-- -- Labels ------------------------------------------------------------------

-- Number of a folder -> its label, for a list of labels.
local function match_labels(folder, names, wanted)
  local of_name, labels = {}, {}
  for k, name in ipairs(wanted) do
    of_name[name] = k
  end
  for k, name in ipairs(names) do
    labels[k] = of_name[name]
    if not labels[k] then
      check.raise(("cannot label the files in %s: its folder '%s' is not among "
        .. "the labels"):format(folder, name),
        "add the name to labels, or list the files of one folder")
    end
  end
  return labels
end

-- The walk has "a.b/" before "a/"; names are sorted without the slash.
local function sorted(names)
  local list = {}
  for k, name in ipairs(names) do
    list[k] = name
  end
  table.sort(list)
  return list
end

local function labels_of(node, folder, names, wanted)
  for i = 1, node.length do
    if cast(i32s, node.groups.d.data)[i - 1] == 0 then
      check.raise(("cannot label %s: it lies in %s itself, not in a folder "
        .. "below it"):format(node:path(i), folder),
        "leave labels out, or move the file into the folder of its class")
    end
  end
  if wanted == "folder" then
    wanted = sorted(names)
  end
  return match_labels(folder, names, wanted), wanted
end

-- -- The function ------------------------------------------------------------

local function is_label_list(v)
  if type(v) ~= "table" or #v == 0 then
    return false
  end
  for _, name in ipairs(v) do
    if type(name) ~= "string" then
      return false
    end
  end
  return true
end

local OPTIONS = {
  labels = function(v)
    return v == "folder" or is_label_list(v), '"folder" or list of names'
  end,
  read = check.kinds.boolean,
}

--- Returns the files of a folder and of those below it, or the files that fit a
-- pattern, as {path =, bytes =, label =}, in the order of the bytes of their
-- paths.
-- @function files
-- @tparam string where a folder, or a pattern with * ? [set] {a,b} or **
-- @tparam[opt] table options
--   labels: "folder": an item's label is the number of the folder that it is
--   in, of those right below `where` in order; or a list of their names, whose
--   order counts.
--   read: false: items have no bytes
-- @treturn Sequence
-- @treturn table the names of the labels, if there are labels
local function files(where, options)
  check.text(1, where)
  options = check.options(2, options, OPTIONS)
  if where == "" or where:find("\0", 1, true) then
    check.fail(1, ("folder or pattern expected, got %q"):format(where))
  end
  local folder, patterns, prefix = pattern.parse(where)
  local found = find(folder, patterns)
  if found.length == 0 then
    check.raise(#patterns > 0
      and ("cannot find files: none fits %s"):format(where)
      or ("cannot find files: there are none in %s"):format(folder))
  end
  local node = Files:make({
    length = found.length, prefix = prefix, where_from = where,
    paths = found.paths, starts = found.starts, groups = found.groups,
    is_read = options.read ~= false, labels = false,
  })
  local names
  if options.labels then
    node.labels, names = labels_of(node, folder, found.names, options.labels)
  end
  return handle.wrap(node), names
end

return {
  class = Files, make = files, options = OPTIONS,
  example = [[neap.files("photos", { labels = "folder" })]],
}
