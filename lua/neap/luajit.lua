-- SPDX-License-Identifier: MIT
--- What neap must know of the LuaJIT that runs it: whether it has bug 829.
--
-- From September 2021 to April 2022 LuaJIT for x86-64 compiled traversals (a
-- `for` over `pairs` or `next`, and `next` itself) so that a pointer lost its
-- upper half now and then: the process crashes, or reads other memory. Debian
-- 12 has a LuaJIT of that time. The version does not tell: it is the same from
-- 2017 to August 2023. https://github.com/LuaJIT/LuaJIT/issues/829
-- @module neap.luajit

local luajit = {}

--- Whether this LuaJIT may have the bug.
luajit.is_suspect = jit.arch == "x64" and jit.version_num == 20100
  and jit.version:find("beta", 1, true) ~= nil

return luajit
