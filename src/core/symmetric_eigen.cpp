#include "core/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace daybreak {
namespace {

constexpr int kMostSweeps = 60;  // convergence is quadratic: about ten are needed

class Jacobi {
 public:
  Jacobi(std::vector<double> matrix, int n)
      : n_(n), a_(std::move(matrix)), v_(static_cast<std::size_t>(n) * n, 0.0) {
    for (int i = 0; i < n; ++i) at(v_, i, i) = 1.0;
  }

  void run() {
    for (int sweep = 0; sweep < kMostSweeps && off_diagonal() > 0.0; ++sweep) {
      for (int p = 0; p < n_; ++p) {
        for (int q = p + 1; q < n_; ++q) rotate(p, q);
      }
    }
  }

  Eigen result() {
    std::vector<int> order(static_cast<std::size_t>(n_));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [this](int i, int j) { return at(a_, i, i) > at(a_, j, j); });
    Eigen eigen;
    for (const int i : order) {
      std::vector<double> vector(static_cast<std::size_t>(n_));
      for (int k = 0; k < n_; ++k) vector[static_cast<std::size_t>(k)] = at(v_, k, i);
      const double largest =
          *std::max_element(vector.begin(), vector.end(),
                            [](double x, double y) { return std::abs(x) < std::abs(y); });
      if (largest < 0.0) {
        for (double& x : vector) x = -x;
      }
      eigen.values.push_back(at(a_, i, i));
      eigen.vectors.push_back(std::move(vector));
    }
    return eigen;
  }

 private:
  double& at(std::vector<double>& m, int row, int column) const {
    return m[static_cast<std::size_t>(row) * n_ + column];
  }

  // Sum of squares; 0 once nothing is left that counts beside the diagonal.
  double off_diagonal() {
    double off = 0.0, all = 0.0;
    for (int p = 0; p < n_; ++p) {
      for (int q = 0; q < n_; ++q) {
        const double square = at(a_, p, q) * at(a_, p, q);
        all += square;
        if (p != q) off += square;
      }
    }
    return off > 1e-32 * all ? off : 0.0;
  }

  // Makes a[p, q] zero: A = J' A J, V = V J.
  void rotate(int p, int q) {
    const double apq = at(a_, p, q);
    if (apq == 0.0) return;
    const double tau = (at(a_, q, q) - at(a_, p, p)) / (2.0 * apq);
    const double t = (tau >= 0.0 ? 1.0 : -1.0) / (std::abs(tau) + std::sqrt(1.0 + tau * tau));
    const double c = 1.0 / std::sqrt(1.0 + t * t), s = t * c;
    for (int k = 0; k < n_; ++k) turn(at(a_, k, p), at(a_, k, q), c, s);
    for (int k = 0; k < n_; ++k) turn(at(a_, p, k), at(a_, q, k), c, s);
    for (int k = 0; k < n_; ++k) turn(at(v_, k, p), at(v_, k, q), c, s);
    at(a_, p, q) = at(a_, q, p) = 0.0;
  }

  static void turn(double& x, double& y, double c, double s) {
    const double before = x;
    x = c * before - s * y;
    y = s * before + c * y;
  }

  int n_;
  std::vector<double> a_, v_;
};

}  // namespace

Eigen symmetric_eigen(std::vector<double> matrix, int n) {
  DAYBREAK_ASSERT(n > 0 && matrix.size() == static_cast<std::size_t>(n) * n);
  Jacobi jacobi(std::move(matrix), n);
  jacobi.run();
  return jacobi.result();
}

}  // namespace daybreak
