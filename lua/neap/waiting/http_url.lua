-- SPDX-License-Identifier: MIT
--- URLs: their parts, and where a redirect leads.
-- @module neap.waiting.http_url

local PORTS = { http = 80, https = 443 }

local http_url = {}

-- What no request line may contain is sent as a browser sends it.
local function escape(c)
  return ("%%%02X"):format(c:byte())
end

local function split_authority(text)
  local userinfo, rest = text:match("^(.*)@(.*)$")
  rest = rest or text
  local host, port = rest:match("^%[([%x:.]+)%]:?(%d*)$")
  if not host then
    host, port = rest:match("^([^:%[%]]+):?(%d*)$")
  end
  return host, port, userinfo
end

local function is_port(text)
  return text == "" or tonumber(text) >= 1 and tonumber(text) <= 65535
end

--- Splits a URL.
-- @tparam string text
-- @treturn table scheme, host, port, authority, path (with its query), userinfo
--   (or nil), text (without userinfo and fragment: for messages); or nil and
--   why it is none
function http_url.parse(text)
  local scheme, authority, path = text:match("^(%a[%w+.-]*)://([^/?#]*)([^#]*)")
  scheme = scheme and scheme:lower()
  if not PORTS[scheme] then
    return nil, "it does not begin with http:// or https://"
  end
  local host, port, userinfo = split_authority(authority)
  if not host or host:find("[^%w._:-]") or not is_port(port) then
    return nil, "it has no valid host and port"
  end
  host = host:lower()
  local is_default = port == "" or tonumber(port) == PORTS[scheme]
  authority = (host:find(":", 1, true) and "[" .. host .. "]" or host)
    .. (is_default and "" or ":" .. tonumber(port))
  path = (path:sub(1, 1) == "/" and "" or "/")
    .. path:gsub("[^\33-\126]", escape)
  return {
    scheme = scheme, host = host, path = path, userinfo = userinfo,
    port = is_default and PORTS[scheme] or tonumber(port),
    authority = authority, text = scheme .. "://" .. authority .. path,
  }
end

-- "/a/b/../c" is "/a/c".
local function without_dots(path)
  local parts = {}
  for part in path:gmatch("/([^/]*)") do
    if part == ".." then
      table.remove(parts)
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  if path:find("/%.%.?$") then
    parts[#parts + 1] = ""
  end
  return "/" .. table.concat(parts, "/")
end

--- Returns the URL that a redirect leads to, as text.
-- @tparam table base the parts of the URL that answered
-- @tparam string location
function http_url.resolve(base, location)
  if location:find("^%a[%w+.-]*:") then
    return location
  elseif location:find("^//") then
    return base.scheme .. ":" .. location
  end
  local root, path = base.scheme .. "://" .. base.authority,
    base.path:match("^[^?]*")
  if location:find("^[?#]") or location == "" then
    return root .. path .. location
  end
  local to, query = location:match("^([^?#]*)(.*)$")
  if to:sub(1, 1) ~= "/" then
    to = path:match("^(.*/)") .. to
  end
  return root .. without_dots(to) .. query
end

return http_url
