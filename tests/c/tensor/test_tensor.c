/* SPDX-License-Identifier: MIT */
/* Tensors: counts, strides, filling, every conversion, and DLPack copies. */
#include "neap.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 1300 }; /* more than two blocks of a conversion, and a rest */

static int64_t shape_of_all[1] = {COUNT};

static const struct {
  const char *name;
  uint8_t code;
  uint8_t bits;
  double least; /* 0 and 0 for floats */
  double most;
} dtypes[] = {
    {"u8", NEAP_UINT, 8, 0, UINT8_MAX},
    {"i8", NEAP_INT, 8, INT8_MIN, INT8_MAX},
    {"i16", NEAP_INT, 16, INT16_MIN, INT16_MAX},
    {"u16", NEAP_UINT, 16, 0, UINT16_MAX},
    {"i32", NEAP_INT, 32, INT32_MIN, INT32_MAX},
    {"u32", NEAP_UINT, 32, 0, UINT32_MAX},
    {"i64", NEAP_INT, 64, -0x1p63, 0x1p63},
    {"u64", NEAP_UINT, 64, 0, 0x1p64},
    {"bool", NEAP_BOOL, 8, 0, 1},
    {"f16", NEAP_FLOAT, 16, 0, 0},
    {"bf16", NEAP_BFLOAT, 16, 0, 0},
    {"f32", NEAP_FLOAT, 32, 0, 0},
    {"f64", NEAP_FLOAT, 64, 0, 0},
};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

static neap_tensor tensor_of(int code, int bits, void *data, int64_t *shape) {
  return (neap_tensor){.data = data,
                       .device_type = 1,
                       .ndim = 1,
                       .code = (uint8_t)code,
                       .bits = (uint8_t)bits,
                       .lanes = 1,
                       .shape = shape};
}

static void counts_elements_and_strides(void **state) {
  (void)state;
  int64_t shape[] = {2, 3, 4};
  int64_t strides[3];
  neap_tensor tensor = tensor_of(NEAP_FLOAT, 32, NULL, shape);
  tensor.ndim = 3;
  assert_int_equal(neap_tensor_strides(3, shape, strides), 24);
  assert_int_equal(strides[0], 12);
  assert_int_equal(strides[1], 4);
  assert_int_equal(strides[2], 1);
  assert_int_equal(neap_tensor_count(&tensor), 24);
  assert_int_equal(neap_tensor_nbytes(&tensor), 96);
  tensor.ndim = 0;
  assert_int_equal(neap_tensor_count(&tensor), 1);
}

static void refuses_shapes_that_overflow(void **state) {
  (void)state;
  const int64_t large[] = {(int64_t)1 << 40, (int64_t)1 << 40};
  const int64_t hidden[] = {0, (int64_t)1 << 40, (int64_t)1 << 40};
  const int64_t negative[] = {3, -1};
  const int64_t fits[] = {(int64_t)1 << 53};
  assert_int_equal(neap_tensor_strides(2, large, NULL), -1);
  assert_int_equal(neap_tensor_strides(3, hidden, NULL), -1);
  assert_int_equal(neap_tensor_strides(2, negative, NULL), -1);
  assert_int_equal(neap_tensor_strides(1, fits, NULL), (int64_t)1 << 53);
}

/* What a value becomes in an integer dtype, by the contract's own words. */
static double saturated(double value, double least, double most) {
  if (isnan(value)) return 0;
  value = nearbyint(value);
  return value < least ? least : (value > most ? most : value);
}

static double expected_in(int k, double value) {
  switch (dtypes[k].bits + dtypes[k].code) {
  case 8 + NEAP_BOOL: return value != 0;
  case 16 + NEAP_FLOAT: return neap_f16_load(neap_f16_store(value));
  case 16 + NEAP_BFLOAT: return neap_bf16_load(neap_bf16_store(value));
  case 32 + NEAP_FLOAT: return (double)(float)value;
  case 64 + NEAP_FLOAT: return value;
  default: return saturated(value, dtypes[k].least, dtypes[k].most);
  }
}

static void assert_same(double got, double wanted, int from, int to, int k) {
  if (got == wanted || (isnan(got) && isnan(wanted))) return;
  fail_msg("%s -> %s, element %d: got %.17g, want %.17g", dtypes[from].name,
           dtypes[to].name, k, got, wanted);
}

