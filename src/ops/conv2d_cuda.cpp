// Convolutions and transposed convolutions: engines of cuDNN first, then the direct kernels. A
// transposed convolution is the data gradient of a convolution run forward, so both are described
// by one ConvProblem; only the roles of the tensors differ.
//
// Weights are asked for in the type of the activations: the plan has them rounded by the optimizer.
// Their gradient is that of f32 parameters: written in f32 directly, or cast from a 16-bit one.
//
// What follows the sums of a forward pass (ConvEpilogue) is done by an own kernel behind an engine,
// or by an engine that fuses; so is what makes the input (Conv2d::loads), in front of it. The
// latter come behind the former, where only measuring takes them, and only then: most of them
// compile their kernels when they are first used. One that cannot be prepared after all leaves its
// place to the parts.

#include "ops/conv2d.h"

#include <algorithm>

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
  // First comes the input that an own kernel makes, if it does.
  std::size_t gradient = 0;  ///< the weights' in the activations' type
  std::size_t bias = 0;      ///< partial sums of the bias gradient
  std::size_t rows = 0;      ///< three rows of f32 a channel that an engine writes
  std::size_t row = 0;       ///< bytes of one
  std::size_t engine = 0;    ///< cuDNN's own, and then that of own kernels
  std::size_t bytes = 0;
};

/// A call of one pass, complete but for its engine.
struct ConvCall {
  ConvProblem problem;
  Pass pass = Pass::forward;
  bool transposed = false;
  bool bias = false;
  bool loads = false;             ///< Conv2d::loads; problem.loads where an engine does it
  ConvEpilogue epilogue;          ///< problem.epilogue is what an engine does of it: nothing or all
  DType param_type = DType::f32;  ///< of the weights, or of their gradient
  int out_rows = 0, out_channels = 0;  ///< of the operation's output, for the bias
  Room room;

  /// An own kernel makes the input.
  bool makes_input() const { return loads && !problem.loads; }
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
  call.epilogue.bias = op.bias && query.pass == Pass::forward;
  return call;
}

ConvCall make_conv_call(const KernelQuery& query) {
  const auto& op = static_cast<const Conv2d&>(*query.op);
  ConvCall call = make_call<Conv2d>(query, false);
  call.epilogue.chain = query.pass == Pass::backward_data && op.chain;
  call.loads = query.pass != Pass::backward_data && op.loads;
  if (query.pass != Pass::forward) return call;
  call.epilogue.residual = op.residual;
  call.epilogue.act = op.act.kind;
  call.epilogue.slope = op.act.kind == ActKind::leaky ? op.act.slope : 0.0f;
  call.epilogue.statistics = op.measures && query.mode == Mode::train;
  return call;
}

/// What is measured: the output, or the gradient of the input.
ColumnShape measured_columns(const ConvCall& call) {
  const Shape& x = call.problem.x;
  return call.epilogue.chain ? column_shape(1, x.n * x.h * x.w, x.c)
                             : column_shape(1, call.out_rows, call.out_channels);
}

void lay_out(ConvCall& call, std::size_t engine_bytes, bool casts) {
  Room& room = call.room;
  const auto bytes = [&](const Shape& shape) {
    return aligned(static_cast<std::size_t>(shape.count()) * element_size(call.problem.dtype));
  };
  room.gradient = call.makes_input() ? bytes(call.problem.x) : 0;
  room.bias = room.gradient + (casts ? bytes(call.problem.w) : 0);
  room.engine = room.bias;
  if (call.bias && call.pass == Pass::backward_weights) {
    room.engine += aligned(bias_gradient_bytes(call.out_rows, call.out_channels));
  }
  std::size_t own_bytes = 0;
  if (call.problem.epilogue.statistics || call.problem.epilogue.chain) {
    room.row = aligned(static_cast<std::size_t>(measured_columns(call).channels) * sizeof(float));
    room.rows = room.engine;
    room.engine += 3 * room.row;
  } else if (call.epilogue.statistics || call.epilogue.chain) {
    own_bytes = moments_bytes(measured_columns(call));
  }
  room.bytes = workspace_room(room.engine + std::max(engine_bytes, own_bytes));
}

