#include "support/op_data.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>

#include "ops/act.h"
#include "ops/adaptive_avgpool.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/conv2d_transpose.h"
#include "ops/distance.h"
#include "ops/hinge.h"
#include "ops/pool.h"
#include "ops/region_loss.h"
#include "ops/ssd_loss.h"
#include "ops/upsample.h"
#include "ops/yolo_loss.h"

namespace daybreak {

namespace {

using Generator = std::mt19937_64;

double uniform(Generator& generator, double low, double high) {
  const double unit = static_cast<double>(generator() >> 11) * 0x1p-53;
  return low + (high - low) * unit;
}

double whole(Generator& generator, int low, int high) {
  return low + static_cast<int>(generator() % static_cast<std::uint64_t>(high - low + 1));
}

/// The nearest value that `dtype` can hold; halves are cut, which is near enough for test data.
double rounded(double value, DType dtype) {
  if (dtype == DType::f64) return value;
  const float single = static_cast<float>(value);
  if (dtype == DType::f32) return single;
  const auto bits = std::bit_cast<std::uint32_t>(single);
  return std::bit_cast<float>(bits & (dtype == DType::bf16 ? 0xFFFF0000u : 0xFFFFE000u));
}

bool takes_labels(const Op& op) {
  const OpKind kind = op.kind();
  return kind == OpKind::softmax_xent || kind == OpKind::hinge || kind == OpKind::topk_count;
}

/// Distinct values, well apart, so that a maximum does not change hands under small differences.
void fill_distinct(HostTensor& tensor, Generator& generator) {
  std::iota(tensor.v.begin(), tensor.v.end(), 0.0);
  for (std::size_t i = tensor.v.size(); i > 1; --i) {
    std::swap(tensor.v[i - 1], tensor.v[generator() % i]);
  }
  const double step = 2.0 / static_cast<double>(tensor.v.size() + 1);
  for (double& value : tensor.v) value = (value + 1.0) * step - 1.0;
}

bool takes_boxes(const Op& op) {
  return op.kind() == OpKind::yolo_loss || op.kind() == OpKind::ssd_loss ||
         op.kind() == OpKind::region_loss;
}

int classes_of(const Op& op) {
  switch (op.kind()) {
    case OpKind::yolo_loss:
      return static_cast<const YoloLoss&>(op).classes;
    case OpKind::region_loss:
      return static_cast<const RegionLoss&>(op).classes;
    default:
      return static_cast<const SsdLoss&>(op).classes;
  }
}

/// Rows (category, cx, cy, w, h); about a third are unused.
void fill_boxes(const Op& op, HostTensor& tensor, Generator& generator) {
  const int classes = classes_of(op);
  for (std::size_t row = 0; row + 5 <= tensor.v.size(); row += 5) {
    const bool used = row == 0 || whole(generator, 0, 2) > 0;
    tensor.v[row] = used ? whole(generator, 0, classes - 1) : -1.0;
    for (int k = 1; k < 5; ++k) {
      tensor.v[row + k] = !used ? 0.0 : uniform(generator, k < 3 ? 0.05 : 0.1, k < 3 ? 0.95 : 0.6);
    }
  }
}

HostTensor make_input(const Op& op, std::size_t i, const std::vector<Shape>& shapes, Fill fill,
                      Generator& generator) {
  HostTensor tensor{shapes[i], std::vector<double>(shapes[i].count())};
  const bool is_max =
      op.kind() == OpKind::pool && static_cast<const Pool&>(op).pool == PoolKind::max;
  if (is_max && fill == Fill::real) {
    fill_distinct(tensor, generator);
    return tensor;
  }
  if (takes_boxes(op) && i + 1 == shapes.size()) {
    fill_boxes(op, tensor, generator);
    return tensor;
  }
  const bool squashed =
      op.kind() == OpKind::yolo_loss && static_cast<const YoloLoss&>(op).new_coords;
  for (double& value : tensor.v) {
    if (op.kind() == OpKind::input_u8) {
      value = whole(generator, 0, 255);
    } else if (takes_labels(op) && i == 1) {
      value = whole(generator, 0, shapes[0].c - 1);
    } else if (fill == Fill::integers) {
      value = whole(generator, -4, 4);
    } else if (op.kind() == OpKind::bce && i == 1) {
      value = uniform(generator, 0.0, 1.0);
    } else if (squashed) {
      value = uniform(generator, 0.05, 0.95);
    } else {
      value = uniform(generator, -2.0, 2.0);
    }
  }
  return tensor;
}

HostTensor make_param(const ParamSpec& spec, Fill fill, Generator& generator) {
  HostTensor tensor{spec.shape, std::vector<double>(spec.shape.count())};
  const bool positive = spec.role == ParamRole::norm_scale || spec.role == ParamRole::running_var;
  for (double& value : tensor.v) {
    if (fill == Fill::integers) {
      value = whole(generator, positive ? 1 : -3, 3);
    } else {
      value = positive ? uniform(generator, 0.5, 1.5) : uniform(generator, -1.0, 1.0);
    }
  }
  return tensor;
}

double min_abs(const HostTensor& tensor) {
  double least = std::numeric_limits<double>::infinity();
  for (const double value : tensor.v) least = std::min(least, std::abs(value));
  return least;
}

// Where the derivative of an activation jumps; none for most.
std::vector<double> kinks(const Activation& act) {
  switch (act.kind) {
    case ActKind::relu:
    case ActKind::leaky:
    case ActKind::selu:
    case ActKind::ramp:
      return {0.0};
    case ActKind::relu6:
      return {0.0, 6.0};
    case ActKind::hard_mish:
      return {-2.0, 0.0};
    case ActKind::hardtan:
      return {-1.0, 1.0};
    case ActKind::lhtan:
      return {0.0, 1.0};
    case ActKind::plse:
      return {-4.0, 4.0};
    case ActKind::stair:
      return {-2.0, -1.0, 0.0, 1.0, 2.0};
    default:
      return {};
  }
}

bool has_kink(const Activation& act) {
  return !kinks(act).empty();
}

double kink_distance(const Activation& act, const HostTensor& tensor) {
  double least = std::numeric_limits<double>::infinity();
  for (const double kink : kinks(act)) {
    for (const double value : tensor.v) least = std::min(least, std::abs(value - kink));
  }
  return least;
}

double distance_kink(const Distance& op, const OpData& data) {
  double least = std::numeric_limits<double>::infinity();
  if (op.distance == DistanceKind::l2) return least;
  for (std::size_t i = 0; i < data.x[0].v.size(); ++i) {
    const double size = std::abs(data.x[0].v[i] - data.x[1].v[i]);
    least = std::min(least, op.distance == DistanceKind::l1 ? size : std::abs(size - op.beta));
  }
  return least;
}

double hinge_kink(const Hinge& op, const OpData& data) {
  double least = std::numeric_limits<double>::infinity();
  const HostTensor& scores = data.x[0];
  for (int n = 0; n < scores.shape.n; ++n) {
    const double* s = scores.v.data() + std::int64_t{n} * scores.shape.c;
    const int label = static_cast<int>(data.x[1].v[n]);
    for (int k = 0; k < scores.shape.c; ++k) {
      if (k != label) least = std::min(least, std::abs(s[k] - s[label] + op.margin));
    }
  }
  return least;
}

}  // namespace

OpData make_data(const Op& op, const std::vector<Shape>& inputs, Fill fill, std::uint64_t seed,
                 DType dtype) {
  Generator generator(seed);
  OpData data;
  const auto round_all = [&](HostTensor& tensor) {
    for (double& value : tensor.v) value = rounded(value, dtype);
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    data.x.push_back(make_input(op, i, inputs, fill, generator));
    if (input_dtype(op, i, dtype) == dtype) round_all(data.x.back());
  }
  for (const ParamSpec& spec : op.params(inputs)) {
    data.w.push_back(make_param(spec, fill, generator));
    round_all(data.w.back());
  }
  data.dy.shape = op.infer(inputs);
  data.dy.v.resize(data.dy.shape.count());
  for (double& value : data.dy.v) {
    value = fill == Fill::integers ? whole(generator, -3, 3) : uniform(generator, -1.0, 1.0);
  }
  round_all(data.dy);
  data.scalars.seed = 0x1234567890ABCDEFull + seed;
  data.scalars.step = 41;
  return data;
}

double kink_distance(const Op& op, const OpData& data, Mode mode) {
  const double none = std::numeric_limits<double>::infinity();
  switch (op.kind()) {
    case OpKind::act:
      return kink_distance(static_cast<const Act&>(op).act, data.x[0]);
    case OpKind::distance:
      return distance_kink(static_cast<const Distance&>(op), data);
    case OpKind::hinge:
      return hinge_kink(static_cast<const Hinge&>(op), data);
    case OpKind::add: {
      Add plain = static_cast<const Add&>(op);
      if (!has_kink(plain.act)) return none;
      plain.act = {};
      return min_abs(run_reference(plain, data, mode, DType::f64, Want::forward).y);
    }
    case OpKind::batchnorm: {
      BatchNorm plain = static_cast<const BatchNorm&>(op);
      if (!has_kink(plain.act)) return none;
      plain.act = {};
      HostTensor y = run_reference(plain, data, mode, DType::f64, Want::forward).y;
      for (std::size_t i = 0; plain.sum && !plain.act_last && i < y.v.size(); ++i)
        y.v[i] -= data.x[1].v[i];
      return min_abs(y);
    }
    default:
      return none;
  }
}

OpData make_smooth_data(const Op& op, const std::vector<Shape>& inputs, Mode mode) {
  constexpr double kFarEnough = 3e-4;  // central differences move by about 1e-5
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    OpData data = make_data(op, inputs, Fill::real, seed);
    if (kink_distance(op, data, mode) > kFarEnough) return data;
  }
  throw std::runtime_error("no smooth point found for " + op.describe());
}