static void convert_between_all_dtypes(void) {
  static double values[COUNT], wide[COUNT], got[COUNT];
  static char from_bytes[COUNT * 8], to_bytes[COUNT * 8];
  neap_tensor source = tensor_of(NEAP_FLOAT, 64, values, shape_of_all);
  neap_tensor widened = tensor_of(NEAP_FLOAT, 64, wide, shape_of_all);
  neap_tensor back = tensor_of(NEAP_FLOAT, 64, got, shape_of_all);
  const double edges[] = {0,    0.5,   1.5,   2.5,      -0.5,      -1.5, 255.5,
                          1e10, -1e10, 1e300, INFINITY, -INFINITY, NAN,  65519};
  for (int k = 0; k < COUNT; k++)
    values[k] = (k - 600) * 0.37;
  memcpy(values, edges, sizeof edges);
  memcpy(values + COUNT - 14, edges, sizeof edges);
  for (int from = 0; from < DTYPES; from++) {
    for (int to = 0; to < DTYPES; to++) {
      for (int scaled = 0; scaled < 2; scaled++) {
        const double scale = scaled ? 0.75 : 1;
        const double offset = scaled ? -3 : 0;
        neap_tensor a = tensor_of(dtypes[from].code, dtypes[from].bits,
                                  from_bytes, shape_of_all);
        neap_tensor b =
            tensor_of(dtypes[to].code, dtypes[to].bits, to_bytes, shape_of_all);
        assert_int_equal(neap_tensor_convert(&source, &a, 1, 0, NULL), 0);
        assert_int_equal(neap_tensor_convert(&a, &widened, 1, 0, NULL), 0);
        assert_int_equal(neap_tensor_convert(&a, &b, scale, offset, NULL), 0);
        assert_int_equal(neap_tensor_convert(&b, &back, 1, 0, NULL), 0);
        for (int k = 0; k < shape_of_all[0]; k++) {
          assert_same(wide[k], expected_in(from, values[k]), DTYPES - 1, from,
                      k);
          assert_same(got[k], expected_in(to, wide[k] * scale + offset), from,
                      to, k);
        }
      }
    }
  }
}

/* Many elements, of which bytes are looked up, and few. */
static void converts_between_all_dtypes(void **state) {
  (void)state;
  convert_between_all_dtypes();
  shape_of_all[0] = COUNT / 2;
  convert_between_all_dtypes();
  shape_of_all[0] = COUNT;
}

static void converts_wide_integers_exactly(void **state) {
  (void)state;
  int64_t shape[] = {4};
  int64_t from[] = {INT64_MAX, INT64_MIN, ((int64_t)1 << 53) + 1, -1};
  uint64_t to[4];
  uint64_t unsigned_from[] = {UINT64_MAX, 1, ((uint64_t)1 << 60) + 3, 0};
  int64_t signed_to[4];
  neap_tensor a = tensor_of(NEAP_INT, 64, from, shape);
  neap_tensor b = tensor_of(NEAP_UINT, 64, to, shape);
  neap_tensor c = tensor_of(NEAP_UINT, 64, unsigned_from, shape);
  neap_tensor d = tensor_of(NEAP_INT, 64, signed_to, shape);
  assert_int_equal(neap_tensor_convert(&a, &b, 1, 0, NULL), NEAP_OK);
  assert_true(to[0] == (uint64_t)INT64_MAX);
  assert_true(to[1] == 0);
  assert_true(to[2] == ((uint64_t)1 << 53) + 1);
  assert_true(to[3] == 0);
  assert_int_equal(neap_tensor_convert(&c, &d, 1, 0, NULL), NEAP_OK);
  assert_true(signed_to[0] == INT64_MAX);
  assert_true(signed_to[2] == ((int64_t)1 << 60) + 3);
  assert_int_equal(neap_tensor_convert(&c, &b, 1, 0, NULL), NEAP_OK);
  assert_true(to[0] == UINT64_MAX);
}

static void refuses_to_convert(void **state) {
  (void)state;
  neap_error error;
  int64_t three[] = {3};
  int64_t four[] = {4};
  float data[8] = {0};
  neap_tensor a = tensor_of(NEAP_FLOAT, 32, data, three);
  neap_tensor b = tensor_of(NEAP_FLOAT, 32, data + 4, four);
  assert_int_equal(neap_tensor_convert(&a, &b, 1, 0, &error), NEAP_EINVAL);
  assert_string_equal(error.text, "cannot convert 3 elements into 4");
  b = tensor_of(NEAP_FLOAT, 32, data + 2, three);
  assert_int_equal(neap_tensor_convert(&a, &b, 1, 0, &error), NEAP_EINVAL);
  assert_string_equal(error.text,
                      "cannot convert a tensor into its own memory");
  b = tensor_of(NEAP_FLOAT, 24, data + 4, three);
  assert_int_equal(neap_tensor_convert(&a, &b, 1, 0, &error), NEAP_EINVAL);
  assert_string_equal(error.text, "cannot use a tensor: no dtype has code 2, "
                                  "24 bits and 1 lanes");
}

/* Every f16 there is goes through a double and back. */
static void halves_survive_a_round_trip(void **state) {
  (void)state;
  for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
    const double half = neap_f16_load((uint16_t)bits);
    const double brain = neap_bf16_load((uint16_t)bits);
    if (!isnan(half)) assert_int_equal(neap_f16_store(half), bits);
    if (!isnan(brain)) assert_int_equal(neap_bf16_store(brain), bits);
    assert_int_equal(isnan(half) != 0, (bits & 0x7fff) > 0x7c00);
  }
}

