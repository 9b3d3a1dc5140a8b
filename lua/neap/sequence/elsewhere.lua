-- SPDX-License-Identifier: MIT
--- What other libraries call what sequences do, for messages: name -> what to
-- write here. docs/guide/coming-from.md has the rest.
-- @module neap.sequence.elsewhere

local NTH, LIST, COUNT = "s[i]", "s:totable()", "#s"
local LOOP = "for i, x in s:each() do"
local FILTER = "s:gather(s:where(f))"

return {
  filter = FILTER, select = FILTER, remove_if = FILTER,
  get = NTH, nth = NTH, at = NTH, first = "s[1]", head = "s[1]", last = "s[-1]",
  tolist = LIST, toarray = LIST, to_table = LIST, collect = LIST, list = LIST,
  length = COUNT, size = COUNT, count = COUNT,
  iter = LOOP, foreach = LOOP, for_each = LOOP, items = LOOP, ipairs = LOOP,
  enumerate = LOOP, reduce = LOOP, fold = LOOP, sum = LOOP,
  take_n = "s:slice(1, n)", drop_n = "s:slice(n + 1)", drop = "s:slice(n + 1)",
  reverse = "s:slice(nil, nil, -1)", subset = "s:gather(indexes)",
  concatenate = "s:concat(t)", chain = "s:concat(t)", extend = "s:concat(t)",
  flatten = "s:unbatch(k)", flat_map = "s:map(f):unbatch(k)",
  repeat_ = "s:cycle(n)", permute = "s:shuffle(seed)",
  random_split = "s:shuffle(seed):split(edges)",
  set_epoch = "s:epoch(n)", smap = "s:map(f)",
  collate = "s:batch(k, { collate = f })",
}
