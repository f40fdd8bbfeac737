#include "backend/cuda/cudnn_graph.h"

#include <algorithm>
#include <array>
#include <optional>

#include "backend/cuda/check.h"
#include "core/error.h"

namespace daybreak::cuda {
namespace {

// Tensors start at multiples of this in the plan's arena.
constexpr std::int64_t kTensorAlignment = 16;

// An engine may not ask for more scratch than this.
constexpr std::int64_t kMaxWorkspace = std::int64_t{1} << 30;

cudnnDataType_t data_type(DType type) {
  switch (type) {
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    case DType::f16:
      return CUDNN_DATA_HALF;
    default:
      return CUDNN_DATA_FLOAT;
  }
}

std::array<std::int64_t, 4> strides(const Shape& s, Layout layout) {
  const std::int64_t c = s.c, h = s.h, w = s.w;
  if (layout == kNhwc) return {h * w * c, 1, w * c, c};
  return {c * h * w, h * w, w, 1};
}

Descriptor make_convolution(const ConvProblem& problem) {
  Descriptor conv(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const std::array<std::int64_t, 2> pads = {problem.pad_h, problem.pad_w};
  const std::array<std::int64_t, 2> steps = {problem.stride_h, problem.stride_w};
  const std::array<std::int64_t, 2> dilations = {problem.dilation_h, problem.dilation_w};
  conv.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
  conv.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  conv.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  conv.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, std::span<const std::int64_t>(pads));
  conv.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, std::span<const std::int64_t>(pads));
  conv.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, std::span<const std::int64_t>(steps));
  conv.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::span<const std::int64_t>(dilations));
  conv.finalize();
  return conv;
}

// The attribute names of one direction.
struct Attributes {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t conv, x, w, y, alpha, beta;
};

Attributes attributes(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::backward_data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvDirection::backward_weights:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
    case ConvDirection::forward:
      break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
}

std::shared_ptr<const ConvGraph> make_graph(const Context& context, const ConvProblem& problem) {
  const auto type_of = [&](ConvDirection writer) {
    return problem.direction == writer ? problem.written : problem.dtype;
  };
  const Attributes names = attributes(problem.direction);
  auto made = std::make_shared<ConvGraph>();
  made->x = make_tensor(kX, problem.x, type_of(ConvDirection::backward_data), problem.layout);
  made->w = make_tensor(kW, problem.w, type_of(ConvDirection::backward_weights), problem.layout);
  made->y = make_tensor(kY, problem.y, type_of(ConvDirection::forward), problem.layout);
  const bool forward = problem.direction == ConvDirection::forward;
  const Descriptor* sums = forward ? &made->y : &made->x;
  if (problem.epilogue.changes_sums()) {
    sums = &made->keep(make_tensor(kBetween, forward ? problem.y : problem.x, DType::f32,
                                   problem.layout, TensorUse::between));
  }
  const Descriptor& input = problem.loads ? add_prologue(problem, *made) : made->x;
  made->convolution = make_convolution(problem);
  made->operation = Descriptor(names.type);
  made->operation.set(names.conv, made->convolution);
  const bool to_input = problem.direction == ConvDirection::backward_data;
  made->operation.set(names.x, to_input ? *sums : input);
  made->operation.set(names.w, made->w);
  made->operation.set(names.y, forward ? *sums : made->y);
  const float alpha = 1.0f, beta = 0.0f;
  made->operation.set(names.alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
  made->operation.set(names.beta, CUDNN_TYPE_FLOAT, 1, &beta);
  made->operation.finalize();
  made->operations.push_back(made->operation.raw());
  if (problem.epilogue.any()) add_epilogue(problem, *sums, *made);

  made->graph = Descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  if (context.has_device()) {
    const cudnnHandle_t handle = context.cudnn();
    made->graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  }
  made->graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                  static_cast<std::int64_t>(made->operations.size()), made->operations.data());
  made->graph.finalize();
  return made;
}

