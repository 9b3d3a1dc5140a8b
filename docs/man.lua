-- SPDX-License-Identifier: MIT
--- Writes the man pages, from pages of the reference and from neap.h.
--
-- The Markdown that is read: headings, paragraphs, lists, code, tables of two
-- columns, and `code`, *emphasis* and [links](to) in them. The header becomes
-- such Markdown first, comments as text and declarations as code.
--
-- Usage: build/bin/neap docs/man.lua FOLDER

local PAGES = {
  { name = "neap", section = 1, from = "docs/reference/neap.md" },
  { name = "neap", section = 3, from = "runtime/include/neap.h" },
  { name = "neap-loader", section = 5, from = "docs/reference/loader.md" },
}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- -- Text --------------------------------------------------------------------

local STAR = "\1" -- one that marks no emphasis

local SPECIAL = {
  ["\\"] = "\\e", ["-"] = "\\-", ["'"] = "\\(aq", ["`"] = "\\(ga",
  ["^"] = "\\(ha", ["~"] = "\\(ti", [STAR] = "*",
}

-- In roff, these characters would be others, and a point a command.
local function plain(text)
  return (text:gsub("[\\'`^~\1-]", SPECIAL):gsub("^%.", "\\&."))
end

local function link(text, to)
  return to:find("^https?:") and ("%s (%s)"):format(text, to) or text
end

local function words(text)
  text = text:gsub("%[([^%]]+)%]%(([^)]+)%)", link)
  return (plain(text):gsub("%*+(%w[^*]*)%*+", "\\fI%1\\fR"))
end

-- Code among words is bold.
local function marked(text)
  return ((text .. "``"):gsub("([^`]*)`([^`]*)`", function(before, code)
    return words(before)
      .. (code ~= "" and "\\fB" .. plain(code) .. "\\fR" or "")
  end))
end

-- -- Markdown ----------------------------------------------------------------

-- What a line is, and its text.
local LINES = {
  { "section", "^## (.*)" },
  { "subsection", "^### (.*)" },
  { "code", "^    (.*)" },
  { "bullet", "^%- (.*)" },
  { "rule", "^|[%-|]+$" },
  { "row", "^| (.-) ?|$" },
  { "blank", "^$" },
  { "text", "^%s*(.*)" },
}

local function kind_of(line)
  for _, entry in ipairs(LINES) do
    local text = line:match(entry[2])
    if text then
      return entry[1], text
    end
  end
end

local GOES_ON = { text = true, bullet = true, row = true }

