-- SPDX-License-Identifier: MIT

local cqueues = require("cqueues")
local turn = require("neap.base.turn")

local function new_state()
  return { owner = false, bell = false }
end

describe("a turn", function()
  it("is one coroutine's at a time", function()
    local state, controller, said = new_state(), cqueues.new(), {}
    for k = 1, 3 do
      controller:wrap(function()
        local result = turn.call(state, function(x)
          said[#said + 1] = "begin " .. x
          cqueues.sleep(0.001)
          said[#said + 1] = "end " .. x
          return 2 * x
        end, k)
        said[#said + 1] = "got " .. result
      end)
    end
    assert(controller:loop())
    controller:close()
    assert.equal(9, #said)
    for at = 1, 9, 3 do
      local k = said[at]:match("^begin (%d)$")
      assert.same({ "end " .. k, "got " .. 2 * k },
        { said[at + 1], said[at + 2] })
    end
  end)

  it("ends with an error, too", function()
    local state = new_state()
    local ok, e = pcall(turn.call, state, error, "no", 0)
    assert.same({ false, "no" }, { ok, e })
    assert.equal(5, turn.call(state, math.max, 5, 3))
  end)

  it("is not waited for by the one whose it is", function()
    local state = new_state()
    assert.equal("inner", turn.call(state, function()
      return turn.call(state, function()
        return "inner"
      end)
    end))
  end)
end)
