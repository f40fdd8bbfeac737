#pragma once

// The matrices of a scheme (scheme.h), each with its extents and read by (row, column). They are
// constants only: nothing of this header is left in a program.

namespace daybreak::winograd {

template <typename S>
struct Bt {
  static constexpr int kRows = S::kProducts, kColumns = S::kWindow;
  static constexpr double at(int r, int c) { return S::kBt.v[r][c]; }
};
template <typename S>
struct A {
  static constexpr int kRows = S::kProducts, kColumns = S::kOutputs;
  static constexpr double at(int r, int c) { return S::kAt.v[c][r]; }
};
template <typename S>
struct G {
  static constexpr int kRows = S::kProducts, kColumns = 3;
  static constexpr double at(int r, int c) { return S::kG.v[r][c]; }
};
template <typename M>
struct Transposed {
  static constexpr int kRows = M::kColumns, kColumns = M::kRows;
  static constexpr double at(int r, int c) { return M::at(c, r); }
};

}  // namespace daybreak::winograd
