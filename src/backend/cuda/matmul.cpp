#include "backend/cuda/matmul.h"

#include <algorithm>

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

std::vector<std::shared_ptr<const Matmul>> Matmul::make(const Context& context,
                                                        const MatmulProblem& problem,
                                                        std::string* reason) {
  std::vector<std::shared_ptr<const Matmul>> all;
  if (!context.has_device()) {
    if (reason != nullptr) *reason = "without a GPU there is no cuBLASLt";
    return all;
  }
  std::shared_ptr<Matmul> first(new Matmul(context, problem));
  const Answers answers = first->ask(context);
  for (const cublasLtMatmulHeuristicResult_t& answer : answers) {
    std::shared_ptr<Matmul> made = all.empty() ? first : nullptr;
    if (!made) made.reset(new Matmul(context, problem));
    made->algorithm_ = answer.algo;
    made->workspace_bytes_ = answer.workspaceSize;
    all.push_back(std::move(made));
  }
  if (all.empty() && reason != nullptr) *reason = "cuBLASLt has no algorithm";
  return all;
}

Matmul::Matmul(const Context& context, const MatmulProblem& p) {
  const cublasComputeType_t compute = context.allow_tf32 && p.dtype == DType::f32
                                          ? CUBLAS_COMPUTE_32F_FAST_TF32
                                          : CUBLAS_COMPUTE_32F;
  check(cublasLtMatmulDescCreate(&operation_, compute, CUDA_R_32F), "cublasLtMatmulDescCreate");
  // The transpose of the product is computed, d^T = op(b)^T * op(a)^T: b comes first.
  const auto set = [&](cublasLtMatmulDescAttributes_t name, bool transpose) {
    const cublasOperation_t operation = transpose ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(cublasLtMatmulDescSetAttribute(operation_, name, &operation, sizeof operation),
          "cublasLtMatmulDescSetAttribute");
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b);
  set(CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a);
  a_ = p.transpose_a ? make_layout(p.dtype, p.k, p.m) : make_layout(p.dtype, p.m, p.k);
  b_ = p.transpose_b ? make_layout(p.dtype, p.n, p.k) : make_layout(p.dtype, p.k, p.n);
  d_ = make_layout(p.written, p.m, p.n);
}

Matmul::Answers Matmul::ask(const Context& context) const {
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
  Answers answers(static_cast<std::size_t>(std::max(1, context.max_engines())));
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(context.cublas(), operation_, b_, a_, d_, d_, preference.raw(),
                                     static_cast<int>(answers.size()), answers.data(), &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  answers.resize(static_cast<std::size_t>(found));
  std::erase_if(answers, [](const cublasLtMatmulHeuristicResult_t& answer) {
    return answer.state != CUBLAS_STATUS_SUCCESS;
  });
  return answers;
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
