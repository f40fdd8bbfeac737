#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/context.h"
#include "core/shape.h"

namespace daybreak::cuda {

/// d[m, n] = op(a) * op(b) on row-major matrices: a is [m, k] or, transposed, [k, m]; b is [k, n]
/// or [n, k]. Sums in f32.
struct MatmulProblem {
  int m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  DType dtype = DType::f32;    ///< of a and b
  DType written = DType::f32;  ///< of d
};

/// A product prepared through cuBLASLt: descriptors and an algorithm.
class Matmul {
 public:
  /// Up to Context::max_engines() algorithms, in the order of cuBLASLt's heuristic; empty with
  /// `reason` filled in when it has none.
  static std::vector<std::shared_ptr<const Matmul>> make(const Context& context,
                                                         const MatmulProblem& problem,
                                                         std::string* reason);
  ~Matmul();
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;

  std::size_t workspace_bytes() const { return workspace_bytes_; }
  void run(const Context& context, const void* a, const void* b, void* d, void* workspace) const;

 private:
  Matmul(const Context& context, const MatmulProblem& problem);
  using Answers = std::vector<cublasLtMatmulHeuristicResult_t>;
  Answers ask(const Context& context) const;

  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, d_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  std::size_t workspace_bytes_ = 0;
};

}  // namespace daybreak::cuda
