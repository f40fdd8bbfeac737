#include <gtest/gtest.h>

#include "core/philox.h"
#include "layers/build_support.h"

// Damaged networks: whatever is written, the answer is a graph or a ConfigError with a place.

namespace daybreak {
namespace {

const char* kNetwork = R"(name: m
input: {channels: 3, height: 32, width: 32, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}
defaults: {conv: {norm: {batch: {momentum: 0.01}}, act: {leaky: 0.1}}}
layers:
  - conv: {name: stem, filters: 8, size: [3, 5], groups: 1, pad: same, init: {normal: 0.02}}
  - res_group: {name: g1, filters: 16, blocks: 2, stride: 2, squeeze: 2, last_scale_init: zero}
  - maxpool: {name: p1, size: 3, stride: 2, pad: [0, 1, 1, 0], ceil: true}
  - repeat:
      count: 2
      name: b
      layers:
        - residual: {name: r, scale: 0.2, act: relu, body: [{conv: {name: c, filters: 16}}], shortcut: [relu]}
        - dropout: 0.2
  - conv_transpose: {name: up, filters: 16, size: 4, stride: 2, pad: 1, output_pad: 0}
  - upsample: {scale: 2, mode: bilinear}
  - pad: {size: [1, 2], mode: reflect}
  - avgpool: {size: 2, count_padding: false}
  - add: {name: sum, from: [b.2.r, p1], scale: [1, 0.5]}
  - concat: {name: both, from: [sum, b.1.r]}
  - reshape: {c: auto, h: 4, w: 4}
  - global_avgpool
  - linear: {name: head, outputs: 10, norm: instance}
  - softmax_loss: {label_smoothing: 0.1}
)";

const std::vector<std::string>& words() {
  static const std::vector<std::string> kWords = {"0",       "-1",        "1",
                                                  "2",       "3",         "7",
                                                  "1000",    "65536",     "99999999999999999999",
                                                  "1e9",     "nan",       "0.5",
                                                  "conv",    "residual",  "repeat",
                                                  "input",   "stem",      "b.1.r",
                                                  "auto",    "same",      "depthwise",
                                                  "none",    "batch",     "instance",
                                                  "relu",    "[]",        "{}",
                                                  "[1, 2]",  "[1, 2, 3]", "null",
                                                  "true",    "\"x\"",     "filters",
                                                  "size",    "stride",    "groups",
                                                  "from",    "body",      "mse_loss",
                                                  "flatten", "act",       "norm"};
  return kWords;
}

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_';
}

// Replaces, removes or repeats a word or a line.
std::string mutate(std::string text, Draws& draws) {
  const std::size_t at = draws.below(static_cast<std::uint32_t>(text.size()));
  std::size_t begin = at, end = at;
  const bool line = draws.below(4) == 0;
  const auto inside = [&](std::size_t i) { return line ? text[i] != '\n' : is_word(text[i]); };
  while (begin > 0 && inside(begin - 1)) --begin;
  while (end < text.size() && inside(end)) ++end;
  const std::string piece = text.substr(begin, end - begin);
  switch (draws.below(3)) {
    case 0:
      return text.replace(begin, end - begin, "");
    case 1:
      return text.insert(begin, line ? piece + "\n" : piece);
    default:
      const auto count = static_cast<std::uint32_t>(words().size());
      return text.replace(begin, end - begin, words()[draws.below(count)]);
  }
}

TEST(Mutation, DamagedNetworksGiveConfigErrors) {
  EXPECT_NO_THROW(build_graph(network_of(kNetwork), {}));
  int built = 0, refused = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    Draws draws(11, Purpose::synthetic, 0, i);
    std::string text = kNetwork;
    for (std::uint32_t n = draws.below(3) + 1; n > 0; --n) text = mutate(std::move(text), draws);
    try {
      const Graph graph = build_graph(network_of(text), {});
      EXPECT_NE(graph.prediction, kNone) << text;
      ++built;
    } catch (const ConfigError& error) {
      ASSERT_FALSE(error.diagnostics().empty());
      for (const Diagnostic& d : error.diagnostics()) {
        EXPECT_FALSE(d.text.empty()) << text;
        EXPECT_GT(d.mark.line, 0) << d.text << "\n" << text;
      }
      ++refused;
    } catch (const std::exception& error) {
      FAIL() << "escaped: " << error.what() << "\n" << text;
    }
  }
  EXPECT_GT(built, 50);
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace daybreak