DType input_dtype(const Op& op, std::size_t input, DType dtype) {
  if (op.kind() == OpKind::input_u8) return DType::u8;
  return takes_labels(op) && input == 1 ? DType::i32 : dtype;
}

TensorDesc natural_desc(const Op& op, std::size_t input, const Shape& shape, DType dtype) {
  TensorDesc desc = plain_desc(shape, input_dtype(op, input, dtype));
  if (op.kind() == OpKind::input_u8) desc.layout = kNhwc;
  return desc;
}

KernelQuery plain_query(const Op& op, const std::vector<Shape>& inputs, Pass pass, Mode mode,
                        DType dtype) {
  KernelQuery query;
  query.op = &op;
  query.pass = pass;
  query.mode = mode;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    query.inputs.push_back(natural_desc(op, i, inputs[i], dtype));
  }
  query.output = plain_desc(op.infer(inputs), dtype);
  for (const ParamSpec& spec : op.params(inputs)) {
    query.params.push_back(plain_desc(spec.shape, dtype));
  }
  query.want_dx.assign(inputs.size(), false);
  return query;
}

bool has_trained_params(const Op& op, const std::vector<Shape>& inputs) {
  const auto specs = op.params(inputs);
  return std::any_of(specs.begin(), specs.end(), [](const auto& s) { return is_trained(s.role); });
}