/// What the engine has left to do of a forward pass.
void finish_forward(const Context& context, const ConvCall& call, const Bindings& b,
                    std::byte* workspace) {
  const ConvEpilogue &wanted = call.epilogue, &done = call.problem.epilogue;
  float* statistics = as<float>(b.statistics);
  if (done.statistics) {
    const std::byte* sums = workspace + call.room.rows;
    launch_moments_of_sums(context, reinterpret_cast<const float*>(sums),
                           reinterpret_cast<const float*>(sums + call.room.row), call.out_rows,
                           call.out_channels, statistics);
  }
  if (done.any()) return;
  const DType dtype = call.problem.dtype;
  if (wanted.changes_sums()) {
    launch_epilogue(context, dtype, b.y, wanted.bias ? as<const float>(b.w[1]) : nullptr,
                    wanted.residual ? b.x[1] : nullptr, {wanted.act, wanted.slope}, call.out_rows,
                    call.out_channels);
  }
  if (wanted.statistics) {
    launch_moments(context, dtype, b.y, measured_columns(call),
                   as<float>(workspace + call.room.engine), statistics);
  }
}

/// The norm's numbers among the bindings (Conv2d::chain).
NormGradient norm_gradient(const ConvCall& call, const Bindings& b) {
  const std::size_t first = call.bias ? 2 : 1;
  const float* mean = as<const float>(b.aux);
  return {b.x[1],
          entry<std::byte>(b.dx, 0),
          mean,
          mean + call.problem.x.c,
          as<const float>(b.w[first]),
          as<const float>(b.w[first + 1])};
}

void finish(const Context& context, const ConvCall& call, const Bindings& b, std::byte* workspace) {
  if (call.pass == Pass::forward) return finish_forward(context, call, b, workspace);
  if (call.epilogue.chain && !call.problem.epilogue.chain && entry<std::byte>(b.dx, 0) != nullptr) {
    launch_norm_gradient(context, call.problem.dtype, norm_gradient(call, b),
                         measured_columns(call), as<float>(workspace + call.room.engine),
                         as<float>(b.statistics));
  }
  float* db = entry<float>(b.dw, 1);
  if (call.bias && db != nullptr && call.pass == Pass::backward_weights) {
    launch_bias_gradient(context, call.problem.dtype, b.dy, db,
                         as<float>(workspace + call.room.bias), call.out_rows, call.out_channels);
  }
}

ConvTensors engine_tensors(const ConvCall& call, const Tensors& t, const Bindings& b,
                           std::byte* workspace) {
  const ConvEpilogue& epilogue = call.problem.epilogue;
  ConvTensors all{.x = t.x, .w = t.w, .y = t.y};
  if (epilogue.bias) all.bias = b.w[1];
  if (epilogue.residual) all.residual = b.x[1];
  std::byte* rows = workspace + call.room.rows;
  const std::size_t row = static_cast<std::size_t>(call.problem.x.c) * sizeof(float);
  if (call.problem.loads) {
    all.scale = b.aux + 4 * row;
    all.shift = b.aux + 5 * row;
  }
  if (epilogue.statistics) {
    all.sums = rows;
    all.squares = rows + call.room.row;
  }
  if (epilogue.chain) {
    const NormGradient norm = norm_gradient(call, b);
    all.norm_input = b.x[1];
    all.mean = b.aux;
    all.inverse = b.aux + row;
    all.scale = const_cast<float*>(norm.scale);
    all.shift = const_cast<float*>(norm.shift);
    all.sum_g = b.statistics;
    all.sum_gx = b.statistics + row;
    for (int i = 0; i < 3; ++i) all.unused[i] = rows + i * call.room.row;
  }
  return all;
}

/// What the convolution reads in place of the norm's input, made in the workspace.
std::byte* made_input(const Context& context, const ConvCall& call, const Bindings& b,
                      std::byte* workspace) {
  const Shape& x = call.problem.x;
  launch_norm_output(context, call.problem.dtype, b.x[0], as<const float>(b.aux),
                     column_shape(1, x.n * x.h * x.w, x.c), workspace);
  return workspace;
}

