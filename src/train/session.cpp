#include "train/session.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "config/spec_names.h"
#include "core/parallel.h"
#include "core/text.h"
#include "data/stats.h"
#include "layers/build_graph.h"
#include "plan/memory_check.h"
#include "train/device.h"
#include "train/param_knobs.h"
#include "train/whiten.h"

namespace daybreak {
namespace {

bool measured(const InputSpec& input) {
  return input.mean.empty() || input.std.empty();
}

// f16 alone needs it; a number in the file is obeyed in every precision.
LossScaling loss_scaling(double loss_scale, Precision precision) {
  LossScaling scaling;
  if (loss_scale == kDynamicLossScale) {
    scaling.on = precision == Precision::f16;
  } else {
    scaling.on = loss_scale > 0.0;
    scaling.dynamic = false;
    scaling.scale = static_cast<float>(loss_scale);
  }
  return scaling;
}

// For networks that take their class count from data that is not open yet.
constexpr int kStandInClasses = 10;

// True when every picture is used at the network's size, so that fitted ones may be cached.
bool keeps_fitted_size(const SolverSpec& spec) {
  if (sets_size(spec.augment) || !spec.multi_scale.empty()) return false;
  return std::none_of(spec.phases.begin(), spec.phases.end(), [](const PhaseSpec& phase) {
    return phase.image || (phase.augment && sets_size(*phase.augment));
  });
}

// Rows of true boxes that any picture of a training or evaluation may need; 1 without boxes.
int most_boxes(const DataParts& data, const SolverSpec& spec) {
  int rows = std::max(box_capacity(data.train, spec.augment), 1);
  for (const PhaseSpec& phase : spec.phases) {
    if (phase.augment) rows = std::max(rows, box_capacity(data.train, *phase.augment));
  }
  for (const Dataset* part : {&data.train, &data.val, &data.test}) {
    rows = std::max(rows, box_capacity(*part, {}));
  }
  return rows;
}

// Batches of a training plan that differ only in what the optimizer does share one plan.
bool same_plan(const PlanRequest& a, const PlanRequest& b) {
  return a.dtype == b.dtype && a.batch == b.batch && a.height == b.height && a.width == b.width &&
         a.frozen == b.frozen;
}

}  // namespace

void use_placeholder_statistics(InputSpec& input) {
  if (!measured(input)) return;
  input.mean.assign(static_cast<std::size_t>(input.channels), 0.0);
  input.std.assign(static_cast<std::size_t>(input.channels), 1.0);
}

ChooserOptions chooser_options(TuneMode tune, ConvChoice conv, bool training) {
  ChooserOptions options;
  if (const char* forced = std::getenv("DAYBREAK_TUNE")) {
    for (const EnumName<TuneMode>& mode : enum_names(TuneMode{})) {
      if (mode.name == std::string_view(forced)) tune = mode.value;
    }
  }
  options.mode = tune == TuneMode::on && !training ? TuneMode::cached : tune;
  options.conv = conv;
  options.cache = default_tune_cache();
  options.say = [](const std::string& line) { spdlog::info("{}", line); };
  return options;
}

Session::Session(SolverConfig config, const SessionOptions& options)
    : config_(std::move(config)), threads_(options.threads > 0 ? options.threads : usable_cores()) {
  set_compute_threads(threads_);
  check_network();
  backend_ = make_backend(config_.spec.device, threads_, &device_note_);
  check_precisions();
  ChooserOptions choose =
      chooser_options(config_.spec.tune, config_.spec.conv_algorithm, options.training);
  choose.replay = options.kernels;
  chooser_ = std::make_unique<KernelChooser>(*backend_, std::move(choose));
  open_input(options);
  check_task();
  BuildOptions build;
  build.classes = data_.evaluation().class_count();
  build.max_boxes = most_boxes_ = most_boxes(data_, config_.spec);
  build.classes_source = fmt::format("data set \"{}\" ({})", config_.spec.data.name, data_.source);
  executor_ = std::make_unique<Executor>(build_graph(config_.net, build), *backend_);
  if (options.training) {
    schedule_ = std::make_unique<Schedule>(config_.spec, data_.train.size());
  }
  expect_calls(options.training);
  if (options.training) plan_phases();
  plan_evaluation();
  chooser_->finish();
  int slots = 0;
  for (const PhaseRuntime& phase : phases_) slots = std::max(slots, phase.optimizer.slots());
  check_memory(*executor_, slots, config_.spec.accumulate > 1,
               options.training ? copies_of_weights(config_.spec) : 0);
  executor_->scalars().seed = config_.spec.seed;  // of dropout's masks
  executor_->prepare();
  if (config_.spec.accumulate > 1 && options.training) executor_->prepare_accumulation();
  executor_->initialize(config_.spec.seed);
  if (options.training) {
    whiten_filters(*executor_, data_.train, loader_options(config_.spec.batch, 0));
    averages_ = std::make_unique<WeightAverages>(config_.spec, executor_->graph(),
                                                 executor_->params(), *backend_);
  }
  for (PhaseRuntime& phase : phases_) {
    const std::size_t index = static_cast<std::size_t>(&phase - phases_.data());
    const PhasePlan& plan = schedule_->phases()[index];
    phase.groups = executor_->params().groups(
        param_knobs(executor_->graph(), plan.optimizer,
                    frozen_params(executor_->graph(), plan.freeze, plan.mark), plan.mark));
  }
}

// Of the run and of its phases, each once.
void Session::check_precisions() {
  config_.spec.precision = resolved(*backend_, config_.spec.precision);
  std::vector<Precision> all = {config_.spec.precision};
  for (PhaseSpec& phase : config_.spec.phases) {
    if (!phase.precision) continue;
    phase.precision = resolved(*backend_, *phase.precision);
    all.push_back(*phase.precision);
  }
  for (const Precision precision : all) {
    if (dtypes_.count(precision) == 0) {
      dtypes_[precision] = activation_dtype(*backend_, precision);
    }
  }
}

// Every error of names and shapes, before any data is read.
void Session::check_network() {
  NetworkSpec net = config_.net;
  use_placeholder_statistics(net.input);
  BuildOptions options;
  options.stand_in_classes = kStandInClasses;
  const Graph graph = build_graph(net, options);
  if (graph.loss == kNone) {
    throw ConfigError(net.mark, "network \"" + net.name +
                                    "\" has no loss layer, so it cannot be trained or tested; "
                                    "end it with softmax_loss, for example");
  }
  is_detector_ = !graph.heads.empty();
}

// A detector needs boxes, a classifier labels.
void Session::check_task() const {
  if (is_detector_ && config_.spec.tta != Views::none) {
    throw ConfigError(config_.spec.mark, "\"evaluate\": \"tta\" is for classifiers");
  }
  if (data_.evaluation().has_boxes() == is_detector_) return;
  const std::string& data = config_.spec.data.name;
  const std::string& net = config_.net.name;
  throw ConfigError(
      config_.net.mark,
      is_detector_ ? fmt::format("network \"{}\" finds boxes, but the pictures of data set \"{}\" "
                                 "have none; use a set of format yolo, voc or coco",
                                 net, data)
                   : fmt::format("data set \"{}\" has boxes, but network \"{}\" has no head that "
                                 "finds them; end it with yolo or ssd",
                                 data, net));
}

void Session::open_input(const SessionOptions& options) {
  OpenOptions open;
  open.progress = options.data_progress;
  open.cache_fitted = keeps_fitted_size(config_.spec);
  open.need_train = options.training || options.need_train || measured(config_.net.input);
  data_ = open_data(config_.spec.data, config_.net.input, open);
  for (const BadInput& bad : data_.bad_inputs) {
    spdlog::warn("{}: left out: {}", bad.path, bad.reason);
  }
  complete_statistics(config_.net.input, data_.train);
  // The run's configuration then names the classes for `predict`, which opens no data.
  if (config_.spec.data.classes.empty()) config_.spec.data.classes = data_.evaluation().classes();
}

LoaderOptions Session::loader_options(int batch, int image) const {
  const InputSpec& input = config_.net.input;
  LoaderOptions options;
  options.batch = batch;
  options.height = image > 0 ? image : input.height;
  options.width = image > 0 ? image : input.width;
  options.fit = input.rule();
  options.mean_colour = mean_colour(input);
  options.seed = config_.spec.seed;
  options.workers = config_.spec.data.workers;
  options.last_batch = config_.spec.last_batch;
  options.min_visible = config_.spec.data.min_visible;
  if (is_detector_) options.max_boxes = most_boxes_;
  return options;
}

// Requests that are equal in everything a plan depends on share one plan.
PlanId Session::plan_for(const PlanRequest& request) {
  for (const auto& [known, id] : requests_) {
    if (same_plan(known, request)) return id;
  }
  requests_.emplace_back(request,
                         executor_->add_plan(request, chooser_->chooser(), chooser_->joiner()));
  return requests_.back().second;
}

// Anchors are in pixels: another picture size must keep the size of the heads' cells.
void Session::check_cells(const SizePlans& plans) const {
  const Graph& graph = executor_->graph();
  const InputSpec& input = config_.net.input;
  for (const DetectionHead& head : graph.heads) {
    const Shape& own = graph.values[head.raw].shape;
    const Shape& map = executor_->plan(plans.full).shapes[head.raw];
    if (head.kind != HeadKind::yolo ||
        (std::int64_t{map.w} * input.width == plans.width * own.w &&
         std::int64_t{map.h} * input.height == plans.height * own.h)) {
      continue;
    }
    throw ConfigError(
        head.mark, fmt::format("layer \"{}\": pictures of {} x {} pixels cannot have its cells of "
                               "{:g} x {:g} pixels; use multiples of them",
                               head.layer, plans.height, plans.width,
                               static_cast<double>(input.height) / own.h,
                               static_cast<double>(input.width) / own.w));
  }
}

SizePlans Session::plans_of_size(PlanRequest request, int batch, int height, int width) {
  SizePlans plans{height, width, -1, -1};
  request.height = height, request.width = width;
  request.batch = batch;
  plans.full = plan_for(request);
  check_cells(plans);
  request.batch = static_cast<int>(data_.train.size() % batch);
  if (config_.spec.last_batch == LastBatch::keep && request.batch > 0) {
    plans.partial = plan_for(request);
  }
  return plans;
}

// How often the kernels of both kinds of plan will run.
void Session::expect_calls(bool training) {
  const double batches = std::ceil(static_cast<double>(validation().size()) / eval_loader().batch);
  if (!training) return chooser_->expect_calls(1.0, batches);
  const Length& every = config_.spec.evaluate_every;
  const double length = every.unit == LengthUnit::epochs
                            ? static_cast<double>(schedule_->epochs())
                            : static_cast<double>(schedule_->total_steps());
  chooser_->expect_calls(static_cast<double>(schedule_->total_steps()) * config_.spec.accumulate,
                         batches * (1.0 + (every.amount > 0.0 ? length / every.amount : 0.0)));
}

void Session::plan_phases() {
  const SolverSpec& spec = config_.spec;
  const Graph& graph = executor_->graph();
  for (const PhasePlan& phase : schedule_->phases()) {
    PlanRequest request;
    request.dtype = dtypes_.at(phase.precision);
    request.frozen = frozen_params(graph, phase.freeze, phase.mark);
    request.keep = {graph.loss};
    if (!is_detector_) request.keep.push_back(graph.prediction);
    if (is_detector_ && !backend_->can_record()) {  // for the parts of its loss
      for (const DetectionHead& head : graph.heads) request.keep.push_back(head.raw);
    }
    if (graph.topk != kNone) request.keep.push_back(graph.topk);
    PhaseRuntime runtime;
    runtime.loader = loader_options(phase.batch, phase.image);
    if (phase.image == 0) runtime.loader.sizes = spec.multi_scale;
    if (runtime.loader.sizes.empty()) {
      runtime.plans.push_back(
          plans_of_size(request, phase.batch, runtime.loader.height, runtime.loader.width));
    }
    for (const int side : runtime.loader.sizes) {
      runtime.plans.push_back(plans_of_size(request, phase.batch, side, side));
    }
    runtime.optimizer = optimizer_attrs(phase.optimizer);
    runtime.loss_scaling = loss_scaling(spec.loss_scale, phase.precision);
    runtime.loader.transforms = phase.augment;
    runtime.loader.shuffle = true;
    runtime.loader.repeat = true;
    phases_.push_back(std::move(runtime));
  }
}

void Session::plan_evaluation() {
  PlanRequest request;
  request.mode = Mode::eval;
  request.batch = eval_loader().batch;
  request.dtype = dtypes_.at(config_.spec.precision);
  const Graph& graph = executor_->graph();
  request.keep = {graph.prediction};
  if (is_detector_) {
    request.keep = {graph.loss};
    for (const DetectionHead& head : graph.heads) {
      request.keep.push_back(head.raw);
    }
  }
  eval_plan_ = executor_->add_plan(request, chooser_->chooser());
}

LoaderOptions Session::eval_loader() const {
  const SolverSpec& spec = config_.spec;
  LoaderOptions options =
      loader_options(spec.evaluate_batch > 0 ? spec.evaluate_batch : spec.batch, 0);
  options.shuffle = false;
  options.last_batch = LastBatch::keep;
  return options;
}

const Dataset& Session::validation() const {
  return data_.evaluation();
}

}  // namespace daybreak