bool is_differentiable(const Op& op, std::size_t inputs) {
  for (std::size_t i = 0; i < inputs; ++i) {
    if (op.differentiable(static_cast<int>(i))) return true;
  }
  return false;
}

bool is_exact_on_integers(const Op& op) {
  switch (op.kind()) {
    case OpKind::conv2d:
    case OpKind::conv2d_transpose:
    case OpKind::linear:
    case OpKind::pad:
    case OpKind::concat:
    case OpKind::slice:
    case OpKind::reorg:
    case OpKind::reshape:
    case OpKind::topk_count:
      return true;
    case OpKind::pool:
      return static_cast<const Pool&>(op).pool == PoolKind::max;
    case OpKind::upsample:
      return static_cast<const Upsample&>(op).upsample == UpsampleKind::nearest;
    case OpKind::act:
      return static_cast<const Act&>(op).act.kind == ActKind::relu;
    case OpKind::add: {
      const Add& add = static_cast<const Add&>(op);
      const bool simple = add.act.kind == ActKind::none || add.act.kind == ActKind::relu;
      return simple && std::floor(4 * add.coeff[0]) == 4 * add.coeff[0] &&
             std::floor(4 * add.coeff[1]) == 4 * add.coeff[1];
    }
    default:
      return false;
  }
}

