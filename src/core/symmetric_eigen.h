#pragma once

#include <vector>

namespace daybreak {

/// Eigenvalues, largest first, and for each its eigenvector of length 1, whose number of largest
/// magnitude is positive.
struct Eigen {
  std::vector<double> values;
  std::vector<std::vector<double>> vectors;
};

/// Of a symmetric matrix [n, n], by Jacobi's rotations in cyclic order (Golub, Van Loan, "Matrix
/// Computations", 8.5): the same bits for the same matrix everywhere.
Eigen symmetric_eigen(std::vector<double> matrix, int n);

}  // namespace daybreak
