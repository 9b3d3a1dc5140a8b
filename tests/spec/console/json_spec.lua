-- SPDX-License-Identifier: MIT
--- The JSON that commands print.

local json = require("neap.console.json")

describe("JSON", function()
  it("is written in one way", function()
    for text, value in pairs({
      ["{}"] = json.object({}), ["[]"] = {}, ["[1,[2]]"] = { 1, { 2 } },
      ['{"a":[],"b":true}'] = { b = true, a = {} },
      ["9007199254740991"] = 2 ^ 53 - 1, ["0.1"] = 0.1, ["-3"] = -3,
      ["1e+100"] = 1e100, ["0.33333333333333331"] = 1 / 3,
      ['"a\\"\\\\\\n\\u0001\\u007f"'] = 'a"\\\n\1\127',
      ['"\195\188"'] = "\195\188", ['"\\u00fc"'] = "\252",
    }) do
      assert.equal(text, json.encode(value))
    end
    for _, value in ipairs({ 1 / 0, -1 / 0, 0 / 0 }) do
      assert.equal("null", json.encode(value))
    end
  end)
end)
