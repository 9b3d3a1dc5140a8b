-- SPDX-License-Identifier: MIT
--- JSON: values, null, and what is no JSON.

local neap = require("neap")
local support = dofile("tests/spec/support.lua")

local decode = neap.decode.json

describe("neap.decode.json", function()
  it("decodes", function()
    assert.same({ a = { 1, 2.5, "x" }, b = { c = true } },
      decode('{"a": [1, 2.5, "x"], "b": {"c": true}}'))
    assert.equal(7, decode({ bytes = "7" }))
    assert.equal("null", decode('"null"'))
    local text = '["\\u00e9"]'
    assert.same({ "é" }, decode(neap.tensor("u8", { #text }, text)))
  end)

  it("leaves null out, or puts something for it", function()
    local text = '{"a": null, "b": [1, null, {"c": null}]}'
    assert.same({ b = { 1, nil, {} } }, decode(text))
    assert.same({ a = false, b = { 1, false, { c = false } } },
      decode(text, { null = false }))
    assert.is_nil(decode("null"))
    assert.equal(0, decode("null", { null = 0 }))
  end)

  it("tells where a text is no JSON", function()
    assert.equal("cannot decode JSON of 4 bytes: Expected value but found "
      .. "T_END at character 5", support.message(decode, "[1, "))
    assert.matches("^cannot decode a.json: Expected ",
      support.message(decode, { bytes = "", path = "a.json" }))
    assert.matches("too many nested data structures",
      support.message(decode, ("["):rep(100000)))
  end)

  it("leaves the settings of the script's own cjson alone", function()
    local cjson = require("cjson")
    cjson.decode_max_depth(3)
    finally(function() cjson.decode_max_depth(1000) end)
    assert.same({ { { { 1 } } } }, decode("[[[[1]]]]"))
  end)
end)
