#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "backend/ref/ref_backend.h"
#include "op_cases.h"
#include "support/op_data.h"

// Compares the reference backend with what PyTorch computed for the same numbers. The files under
// tests/golden are written by scripts/make_goldens.py.

namespace daybreak {
namespace {

struct Golden {
  std::string name;
  Mode mode = Mode::train;
  std::map<std::string, std::vector<double>> tensors;
};

std::vector<Golden> load(const std::string& file) {
  std::ifstream in(std::string(DAYBREAK_SOURCE_DIR) + "/tests/golden/" + file);
  std::vector<Golden> goldens;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "case") {
      std::string mode;
      goldens.emplace_back();
      words >> goldens.back().name >> mode;
      goldens.back().mode = mode == "eval" ? Mode::eval : Mode::train;
      continue;
    }
    std::vector<double>& values = goldens.back().tensors[key];
    for (double value = 0.0; words >> value;) values.push_back(value);
  }
  return goldens;
}

/// The numbers both sides start from: `wave` of make_goldens.py.
void fill_wave(HostTensor& tensor, int k, double scale = 1.5, double offset = 0.0) {
  for (std::size_t i = 0; i < tensor.v.size(); ++i) {
    tensor.v[i] = offset + scale * std::sin(0.7 * static_cast<double>(i) + 1.3 * k + 0.1);
  }
}

OpData golden_data(const Op& op, const std::vector<Shape>& inputs) {
  OpData data = make_data(op, inputs, Fill::real, 1);
  const auto specs = op.params(inputs);
  for (std::size_t k = 0; k < data.x.size(); ++k) {
    if (input_dtype(op, k, DType::f64) == DType::i32) {
      for (std::size_t i = 0; i < data.x[k].v.size(); ++i) {
        data.x[k].v[i] = static_cast<double>((7 * i + 3) % inputs[0].c);
      }
    } else if (op.kind() == OpKind::bce && k == 1) {
      fill_wave(data.x[k], 1, 0.5, 0.5);
    } else {
      fill_wave(data.x[k], static_cast<int>(k));
    }
  }
  for (std::size_t k = 0; k < data.w.size(); ++k) {
    const bool positive =
        specs[k].role == ParamRole::norm_scale || specs[k].role == ParamRole::running_var;
    fill_wave(data.w[k], 10 + static_cast<int>(k), positive ? 0.4 : 1.5, positive ? 1.0 : 0.0);
  }
  fill_wave(data.dy, 20);
  return data;
}

void expect_equal(const std::string& what, const std::vector<double>& actual,
                  const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], 1e-9 + 1e-7 * std::abs(expected[i])) << what << " at " << i;
  }
}