/* Between two neighbours, the midpoint goes to the even one. */
static void halves_round_to_nearest_even(void **state) {
  (void)state;
  for (uint16_t bits = 0; bits < 0x7bff; bits++) {
    const double low = neap_f16_load(bits);
    const double high = neap_f16_load((uint16_t)(bits + 1));
    const double middle = (low + high) / 2;
    const uint16_t even = (uint16_t)(bits + (bits & 1));
    assert_int_equal(neap_f16_store(middle), even);
    assert_int_equal(neap_f16_store(nextafter(middle, 0)), bits);
    assert_int_equal(neap_f16_store(nextafter(middle, INFINITY)), bits + 1);
  }
  assert_int_equal(neap_f16_store(65519.9), 0x7bff);
  assert_int_equal(neap_f16_store(65520), 0x7c00);
  assert_int_equal(neap_f16_store(-1e300), 0xfc00);
  assert_int_equal(neap_f16_store(-0.0), 0x8000);
  assert_true(isnan(neap_f16_load(neap_f16_store(NAN))));
  assert_int_equal(neap_bf16_store(1.00390625), 0x3f80);
  assert_int_equal(neap_bf16_store(1.01171875), 0x3f82);
  assert_int_equal(neap_bf16_store(DBL_MAX), 0x7f80);
  assert_true(isnan(neap_bf16_load(neap_bf16_store(NAN))));
}

static void fills_every_dtype(void **state) {
  (void)state;
  static char bytes[COUNT * 8 + 1];
  static double got[COUNT];
  neap_tensor back = tensor_of(NEAP_FLOAT, 64, got, shape_of_all);
  for (int k = 0; k < DTYPES; k++) {
    neap_tensor tensor =
        tensor_of(dtypes[k].code, dtypes[k].bits, bytes, shape_of_all);
    const int64_t nbytes = neap_tensor_nbytes(&tensor);
    for (double value = 0; value < 2; value++) {
      memset(bytes, 0x5a, sizeof bytes);
      assert_int_equal(neap_tensor_fill(&tensor, value, NULL), NEAP_OK);
      assert_int_equal(neap_tensor_convert(&tensor, &back, 1, 0, NULL), 0);
      for (int i = 0; i < COUNT; i++)
        assert_true(got[i] == value);
      assert_int_equal(bytes[nbytes], 0x5a);
    }
  }
}

static void refuses_to_fill(void **state) {
  (void)state;
  neap_error error;
  uint8_t bytes[3] = {7, 7, 7};
  int64_t shape[] = {3};
  neap_tensor tensor = tensor_of(NEAP_UINT, 8, bytes, shape);
  assert_int_equal(neap_tensor_fill(&tensor, 300, &error), NEAP_EINVAL);
  assert_string_equal(error.text, "300 is out of range for u8");
  assert_int_equal(neap_tensor_fill(&tensor, NAN, &error), NEAP_EINVAL);
  assert_int_equal(neap_tensor_fill(&tensor, 0.5, &error), NEAP_EINVAL);
  assert_string_equal(error.text, "0.5 is a fraction, and u8 holds integers");
  assert_int_equal(bytes[0], 7);
}

static void copies_for_dlpack(void **state) {
  (void)state;
  int64_t shape[] = {2, 3};
  float data[] = {9, 1, 2, 3, 4, 5, 6};
  neap_tensor tensor = tensor_of(NEAP_FLOAT, 32, data, shape);
  neap_managed_tensor *managed;
  tensor.ndim = 2;
  tensor.byte_offset = sizeof(float);
  assert_int_equal(neap_tensor_dlpack(&tensor, &managed, NULL), NEAP_OK);
  memset(data, 0, sizeof data);
  shape[0] = 0;
  const neap_tensor *copy = &managed->tensor;
  const float *elements = copy->data;
  assert_int_equal((uintptr_t)elements % 64, 0);
  assert_int_equal(copy->byte_offset, 0);
  assert_int_equal(copy->shape[0], 2);
  assert_int_equal(copy->strides[0], 3);
  for (int k = 0; k < 6; k++)
    assert_true(elements[k] == (float)(k + 1));
  managed->deleter(managed);
}

static void refuses_to_copy_a_bad_shape(void **state) {
  (void)state;
  int64_t shape[] = {-2};
  neap_tensor tensor = tensor_of(NEAP_FLOAT, 32, NULL, shape);
  neap_managed_tensor *managed = (void *)shape;
  assert_int_equal(neap_tensor_dlpack(&tensor, &managed, NULL), NEAP_EINVAL);
  assert_null(managed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_elements_and_strides),
      cmocka_unit_test(refuses_shapes_that_overflow),
      cmocka_unit_test(converts_between_all_dtypes),
      cmocka_unit_test(converts_wide_integers_exactly),
      cmocka_unit_test(refuses_to_convert),
      cmocka_unit_test(halves_survive_a_round_trip),
      cmocka_unit_test(halves_round_to_nearest_even),
      cmocka_unit_test(fills_every_dtype),
      cmocka_unit_test(refuses_to_fill),
      cmocka_unit_test(copies_for_dlpack),
      cmocka_unit_test(refuses_to_copy_a_bad_shape),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
