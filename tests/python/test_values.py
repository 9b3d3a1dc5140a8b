# SPDX-License-Identifier: MIT
"""Items as values of Python."""

import math

import neap
from scene import Case


class Values(Case):
    def read(self, *expressions, **options):
        return list(self.values(expressions, **options))

    def check(self, expression, wanted, **options):
        found = self.read(expression, **options)[0]
        self.assertEqual(found, wanted)
        self.assertIs(type(found), type(wanted))

    def test_plain(self):
        for lua, wanted in (("nil", None), ("true", True), ("false", False)):
            self.check(lua, wanted)

    def test_numbers(self):
        self.check("3", 3)
        self.check("-2^53", -2**53)
        self.check("0.5", 0.5)
        self.check("math.huge", math.inf)
        self.assertTrue(math.isnan(self.read("0/0")[0]))
        self.check("ffi.new('int64_t', -2) ^ 63", -2**63)
        self.check("-1LL", -1)
        self.check("0xffffffffffffffffULL", 2**64 - 1)

    def test_strings(self):
        self.check("'caf\\195\\169'", "café".encode())
        self.check("''", b"")
        self.check("'a\\0b'", b"a\0b")
        self.check("'caf\\195\\169'", "café", text=True)
        self.check("'\\255'", "\udcff", text=True)
        self.check("{path = 'p', data = {'d'}}", {"path": "p", "data": [b"d"]},
                   text=["path"])
        self.check("{path = {'p', {'q'}}}", {"path": ["p", ["q"]]},
                   text=["path"])

    def test_tables(self):
        self.check("{}", [])
        self.check("{1, {2, {3}}, 4}", [1, [2, [3]], 4])
        self.check("{a = 1, b = {c = {}}}", {"a": 1, "b": {"c": []}})
        self.check("{10, 20, x = 30}", {1: 10, 2: 20, "x": 30})
        self.check("{[true] = 1, [0.5] = 2, [7] = 3}", {True: 1, 0.5: 2, 7: 3})

    def test_a_long_list(self):
        self.check("neap.range(5000):totable()", list(range(1, 5001)))

    def test_tensors_within(self):
        item = self.read(
            "{image = neap.tensor('u8', {2}, {1, 2}), parts = {"
            "neap.tensor('f64', {}, 5)}}")[0]
        self.assertIsInstance(item["image"], neap.Tensor)
        self.assertEqual(item["image"].tobytes(), b"\1\2")
        self.assertEqual(item["parts"][0].shape, ())
