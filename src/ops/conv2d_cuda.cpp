// Convolutions and transposed convolutions: engines of cuDNN first, then the direct kernels. A
// transposed convolution is the data gradient of a convolution run forward, so both are described
// by one ConvProblem; only the roles of the tensors differ.
//
// Weights are asked for in the type of the activations: the plan has them rounded by the optimizer.
// Their gradient is that of f32 parameters: written in f32 directly, or cast from a 16-bit one.

#include "ops/conv2d.h"

#include "backend/cuda/check.h"
#include "backend/cuda/conv_problem.h"
#include "backend/cuda/cudnn_graph.h"
#include "backend/cuda/kernel.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/offers.h"
#include "ops/conv2d_transpose.h"

namespace daybreak::cuda {
namespace {

/// Offsets of what a call keeps in its workspace.
struct Room {
  std::size_t gradient = 0;  ///< the weights' in the activations' type
  std::size_t bias = 0;      ///< partial sums of the bias gradient
  std::size_t engine = 0;    ///< cuDNN's own
  std::size_t bytes = 0;
};

/// A call of one pass, complete but for its engine.
struct ConvCall {
  ConvProblem problem;
  Pass pass = Pass::forward;
  bool transposed = false;
  bool bias = false;
  DType param_type = DType::f32;       ///< of the weights, or of their gradient
  int out_rows = 0, out_channels = 0;  ///< of the operation's output, for the bias
  Room room;

