-- SPDX-License-Identifier: MIT
-- Reads the samples of a tar file in random order, in worker processes. A
-- sample is all files of one name: here a text and its class.

local neap = require("neap")

-- A shard of six samples, as `tar` makes it.
local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir " .. folder)
for i, word in ipairs({ "to", "be", "or", "not", "that", "is" }) do
  local name = ("%s/%03d"):format(folder, i)
  for kind, text in pairs({ txt = word, cls = #word }) do
    local file = io.open(name .. "." .. kind, "w")
    file:write(text)
    file:close()
  end
end
os.execute(("cd %s && tar -cf words-0.tar *"):format(folder))

local words = neap.tar(folder .. "/words-{0..0}.tar", { decode = true })
print(#words, words[4].__key__, words[4].txt, words[4].cls)  --> 6 004 not 3

-- Each epoch has another order; a read costs one pread of its bytes.
local p = words:shuffle(7):prefetch({ workers = 2 })
for epoch = 1, 2 do
  local list = {}
  for i, word in p:epoch(epoch):each() do
    list[i] = word.txt
  end
  print(table.concat(list, " "))  --> to that be or not is
end                               --> is or not be to that
p:close()
os.execute("rm -r " .. folder)