std::int64_t reduction_length(const Op& op, const std::vector<Shape>& inputs, Pass pass) {
  const Shape& x = inputs[0];
  const Shape y = op.infer(inputs);
  switch (op.kind()) {
    case OpKind::conv2d: {
      const auto& conv = static_cast<const Conv2d&>(op);
      const std::int64_t taps = std::int64_t{conv.kernel_h} * conv.kernel_w;
      if (pass == Pass::backward_weights) return std::int64_t{y.n} * y.spatial();
      return taps * (pass == Pass::forward ? x.c : y.c) / conv.groups;
    }
    case OpKind::conv2d_transpose: {
      const auto& conv = static_cast<const Conv2dTranspose&>(op);
      const std::int64_t taps = std::int64_t{conv.kernel_h} * conv.kernel_w;
      if (pass == Pass::backward_weights) return std::int64_t{y.n} * y.spatial();
      return taps * (pass == Pass::forward ? x.c : y.c) / conv.groups;
    }
    case OpKind::linear:
      if (pass == Pass::backward_weights) return x.n;
      return pass == Pass::forward ? x.per_sample() : y.c;
    case OpKind::batchnorm:
    case OpKind::instancenorm:
      return std::int64_t{x.n} * x.spatial();
    case OpKind::softmax:
      return x.c;
    case OpKind::softmax_xent:
    case OpKind::hinge:
    case OpKind::distance:
    case OpKind::bce:
    case OpKind::yolo_loss:
    case OpKind::region_loss:
    case OpKind::ssd_loss:
      return x.count();
    case OpKind::pool:
      return std::int64_t{static_cast<const Pool&>(op).size_h} *
             static_cast<const Pool&>(op).size_w;
    case OpKind::adaptive_avgpool:
      return x.spatial();
    case OpKind::upsample:
      return std::int64_t{static_cast<const Upsample&>(op).scale} *
             static_cast<const Upsample&>(op).scale;
    default:
      return 1;
  }
}

std::vector<std::byte> to_bytes(const HostTensor& tensor, DType dtype, Layout layout) {
  const Shape& s = tensor.shape;
  std::vector<std::byte> bytes(tensor.v.size() * element_size(dtype));
  const auto store = [&](auto tag) {
    auto* to = reinterpret_cast<decltype(tag)*>(bytes.data());
    for (std::int64_t i = 0; i < s.count(); ++i) {
      const std::int64_t pixel = i % s.spatial(), channel = i / s.spatial() % s.c;
      const std::int64_t nhwc = (i / s.per_sample() * s.spatial() + pixel) * s.c + channel;
      to[layout == kNhwc ? nhwc : i] = static_cast<decltype(tag)>(tensor.v[i]);
    }
  };
  switch (dtype) {
    case DType::u8:
      store(std::uint8_t{});
      break;
    case DType::i32:
      store(std::int32_t{});
      break;
    case DType::f32:
      store(float{});
      break;
    case DType::f64:
      store(double{});
      break;
    default:
      throw std::runtime_error("no plain bytes in this data type");
  }
  return bytes;
}

HostTensor from_bytes(const std::vector<std::byte>& bytes, const Shape& shape, DType dtype) {
  HostTensor tensor{shape, std::vector<double>(shape.count())};
  for (std::size_t i = 0; i < tensor.v.size(); ++i) {
    if (dtype == DType::f64) {
      std::memcpy(&tensor.v[i], bytes.data() + i * 8, 8);
    } else if (dtype == DType::f32) {
      float value = 0.0f;
      std::memcpy(&value, bytes.data() + i * 4, 4);
      tensor.v[i] = value;
    } else {
      throw std::runtime_error("results are f32 or f64");
    }
  }
  return tensor;
}

}  // namespace daybreak
