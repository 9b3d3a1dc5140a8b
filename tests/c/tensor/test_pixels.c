/* SPDX-License-Identifier: MIT */
/* Images to tensors, beside a plain loop over every pixel. */
#include "neap_lua.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct result {
  neap_tensor tensor;
  int64_t shape[3];
} result;

static uint32_t state = 1;

static int random_below(int limit) {
  state = state * 1664525u + 1013904223u;
  return (int)((state >> 8) % (uint32_t)limit);
}

static uint8_t *make_pixels(int64_t count) {
  uint8_t *pixels = malloc((size_t)count);
  assert_non_null(pixels);
  for (int64_t k = 0; k < count; k++)
    pixels[k] = (uint8_t)random_below(256);
  return pixels;
}

static neap_image make_image(const uint8_t *pixels, int height, int width,
                             int channels) {
  neap_image image = {.pixels = pixels,
                      .height = height,
                      .width = width,
                      .channels = channels,
                      .orientation = 1,
                      .fit = NEAP_FIT_STRETCH,
                      .region = {0, 0, 1, 1}};
  for (int c = 0; c < 4; c++)
    image.scale[c] = 1;
  return image;
}

static void make_result(result *r, int code, int bits, int planar, int height,
                        int width, int channels) {
  memset(r, 0, sizeof *r);
  r->shape[planar ? 1 : 0] = height;
  r->shape[planar ? 2 : 1] = width;
  r->shape[planar ? 0 : 2] = channels;
  r->tensor.data = calloc((size_t)(height * width * channels), 8);
  assert_non_null(r->tensor.data);
  r->tensor.device_type = 1;
  r->tensor.ndim = 3;
  r->tensor.code = (uint8_t)code;
  r->tensor.bits = (uint8_t)bits;
  r->tensor.lanes = 1;
  r->tensor.shape = r->shape;
}

static float at(const result *r, int planar, int64_t y, int64_t x, int64_t c) {
  const int64_t *n = r->shape;
  const int64_t k =
      planar ? (c * n[1] + y) * n[2] + x : (y * n[1] + x) * n[2] + c;
  return ((const float *)r->tensor.data)[k];
}

/* The pixel at a place of the upright image. */
static double upright(const neap_image *image, int64_t y, int64_t x,
                      int64_t c) {
  const int64_t h = image->height, w = image->width;
  int64_t row = y, column = x;
  switch (image->orientation) {
  case 2: column = w - 1 - x; break;
  case 3: row = h - 1 - y, column = w - 1 - x; break;
  case 4: row = h - 1 - y; break;
  case 5: row = x, column = y; break;
  case 6: row = h - 1 - x, column = y; break;
  case 7: row = h - 1 - x, column = w - 1 - y; break;
  case 8: row = x, column = w - 1 - y; break;
  default: break;
  }
  return image->pixels[(row * w + column) * image->channels + c];
}

static double triangle(double from, double length, int64_t count, int64_t k,
                       int64_t j) {
  const double scale = length / (double)count;
  const double support = scale > 1 ? scale : 1;
  const double centre = from + ((double)k + 0.5) * scale;
  const double away = fabs((double)j + 0.5 - centre) / support;
  return away < 1 ? 1 - away : 0;
}

/* The result at y, x, c: all pixels, each by its weight. */
static double expected(const neap_image *image, const double *box,
                       int64_t height, int64_t width, int64_t y, int64_t x,
                       int64_t c) {
  const int is_turned = image->orientation >= 5;
  const int64_t h = is_turned ? image->width : image->height;
  const int64_t w = is_turned ? image->height : image->width;
  double sum = 0, weights = 0;
  for (int64_t j = 0; j < h; j++)
    for (int64_t i = 0; i < w; i++) {
      const double weight = triangle(box[0], box[2], height, y, j) *
                            triangle(box[1], box[3], width, x, i);
      if (weight == 0) continue;
      sum += weight * upright(image, j, i, c);
      weights += weight;
    }
  return sum / weights;
}

static void check_near(double value, double wanted) {
  if (fabs(value - wanted) < 1e-2) return;
  fail_msg("%g instead of %g", value, wanted);
}

