// Linear layers: cuBLASLt, then the direct convolution kernels (a linear layer is a 1x1
// convolution of one pixel). The bias is added, and its gradient summed, by own kernels.
//
//   y[N, OUT] = x[N, IN] * w[OUT, IN]^T     dx = dy * w     dw = dy^T * x

#include "ops/linear.h"

#include "backend/cuda/check.h"
#include "backend/cuda/conv_problem.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/matmul.h"
#include "backend/cuda/offers.h"

namespace daybreak::cuda {
namespace {

/// A call of one pass. Offsets are in the workspace.
struct LinearCall {
  Pass pass = Pass::forward;
  int samples = 0, in = 0, out = 0;
  bool bias = false;
  DType dtype = DType::f32;       ///< of activations
  DType param_type = DType::f32;  ///< of the weights, as the activations', or of their gradient
  std::size_t product_at = 0;     ///< behind what the bias' gradient takes
};

MatmulProblem problem(const LinearCall& c) {
  switch (c.pass) {
    case Pass::forward:
      return {c.samples, c.out, c.in, false, true, c.dtype, c.dtype};
    case Pass::backward_data:
      return {c.samples, c.in, c.out, false, false, c.dtype, c.dtype};
    default:
      return {c.out, c.in, c.samples, true, false, c.dtype, c.param_type};
  }
}

void bias_after(const Context& context, const LinearCall& call, const Bindings& b,
                std::byte* workspace) {
  if (!call.bias) return;
  if (call.pass == Pass::forward) {
    launch_epilogue(context, call.dtype, b.y, as<const float>(b.w[1]), nullptr, {}, call.samples,
                    call.out);
  } else if (float* db = entry<float>(b.dw, 1);
             db != nullptr && call.pass == Pass::backward_weights) {
    launch_bias_gradient(context, call.dtype, b.dy, db, as<float>(workspace), call.samples,
                         call.out);
  }
}

void run_matmul(const Context& context, const LinearCall& call, const Matmul& matmul,
                const Bindings& b) {
  std::byte* workspace = workspace_begin(b.workspace);
  std::byte* scratch = workspace + call.product_at;
  if (call.pass == Pass::backward_weights) {
    if (std::byte* dw = entry<std::byte>(b.dw, 0)) matmul.run(context, b.dy, b.x[0], dw, scratch);
    return bias_after(context, call, b, workspace);
  }
  if (call.pass == Pass::forward) {
    matmul.run(context, b.x[0], b.w[0], b.y, scratch);
  } else if (std::byte* dx = entry<std::byte>(b.dx, 0)) {
    matmul.run(context, b.dy, b.w[0], dx, scratch);
  }
  bias_after(context, call, b, workspace);
}

ConvProblem direct_problem(const LinearCall& call) {
  ConvProblem p;
  p.x = {call.samples, call.in, 1, 1};
  p.y = {call.samples, call.out, 1, 1};
  p.w = {call.out, call.in, 1, 1};
  p.dtype = p.written = call.dtype;
  p.direction = call.pass == Pass::forward         ? ConvDirection::forward
                : call.pass == Pass::backward_data ? ConvDirection::backward_data
                                                   : ConvDirection::backward_weights;
  return p;
}

void run_direct(const Context& context, const LinearCall& call, const Bindings& b) {
  std::byte *x = nullptr, *w = nullptr, *y = nullptr;
  switch (call.pass) {
    case Pass::forward:
      x = b.x[0], w = b.w[0], y = b.y;
      break;
    case Pass::backward_data:
      x = entry<std::byte>(b.dx, 0), w = b.w[0], y = b.dy;
      break;
    default:
      x = b.x[0], w = entry<std::byte>(b.dw, 0), y = b.dy;
      break;
  }
  if (x != nullptr && w != nullptr && y != nullptr) {
    launch_direct_conv(context, direct_problem(call), call.param_type, x, w, y);
  }
  bias_after(context, call, b, workspace_begin(b.workspace));
}

KernelOffer linear_offer(const KernelQuery& query, const LinearCall& call, const char* kernel,
                         std::size_t bytes) {
  KernelOffer offer;
  offer.name = kernel;
  offer.inputs = {plain(query.inputs[0])};  // the columns of w follow the NCHW order of a sample
  offer.output = make_desc(query.output.shape, call.dtype, kNchw);
  offer.params = {make_desc(query.params[0].shape, call.param_type, kNchw)};
  if (call.bias) offer.params.push_back(plain_desc(query.params[1].shape, DType::f32));
  if (call.pass == Pass::backward_weights) offer.reads = {.inputs = true};
  offer.workspace_bytes = workspace_room(bytes);
  return offer;
}

}  // namespace

Offers linear_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason)) return {};
  const auto& op = static_cast<const Linear&>(*query.op);
  LinearCall call;
  call.pass = query.pass;
  call.samples = query.inputs[0].shape.n;
  call.in = static_cast<int>(query.inputs[0].shape.per_sample());
  call.out = op.outputs;
  call.bias = op.bias;
  call.dtype = query.inputs[0].dtype;
  call.param_type = call.pass == Pass::backward_weights ? query.params[0].dtype : call.dtype;
  if (call.param_type != DType::f32 && call.param_type != call.dtype) {
    refuse(reason, "weights must be f32 or of the activations' type");
    return {};
  }
  const std::size_t bias_bytes = call.bias && call.pass == Pass::backward_weights
                                     ? aligned(bias_gradient_bytes(call.samples, call.out))
                                     : 0;
  Offers offers;
  for (const std::shared_ptr<const Matmul>& matmul : Matmul::make(context, problem(call), reason)) {
    LinearCall fast = call;
    fast.product_at = bias_bytes;
    KernelOffer offer =
        linear_offer(query, fast, "cublaslt", fast.product_at + matmul->workspace_bytes());
    offer.make = [&context, fast, matmul, name = query_name(query)] {
      return make_run_kernel(name, [&context, fast, matmul](const Bindings& b) {
        run_matmul(context, fast, *matmul, b);
      });
    };
    offers.push_back(std::move(offer));
  }
  KernelOffer direct = linear_offer(query, call, "own:direct", bias_bytes);
  direct.make = [&context, call, name = query_name(query)] {
    return make_run_kernel(name,
                           [&context, call](const Bindings& b) { run_direct(context, call, b); });
  };
  offers.push_back(std::move(direct));
  return offers;
}

}  // namespace daybreak::cuda
