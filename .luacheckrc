std = "luajit"
max_line_length = 80
files["tests/spec"] = { std = "+busted" }
files["premake5.lua"] = { ignore = { "113", "143" } }
