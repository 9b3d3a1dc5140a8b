-- SPDX-License-Identifier: MIT
--- The name that a wrong one is nearest to.

local suggest = require("neap.base.suggest")

local KNOWN = { shuffle = 1, shard = 1, map = 1, workers = 1, "list", len = 1 }

describe("a suggestion", function()
  it("is the known name that is at most two edits away", function()
    for name, nearest in pairs({
      shufle = "shuffle", shuffel = "shuffle", suhffle = "shuffle",
      shad = "shard", worker = "workers", mpa = "map", lne = "len",
      shuffle2 = "shuffle",
    }) do
      assert.equal(("did you mean '%s'?"):format(nearest),
        suggest(name, KNOWN), name)
    end
  end)

  it("is not made for a name that is far from all", function()
    for _, name in ipairs({ "x", "", "foo", "prefetch", "mxx", "1" }) do
      assert.is_nil(suggest(name, KNOWN))
    end
  end)

  it("is the first by the alphabet of several that are as near", function()
    assert.equal("did you mean 'u16'?",
      suggest("u18", { u17 = 1, u32 = 1, u16 = 1 }))
  end)
end)