static void test_every_pixel(void **unused) {
  (void)unused;
  for (int turn = 0; turn < 400; turn++) {
    const int h = 1 + random_below(20), w = 1 + random_below(20);
    const int height = 1 + random_below(20), width = 1 + random_below(20);
    const int stored[] = {1, 3, 4};
    const int channels = stored[random_below(3)], planar = random_below(2);
    uint8_t *pixels = make_pixels(h * w * channels);
    neap_image image = make_image(pixels, h, w, channels);
    result r;
    image.orientation = 1 + random_below(8);
    image.is_planar = planar;
    make_result(&r, NEAP_FLOAT, 32, planar, height, width, channels);
    for (int c = 0; c < 4; c++) {
      image.scale[c] = 0.5f + (float)c;
      image.offset[c] = (float)-c;
    }
    neap_error error;
    assert_int_equal(neap_image_fit(&image, &r.tensor, &error), NEAP_OK);
    const int is_turned = image.orientation >= 5;
    const double box[] = {0, 0, is_turned ? w : h, is_turned ? h : w};
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++)
        for (int c = 0; c < channels; c++)
          check_near((double)at(&r, planar, y, x, c),
                     expected(&image, box, height, width, y, x, c) *
                             (double)image.scale[c] +
                         (double)image.offset[c]);
    free(r.tensor.data);
    free(pixels);
  }
}

static void test_crop_keeps_the_middle(void **unused) {
  (void)unused;
  uint8_t *pixels = make_pixels(10 * 30 * 3);
  for (int orientation = 1; orientation <= 8; orientation++) {
    neap_image image = make_image(pixels, 10, 30, 3);
    result r;
    image.orientation = orientation;
    image.fit = NEAP_FIT_CROP;
    make_result(&r, NEAP_FLOAT, 32, 0, 5, 5, 3);
    assert_int_equal(neap_image_fit(&image, &r.tensor, NULL), NEAP_OK);
    const int is_turned = orientation >= 5;
    const double box[] = {is_turned ? 10 : 0, is_turned ? 0 : 10, 10, 10};
    for (int y = 0; y < 5; y++)
      for (int x = 0; x < 5; x++)
        check_near((double)at(&r, 0, y, x, 1),
                   expected(&image, box, 5, 5, y, x, 1));
    free(r.tensor.data);
  }
  free(pixels);
}

static void test_region(void **unused) {
  (void)unused;
  uint8_t *pixels = make_pixels(16 * 32 * 3);
  for (int orientation = 1; orientation <= 8; orientation++) {
    neap_image image = make_image(pixels, 16, 32, 3);
    const float region[] = {0.25f, 0.5f, 0.5f, 0.25f};
    result r;
    image.orientation = orientation;
    memcpy(image.region, region, sizeof region);
    make_result(&r, NEAP_FLOAT, 32, 1, 7, 5, 3);
    image.is_planar = 1;
    assert_int_equal(neap_image_fit(&image, &r.tensor, NULL), NEAP_OK);
    const int h = orientation >= 5 ? 32 : 16, w = orientation >= 5 ? 16 : 32;
    const double box[] = {0.25 * h, 0.5 * w, 0.5 * h, 0.25 * w};
    for (int y = 0; y < 7; y++)
      for (int x = 0; x < 5; x++)
        check_near((double)at(&r, 1, y, x, 2),
                   expected(&image, box, 7, 5, y, x, 2));
    free(r.tensor.data);
  }
  free(pixels);
}

static void test_pad_centres_the_image(void **unused) {
  (void)unused;
  uint8_t *pixels = make_pixels(4 * 8 * 3);
  memset(pixels, 200, 4 * 8 * 3);
  neap_image image = make_image(pixels, 4, 8, 3);
  result r;
  image.fit = NEAP_FIT_PAD;
  image.pad = 10;
  image.scale[1] = 2;
  make_result(&r, NEAP_FLOAT, 32, 0, 16, 16, 3);
  assert_int_equal(neap_image_fit(&image, &r.tensor, NULL), NEAP_OK);
  for (int y = 0; y < 16; y++)
    for (int x = 0; x < 16; x++)
      check_near((double)at(&r, 0, y, x, 1), y < 4 || y >= 12 ? 20 : 400);
  free(r.tensor.data);
  free(pixels);
}

static void test_bytes_round_and_saturate(void **unused) {
  (void)unused;
  const uint8_t pixels[] = {0, 1, 100, 255};
  neap_image image = make_image(pixels, 1, 4, 1);
  result r;
  image.scale[0] = 1.5f;
  image.offset[0] = -1;
  make_result(&r, NEAP_UINT, 8, 0, 1, 4, 1);
  assert_int_equal(neap_image_fit(&image, &r.tensor, NULL), NEAP_OK);
  const uint8_t wanted[] = {0, 1, 149, 255};
  assert_memory_equal(r.tensor.data, wanted, sizeof wanted);
  free(r.tensor.data);
}

