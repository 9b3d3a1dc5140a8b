-- SPDX-License-Identifier: MIT
--- Tar files for specs, from their entries.

local archive = { END = ("\0"):rep(1024) }

local function field(text, nbytes)
  return text .. ("\0"):rep(nbytes - #text)
end

--- An entry with its bytes; `kind` is a regular file's unless told.
function archive.entry(name, bytes, kind)
  local head = field(name, 100) .. "0000644\0" .. ("0000000\0"):rep(2)
    .. ("%011o\0"):format(#bytes) .. "00000000000\0" .. (" "):rep(8)
    .. (kind or "0") .. field("", 100) .. "ustar\0" .. "00"
  head = field(head, 512)
  local sum = 0
  for k = 1, 512 do
    sum = sum + head:byte(k)
  end
  return head:sub(1, 148) .. ("%06o\0 "):format(sum) .. head:sub(157) .. bytes
    .. ("\0"):rep(-#bytes % 512)
end

--- The text of a pax header, from {key = value}.
function archive.pax(fields)
  local text = ""
  for key, value in pairs(fields) do
    local rest = (" %s=%s\n"):format(key, value)
    local length = #rest + #tostring(#rest + 2)
    if #tostring(length) + #rest ~= length then
      length = length + 1
    end
    text = text .. length .. rest
  end
  return text
end

--- A whole file of {name, bytes} each.
function archive.of(list)
  local parts = {}
  for k, entry in ipairs(list) do
    parts[k] = archive.entry(entry[1], entry[2])
  end
  return table.concat(parts) .. archive.END
end

return archive
