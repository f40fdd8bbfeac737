#include "backend/cuda/matmul.h"

#include "backend/cuda/check.h"

namespace daybreak::cuda {
namespace {

// Scratch an algorithm may ask for: enough for split sums on large GPUs.
constexpr std::size_t kMaxWorkspace = std::size_t{32} << 20;

// What pointers are multiples of: tensors and parameters start at 64 bytes in their arenas.
constexpr std::uint32_t kAlignment = 16;

cudaDataType_t data_type(DType type) {
  switch (type) {
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f16:
      return CUDA_R_16F;
    default:
      return CUDA_R_32F;
  }
}

class Preference {
 public:
  Preference() { check(cublasLtMatmulPreferenceCreate(&raw_), "cublasLtMatmulPreferenceCreate"); }
  ~Preference() { cublasLtMatmulPreferenceDestroy(raw_); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;

  template <class T>
  void set(cublasLtMatmulPreferenceAttributes_t name, T value) {
    check(cublasLtMatmulPreferenceSetAttribute(raw_, name, &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute");
  }
  cublasLtMatmulPreference_t raw() const { return raw_; }

 private:
  cublasLtMatmulPreference_t raw_ = nullptr;
};

// Row-major [rows, columns] is what cuBLASLt calls column-major [columns, rows].
cublasLtMatrixLayout_t make_layout(DType type, int rows, int columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublasLtMatrixLayoutCreate(&layout, data_type(type), static_cast<std::uint64_t>(columns),
                                   static_cast<std::uint64_t>(rows), columns),
        "cublasLtMatrixLayoutCreate");
  return layout;
}

}  // namespace

std::shared_ptr<const Matmul> Matmul::make(const Context& context, const MatmulProblem& p,
                                           std::string* reason) {
  if (!context.has_device()) {
    if (reason != nullptr) *reason = "without a GPU there is no cuBLASLt";
    return nullptr;
  }
  std::shared_ptr<Matmul> made(new Matmul());
  const cublasComputeType_t compute = context.allow_tf32 && p.dtype == DType::f32
                                          ? CUBLAS_COMPUTE_32F_FAST_TF32
                                          : CUBLAS_COMPUTE_32F;
  check(cublasLtMatmulDescCreate(&made->operation_, compute, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  // The transpose of the product is computed, d^T = op(b)^T * op(a)^T: b comes first.
  const auto set = [&](cublasLtMatmulDescAttributes_t name, bool transpose) {
    const cublasOperation_t operation = transpose ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(cublasLtMatmulDescSetAttribute(made->operation_, name, &operation, sizeof operation),
          "cublasLtMatmulDescSetAttribute");
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b);
  set(CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a);
  made->a_ = p.transpose_a ? make_layout(p.dtype, p.k, p.m) : make_layout(p.dtype, p.m, p.k);
  made->b_ = p.transpose_b ? make_layout(p.dtype, p.n, p.k) : make_layout(p.dtype, p.k, p.n);
  made->d_ = make_layout(p.written, p.m, p.n);
  if (made->choose(context)) return made;
  if (reason != nullptr) *reason = "cuBLASLt has no algorithm";
  return nullptr;
}

bool Matmul::choose(const Context& context) {
  Preference preference;
  preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMaxWorkspace);
  // Split sums are added in a fixed order and in f32.
  preference.set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                 static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  for (auto name :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    preference.set(name, kAlignment);
  }
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      context.cublas(), operation_, b_, a_, d_, d_, preference.raw(), 1, &result, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || found == 0) return false;
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  algorithm_ = result.algo;
  workspace_bytes_ = result.workspaceSize;
  return true;
}

Matmul::~Matmul() {
  if (d_ != nullptr) cublasLtMatrixLayoutDestroy(d_);
  if (b_ != nullptr) cublasLtMatrixLayoutDestroy(b_);
  if (a_ != nullptr) cublasLtMatrixLayoutDestroy(a_);
  if (operation_ != nullptr) cublasLtMatmulDescDestroy(operation_);
}

void Matmul::run(const Context& context, const void* a, const void* b, void* d,
                 void* workspace) const {
  const float alpha = 1.0f, beta = 0.0f;
  check(cublasLtMatmul(context.cublas(), operation_, &alpha, b, b_, a, a_, &beta, d, d_, d, d_,
                       &algorithm_, workspace, workspace_bytes_, context.stream()),
        "cublasLtMatmul");
}

}  // namespace daybreak::cuda
