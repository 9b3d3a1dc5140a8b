-- SPDX-License-Identifier: MIT
--- npy files: every dtype, order and version, and every way to be broken.

local ffi = require("ffi")
local neap = require("neap")
local npy = require("neap.codec.npy")
local support = dofile("tests/spec/support.lua")

local decode = neap.decode.npy

local function header(text, version)
  text = text .. (" "):rep(-(#text + 11) % 64) .. "\n"
  return "\147NUMPY" .. string.char(version or 1) .. "\0"
    .. string.char(#text % 256, math.floor(#text / 256))
    .. (version and version > 1 and "\0\0" or "") .. text
end

local function file(descr, shape, data, order, version)
  return header(("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }")
    :format(descr, order or "False", shape), version) .. data
end

local function bytes_of(ctype, values)
  local array = ffi.new(ctype .. "[?]", #values, values)
  return ffi.string(array, ffi.sizeof(array))
end

local function message(...)
  return (support.message(decode, ...))
end

describe("neap.decode.npy", function()
  it("decodes every dtype", function()
    for descr, case in pairs({
      ["|u1"] = { "u8", "uint8_t" }, ["|i1"] = { "i8", "int8_t" },
      ["<u2"] = { "u16", "uint16_t" }, ["<i2"] = { "i16", "int16_t" },
      ["<u4"] = { "u32", "uint32_t" }, ["<i4"] = { "i32", "int32_t" },
      ["<u8"] = { "u64", "uint64_t" }, ["<i8"] = { "i64", "int64_t" },
      ["<f4"] = { "f32", "float" }, ["<f8"] = { "f64", "double" },
      ["=f8"] = { "f64", "double" },
    }) do
      local t = decode(file(descr, "2, 3", bytes_of(case[2],
        { 1, 2, 3, 4, 5, 6 })))
      assert.equal(case[1], t.dtype)
      assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, t:totable())
    end
    assert.same({ true, false }, decode(file("|b1", "2,", "\1\0")):totable())
    assert.same({ 1.5 }, decode(file("<f2", "1,", "\0\62")):totable())
  end)

  it("decodes scalars, empty arrays and later versions", function()
    assert.equal(7, decode(file("|u1", "", "\7")):get())
    assert.same({ 0, 5 }, decode(file("|u1", "0, 5", "")).shape)
    for version = 1, 3 do
      assert.same({ 9 }, decode(file("|u1", "1,", "\9", nil, version))
        :totable())
    end
  end)

  it("converts big-endian elements and Fortran's order", function()
    assert.same({ 1, 258 }, decode(file(">i2", "2,", "\0\1\1\2")):totable())
    assert.same({ 1 }, decode(file(">f8", "1,", "\63\240\0\0\0\0\0\0"))
      :totable())
    assert.same({ { 1, 3, 5 }, { 2, 4, 6 } }, decode(file("|u1", "2, 3",
      "\1\2\3\4\5\6", "True")):totable())
    assert.same({ { { 1, 5 }, { 3, 7 } }, { { 2, 6 }, { 4, 8 } } },
      decode(file(">i2", "2, 2, 2", "\0\1\0\2\0\3\0\4\0\5\0\6\0\7\0\8", "True"))
        :totable())
  end)

  it("tells what is wrong with a file", function()
    local good = file("<f4", "2, 3", ("x"):rep(24))
    for what, text in pairs({
      ["it is no npy file; it begins as an empty one"] = "",
      ["it ends within its header"] = good:sub(1, 60),
      ["its version is 9, not 1 to 3"] = good:gsub("NUMPY.", "NUMPY\9"),
      ["its header has no descr"] = good:gsub("descr", "describe"),
      ["its header has no shape"] = good:gsub("%(2, 3%)", "[2, 3]"),
      ["its header has no fortran_order"] = good:gsub("False", "Maybe"),
      ["it has Python objects (O), which no tensor holds"] =
        file("|O", "2", ""),
      ["it has strings (U8), which no tensor holds"] = file("<U8", "2", ""),
      ["it has complex numbers (c8), which no tensor holds"] =
        file("<c8", "2", ""),
      ["it has fields of several dtypes"] = header(
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }"),
      ["it has 9 dimensions, a tensor has 8 at most"] =
        file("|u1", "1, 1, 1, 1, 1, 1, 1, 1, 1", "x"),
      ["its sizes multiply to more than 2^53"] =
        file("|u1", "9007199254740992, 9007199254740992", "x"),
      ["its sizes multiply to more than 2^53 "] =
        file("|u1", "0, 9007199254740992", ""),
      ["it is truncated: its header asks for 24 bytes of elements, and 23 are "
        .. "there"] = good:sub(1, -2),
    }) do
      assert.equal("cannot decode a.npy: " .. what:gsub(" $", ""),
        message({ bytes = text, path = "a.npy" }))
    end
  end)

  it("has a parser of headers for others", function()
    local about = npy.header(file(">f4", "4, 5", "", "True"))
    assert.same({ dtype = "f32", shape = { 4, 5 }, count = 20, nbytes = 80,
      is_big_endian = true, is_fortran = true, offset = 128 }, about)
    assert.same({ nil, "it ends within its header" }, { npy.header("\147NUMPY")
    })
  end)
end)
