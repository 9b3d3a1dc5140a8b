-- SPDX-License-Identifier: MIT
--- Values of parameters from texts, and back.

local parameter = require("neap.loader.parameter")

local function values(params, given)
  return parameter.values(parameter.declare(params), given, true)
end

describe("the parameters of a loader", function()
  it("are read from texts by their types", function()
    assert.same({ a = 64, b = 0.25, c = "x,y", d = true, e = { 1, 2 },
      f = { "a,b", "c" }, g = {} },
      values({ a = 1, b = 0.5, c = "", d = false, e = { 0 }, f = { "" },
        g = { 1.5 } }, { a = "64", b = "0.25", c = "x,y", d = "true",
        e = "1,2", f = "a\\,b,c", g = "" }))
  end)

  it("are shown as the texts that give them again", function()
    local list = parameter.declare({ a = 1, b = 0.5, c = "", d = false,
      f = { "" } })
    local wanted = { a = 2 ^ 40, b = 0.1, c = "x\\y", d = true,
      f = { "a,b", "\\", "" } }
    local texts = {}
    for _, p in ipairs(list) do
      texts[p.name] = parameter.text(p, wanted[p.name])
    end
    assert.same(wanted, (parameter.values(list, texts, true)))
    assert.equal("1099511627776", texts.a)
  end)

  it("are refused where a text does not fit", function()
    local none, why = values({ a = 1 }, { a = "many" })
    assert.is_nil(none)
    assert.equal('parameter \'a\': integer expected, got "many"', why)
    none, why = values({ d = false }, { d = "yes" })
    assert.equal('parameter \'d\': boolean expected, got "yes"', why)
    assert.is_nil(none)
    none, why = values({}, { a = "1" })
    assert.equal("unknown parameter 'a'; the loader has none", why)
    assert.is_nil(none)
  end)

  it("do not share a list with their declaration", function()
    local list = parameter.declare({ a = { 1 } })
    parameter.values(list, {}).a[1] = 2
    assert.same({ a = { 1 } }, (parameter.values(list, {})))
  end)
end)