// The engine configurations a heuristic proposes, in its order; empty when it fails.
std::vector<Descriptor> propose(const Context& context, const Descriptor& graph,
                                cudnnBackendHeurMode_t mode) {
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  if (const Descriptor* gpu = context.described_gpu()) {
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *gpu);
  }
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (heuristic.try_finalize() != CUDNN_STATUS_SUCCESS) return {};
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(heuristic.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
        "cudnnBackendGetAttribute(ENGINEHEUR_RESULTS)");
  std::vector<Descriptor> configs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < count; ++i) {
    configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    raw.push_back(configs.back().raw());
  }
  std::int64_t returned = 0;
  if (count > 0) {
    check(cudnnBackendGetAttribute(heuristic.raw(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                   CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &returned, raw.data()),
          "cudnnBackendGetAttribute(ENGINEHEUR_RESULTS)");
  }
  configs.resize(static_cast<std::size_t>(std::min(count, returned)));
  return configs;
}

// Number and notes of the engine behind a configuration.
struct EngineFacts {
  std::int64_t index = -1;
  std::vector<cudnnBackendNumericalNote_t> notes;
  bool compiles = false;  // its kernel, when a plan of it is made

  bool has(cudnnBackendNumericalNote_t note) const {
    return std::find(notes.begin(), notes.end(), note) != notes.end();
  }
};

std::optional<EngineFacts> engine_facts(const Descriptor& config) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  std::int64_t count = 0;
  cudnnBackendDescriptor_t raw = engine.raw();
  if (cudnnBackendGetAttribute(config.raw(), CUDNN_ATTR_ENGINECFG_ENGINE,
                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                               &raw) != CUDNN_STATUS_SUCCESS) {
    return std::nullopt;
  }
  EngineFacts facts;
  facts.notes.resize(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  std::int64_t notes = 0;
  if (cudnnBackendGetAttribute(engine.raw(), CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1,
                               &count, &facts.index) != CUDNN_STATUS_SUCCESS ||
      cudnnBackendGetAttribute(engine.raw(), CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                               CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &notes,
                               facts.notes.data()) != CUDNN_STATUS_SUCCESS) {
    return std::nullopt;
  }
  facts.notes.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(
      notes, 0, static_cast<std::int64_t>(CUDNN_NUMERICAL_NOTE_TYPE_COUNT))));
  std::array<cudnnBackendBehaviorNote_t, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT> behaviour{};
  const auto most = static_cast<std::int64_t>(behaviour.size());
  if (cudnnBackendGetAttribute(engine.raw(), CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                               CUDNN_TYPE_BEHAVIOR_NOTE, most, &count,
                               behaviour.data()) == CUDNN_STATUS_SUCCESS) {
    const auto end = behaviour.begin() + std::clamp<std::int64_t>(count, 0, most);
    facts.compiles =
        std::find(behaviour.begin(), end, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) != end;
  }
  return facts;
}

// Deterministic, and no less precise than the type says.
bool acceptable(const EngineFacts& engine, const ConvProblem& problem, bool allow_tf32) {
  if (engine.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) return false;
  if (engine.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return false;
  if (engine.has(CUDNN_NUMERICAL_NOTE_FFT)) return false;
  if (engine.has(CUDNN_NUMERICAL_NOTE_WINOGRAD)) return false;
  if (problem.dtype != DType::f32) return true;
  return allow_tf32 || (!engine.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE) &&
                        !engine.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS));
}

// The scratch that a configuration says it needs; nothing where cuDNN is too old to say.
std::optional<std::int64_t> promised_workspace(const Descriptor& config) {
  std::int64_t bytes = 0, count = 0;
  if (cudnnBackendGetAttribute(config.raw(), CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                               1, &count, &bytes) != CUDNN_STATUS_SUCCESS ||
      count != 1) {
    return std::nullopt;
  }
  return bytes;
}

std::string plan_name(const ConvProblem& problem, std::int64_t engine) {
  const ConvEpilogue& epilogue = problem.epilogue;
  std::string name = "cudnn:eng" + std::to_string(engine);
  if (problem.loads) name += "+load";
  if (epilogue.bias) name += "+bias";
  if (epilogue.residual) name += "+add";
  if (epilogue.act != ActKind::none) name += "+" + std::string(to_string(epilogue.act));
  if (epilogue.statistics) name += "+statistics";
  if (epilogue.chain) name += "+relu+norm";
  return name;
}

