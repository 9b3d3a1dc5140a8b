-- SPDX-License-Identifier: MIT
--- What `neap complete` offers, and what bash makes of it.

local support = dofile("tests/spec/support.lua")

local quote, shell = support.quote, support.shell

local LOADER = [[
print("noise")
return require("neap").loader{
  build = function() return { 1 } end,
  params = {
    batch = 32, fast = true,
    split = { default = "train", choices = { "train", "test" } },
  },
}
]]

describe("neap complete", function()
  local path

  setup(function()
    path = support.write(os.tmpname() .. ".lua", LOADER)
  end)

  teardown(function()
    os.remove(path)
  end)

  -- The words that it prints.
  local function offered(...)
    local words = { ... }
    for k, word in ipairs(words) do
      words[k] = quote(word)
    end
    return (shell(("%s complete %s"):format(support.QUOTED_NEAP,
      table.concat(words, " ")) .. " 2>/dev/null"):gsub("\n", " "))
  end

  it("offers commands and options for the first word", function()
    assert.equal("bench check complete help run version ", offered(""))
    assert.equal("run ", offered("r"))
    assert.equal("--help --version -e ", offered("-"))
    assert.equal("", offered("script"))
    assert.equal("run ", offered("help", "r"))
  end)

  it("offers a command's options", function()
    assert.equal("--concurrency --epochs --json --limit --quiet --threads "
      .. "--workers ",
      offered("run", "-"))
    assert.equal("--workers ", offered("run", path, "--w"))
    assert.equal("", offered("script.lua", "-"))
  end)

  it("offers a loader's parameters, with their values", function()
    assert.equal("batch= fast= split= ", offered("run", path, ""))
    assert.equal("split=test split=train ", offered("run", path, "split="))
    assert.equal("split=test ", offered("run", path, "batch=3", "split=te"))
    assert.equal("fast=false fast=true ", offered("run", path, "fast="))
    assert.equal("", offered("run", path, "batch="))
    assert.equal("", offered("run", path, "none="))
  end)

  it("offers nothing for what is no loader", function()
    for _, text in ipairs({ "return 7", "error('oh')", "x = = 1" }) do
      local other = support.write(path .. ".lua", text)
      assert.equal("", offered("run", other, ""))
      os.remove(other)
    end
    assert.equal("", offered("run", "/nowhere.lua", ""))
    assert.equal("", offered("run", ""))
    assert.equal("", offered())
  end)
end)

-- What bash does with the words of a command line.
local SCRIPT = [[
  compopt() { printf '%s ' "$@"; }
  source bindings/neap.bash
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  _neap "$1"
  printf '%s ' "${COMPREPLY[@]}"
]]

describe("bash", function()
  local function replies(words)
    return (shell(("bash -c %s bash %s %s"):format(quote(SCRIPT),
      support.QUOTED_NEAP, words)))
  end

  if shell("command -v bash") == "" then
    pending("is not here")
    return
  end

  it("asks neap", function()
    assert.equal("help ", replies("he"))
  end)

  it("completes what follows an equals sign alone", function()
    local path = support.write(os.tmpname() .. ".lua", LOADER)
    assert.equal("-o nospace batch= fast= split= ",
      replies("run " .. path .. " ''"))
    assert.equal("test train ", replies("run " .. path .. " split ="))
    assert.equal("test ",
      replies("run " .. path .. " batch = 3 split = te"))
    os.remove(path)
  end)
end)
