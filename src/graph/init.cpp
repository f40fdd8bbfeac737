#include "graph/init.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "core/philox.h"
#include "graph/normal.h"

namespace daybreak {
namespace {

// Elements of one chunk share a stream, keyed by (seed, init, name, chunk).
constexpr std::int64_t kChunk = 4096;

struct Fans {
  double in = 1.0;
  double out = 1.0;
};

Fans fans(const std::vector<std::int64_t>& dims) {
  double window = 1.0;
  for (std::size_t i = 2; i < dims.size(); ++i) window *= static_cast<double>(dims[i]);
  const double first = dims.empty() ? 1.0 : static_cast<double>(dims[0]);
  const double second = dims.size() < 2 ? 1.0 : static_cast<double>(dims[1]);
  return {second * window, first * window};
}

template <typename Next>
void fill(std::vector<float>& values, const Param& param, std::uint64_t seed, Next&& next) {
  const std::uint64_t key = name_hash(param.name);
  parallel_for(static_cast<std::int64_t>(values.size()), kChunk,
               [&](std::int64_t begin, std::int64_t end) {
                 Draws draws(seed, Purpose::init, key, static_cast<std::uint64_t>(begin / kChunk));
                 next(draws, values.data() + begin, end - begin);
               });
}

void fill_normal(std::vector<float>& values, const Param& param, std::uint64_t seed, double std) {
  fill(values, param, seed, [std](Draws& draws, float* out, std::int64_t count) {
    static_assert(kChunk <= kMostNormals);
    normal_numbers(draws, std, out, count);
  });
}

void fill_uniform(std::vector<float>& values, const Param& param, std::uint64_t seed, double low,
                  double high) {
  fill(values, param, seed, [low, high](Draws& draws, float* out, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = static_cast<float>(low + (high - low) * static_cast<double>(draws.uniform()));
    }
  });
}

void fill_dirac(std::vector<float>& values, const Param& param) {
  const std::vector<std::int64_t>& dims = param.spec.dims;
  DAYBREAK_ASSERT(dims.size() == 2 || dims.size() == 4);
  const std::int64_t kh = dims.size() == 4 ? dims[2] : 1;
  const std::int64_t kw = dims.size() == 4 ? dims[3] : 1;
  const std::int64_t per_group = dims[0] / param.init.groups;
  const std::int64_t centre = (kh / 2) * kw + kw / 2, filter = dims[1] * kh * kw;
  for (std::int64_t group = 0; group < param.init.groups; ++group) {
    for (std::int64_t i = 0; i < std::min(per_group, dims[1]); ++i) {
      const auto start = values.begin() + (group * per_group + i) * filter;
      std::fill(start, start + filter, 0.0f);
      start[i * kh * kw + centre] = 1.0f;
    }
  }
}

float default_constant(ParamRole role) {
  return role == ParamRole::norm_scale || role == ParamRole::running_var ? 1.0f : 0.0f;
}

}  // namespace

std::uint64_t name_hash(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (char c : name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

std::string_view to_string(InitKind kind) {
  switch (kind) {
    case InitKind::default_:
      return "default";
    case InitKind::he_normal:
      return "he_normal";
    case InitKind::he_uniform:
      return "he_uniform";
    case InitKind::xavier_normal:
      return "xavier_normal";
    case InitKind::xavier_uniform:
      return "xavier_uniform";
    case InitKind::normal:
      return "normal";
    case InitKind::uniform:
      return "uniform";
    case InitKind::fan_in_uniform:
      return "fan_in_uniform";
    case InitKind::constant:
      return "constant";
    case InitKind::dirac:
      return "dirac";
    case InitKind::whiten:
      return "whiten";
  }
  return "unknown";
}

std::vector<float> initial_values(const Param& param, std::uint64_t seed) {
  std::vector<float> values;
  initial_values(param, seed, values);
  return values;
}

void initial_values(const Param& param, std::uint64_t seed, std::vector<float>& values) {
  values.assign(static_cast<std::size_t>(param.spec.shape.count()), 0.0f);
  const Init& init = param.init;
  const Fans fan = fans(param.spec.dims);
  const double gain = std::sqrt(2.0 / (1.0 + static_cast<double>(init.slope) * init.slope));
  InitKind kind = init.kind;
  if (kind == InitKind::default_) {
    kind = param.spec.role == ParamRole::weight ? InitKind::he_normal : InitKind::constant;
  }
  const float constant =
      init.kind == InitKind::default_ ? default_constant(param.spec.role) : init.a;
  const auto symmetric = [&](double bound) { fill_uniform(values, param, seed, -bound, bound); };
  switch (kind) {
    case InitKind::default_:
      break;
    case InitKind::whiten:
    case InitKind::he_normal:
      fill_normal(values, param, seed, gain / std::sqrt(fan.in));
      break;
    case InitKind::he_uniform:
      symmetric(gain * std::sqrt(3.0 / fan.in));
      break;
    case InitKind::xavier_normal:
      fill_normal(values, param, seed, std::sqrt(2.0 / (fan.in + fan.out)));
      break;
    case InitKind::xavier_uniform:
      symmetric(std::sqrt(6.0 / (fan.in + fan.out)));
      break;
    case InitKind::normal:
      fill_normal(values, param, seed, init.a);
      break;
    case InitKind::uniform:
      fill_uniform(values, param, seed, init.a, init.b);
      break;
    case InitKind::fan_in_uniform:
      symmetric(1.0 / std::sqrt(fan.in));
      break;
    case InitKind::constant:
      std::ranges::fill(values, constant);
      break;
    case InitKind::dirac:
      if (init.random_rest) symmetric(1.0 / std::sqrt(fan.in));
      fill_dirac(values, param);
      break;
  }
}

}  // namespace daybreak