-- Lines of code and of text belong to the block before them, if that is alike.
local function add_line(blocks, kind, text)
  local last = blocks[#blocks] or {}
  if kind == "code" and last.kind == "code" then
    last.text = last.text .. "\n" .. plain(text)
  elseif kind == "code" then
    blocks[#blocks + 1] = { kind = kind, text = plain(text) }
  elseif kind == "text" and GOES_ON[last.kind] then
    last.text = last.text .. "\n" .. marked(text)
  elseif kind == "row" then
    local tag, rest = text:match("^(.-) ?| ?(.*)$")
    blocks[#blocks + 1] = rest ~= "" and {
      kind = kind, tag = marked(tag), text = marked(rest),
    } or tag ~= "" and { kind = "text", text = marked(tag) } or nil
  elseif kind ~= "rule" then
    text = marked(kind == "section" and text:upper() or text)
    blocks[#blocks + 1] = { kind = kind, text = text }
  end
end

local function parse(markdown)
  local blocks, is_fenced = {}, false
  for line in markdown:gmatch("([^\n]*)\n") do
    if line:find("^```") then
      is_fenced = not is_fenced
    elseif is_fenced then
      add_line(blocks, "code", line)
    else
      add_line(blocks, kind_of(line))
    end
  end
  return blocks
end

-- -- The header --------------------------------------------------------------

-- A comment's lines: in contracts ("Returns: text") a label is a row's first
-- column; what is indented after an empty line keeps its lines.
local function markdown_of_comment(comment)
  local lines, is_apart = {}, true
  comment = comment:gsub("^/%*", ""):gsub("%s*%*/$", "")
    :gsub("\n %* ?", "\n"):gsub("^%s+", ""):gsub("%*", STAR)
  for line in (comment .. "\n"):gmatch("([^\n]*)\n") do
    local bullet, label, rest = line:match("^%s*%- .*"),
      line:match("^(%u%l+):%s+(.*)")
    if bullet then
      line = bullet:match("%S.*")
    elseif label then
      line = ("| `%s:` | %s|"):format(label, rest)
    elseif is_apart and line:find("^  ") then
      line = "    " .. line
    else
      line = line:match("^%s*(.*)")
    end
    is_apart = line == "" or line:find("^    ") ~= nil
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n") .. "\n"
end

local function markdown_of_code(code)
  return (code:gsub("[^\n]+", "    %0"):gsub("^\n+", ""))
end

-- Declarations, with the comments between them that begin a line.
local function markdown_of_header(text)
  local head = text:match("(/%*\n.-%*/)")
  local body = text:match("/%* cdef: begin %*/\n(.-)/%* cdef: end %*/")
  local parts, at = { markdown_of_comment(head) }, 1
  body = body:gsub("/%* %-%-%-%- (.-) %-+ %*/", "/*\n * ## %1\n */")
  for first, comment, after in ("\n" .. body):gmatch("\n()(/%*.-%*/)()") do
    parts[#parts + 1] = markdown_of_code(body:sub(at, first - 2))
    parts[#parts + 1] = markdown_of_comment(comment)
    at = after - 1
  end
  parts[#parts + 1] = markdown_of_code(body:sub(at))
  local title, rest = table.concat(parts, "\n"):match("^\n*([^\n]*)\n(.*)$")
  return ("# %s\n\n## Synopsis\n\n    #include <neap.h>\n\n"
    .. "    cc host.c $(pkg-config --cflags --libs neap)\n\n"
    .. "## Description\n%s\n"):format(title, rest)
end

-- -- roff --------------------------------------------------------------------

local WRITERS = {
  section = function(block)
    return ".SH " .. block.text
  end,
  subsection = function(block)
    return ".SS " .. block.text
  end,
  code = function(block)
    return ".RS 4\n.EX\n" .. block.text:gsub("\n%.", "\n\\&.")
      :gsub("\n+$", "") .. "\n.EE\n.RE"
  end,
  bullet = function(block)
    return ".IP \\(bu 2\n" .. block.text
  end,
  row = function(block)
    return ".TP\n" .. block.tag .. "\n" .. block.text
  end,
  text = function(block)
    return block.text
  end,
}

local IS_PARAGRAPH = { text = true, code = true }
local IS_HEADING = { section = true, subsection = true }

local function others(page)
  local names = {}
  for _, other in ipairs(PAGES) do
    if other ~= page then
      names[#names + 1] = (".BR %s (%d)"):format(plain(other.name),
        other.section)
    end
  end
  return table.concat(names, ",\n")
end

local function write(page, markdown)
  local title, rest = markdown:match("^# [^:\n]*: ([^\n]*)\n(.*)$")
  local lines = {
    ('.TH %s %d %s "neap %s" neap'):format(page.name:upper(), page.section,
      os.date("!%Y-%m-%d", tonumber(os.getenv("SOURCE_DATE_EPOCH"))),
      dofile("lua/neap/base/version.lua")),
    ".SH NAME",
    plain(page.name) .. " \\- " .. marked(title):gsub("%.$", ""),
  }
  local is_first = true
  for _, block in ipairs(parse(rest)) do
    if IS_PARAGRAPH[block.kind] and not is_first then
      lines[#lines + 1] = ".PP"
    end
    if block.kind ~= "blank" then
      lines[#lines + 1] = WRITERS[block.kind](block)
      is_first = IS_HEADING[block.kind]
    end
  end
  lines[#lines + 1] = ".SH SEE ALSO\n" .. others(page)
  return table.concat(lines, "\n") .. "\n"
end

local folder = arg[1]
os.execute("mkdir -p '" .. folder .. "'")
for _, page in ipairs(PAGES) do
  local text = read(page.from)
  if page.from:find("%.h$") then
    text = markdown_of_header(text)
  end
  local path = ("%s/%s.%d"):format(folder, page.name, page.section)
  local file = assert(io.open(path, "wb"))
  file:write(write(page, text))
  file:close()
end
