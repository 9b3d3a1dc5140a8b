-- SPDX-License-Identifier: MIT
--- HTTP 1.1 as bytes: writes a request, reads an answer.
-- In place of lua-http's streams, which take a head that arrives in pieces for
-- a broken one, read chunks as a whole and a body that ends early as a short
-- one.
--
-- Bytes come from a reader: a table with the field `rest`, bytes that have
-- arrived and were not used, and a method read(n, what), which returns 1 to n
-- bytes, or nil at the end of the connection; `what` says where the answer
-- stands. It raises what keeps it from either.
-- @module neap.waiting.http_message

local Failure = require("neap.waiting.http_failure")

local HEAD_MAX = 64 * 2 ^ 10 -- bytes of an answer's head
local LINE_MAX = 1024 -- bytes of the line before a chunk
local PIECE = 256 * 2 ^ 10 -- bytes that are read at once
local TEXT_MAX = 60 -- bytes of what a server sent that a message shows

local message = {}

-- -- Requests ----------------------------------------------------------------

--- Returns the head of a request.
-- @tparam string method
-- @tparam string path or, to a proxy, the URL
-- @tparam table headers name, value, name, value
function message.head(method, path, headers)
  local lines = { ("%s %s HTTP/1.1"):format(method, path) }
  for k = 1, #headers, 2 do
    lines[#lines + 1] = headers[k] .. ": " .. headers[k + 1]
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines, "\r\n")
end

-- -- Heads -------------------------------------------------------------------

local function shown(text)
  return ("%q"):format(text:sub(1, TEXT_MAX))
end

