-- SPDX-License-Identifier: MIT
--- libneap as hosts find it: what it exports, its header, and how it is loaded
-- and unloaded.

local support = dofile("tests/spec/support.lua")

local ROOT = support.current_folder()
local LIBRARY = ROOT .. "/build/lib/libneap.so"
local INCLUDE = ROOT .. "/runtime/include"

-- Sanitized builds have no shared library; it is that of the release.
local is_built = os.execute(("test -f '%s'"):format(LIBRARY)) == 0
  and not support.is_asan

local function lines_of(command, ...)
  local list, pipe = {}, io.popen(command:format(...) .. " 2>&1")
  for line in pipe:lines() do
    list[#list + 1] = line
  end
  pipe:close()
  return list
end

local folder

local function write(name, text)
  local path = folder .. "/" .. name
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return support.quote(path)
end

-- The header as C or C++ sees it: every function of the first tier is named.
local HOST = [[
#include <neap.h>
#include <stdio.h>

int main(int argc, char **argv) {
  neap_options options;
  neap_loader *loader;
  neap_item *item;
  neap_error error;
  neap_options_init(&options);
  options.workers = 1;
  if (argc != 2 || neap_open(argv[1], &options, &loader, &error) != NEAP_OK) {
    printf("%s\n", error.text);
    return 1;
  }
  while (neap_next(loader, &item, &error) == NEAP_OK) {
    neap_value value;
    double number;
    neap_item_value(item, &value, &error);
    neap_value_number(&value, &number, &error);
    printf("%g\n", number);
    neap_item_release(item);
  }
  neap_close(loader);
  return 0;
}
]]

local UNLOAD = [[
#include <dlfcn.h>
#include <dirent.h>
#include <neap.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static int count(const char *path, const char *wanted) {
  char line[1024];
  int found = 0;
  FILE *file = fopen(path, "r");
  while (fgets(line, sizeof line, file) != NULL)
    found += strstr(line, wanted) != NULL;
  fclose(file);
  return found;
}

static int entries(const char *path) {
  int found = 0;
  DIR *dir = opendir(path);
  while (readdir(dir) != NULL) found++;
  closedir(dir);
  return found;
}

#define FIND(name) \
  __typeof__(name) *p_##name = (__typeof__(name) *)dlsym(library, #name)

int main(int argc, char **argv) {
  const int before = entries("/proc/self/fd");
  for (int round = 0; round < 3; round++) {
    neap_loader *loader;
    neap_item *item, *held;
    neap_error error;
    int fd, items = 0;
    void *library = dlopen(argv[1], RTLD_NOW);
    if (library == NULL) return printf("%s\n", dlerror());
    FIND(neap_open);
    FIND(neap_fd);
    FIND(neap_next);
    FIND(neap_item_release);
    FIND(neap_close);
    if (p_neap_open(argv[2], NULL, &loader, &error) != NEAP_OK)
      return printf("%s\n", error.text);
    if (p_neap_fd(loader, &fd, &error) != NEAP_OK) return 1;
    p_neap_next(loader, &held, &error);
    while (p_neap_next(loader, &item, &error) == NEAP_OK) {
      items++;
      p_neap_item_release(item);
    }
    p_neap_close(loader);
    p_neap_item_release(held);
    dlclose(library);
    printf("%d items, %d maps, %d threads, %d descriptors, %d children\n",
           items, count("/proc/self/maps", "neap"), entries("/proc/self/task"),
           entries("/proc/self/fd") - before, waitpid(-1, NULL, 0) > 0);
  }
  return argc != 3;
}
]]

local LOADER = 'return require("neap").range(5)\n'
local ENVIRONMENT = "NEAP_WORKER=" .. support.QUOTED_NEAP

describe("libneap", function()
  it("has the version of its Lua modules", function()
    local lib = require("neap.base.lib")
    assert.equal(require("neap.base.version"),
      require("ffi").string(lib.C.neap_version()))
  end)

  if not is_built then
    return
  end

  setup(function()
    folder = lines_of("mktemp -d")[1]
  end)
  teardown(function()
    os.execute("rm -r " .. folder)
  end)

  it("exports only names that begin with neap_", function()
    local others, count = {}, 0
    for _, line in ipairs(lines_of("nm -D --defined-only '%s'", LIBRARY)) do
      local name = line:match("%S+$")
      count = count + 1
      if not name:find("^neap_[^_]") then
        others[#others + 1] = name
      end
    end
    assert.same({}, others)
    assert.truthy(count > 50)
  end)

  it("exports what the header declares", function()
    local exported = {}
    for _, line in ipairs(lines_of("nm -D --defined-only '%s'", LIBRARY)) do
      exported[line:match("%S+$")] = true
    end
    local text = support.read(INCLUDE .. "/neap.h"):gsub("/%*.-%*/", "")
    local missing, count = {}, 0
    for name in text:gmatch("[ *](neap_[%w_]+)%([^;{}]*%);") do
      count = count + 1
      if not exported[name] then
        missing[#missing + 1] = name
      end
    end
    assert.same({}, missing)
    assert.truthy(count > 60)
  end)

  for compiler, flags in pairs({
    cc = "-x c -std=c99 -Wpedantic -Wstrict-prototypes",
    ["c++"] = "-x c++ -std=c++11 -Wpedantic",
  }) do
    it("serves a host that is compiled by " .. compiler, function()
      local source = write("host.txt", HOST)
      local loader = write("loader.lua", LOADER)
      local program = support.quote(folder .. "/" .. compiler .. "-host")
      assert.same({}, lines_of("%s %s -Wall -Wextra -Werror -I '%s' %s -o %s "
        .. "-x none '%s' -Wl,-rpath,'%s/build/lib'", compiler, flags, INCLUDE,
        source, program, LIBRARY, ROOT))
      assert.same({ "1", "2", "3", "4", "5" },
        lines_of("%s %s %s", ENVIRONMENT, program, loader))
    end)
  end

  it("leaves nothing behind when it is unloaded", function()
    local source = write("unload.c", UNLOAD)
    local loader = write("loader.lua", LOADER)
    local program = support.quote(folder .. "/unload")
    assert.same({}, lines_of("cc -Wall -Werror -I '%s' %s -o %s -ldl", INCLUDE,
      source, program))
    local line = "4 items, 0 maps, 3 threads, 0 descriptors, 0 children"
    assert.same({ line, line, line }, lines_of("%s %s '%s' %s", ENVIRONMENT,
      program, LIBRARY, loader))
  end)
end)