void run_engine(const Context& context, const ConvCall& call, ConvRunner& runner,
                const Bindings& b) {
  std::byte* workspace = workspace_begin(b.workspace);
  Tensors t = tensors(call, b);
  std::byte* param = t.w;
  if (call.casts_gradient()) t.w = workspace + call.room.gradient;
  if (t.x != nullptr && param != nullptr && t.y != nullptr) {
    if (call.makes_input()) t.x = made_input(context, call, b, workspace);
    runner.run(context, engine_tensors(call, t, b, workspace), workspace + call.room.engine);
    if (call.casts_gradient()) {
      launch_cast(context, t.w, call.problem.written, param, call.param_type,
                  call.problem.w.count());
    }
  }
  finish(context, call, b, workspace);
}

void run_direct(const Context& context, const ConvCall& call, const Bindings& b) {
  std::byte* workspace = workspace_begin(b.workspace);
  Tensors t = tensors(call, b);
  if (t.x != nullptr && t.w != nullptr && t.y != nullptr) {
    if (call.makes_input()) t.x = made_input(context, call, b, workspace);
    launch_direct_conv(context, call.problem, call.param_type, t.x, t.w, t.y);
  }
  finish(context, call, b, workspace);
}

KernelOffer conv_offer(const KernelQuery& query, const ConvCall& call, std::string name) {
  const Layout layout = call.problem.layout;
  KernelOffer offer = nhwc_offer(query, std::move(name));
  for (TensorDesc& input : offer.inputs) {
    input = make_desc(input.shape, call.problem.dtype, layout);
  }
  offer.output = make_desc(query.output.shape, call.problem.dtype, layout);
  offer.params[0] = make_desc(query.params[0].shape, call.param_type, layout);
  if (call.bias) offer.params[1] = plain_desc(query.params[1].shape, DType::f32);
  if (call.pass == Pass::backward_weights) {
    offer.reads = {.inputs = true, .aux = call.loads, .end_input = 1};
  }
  offer.workspace_bytes = call.room.bytes;
  return offer;
}

/// The engine, or the plain kernel where there is none, and what has to follow it.
KernelPtr make_kernel(const Context& context, const ConvCall& call, const ConvPlanPtr& plan,
                      const std::string& name) {
  if (plan == nullptr) {
    return make_run_kernel(name,
                           [&context, call](const Bindings& b) { run_direct(context, call, b); });
  }
  return make_run_kernel(name,
                         [&context, call, runner = ConvRunner(plan)](const Bindings& b) mutable {
                           run_engine(context, call, runner, b);
                         });
}

/// A call with its workspace laid out for an engine; null: for the plain kernel.
ConvCall for_engine(ConvCall call, const ConvPlanPtr& plan) {
  const bool casts = plan != nullptr && call.casts_gradient();
  lay_out(call, plan != nullptr ? plan->workspace_bytes : 0, casts);
  return call;
}

bool prepared(const Context& context, ConvPlan& plan) {
  try {
    return plan.finish(context);
  } catch (const DeviceError&) {
    return false;
  }
}

/// A call and the engine for it; null: the plain kernel.
struct Engine {
  ConvCall call;
  ConvPlanPtr plan;
};

/// An offer of the first engine. Engines are prepared when they are measured or taken, since making
/// a plan costs milliseconds, and compiling its kernel a second: those behind the first stand in
/// where cuDNN refuses it then.
KernelOffer engine_offer(Context& context, const KernelQuery& query, std::vector<Engine> engines) {
  const Engine& first = engines.front();
  KernelOffer offer = conv_offer(query, first.call, first.plan ? first.plan->name : "own:direct");
  for (const Engine& engine : engines) {
    offer.workspace_bytes = std::max(offer.workspace_bytes, engine.call.room.bytes);
  }
  offer.fused = first.call.problem.fuses();
  offer.slow_to_make = first.plan != nullptr && first.plan->compiles;
  offer.make = [&context, engines = std::move(engines), name = query_name(query)] {
    for (const auto& [call, plan] : engines) {
      if (plan == nullptr || prepared(context, *plan))
        return make_kernel(context, call, plan, name);
    }
    throw DeviceError(name + ": cuDNN has refused all engines that it had proposed");
  };
  return offer;
}

