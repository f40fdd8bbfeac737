#include "backend/cpu/winograd/scheme.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace daybreak::winograd {
namespace {

using Square = std::vector<std::vector<double>>;

// M x M^T
template <int R, int C>
Square transformed(const Matrix<R, C>& m, const Square& x) {
  Square half(R, std::vector<double>(C)), result(R, std::vector<double>(R));
  for (int r = 0; r < R; ++r) {
    for (int c = 0; c < C; ++c) {
      for (int i = 0; i < C; ++i) half[r][c] += m.v[r][i] * x[i][c];
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int s = 0; s < R; ++s) {
      for (int c = 0; c < C; ++c) result[r][s] += half[r][c] * m.v[s][c];
    }
  }
  return result;
}

Square random_square(int size, std::mt19937& random) {
  std::uniform_real_distribution<double> values(-1.0, 1.0);
  Square x(size, std::vector<double>(size));
  for (auto& row : x) {
    for (double& value : row) value = values(random);
  }
  return x;
}

// What the scheme promises for one window; taps that reach beyond the window read zeros (Map2).
template <typename S>
Square direct(const Square& x, const Square& w, int border) {
  Square y(S::kOutputs, std::vector<double>(S::kOutputs));
  for (int i = 0; i < S::kOutputs; ++i) {
    for (int j = 0; j < S::kOutputs; ++j) {
      for (int a = 0; a < 3; ++a) {
        for (int b = 0; b < 3; ++b) {
          const int row = i * S::kStride + a - border, column = j * S::kStride + b - border;
          if (row < 0 || column < 0 || row >= S::kWindow || column >= S::kWindow) continue;
          y[i][j] += w[a][b] * x[row][column];
        }
      }
    }
  }
  return y;
}

Square product(const Square& a, const Square& b) {
  Square result = a;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < a.size(); ++j) result[i][j] = a[i][j] * b[i][j];
  }
  return result;
}

double dot(const Square& a, const Square& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < a[i].size(); ++j) sum += a[i][j] * b[i][j];
  }
  return sum;
}

template <typename S>
class Schemes : public testing::Test {};
using All = testing::Types<F43, Map2, Strided<2>, Strided<4>>;
TYPED_TEST_SUITE(Schemes, All);

TYPED_TEST(Schemes, ComputeTheConvolutionOfAWindow) {
  using S = TypeParam;
  std::mt19937 random(7);
  const int border = S::kPad == 0 ? 1 : 0;  // Map2's window is the map itself
  for (int round = 0; round < 20; ++round) {
    const Square x = random_square(S::kWindow, random), w = random_square(3, random);
    const Square y = transformed(S::kAt, product(transformed(S::kG, w), transformed(S::kBt, x)));
    const Square expected = direct<S>(x, w, border);
    for (int i = 0; i < S::kOutputs; ++i) {
      for (int j = 0; j < S::kOutputs; ++j) EXPECT_NEAR(y[i][j], expected[i][j], 1e-11);
    }
  }
}

// <dy, conv(x, w)> = <x, dx> = <w, dw> for gradients taken through the transposed matrices.
TYPED_TEST(Schemes, AdjointsAreTheGradients) {
  using S = TypeParam;
  std::mt19937 random(8);
  const int border = S::kPad == 0 ? 1 : 0;
  const Square x = random_square(S::kWindow, random), w = random_square(3, random);
  const Square dy = random_square(S::kOutputs, random);
  const Square z = transformed(S::kAt.transposed(), dy);
  const Square dx = transformed(S::kBt.transposed(), product(transformed(S::kG, w), z));
  const Square dw = transformed(S::kG.transposed(), product(transformed(S::kBt, x), z));
  const double value = dot(dy, direct<S>(x, w, border));
  EXPECT_NEAR(dot(x, dx), value, 1e-11);
  EXPECT_NEAR(dot(w, dw), value, 1e-11);
}

}  // namespace
}  // namespace daybreak::winograd
