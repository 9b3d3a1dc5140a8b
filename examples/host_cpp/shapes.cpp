/* SPDX-License-Identifier: MIT */
/*
 * The mean image of each class of a loader file, drawn as text, in C++.
 *
 *   c++ -O2 shapes.cpp $(pkg-config --cflags --libs neap) -o shapes
 *   ./shapes ../loaders/fashion_mnist.lua [name=value...]
 */
#include <array>
#include <iostream>

#include "neap.hpp"

namespace {

constexpr int SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10;

struct image_sum {
  std::array<double, PIXELS> pixels{};
  int count = 0;
};

using sums = std::array<image_sum, CLASSES>;

void add(const neap::item &item, sums &all) {
  const float *pixels = item["image"].data<float>();
  const double *labels = item["label"].data<double>();
  const int64_t count = item["image"].shape()[0];
  for (int64_t i = 0; i < count; i++) {
    image_sum &sum = all.at(static_cast<size_t>(labels[i]));
    for (int k = 0; k < PIXELS; k++)
      sum.pixels[k] += pixels[i * PIXELS + k];
    sum.count++;
  }
}

/* Two rows of the image in each line. */
void draw(const image_sum &sum) {
  const std::string grey = " .:-=+*#%@";
  for (int row = 0; row < SIDE; row += 2) {
    for (int column = 0; column < SIDE; column++) {
      const double mean = sum.pixels[row * SIDE + column] / sum.count;
      std::cout << grey[static_cast<size_t>(mean * 9.99)];
    }
    std::cout << '\n';
  }
}

neap::loader::parameters read_parameters(int argc, char **argv) {
  neap::loader::parameters given;
  for (int k = 2; k < argc; k++) {
    const std::string word = argv[k];
    const size_t equals = word.find('=');
    if (equals != std::string::npos)
      given.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return given;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 2) {
    std::cerr << "shapes: usage: shapes FILE [name=value...]\n";
    return 2;
  }
  try {
    sums all;
    neap::loader loader(argv[1], read_parameters(argc, argv));
    for (const neap::item &item : loader)
      add(item, all);
    for (int c = 0; c < CLASSES; c++) {
      std::cout << "class " << c << ": " << all[c].count << " images\n";
      if (all[c].count > 0) draw(all[c]);
    }
  } catch (const std::exception &why) {
    std::cerr << "shapes: " << why.what() << '\n';
    return 1;
  }
}
