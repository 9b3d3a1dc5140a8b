-- SPDX-License-Identifier: MIT
--- Where a command writes its data: what stdout was when it began.
--
-- From then on stdout is stderr, so that what a loader file or a worker prints
-- is not among the data.
-- @module neap.console.output

local ffi = require("ffi")

ffi.cdef([[
  int neap_console_isatty(int fd) __asm__("isatty");
  int neap_console_fcntl(int fd, int command, ...) __asm__("fcntl");
  int neap_console_dup2(int from, int to) __asm__("dup2");
  ssize_t neap_console_write(int fd, const char *text, size_t bytes)
    __asm__("write");
  char *neap_console_strerror(int code) __asm__("strerror");
  typedef void (*neap_console_action)(int);
  neap_console_action neap_console_signal(int signal,
    neap_console_action action) __asm__("signal");
]])

local C = ffi.C
local STDOUT, STDERR = 1, 2
local F_DUPFD_CLOEXEC = 1030
local SIGPIPE, SIG_IGN = 13, ffi.cast("neap_console_action", 1)
local EINTR, EPIPE = 4, 32

local output = {}

--- What output.write() raises if nobody reads the data any more.
output.CLOSED = {}

local fd = STDOUT
local is_terminal = false

--- Sends what is printed from now on to stderr, except output.write().
function output.open()
  is_terminal = C.neap_console_isatty(STDOUT) ~= 0
  io.stdout:flush()
  fd = C.neap_console_fcntl(STDOUT, F_DUPFD_CLOEXEC,
    ffi.cast("int", STDERR + 1))
  C.neap_console_dup2(STDERR, STDOUT)
end

-- Writes what the system takes of a text; returns the rest, or nil and errno.
local function write_some(text)
  local before = C.neap_console_signal(SIGPIPE, SIG_IGN)
  local bytes = tonumber(C.neap_console_write(fd, text, #text))
  local code = ffi.errno()
  C.neap_console_signal(SIGPIPE, before)
  if bytes >= 0 then
    return text:sub(bytes + 1)
  elseif code == EINTR then
    return text
  end
  return nil, code
end

--- Writes data.
function output.write(text)
  while text ~= "" do
    local rest, code = write_some(text)
    if code == EPIPE then
      error(output.CLOSED, 0)
    elseif code then
      error("cannot write to stdout: "
        .. ffi.string(C.neap_console_strerror(code)), 0)
    end
    text = rest
  end
end

--- Writes all data of a command; returns its exit status.
function output.send(text)
  local ok, e = pcall(output.write, text)
  if ok or e == output.CLOSED then
    return 0
  end
  io.stderr:write("neap: ", e, "\n")
  return 1
end

--- Writes a line of data, made as by string.format.
function output.line(format, ...)
  output.write((select("#", ...) > 0 and format:format(...) or format) .. "\n")
end

-- -- Colours -----------------------------------------------------------------

local STYLES = { bold = "1", good = "32", bad = "31", doubt = "33", dim = "2" }

local function has_colours()
  local no = os.getenv("NO_COLOR")
  return is_terminal and (no == nil or no == "")
    and os.getenv("TERM") ~= "dumb"
end

--- Returns a text in a style, if data go to a terminal.
-- @tparam string style a name in STYLES
function output.paint(style, text)
  return has_colours() and ("\27[%sm%s\27[0m"):format(STYLES[style], text)
    or text
end

return output