// The plan of a configuration; null when cuDNN refuses it or it wants too much scratch. A proposal
// is left for whoever takes it to finish.
ConvPlanPtr make_plan(const Context& context, std::shared_ptr<const ConvGraph> graph,
                      Descriptor config, const EngineFacts& engine, const ConvProblem& problem,
                      bool proposal) {
  auto made = std::make_shared<ConvPlan>();
  made->name = plan_name(problem, engine.index);
  made->compiles = engine.compiles;
  made->loads = problem.loads;
  made->epilogue = problem.epilogue;
  made->graph = std::move(graph);
  made->config = std::move(config);
  made->workspace_bytes = static_cast<std::size_t>(kMaxWorkspace);
  const std::optional<std::int64_t> promised =
      proposal ? promised_workspace(made->config) : std::nullopt;
  if (promised) {
    if (*promised < 0 || *promised > kMaxWorkspace) return nullptr;
    made->workspace_bytes = static_cast<std::size_t>(*promised);
    return made;
  }
  return made->finish(context) ? made : nullptr;
}

}  // namespace

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  check(cudnnBackendCreateDescriptor(type, &raw_), "cudnnBackendCreateDescriptor");
}

Descriptor::~Descriptor() {
  if (raw_ != nullptr) cudnnBackendDestroyDescriptor(raw_);
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                     std::int64_t count, const void* values) {
  const cudnnStatus_t status = cudnnBackendSetAttribute(raw_, name, type, count, values);
  if (status == CUDNN_STATUS_SUCCESS) return;
  check(status, ("cudnnBackendSetAttribute(" + std::to_string(name) + ")").c_str());
}

void Descriptor::set(cudnnBackendAttributeName_t name, std::int64_t value) {
  set(name, CUDNN_TYPE_INT64, 1, &value);
}

void Descriptor::set(cudnnBackendAttributeName_t name, std::span<const std::int64_t> values) {
  set(name, CUDNN_TYPE_INT64, static_cast<std::int64_t>(values.size()), values.data());
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
  set(name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}

void Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  const cudnnBackendDescriptor_t raw = value.raw();
  set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &raw);
}

void Descriptor::finalize() {
  check(cudnnBackendFinalize(raw_), "cudnnBackendFinalize");
}

cudnnStatus_t Descriptor::try_finalize() {
  return cudnnBackendFinalize(raw_);
}

Descriptor make_tensor(std::int64_t name, const Shape& shape, DType dtype, Layout layout,
                       TensorUse use) {
  Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const std::array<std::int64_t, 4> dims = {shape.n, shape.c, shape.h, shape.w};
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(dtype));
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::span<const std::int64_t>(dims));
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, std::span<const std::int64_t>(strides(shape, layout)));
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, name);
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kTensorAlignment);
  if (use == TensorUse::between) {
    const bool yes = true;
    tensor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes);
  }
  tensor.finalize();
  return tensor;
}

const Descriptor& ConvGraph::keep(Descriptor descriptor) {
  joined.push_back(std::move(descriptor));
  return joined.back();
}

void ConvGraph::append(Descriptor more) {
  more.finalize();
  operations.push_back(keep(std::move(more)).raw());
}

