/* SPDX-License-Identifier: MIT */
/*
 * neap for C++11: loaders, items and values that release what they own. Copy
 * this file into your program.
 *
 *   neap::loader digits("digits.lua", {{"batch", "64"}});
 *   for (const neap::item &item : digits)
 *     train(item["image"].data<float>());
 *
 * A value is a view into its item: it is valid for as long as the item. What
 * fails throws neap::error; after one of an item, next() goes on.
 */
#ifndef NEAP_HPP
#define NEAP_HPP

#include <neap.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace neap {

class error : public std::runtime_error {
public:
  explicit error(const neap_error &why)
      : std::runtime_error(why.text), status(why.status) {}

  int status; /* NEAP_EBUILD, ... */
};

inline void check(int rc, const neap_error &why) {
  if (rc < 0) throw error(why);
}

/* -- Values -- */

class value {
public:
  explicit value(const neap_value &from) : value_(from) {}

  int type() const {
    return neap_value_type(&value_);
  }
  double number() const {
    return get<double>(neap_value_number);
  }
  int64_t integer() const {
    return get<int64_t>(neap_value_integer);
  }
  bool boolean() const {
    return get<int>(neap_value_boolean) != 0;
  }

  std::string string() const {
    const char *text;
    size_t bytes;
    neap_error why;
    check(neap_value_string(&value_, &text, &bytes, &why), why);
    return std::string(text, bytes);
  }

  /* The items of a table's list. */
  uint32_t size() const {
    uint32_t list;
    neap_error why;
    check(neap_value_count(&value_, &list, nullptr, &why), why);
    return list;
  }

  value operator[](uint32_t k) const {
    neap_value found;
    neap_error why;
    check(neap_value_at(&value_, k, &found, &why), why);
    return value(found);
  }

  value operator[](const char *field) const {
    neap_value found;
    neap_error why;
    check(neap_value_field(&value_, field, &found, &why), why);
    return value(found);
  }

  std::vector<int64_t> shape() const {
    const neap_view view = tensor();
    return std::vector<int64_t>(view.shape, view.shape + view.tensor.ndim);
  }

  /* A tensor's elements, which are of type T; contiguous. */
  template <typename T> const T *data() const {
    const neap_view view = tensor();
    if (view.tensor.bits != 8 * sizeof(T))
      throw std::invalid_argument("a tensor's elements are of another size");
    return static_cast<const T *>(view.tensor.data);
  }

private:
  template <typename T>
  T get(int (*read)(const neap_value *, T *, neap_error *)) const {
    T found;
    neap_error why;
    check(read(&value_, &found, &why), why);
    return found;
  }

  /* Its data and shape are in the slot, and in the view. */
  neap_view tensor() const {
    neap_view view;
    neap_error why;
    check(neap_value_tensor(&value_, &view, &why), why);
    return view;
  }

  neap_value value_;
};

/* -- Items -- */

/* May be moved to another thread, and outlive the loader. */
class item {
public:
  item() = default;
  explicit item(neap_item *taken) : item_(taken) {}

  explicit operator bool() const {
    return item_ != nullptr;
  }
  int64_t index() const {
    return neap_item_index(item_.get());
  }
  int64_t epoch() const {
    return neap_item_epoch(item_.get());
  }

  neap::value value() const {
    neap_value found;
    neap_error why;
    check(neap_item_value(item_.get(), &found, &why), why);
    return neap::value(found);
  }

  neap::value operator[](const char *field) const {
    return value()[field];
  }

private:
  struct release {
    void operator()(neap_item *item) const {
      neap_item_release(item);
    }
  };
  std::unique_ptr<neap_item, release> item_;
};

/* -- Loaders -- */

class loader {
public:
  using parameters = std::vector<std::pair<std::string, std::string>>;

  explicit loader(const std::string &path, const parameters &given = {}) {
    neap_options options;
    neap_options_init(&options);
    open(path, given, options);
  }

  /* With options set by neap_options_init() first. */
  loader(const std::string &path, const parameters &given,
         neap_options options) {
    open(path, given, options);
  }

  int64_t length() const {
    return neap_length(loader_.get());
  }
  int64_t epoch() const {
    return neap_epoch(loader_.get());
  }
  int64_t position() const {
    return neap_position(loader_.get());
  }

  /* The next item; none after the last one of the epoch. */
  item next() {
    neap_item *found;
    neap_error why;
    const int rc = neap_next(loader_.get(), &found, &why);
    item taken(found); /* one that failed is released, too */
    check(rc, why);
    return taken;
  }

  item get(int64_t index) {
    neap_item *found;
    neap_error why;
    const int rc = neap_get(loader_.get(), index, &found, &why);
    item taken(found);
    check(rc, why);
    return taken;
  }

  void seek(int64_t epoch, int64_t index = 0) {
    neap_error why;
    check(neap_seek(loader_.get(), epoch, index, &why), why);
  }

  neap_stats stats() const {
    neap_stats found;
    neap_error why;
    check(neap_read_stats(loader_.get(), &found, &why), why);
    return found;
  }

  /* For loops: from the position on. */
  class iterator {
  public:
    iterator() = default;
    explicit iterator(loader *from) : loader_(from) {
      ++*this;
    }
    const neap::item &operator*() const {
      return item_;
    }
    bool operator!=(const iterator &) const {
      return bool(item_);
    }
    iterator &operator++() {
      item_ = neap::item(); /* before the next one: its slot is used again */
      item_ = loader_->next();
      return *this;
    }

  private:
    loader *loader_ = nullptr;
    neap::item item_;
  };

  iterator begin() {
    return iterator(this);
  }
  iterator end() {
    return iterator();
  }

private:
  struct close {
    void operator()(neap_loader *loader) const {
      neap_close(loader);
    }
  };

  void open(const std::string &path, const parameters &given,
            neap_options &options) {
    std::vector<neap_parameter> list;
    for (const auto &one : given)
      list.push_back({one.first.c_str(), one.second.c_str()});
    options.parameters = list.data();
    options.parameter_count = static_cast<int32_t>(list.size());
    neap_loader *opened;
    neap_error why;
    check(neap_open(path.c_str(), &options, &opened, &why), why);
    loader_.reset(opened);
  }

  std::unique_ptr<neap_loader, close> loader_;
};

}  // namespace neap

#endif