-- Returns the text before the first empty line, of which bytes may be there.
local function read_lines(reader)
  local text, from = reader.rest, 1
  while true do
    local _, stop = text:find("\n\r?\n", from)
    if (stop or #text) > HEAD_MAX then
      Failure.protocol("its answer has no end of its headers")
    elseif stop then
      reader.rest = text:sub(stop + 1)
      return text:sub(1, stop)
    elseif #text >= 5 and text:sub(1, 5) ~= "HTTP/" then
      Failure.protocol("its answer begins with " .. shown(text))
    end
    local data = reader:read(HEAD_MAX, "before it answered")
    if not data then
      Failure.closed("%s closed the connection before it answered", reader.name)
    end
    from = math.max(1, #text - 2) -- the line may have begun
    text = text .. data
  end
end

local function read_headers(text)
  local headers, name = {}, nil
  for line in text:gmatch("([^\n]-)\r?\n") do
    local found, value = line:match("^([^%s:]+):[ \t]*(.-)[ \t]*$")
    local more = not found and line:match("^[ \t]+(.*)$")
    if found then
      name = found:lower()
      headers[name] = headers[name] and headers[name] .. ", " .. value or value
    elseif name and more then
      headers[name] = headers[name] .. " " .. more
    elseif line ~= "" then
      Failure.protocol("it sends a header " .. shown(line))
    end
  end
  return headers
end

local function has_word(list, word)
  return list ~= nil and ("," .. list:lower() .. ","):gsub("%s", "")
    :find("," .. word .. ",", 1, true) ~= nil
end

-- The same length may be there more than once.
local function length_of(headers)
  local text = headers["content-length"]
  local first = text and text:match("^%d+")
  if text and (not first or #first > 15
    or (text .. ", "):gsub(first .. "%s*,%s*", "") ~= "") then
    Failure.protocol("its content-length is " .. shown(text))
  end
  return tonumber(first)
end

-- How the body of an answer ends: "none", "chunks", "length" or "end".
local function framing_of(method, status, headers)
  if method == "HEAD" or status == 204 or status == 304
    or method == "CONNECT" and status < 300 then
    return "none"
  end
  local encoding = headers["transfer-encoding"]
  if encoding and encoding:lower() ~= "chunked" then
    Failure.protocol("its transfer-encoding is " .. shown(encoding))
  end
  return encoding and "chunks" or headers["content-length"] and "length"
    or "end"
end

--- Reads the head of an answer, leaving out those of status 1xx.
-- @treturn table status, headers (plain {name = value}), framing, length (or
--   nil), is_kept: whether the connection stays open
function message.read_head(reader, method)
  while true do
    local text = read_lines(reader)
    local version, status = text:match("^HTTP/1%.([01]) (%d%d%d)[ \r\n]")
    if not version then
      Failure.protocol("its answer begins with "
        .. shown(text:match("^[^\r\n]*")))
    end
    status = tonumber(status)
    if status == 101 then
      Failure.protocol("it switches to another one")
    elseif status >= 200 then
      local headers = read_headers(text:match("\n(.*)$"))
      local framing = framing_of(method, status, headers)
      local is_kept = version == "1" or has_word(headers.connection,
        "keep-alive")
      return {
        status = status, headers = headers, framing = framing,
        length = length_of(headers),
        is_kept = is_kept and framing ~= "end"
          and not has_word(headers.connection, "close"),
      }
    end
  end
end

-- -- Bodies ------------------------------------------------------------------

-- Where a body stands, for messages.
local function after(nbytes, length)
  return ("after %d%s bytes of the answer"):format(nbytes,
    length and (" of %d"):format(length) or "")
end

local function fail_early(reader, nbytes, length)
  Failure.closed("%s closed the connection %s", reader.name,
    after(nbytes, length))
end

-- Takes up to n bytes.
local function take(reader, n, nbytes, length)
  local rest = reader.rest
  if rest == "" then
    return reader:read(math.min(n, PIECE), after(nbytes, length))
  end
  reader.rest = rest:sub(n + 1)
  return #rest <= n and rest or rest:sub(1, n)
end

local function take_line(reader, nbytes)
  while true do
    local line, stop = reader.rest:match("^([^\n]*)\n()")
    if line then
      reader.rest = reader.rest:sub(stop)
      return (line:gsub("\r$", ""))
    elseif #reader.rest > LINE_MAX then
      Failure.protocol("a chunk has no valid size")
    end
    reader.rest = reader.rest .. (reader:read(LINE_MAX, after(nbytes))
      or fail_early(reader, nbytes))
  end
end

-- Each takes the next bytes of a body; nil at its end.
local takers = {}

function takers.none()
end

function takers.length(reader, state)
  local left = state.length - state.nbytes
  return left > 0 and (take(reader, left, state.nbytes, state.length)
    or fail_early(reader, state.nbytes, state.length)) or nil
end

takers["end"] = function(reader, state)
  return take(reader, PIECE, state.nbytes)
end

local function skip_trailers(reader, state)
  for _ = 1, 100 do
    if take_line(reader, state.nbytes) == "" then
      return
    end
  end
  Failure.protocol("it sends more than 100 trailers")
end

function takers.chunks(reader, state)
  if state.left == 0 then
    local line = take_line(reader, state.nbytes)
    local size = line:match("^(%x+)[ \t]*$") or line:match("^(%x+)[ \t]*;")
    if not size or #size > 12 then
      Failure.protocol("a chunk has no valid size")
    elseif not size:find("[^0]") then
      return skip_trailers(reader, state)
    end
    state.left = tonumber(size, 16)
  end
  local data = take(reader, state.left, state.nbytes)
    or fail_early(reader, state.nbytes)
  state.left = state.left - #data
  if state.left == 0 and take_line(reader, state.nbytes + #data) ~= "" then
    Failure.protocol("a chunk is longer than its size")
  end
  return data
end

--- Reads the body of an answer.
-- @tparam table head as read_head returns it
-- @tparam number most bytes
-- @treturn string the body; nil if it has more bytes
function message.read_body(reader, head, most)
  local taker, pieces, count = takers[head.framing], {}, 0
  local state = { nbytes = 0, length = head.length, left = 0 }
  while true do
    local data = taker(reader, state)
    if not data then
      return table.concat(pieces, "", 1, count)
    end
    count, state.nbytes = count + 1, state.nbytes + #data
    pieces[count] = data
    if state.nbytes > most then
      return nil
    end
  end
end

return message
