#pragma once

#include <cstdint>
#include <optional>

namespace daybreak {

/// A size computed from numbers of a file. Once a sum or product overflows it stays invalid, so a
/// chain of operations needs one check at its end. The only way from file numbers to sizes.
class CheckedSize {
 public:
  constexpr CheckedSize(std::uint64_t value) : value_(value) {}  // NOLINT: meant to be implicit

  friend constexpr CheckedSize operator+(CheckedSize a, CheckedSize b) {
    CheckedSize result = 0;
    result.valid_ = !__builtin_add_overflow(a.value_, b.value_, &result.value_);
    result.valid_ = result.valid_ && a.valid_ && b.valid_;
    return result;
  }
  friend constexpr CheckedSize operator*(CheckedSize a, CheckedSize b) {
    CheckedSize result = 0;
    result.valid_ = !__builtin_mul_overflow(a.value_, b.value_, &result.value_);
    result.valid_ = result.valid_ && a.valid_ && b.valid_;
    return result;
  }

  /// The size when it did not overflow.
  constexpr std::optional<std::uint64_t> value() const {
    return valid_ ? std::optional<std::uint64_t>(value_) : std::nullopt;
  }
  /// True when the size is valid and at most `limit`.
  constexpr bool fits(std::uint64_t limit) const { return valid_ && value_ <= limit; }
  /// True when the size is valid and exactly `expected`.
  constexpr bool equals(std::uint64_t expected) const { return valid_ && value_ == expected; }

 private:
  std::uint64_t value_;
  bool valid_ = true;
};

}  // namespace daybreak
