// Products as cuBLASLt describes them: column-major matrices, d = op(a) * op(b), scalars in host
// memory. One algorithm, which serves everything.

#include <cublasLt.h>

#include <cstring>

#include "support/fake_gpu/numbers.h"

using daybreak::emulate::Number;

namespace {

constexpr std::size_t kWorkspace = 512;  // which must be there and hold nothing else

struct Operation {
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
};
struct Layout {
  cudaDataType type;
  std::int64_t rows, columns, ld;

  Number number() const {
    return type == CUDA_R_16F ? Number::f16 : type == CUDA_R_16BF ? Number::bf16 : Number::f32;
  }
  double at(const void* base, std::int64_t row, std::int64_t column) const {
    return daybreak::emulate::load(number(), base, column * ld + row);
  }
};

template <class T, class Opaque>
const T& read(const Opaque* opaque) {
  return *reinterpret_cast<const T*>(opaque);
}

struct Product {
  Operation op;
  Layout a, b, d;

  std::int64_t rows(const Layout& m, cublasOperation_t o) const {
    return o == CUBLAS_OP_N ? m.rows : m.columns;
  }
  std::int64_t columns(const Layout& m, cublasOperation_t o) const {
    return o == CUBLAS_OP_N ? m.columns : m.rows;
  }
  bool fits() const {
    return rows(a, op.a) == d.rows && columns(b, op.b) == d.columns &&
           columns(a, op.a) == rows(b, op.b) && a.ld >= a.rows && b.ld >= b.rows && d.ld >= d.rows;
  }
  void run(const void* pa, const void* pb, void* pd) const {
    for (std::int64_t j = 0; j < d.columns; ++j) {
      for (std::int64_t i = 0; i < d.rows; ++i) {
        double sum = 0.0;
        for (std::int64_t k = 0; k < columns(a, op.a); ++k) {
          const double x = op.a == CUBLAS_OP_N ? a.at(pa, i, k) : a.at(pa, k, i);
          sum += x * (op.b == CUBLAS_OP_N ? b.at(pb, k, j) : b.at(pb, j, k));
        }
        daybreak::emulate::store(d.number(), pd, j * d.ld + i, sum);
      }
    }
  }
};

Product product(cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                cublasLtMatrixLayout_t d) {
  return {read<Operation>(op), read<Layout>(a), read<Layout>(b), read<Layout>(d)};
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = nullptr;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* op, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_INVALID_VALUE;
  *op = new cublasLtMatmulDescOpaque_t{};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t op) {
  delete op;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t op,
                                              cublasLtMatmulDescAttributes_t name,
                                              const void* value, std::size_t bytes) {
  auto& operation = *reinterpret_cast<Operation*>(op);
  if (bytes != sizeof(cublasOperation_t)) return CUBLAS_STATUS_INVALID_VALUE;
  if (name == CUBLASLT_MATMUL_DESC_TRANSA) std::memcpy(&operation.a, value, bytes);
  if (name == CUBLASLT_MATMUL_DESC_TRANSB) std::memcpy(&operation.b, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t ld) {
  *layout = new cublasLtMatrixLayoutOpaque_t{};
  *reinterpret_cast<Layout*>(*layout) = {type, static_cast<std::int64_t>(rows),
                                         static_cast<std::int64_t>(columns), ld};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = nullptr;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t name,
                                                    const void*, std::size_t bytes) {
  const bool wide = name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
  return bytes == (wide ? 8u : 4u) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t op,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t, int,
                                              cublasLtMatmulHeuristicResult_t answers[],
                                              int* found) {
  if (!product(op, a, b, d).fits()) return CUBLAS_STATUS_INVALID_VALUE;
  answers[0] = {};
  answers[0].workspaceSize = kWorkspace;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t op, const void* alpha,
                              const void* pa, cublasLtMatrixLayout_t a, const void* pb,
                              cublasLtMatrixLayout_t b, const void* beta, const void*,
                              cublasLtMatrixLayout_t, void* pd, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t*, void* workspace, std::size_t bytes,
                              cudaStream_t stream) {
  const Product all = product(op, a, b, d);
  const bool scalars =
      *static_cast<const float*>(alpha) == 1.0f && *static_cast<const float*>(beta) == 0.0f;
  const bool room = bytes >= kWorkspace && reinterpret_cast<std::uintptr_t>(workspace) % 256 == 0;
  if (!scalars || !room || !all.fits()) return CUBLAS_STATUS_INVALID_VALUE;
  daybreak::emulate::enqueue(stream, [=] {
    std::memset(workspace, 0xff, kWorkspace);
    all.run(pa, pb, pd);
  });
  return CUBLAS_STATUS_SUCCESS;
}