  /// The gradient comes out of cuDNN in another type than that of the parameters.
  bool casts_gradient() const {
    return pass == Pass::backward_weights && param_type != problem.written;
  }
};

/// x, w, y of the problem among the bindings.
struct Tensors {
  std::byte *x, *w, *y;
};

Tensors tensors(const ConvCall& call, const Bindings& b) {
  switch (call.pass) {
    case Pass::forward:
      return call.transposed ? Tensors{b.y, b.w[0], b.x[0]} : Tensors{b.x[0], b.w[0], b.y};
    case Pass::backward_data: {
      std::byte* dx = entry<std::byte>(b.dx, 0);
      return call.transposed ? Tensors{b.dy, b.w[0], dx} : Tensors{dx, b.w[0], b.dy};
    }
    default: {
      std::byte* dw = entry<std::byte>(b.dw, 0);
      return call.transposed ? Tensors{b.dy, dw, b.x[0]} : Tensors{b.x[0], dw, b.dy};
    }
  }
}

ConvDirection direction(Pass pass, bool transposed) {
  if (pass == Pass::backward_weights) return ConvDirection::backward_weights;
  return (pass == Pass::forward) != transposed ? ConvDirection::forward
                                               : ConvDirection::backward_data;
}

template <class Op>
ConvCall make_call(const KernelQuery& query, bool transposed) {
  const Op& op = static_cast<const Op&>(*query.op);
  ConvCall call;
  call.pass = query.pass;
  call.transposed = transposed;
  call.bias = op.bias;
  call.param_type =
      call.pass == Pass::backward_weights ? query.params[0].dtype : query.inputs[0].dtype;
  const Shape &in = query.inputs[0].shape, &out = query.output.shape;
  call.out_rows = out.n * out.h * out.w;
  call.out_channels = out.c;
  ConvProblem& p = call.problem;
  p.x = transposed ? out : in;
  p.y = transposed ? in : out;
  p.w = query.params[0].shape;
  p.dtype = p.written = query.inputs[0].dtype;
  p.stride_h = op.stride_h, p.stride_w = op.stride_w;
  p.pad_h = op.pad_h, p.pad_w = op.pad_w;
  p.dilation_h = op.dilation_h, p.dilation_w = op.dilation_w;
  p.direction = direction(query.pass, transposed);
  return call;
}

void lay_out(ConvCall& call, std::size_t engine_bytes, bool casts) {
  Room& room = call.room;
  const auto count = static_cast<std::size_t>(call.problem.w.count());
  room.bias = casts ? aligned(count * element_size(call.problem.dtype)) : 0;
  room.engine = room.bias;
  if (call.bias && call.pass == Pass::backward_weights) {
    room.engine += aligned(bias_gradient_bytes(call.out_rows, call.out_channels));
  }
  room.bytes = workspace_room(room.engine + engine_bytes);
}

void bias_after(const Context& context, const ConvCall& call, const Bindings& b,
                std::byte* workspace) {
  if (!call.bias) return;
  const DType dtype = call.problem.dtype;
  if (call.pass == Pass::forward) {
    launch_bias_add(context, dtype, b.y, as<const float>(b.w[1]), call.out_rows, call.out_channels);
  } else if (float* db = entry<float>(b.dw, 1);
             db != nullptr && call.pass == Pass::backward_weights) {
    launch_bias_gradient(context, dtype, b.dy, db, as<float>(workspace + call.room.bias),
                         call.out_rows, call.out_channels);
  }
}

void run_engine(const Context& context, const ConvCall& call, ConvRunner& runner,
                const Bindings& b) {
  std::byte* workspace = workspace_begin(b.workspace);
  Tensors t = tensors(call, b);
  std::byte* param = t.w;
  if (call.casts_gradient()) t.w = workspace + call.room.gradient;
  if (t.x != nullptr && param != nullptr && t.y != nullptr) {
    runner.run(context, t.x, t.w, t.y, workspace + call.room.engine);
    if (call.casts_gradient()) {
      launch_cast(context, t.w, call.problem.written, param, call.param_type,
                  call.problem.w.count());
    }
  }
  bias_after(context, call, b, workspace);
}

void run_direct(const Context& context, const ConvCall& call, const Bindings& b) {
  const Tensors t = tensors(call, b);
  if (t.x != nullptr && t.w != nullptr && t.y != nullptr) {
    launch_direct_conv(context, call.problem, call.param_type, t.x, t.w, t.y);
  }
  bias_after(context, call, b, workspace_begin(b.workspace));
}

KernelOffer conv_offer(const KernelQuery& query, const ConvCall& call, std::string name) {
  const Layout layout = call.problem.layout;
  KernelOffer offer = nhwc_offer(query, std::move(name));
  offer.inputs[0] = make_desc(query.inputs[0].shape, call.problem.dtype, layout);
  offer.output = make_desc(query.output.shape, call.problem.dtype, layout);
  offer.params[0] = make_desc(query.params[0].shape, call.param_type, layout);
  if (call.bias) offer.params[1] = plain_desc(query.params[1].shape, DType::f32);
  if (call.pass == Pass::backward_weights) offer.reads = {.inputs = true};
  offer.workspace_bytes = call.room.bytes;
  return offer;
}

void add_engines(Context& context, const KernelQuery& query, ConvCall call, Offers& offers,
                 std::string* reason) {
  const ConvPlans& found = find_conv_plans(context, call.problem);
  if (found.plans.empty()) refuse(reason, found.reason);
  for (const ConvPlanPtr& plan : found.plans) {
    lay_out(call, plan->workspace_bytes, call.casts_gradient());
    KernelOffer offer = conv_offer(query, call, plan->name);
    offer.make = [&context, call, plan, name = query_name(query)] {
      return make_run_kernel(
          name, [&context, call, runner = ConvRunner(plan)](const Bindings& b) mutable {
            run_engine(context, call, runner, b);
          });
    };
    offers.push_back(std::move(offer));
  }
}

Offers offers_of(Context& context, const KernelQuery& query, ConvCall call, std::string* reason) {
  if (call.param_type != DType::f32 && call.param_type != call.problem.dtype) {
    refuse(reason, "weights must be f32 or of the activations' type");
    return {};
  }
  Offers offers;
  if (call.pass == Pass::backward_weights && call.param_type != call.problem.dtype) {
    call.problem.written = call.param_type;
    add_engines(context, query, call, offers, reason);
    call.problem.written = call.problem.dtype;
  }
  if (offers.empty()) add_engines(context, query, call, offers, reason);
  // Some engines of older form know planes only; the bias kernels know channels last only.
  if (offers.empty() && !call.bias) {
    ConvCall planes = call;
    planes.problem.layout = kNchw;
    add_engines(context, query, planes, offers, reason);
  }
  lay_out(call, 0, /*casts=*/false);
  KernelOffer direct = conv_offer(query, call, "own:direct");
  direct.make = [&context, call, name = query_name(query)] {
    return make_run_kernel(name,
                           [&context, call](const Bindings& b) { run_direct(context, call, b); });
  };
  offers.push_back(std::move(direct));
  return offers;
}

}  // namespace

Offers conv_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason) || !rows_fit(query.inputs[0].shape, reason) ||
      !rows_fit(query.output.shape, reason)) {
    return {};
  }
  if (query.op->kind() == OpKind::conv2d_transpose) {
    return offers_of(context, query, make_call<Conv2dTranspose>(query, true), reason);
  }
  return offers_of(context, query, make_call<Conv2d>(query, false), reason);
}

}  // namespace daybreak::cuda
