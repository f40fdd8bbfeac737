#include "plan/first_gradients.h"

#include <gtest/gtest.h>

#include <cmath>

namespace daybreak {

Trained first_gradients(const Graph& graph, Backend& backend, const JoinChooser& join) {
  Executor executor(graph, backend);
  PlanRequest request;
  request.batch = 64;
  request.keep = {graph.loss};
  const PlanId plan = executor.add_plan(request, {}, join);
  executor.prepare();
  executor.initialize(5);
  std::vector<float> image(std::size_t{64} * 3 * 6 * 6);
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = std::sin(0.37f * static_cast<float>(i));
  std::vector<std::int32_t> labels(64);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i % 3);
  executor.upload(plan, InputRole::image, image.data(), image.size() * sizeof(float));
  executor.upload(plan, InputRole::labels, labels.data(), labels.size() * sizeof(std::int32_t));
  executor.forward(plan);
  executor.backward(plan);
  Trained result{
      executor.plan(plan).memory.lower_bound, executor.read_scalar(plan, graph.loss), {}, {}};
  for (std::size_t p = 0; p < graph.params.size(); ++p) {
    const auto id = static_cast<ParamId>(p);
    if (is_trained(graph.params[p].spec.role)) {
      result.gradients.push_back(executor.params().read_gradient(id));
    } else {
      result.running.push_back(executor.params().read_weight(id));
    }
  }
  return result;
}

void expect_near(const std::vector<std::vector<float>>& actual,
                 const std::vector<std::vector<float>>& expected, float relative) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t p = 0; p < expected.size(); ++p) {
    ASSERT_EQ(actual[p].size(), expected[p].size());
    for (std::size_t i = 0; i < expected[p].size(); ++i) {
      EXPECT_NEAR(actual[p][i], expected[p][i],
                  0.1f * relative + relative * std::abs(expected[p][i]))
          << "parameter " << p;
    }
  }
}

}  // namespace daybreak
