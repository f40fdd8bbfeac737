#include "core/symmetric_eigen.h"

#include <cmath>

#include <gtest/gtest.h>

#include "core/philox.h"

namespace daybreak {
namespace {

TEST(SymmetricEigen, OfTwoByTwo) {
  // [[2, 1], [1, 2]]: 3 along (1, 1), 1 along (1, -1).
  const Eigen eigen = symmetric_eigen({2, 1, 1, 2}, 2);
  ASSERT_EQ(eigen.values.size(), 2u);
  EXPECT_NEAR(eigen.values[0], 3.0, 1e-14);
  EXPECT_NEAR(eigen.values[1], 1.0, 1e-14);
  const double root = std::sqrt(0.5);
  EXPECT_NEAR(eigen.vectors[0][0], root, 1e-14);
  EXPECT_NEAR(eigen.vectors[0][1], root, 1e-14);
  EXPECT_NEAR(eigen.vectors[1][0] * eigen.vectors[1][1], -0.5, 1e-14);
}

TEST(SymmetricEigen, OfADiagonalMatrixIsItsSortedDiagonal) {
  const Eigen eigen = symmetric_eigen({1, 0, 0, 0, 5, 0, 0, 0, -2}, 3);
  EXPECT_EQ(eigen.values, (std::vector<double>{5, 1, -2}));
  EXPECT_EQ(eigen.vectors[0], (std::vector<double>{0, 1, 0}));
  EXPECT_EQ(eigen.vectors[2], (std::vector<double>{0, 0, 1}));
}

TEST(SymmetricEigen, VectorsAreOrthonormalAndGiveTheMatrixBack) {
  for (const int n : {1, 3, 12, 27, 75}) {
    Draws draws(7, Purpose::synthetic, static_cast<std::uint64_t>(n), 0);
    std::vector<double> matrix(static_cast<std::size_t>(n) * n);
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j <= i; ++j) {
        matrix[i * n + j] = matrix[j * n + i] = 2.0 * draws.uniform() - 1.0;
      }
    }
    const Eigen eigen = symmetric_eigen(matrix, n);
    for (int i = 0; i < n; ++i) {
      if (i > 0) {
        EXPECT_GE(eigen.values[i - 1], eigen.values[i]);
      }
      double largest = 0.0;
      for (const double x : eigen.vectors[i]) {
        if (std::abs(x) > std::abs(largest)) largest = x;
      }
      EXPECT_GT(largest, 0.0);
      for (int j = 0; j < n; ++j) {
        double product = 0.0, entry = 0.0;
        for (int k = 0; k < n; ++k) {
          product += eigen.vectors[i][k] * eigen.vectors[j][k];
          entry += eigen.values[k] * eigen.vectors[k][i] * eigen.vectors[k][j];
        }
        EXPECT_NEAR(product, i == j ? 1.0 : 0.0, 1e-12) << n << ": " << i << ", " << j;
        EXPECT_NEAR(entry, matrix[i * n + j], 1e-12 * n) << n << ": " << i << ", " << j;
      }
    }
  }
}

}  // namespace
}  // namespace daybreak