static void test_other_dtypes(void **unused) {
  (void)unused;
  uint8_t *pixels = make_pixels(6 * 5 * 3);
  const int codes[][2] = {
      {NEAP_FLOAT, 16}, {NEAP_BFLOAT, 16}, {NEAP_FLOAT, 64}};
  for (int k = 0; k < 3; k++)
    for (int planar = 0; planar < 2; planar++) {
      neap_image image = make_image(pixels, 6, 5, 3);
      result r, back;
      image.is_planar = planar;
      make_result(&r, codes[k][0], codes[k][1], planar, 6, 5, 3);
      make_result(&back, NEAP_FLOAT, 32, planar, 6, 5, 3);
      assert_int_equal(neap_image_fit(&image, &r.tensor, NULL), NEAP_OK);
      assert_int_equal(neap_tensor_convert(&r.tensor, &back.tensor, 1, 0, NULL),
                       NEAP_OK);
      for (int y = 0; y < 6; y++)
        for (int x = 0; x < 5; x++)
          check_near((double)at(&back, planar, y, x, 2),
                     upright(&image, y, x, 2));
      free(r.tensor.data);
      free(back.tensor.data);
    }
  free(pixels);
}

static void test_grey_of_colours(void **unused) {
  (void)unused;
  const uint8_t pixels[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 90, 90, 90};
  neap_image image = make_image(pixels, 2, 2, 3);
  result r;
  make_result(&r, NEAP_FLOAT, 32, 1, 2, 2, 1);
  image.is_planar = 1;
  assert_int_equal(neap_image_fit(&image, &r.tensor, NULL), NEAP_OK);
  check_near((double)at(&r, 1, 0, 0, 0), 0.299 * 255);
  check_near((double)at(&r, 1, 0, 1, 0), 0.587 * 255);
  check_near((double)at(&r, 1, 1, 0, 0), 0.114 * 255);
  check_near((double)at(&r, 1, 1, 1, 0), 90);
  free(r.tensor.data);
}

static void refuse(neap_image image, const neap_tensor *to, const char *why) {
  neap_error error;
  char text[128];
  snprintf(text, sizeof text, "cannot resize an image: %s", why);
  assert_int_equal(neap_image_fit(&image, to, &error), NEAP_EINVAL);
  assert_string_equal(error.text, text);
}

static void test_refuses_what_does_not_fit(void **unused) {
  (void)unused;
  const uint8_t pixels[12] = {0};
  const neap_image good = make_image(pixels, 2, 2, 3);
  neap_image bad = good;
  result r;
  make_result(&r, NEAP_FLOAT, 32, 0, 2, 2, 3);
  bad.height = 0;
  refuse(bad, &r.tensor, "it has no pixels");
  bad = good;
  bad.channels = 2;
  refuse(bad, &r.tensor, "it does not have 1, 3 or 4 channels");
  bad = good;
  bad.orientation = 9;
  refuse(bad, &r.tensor, "its orientation is not 1 to 8");
  bad = good;
  bad.region[2] = NAN;
  refuse(bad, &r.tensor, "the region is not within the image");
  bad = good;
  bad.is_planar = 1;
  refuse(bad, &r.tensor, "the result has other channels");
  r.tensor.ndim = 2;
  refuse(good, &r.tensor, "the result has not 3 dimensions");
  free(r.tensor.data);
}

static void test_cmyk(void **unused) {
  (void)unused;
  uint8_t pixels[] = {255, 128, 0, 255, 200, 100, 50, 127};
  const uint8_t wanted[] = {255, 128, 0, 100, 50, 25};
  neap_image_from_cmyk(pixels, 2);
  assert_memory_equal(pixels, wanted, sizeof wanted);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_pixel),
      cmocka_unit_test(test_crop_keeps_the_middle),
      cmocka_unit_test(test_region),
      cmocka_unit_test(test_pad_centres_the_image),
      cmocka_unit_test(test_bytes_round_and_saturate),
      cmocka_unit_test(test_other_dtypes),
      cmocka_unit_test(test_grey_of_colours),
      cmocka_unit_test(test_refuses_what_does_not_fit),
      cmocka_unit_test(test_cmyk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
