-- SPDX-License-Identifier: MIT
--- What URLs lead to, with a folder that keeps it.
-- @module neap.source.url

local cache = require("neap.waiting.http_cache")
local check = require("neap.base.check")
local class = require("neap.base.class")
local handle = require("neap.sequence.handle")
local http_options = require("neap.waiting.http_options")
local http_send = require("neap.waiting.http_send")
local Node = require("neap.sequence.node")
local traverse = require("neap.base.traverse")

local CACHE_BYTES = 2 ^ 33

local OPTIONS = traverse.copy(http_options.of_get)
OPTIONS.offset, OPTIONS.bytes = nil, nil
OPTIONS.cache, OPTIONS.cache_bytes = check.kinds.text, check.kinds.count
function OPTIONS.max_age(v)
  return type(v) == "number" and v >= 0, "number, 0 or more,"
end

local Url = class("source.url", Node)

-- -- Fetching ----------------------------------------------------------------

local function is_place(v)
  return v == nil or check.is_integer(v) and v >= 0
end

-- What an item of the list says: a URL, and a part of what it leads to.
local function parts_of(x)
  if type(x) == "string" then
    return x
  elseif type(x) == "table" and type(x.url) == "string" and is_place(x.offset)
    and is_place(x.bytes) and x.bytes ~= 0 then
    return x.url, x.offset or x.bytes and 0, x.bytes
  end
  error(check.with_help("cannot get an item: a URL expected, got "
    .. check.got(x), "give a string, or {url =, offset =, bytes =}"), 0)
end

local function options_of(self, offset, bytes, kept)
  local options = self.options
  if not offset and not kept then
    return options
  end
  options = traverse.copy(options)
  options.offset, options.bytes = offset, bytes
  if kept then
    options.headers = traverse.copy(options.headers)
    http_options.add_header(options, "if-none-match", kept.etag)
    http_options.add_header(options, "if-modified-since", kept.modified)
  end
  return options
end

local function fetch_kept(self, url, offset, bytes)
  local key = cache.key(url, offset, bytes)
  local kept = cache.get(self.cache, key)
  if kept and kept.age < self.max_age then
    return kept.body
  end
  local answer = http_send.get(url, options_of(self, offset, bytes, kept),
    kept ~= nil)
  if answer.status == 304 then
    cache.confirm(self.cache, key)
    return kept.body
  end
  cache.put(self.cache, key, answer.body, answer.headers, self.cache_bytes)
  return answer.body
end

local function fetch(self, x)
  local url, offset, bytes = parts_of(x)
  if self.cache then
    return (fetch_kept(self, url, offset, bytes))
  end
  return http_send.get(url, options_of(self, offset, bytes, nil), false).body
end

function Url:emit(g, i, e)
  local item = g:value(self.source, i, e)
  local x = g:name()
  g:staged(self, i, "local %s = %s(%s, %s)", x, g:own(fetch),
    g:constant(self), item)
  return x
end

-- -- Making ------------------------------------------------------------------

local function make_folder(folder)
  local ok, why = pcall(cache.make, folder)
  if not ok then
    check.raise(tostring(why))
  end
end

--- Returns what URLs lead to, as strings.
-- @function url
-- @tparam Sequence list of URLs, or of parts {url =, offset =, bytes =}
-- @tparam[opt] table options of neap.http.get, and cache (a folder),
--   cache_bytes (that it keeps), max_age (seconds, for which a body is not
--   asked for again)
-- @treturn Sequence
local function url(list, options)
  list = handle.check(1, list)
  options = check.options(2, options, OPTIONS)
  if options.cache then
    make_folder(options.cache)
  end
  local node = Url:make({
    source = list, length = list.length, cache = options.cache or false,
    cache_bytes = options.cache_bytes or CACHE_BYTES,
    max_age = options.max_age or 0, options = false,
  })
  options.cache, options.cache_bytes, options.max_age = nil, nil, nil
  node.options = http_options.complete(options, 2, "GET")
  return handle.wrap(node)
end

return {
  class = Url, make = url, options = OPTIONS,
  example = [[neap.url({ "http://127.0.0.1/a" }, { cache = "bodies" })]],
}