const OpCase* find_case(const std::vector<OpCase>& list, const std::string& name) {
  for (const OpCase& one : list) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

void check_golden(const Golden& golden, const OpCase& one) {
  const auto op = one.make();
  const bool backward = golden.mode == Mode::train || op->kind() == OpKind::batchnorm;
  const OpResult result = run_reference(*op, golden_data(*op, one.inputs), golden.mode, DType::f64,
                                        backward ? Want::backward : Want::forward);
  std::size_t compared = 0;
  const auto compare = [&](const std::string& key, const HostTensor& tensor) {
    const auto found = golden.tensors.find(key);
    if (found == golden.tensors.end()) return;
    expect_equal(key, tensor.v, found->second);
    ++compared;
  };
  compare("y", result.y);
  for (std::size_t i = 0; i < result.dx.size(); ++i)
    compare("dx" + std::to_string(i), result.dx[i]);
  for (std::size_t i = 0; i < result.dw.size(); ++i)
    compare("dw" + std::to_string(i), result.dw[i]);
  const auto specs = op->params(one.inputs);
  for (std::size_t i = 0; i < specs.size(); ++i) compare(specs[i].suffix, result.w[i]);
  EXPECT_EQ(compared, golden.tensors.size()) << "some tensors of the file are not ours";
  EXPECT_GE(compared, 2u);
}

TEST(Golden, OpsEqualPyTorch) {
  const auto goldens = load("ops.txt");
  ASSERT_GE(goldens.size(), 50u);
  const auto list = all_cases(LargeCases::without);
  for (const Golden& golden : goldens) {
    SCOPED_TRACE(golden.name);
    const OpCase* one = find_case(list, golden.name);
    ASSERT_NE(one, nullptr);
    check_golden(golden, *one);
  }
}

/// Attributes as in make_goldens.py, with the numbers of every step.
struct OptimizerCase {
  OptimizerAttrs attrs;
  double lr = 0.1, momentum = 0.9, decay = 0.0, clip = 0.0;
};

const std::map<std::string, OptimizerCase>& optimizer_cases() {
  using enum OptimizerKind;
  static const std::map<std::string, OptimizerCase> cases = {
      {"sgd", {{.kind = sgd}}},
      {"sgd_decay", {{.kind = sgd}, 0.1, 0.9, 0.01}},
      {"sgd_nesterov_decay", {{.kind = sgd, .nesterov = true}, 0.1, 0.9, 0.01}},
      {"sgd_dampening", {{.kind = sgd, .dampening = 0.5f}}},
      {"sgd_clipped", {{.kind = sgd}, 0.1, 0.9, 0.0, 1.0}},
      {"adagrad", {{.kind = adagrad, .eps = 1e-10f}, 0.1, 0.0}},
      {"rmsprop", {{.kind = rmsprop}, 0.01, 0.0}},
      {"rmsprop_momentum", {{.kind = rmsprop}, 0.01, 0.9, 0.01}},
      {"rmsprop_centered", {{.kind = rmsprop, .centered = true}, 0.01, 0.5}},
      {"adadelta", {{.kind = adadelta, .eps = 1e-6f}, 1.0, 0.0}},
      {"adadelta_decay", {{.kind = adadelta, .rho = 0.8f, .eps = 1e-5f}, 0.5, 0.0, 0.01}},
      {"adam", {{.kind = adam}}},
      {"adam_decay", {{.kind = adam}, 0.1, 0.9, 0.01}},
      {"adam_clipped", {{.kind = adam, .beta2 = 0.99f, .eps = 1e-5f}, 0.01, 0.5, 0.0, 0.5}},
      {"adamw", {{.kind = adam, .decay = DecayForm::decoupled}, 0.1, 0.9, 0.01}},
  };
  return cases;
}

void check_optimizer_golden(const Golden& golden, const OptimizerCase& one) {
  RefBackend backend;
  const auto kernel = backend.optimizer(one.attrs, DType::f64);
  HostTensor w{{1, 6, 1, 1}, std::vector<double>(6)}, g = w;
  fill_wave(w, 0);
  std::vector<std::vector<double>> slots(one.attrs.slots(), std::vector<double>(6, 0.0));
  std::vector<std::byte*> slot_pointers;
  for (auto& slot : slots) slot_pointers.push_back(reinterpret_cast<std::byte*>(slot.data()));
  const UpdateGroup group{0, 6, 1.0f, static_cast<float>(one.decay), false};
  for (int t = 1; t <= 5; ++t) {
    fill_wave(g, t);
    StepScalars scalars;
    scalars.update = static_cast<std::uint64_t>(t);
    scalars.lr = static_cast<float>(one.lr);
    scalars.momentum = static_cast<float>(one.momentum);
    scalars.clip_norm = static_cast<float>(one.clip);
    auto* gradients = reinterpret_cast<std::byte*>(g.v.data());
    kernel->norm(gradients, {&group, 1}, &scalars);
    kernel->update({reinterpret_cast<std::byte*>(w.v.data()), gradients, slot_pointers, {}},
                   {&group, 1}, &scalars);
    std::string key = "w";
    key += std::to_string(t);
    const auto& expected = golden.tensors.at(key);
    // Rates and coefficients are floats in daybreak: 0.9f is 2.6e-8 away from 0.9.
    for (int i = 0; i < 6; ++i) {
      ASSERT_NEAR(w.v[i], expected[i], 2e-6) << "step " << t << ", element " << i;
    }
  }
}

TEST(Golden, OptimizersEqualPyTorchOverFiveSteps) {
  const auto goldens = load("optimizers.txt");
  ASSERT_EQ(goldens.size(), optimizer_cases().size());
  for (const Golden& golden : goldens) {
    SCOPED_TRACE(golden.name);
    const auto found = optimizer_cases().find(golden.name);
    ASSERT_NE(found, optimizer_cases().end());
    check_optimizer_golden(golden, found->second);
  }
}

}  // namespace
}  // namespace daybreak