bool ConvPlan::finish(const Context& context) {
  if (plan.raw() != nullptr || refused) return !refused;
  refused = true;
  Descriptor made(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  if (const Descriptor* gpu = context.described_gpu()) {
    made.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *gpu);
  } else {
    const cudnnHandle_t handle = context.cudnn();
    made.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
  }
  made.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (made.try_finalize() != CUDNN_STATUS_SUCCESS) return false;
  std::int64_t bytes = 0, count = 0;
  check(cudnnBackendGetAttribute(made.raw(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                 CUDNN_TYPE_INT64, 1, &count, &bytes),
        "cudnnBackendGetAttribute(EXECUTION_PLAN_WORKSPACE_SIZE)");
  if (bytes < 0 || static_cast<std::size_t>(bytes) > workspace_bytes) return false;
  workspace_bytes = static_cast<std::size_t>(bytes);
  plan = std::move(made);
  refused = false;
  return true;
}

Descriptor ConvRunner::make_pack(const ConvTensors& tensors, void* workspace) const {
  std::vector<std::int64_t> names = {kX, kW, kY};
  std::vector<void*> pointers = {tensors.x, tensors.w, tensors.y};
  const auto add = [&](bool there, std::int64_t name, void* pointer) {
    if (!there) return;
    names.push_back(name);
    pointers.push_back(pointer);
  };
  const ConvEpilogue& epilogue = plan_->epilogue;
  add(epilogue.bias, kBias, tensors.bias);
  add(epilogue.residual, kResidual, tensors.residual);
  add(epilogue.statistics, kSums, tensors.sums);
  add(epilogue.statistics, kSquares, tensors.squares);
  add(epilogue.chain, kNormInput, tensors.norm_input);
  add(epilogue.chain, kMean, tensors.mean);
  add(epilogue.chain, kInverse, tensors.inverse);
  add(epilogue.chain || plan_->loads, kScale, tensors.scale);
  add(epilogue.chain || plan_->loads, kShift, tensors.shift);
  add(epilogue.chain, kSumG, tensors.sum_g);
  add(epilogue.chain, kSumGx, tensors.sum_gx);
  for (int i = 0; i < 3; ++i) add(epilogue.chain, kUnused + i, tensors.unused[i]);
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  const auto count = static_cast<std::int64_t>(names.size());
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, names.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finalize();
  return pack;
}

void ConvRunner::run(const Context& context, const ConvTensors& tensors, void* workspace) {
  if (pack_.raw() == nullptr || tensors != bound_ || workspace != bound_workspace_) {
    pack_ = make_pack(tensors, workspace);
    bound_ = tensors;
    bound_workspace_ = workspace;
  }
  check(cudnnBackendExecute(context.cudnn(), plan_->plan.raw(), pack_.raw()),
        "cudnnBackendExecute");
}

namespace {

// Up to `most` plans, in the order of the heuristics. Engines that fuse are only proposed; of the
// others the first that needs no compiler is finished, so that one is certain, and on a GPU the
// rest is proposed, too: finishing takes milliseconds, compiling a second.
void add_plans(const Context& context, const ConvProblem& problem, std::size_t most,
               std::vector<ConvPlanPtr>& plans) {
  const std::shared_ptr<const ConvGraph> graph = make_graph(context, problem);
  std::vector<std::int64_t> seen;
  bool certain = false;
  // The two heuristics differ in their order; what both leave out stands in the fallback list.
  for (cudnnBackendHeurMode_t mode :
       {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
    for (Descriptor& config : propose(context, graph->graph, mode)) {
      if (plans.size() >= most) return;
      const std::optional<EngineFacts> engine = engine_facts(config);
      if (!engine || !acceptable(*engine, problem, context.allow_tf32)) continue;
      // One configuration per engine: its first is the best the heuristic knows.
      if (std::find(seen.begin(), seen.end(), engine->index) != seen.end()) continue;
      const bool proposal =
          problem.fuses() || (context.has_device() && (certain || engine->compiles));
      ConvPlanPtr plan = make_plan(context, graph, std::move(config), *engine, problem, proposal);
      if (plan == nullptr) continue;
      certain |= !proposal;
      seen.push_back(engine->index);
      plans.push_back(std::move(plan));
    }
    if (!plans.empty()) return;
  }
}

// Engines that compile come last: without measuring nobody waits for them.
void put_certain_first(const Context& context, const ConvProblem& problem,
                       std::vector<ConvPlanPtr>& plans) {
  std::stable_partition(plans.begin(), plans.end(),
                        [](const ConvPlanPtr& plan) { return !plan->compiles; });
  if (problem.fuses()) return;
  while (!plans.empty() && plans.front()->compiles && !plans.front()->finish(context)) {
    plans.erase(plans.begin());
  }
}

ConvPlans ask_cudnn(const Context& context, const ConvProblem& problem) {
  // Whoever measures prepares all of those that fuse.
  const int limit = problem.fuses() ? 2 : context.max_engines();
  const auto most = static_cast<std::size_t>(std::min(limit, context.max_engines()));
  ConvPlans answer;
  if (!context.has_device() && context.described_gpu() == nullptr) {
    answer.reason = "without a GPU there are no cuDNN engines";
    return answer;
  }
  try {
    add_plans(context, problem, most, answer.plans);
    put_certain_first(context, problem, answer.plans);
    if (answer.plans.empty()) answer.reason = "no cuDNN engine fits";
  } catch (const DeviceError& error) {
    // cuDNN refuses some problems while they are described; another kernel has to serve them.
    answer.reason = error.what();
  }
  return answer;
}

}  // namespace

const ConvPlans& find_conv_plans(const Context& context, const ConvProblem& problem) {
  std::map<ConvProblem, ConvPlans>& found = context.conv_plans().found;
  const auto known = found.find(problem);
  if (known != found.end()) return known->second;
  return found.emplace(problem, ask_cudnn(context, problem)).first->second;
}

}  // namespace daybreak::cuda