/// Those that run `wanted` in parts, best guess first, with the plain kernel, which is channels
/// last, behind them.
std::vector<Engine> plain_engines(Context& context, const ConvCall& wanted) {
  std::vector<Engine> engines;
  for (const ConvPlanPtr& plan : find_conv_plans(context, wanted.problem).plans) {
    engines.push_back({for_engine(wanted, plan), plan});
  }
  if (wanted.problem.layout == kNhwc) engines.push_back({for_engine(wanted, nullptr), nullptr});
  return engines;
}

void add_engines(Context& context, const KernelQuery& query, const ConvCall& wanted, Offers& offers,
                 std::string* reason) {
  const ConvPlans& found = find_conv_plans(context, wanted.problem);
  if (found.plans.empty()) refuse(reason, found.reason);
  const std::vector<Engine> engines = plain_engines(context, wanted);
  for (std::size_t i = 0; i < found.plans.size(); ++i) {
    std::vector<Engine> from = engines;
    std::rotate(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(i),
                from.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    offers.push_back(engine_offer(context, query, std::move(from)));
  }
}

/// True for what cuDNN is asked to fuse: statistics of the bare sums, what a leaky relu ends, or a
/// gradient for a norm.
bool fusible(const ConvEpilogue& epilogue, int input_channels) {
  // Rows of channels lie one behind the other and have to be aligned for it.
  if (epilogue.chain) return input_channels % 4 == 0;
  const bool ends = epilogue.act == ActKind::none || epilogue.act == ActKind::relu ||
                    epilogue.act == ActKind::leaky;
  return ends && epilogue.any() && !(epilogue.statistics && epilogue.changes_sums());
}

/// The problems that cuDNN is asked to fuse, of which the first with an engine is taken. A norm on
/// load comes with the statistics or, where there is no such engine, with own kernels for them.
std::vector<ConvProblem> fused_problems(const ConvCall& wanted) {
  ConvProblem problem = wanted.problem;
  problem.loads = wanted.loads;
  problem.epilogue = wanted.epilogue;
  if (!wanted.loads) {
    return fusible(wanted.epilogue, problem.x.c) ? std::vector{problem}
                                                 : std::vector<ConvProblem>();
  }
  if (problem.x.c % 8 != 0) return {};
  std::vector<ConvProblem> problems;
  if (!wanted.epilogue.changes_sums()) problems.push_back(problem);
  problem.epilogue = {};
  if (wanted.epilogue.any()) problems.push_back(problem);
  return problems;
}

void add_fusing_engines(Context& context, const KernelQuery& query, const ConvCall& wanted,
                        Offers& offers) {
  if (wanted.transposed || context.max_engines() <= 1) return;
  const std::vector<Engine> parts = plain_engines(context, wanted);
  for (const ConvProblem& problem : fused_problems(wanted)) {
    ConvCall fused = wanted;
    fused.problem = problem;
    const std::vector<ConvPlanPtr>& plans = find_conv_plans(context, problem).plans;
    for (const ConvPlanPtr& plan : plans) {
      std::vector<Engine> engines = parts;
      engines.insert(engines.begin(), {for_engine(fused, plan), plan});
      offers.push_back(engine_offer(context, query, std::move(engines)));
    }
    if (!plans.empty()) return;
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
  // Some engines of older form know planes only; the own kernels around them channels last only.
  if (offers.empty() && !call.bias && !call.loads && !call.epilogue.any()) {
    ConvCall planes = call;
    planes.problem.layout = kNchw;
    add_engines(context, query, planes, offers, reason);
  }
  add_fusing_engines(context, query, call, offers);
  offers.push_back(engine_offer(context, query, {{for_engine(call, nullptr), nullptr}}));
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
  return offers_of(context, query, make_conv_call(query), reason);
}

}  // namespace daybreak::cuda
