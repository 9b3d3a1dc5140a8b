-- SPDX-License-Identifier: MIT
-- From text to batches of tokens: sentences of alike lengths together, so that
-- little is padded; or several sentences in one row, so that less still is.

local neap = require("neap")

-- A text of 1000 sentences, most of them short.
local words = {}
for word in ("a boat came by late and no one saw it go"):gmatch("%a+") do
  words[#words + 1] = word
end

local text = neap.range(1000):random_map(function(_, rng)
  local sentence = {}
  for k = 1, 1 + rng:uniform() ^ 3 * 60 do
    sentence[k] = words[rng:integer(1, #words)]
  end
  return table.concat(sentence, " ")
end, { seed = 1 }):totable()
print(text[9]) --> saw by

-- Each word has a number, 0 is padding.
local vocabulary = {}
for number, word in ipairs(words) do
  vocabulary[word] = number
end

local function tokenize(sentence)
  local tokens = {}
  for word in sentence:gmatch("%a+") do
    tokens[#tokens + 1] = vocabulary[word]
  end
  return tokens
end

local sentences = neap.from(text):map(tokenize)
local lengths = sentences:lengths(nil, { workers = 2 })

-- The share of padding in the elements of all batches.
local function padding(batches)
  local total, used = 0, 0
  for _, batch in batches:each() do
    total = total + batch.mask.size
    for k = 1, #batch.lengths do
      used = used + batch.lengths[k]
    end
  end
  return ("%.0f %% padding"):format(100 * (1 - used / total))
end

local collate = neap.pad({ value = 0, dtype = "i32", multiple = 4 })
print("in order", padding(sentences:batch(32, { collate = collate })))
--> in order 71 % padding
local batches = sentences:bucket(lengths, { batch = 32, collate = collate })
  :prefetch({ workers = 2 })
print("by length", padding(batches))
--> by length 25 % padding

-- Other batches in each epoch, and the same with any number of workers.
for epoch = 1, 2 do
  local batch = batches:epoch(epoch)[1]
  print(epoch, batch.tensor.shape[2], batch.lengths)
end
--> 1 12 tensor i64 32 {8, 10, 8, 7, 7, 11, 11, 12, ...}
--> 2 4 tensor i64 32 {2, 2, 2, 2, 2, 2, 2, 2, ...}
batches:close()

-- Without padding between sentences: `segments` tells which a token is of.
local rows = sentences:pack(lengths, 64, { dtype = "i32" })
print(rows)
--> pack(map(f, from(table)), 64, 99% full): 252 items
local stacked = rows:shuffle(1):batch(8, { collate = neap.stack })
print(stacked[1].tensor.dtype, stacked[1].segments)
--> i32 tensor i32 8x64 {1, 1, 1, 1, 1, 1, 1, 1, ...}
