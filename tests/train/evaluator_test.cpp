#include "train/evaluator.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "support/temp_folder.h"
#include "train/session.h"

namespace daybreak {
namespace {

TEST(Views, WeighOneInAll) {
  for (const Views views : {Views::none, Views::flip, Views::shift}) {
    double sum = 0.0;
    for (const View& view : views_of(views)) sum += view.weight;
    EXPECT_EQ(sum, 1.0);
  }
  EXPECT_EQ(views_of(Views::none).size(), 1u);
  EXPECT_EQ(views_of(Views::flip).size(), 2u);
  EXPECT_EQ(views_of(Views::shift).size(), 6u);
}

// [y, x] of a picture of one channel, beyond its edges reflected without the edge.
int pixel(const std::vector<std::uint8_t>& picture, int side, int y, int x) {
  const auto inside = [side](int i) { return i < 0 ? -i : i >= side ? 2 * side - 2 - i : i; };
  return picture[static_cast<std::size_t>(inside(y) * side + inside(x))];
}

// The mean probabilities over views, by hand, of a linear classifier on synthetic pictures.
TEST(Evaluate, AveragesProbabilitiesOverViews) {
  test::TempFolder folder;
  test::write_text(folder / "net.yaml",
                   "input: {channels: 1, height: 6, width: 6, mean: [0.5], std: [0.25]}\n"
                   "layers: [{linear: {name: l, outputs: 4}}, softmax_loss]\n");
  test::write_text(
      folder / "s.yaml",
      "net: net.yaml\ndata: {name: s, sources: [synthetic], train_limit: 16, test_limit: 7, "
      "classes: [a, b, c, d]}\nbatch: 4\nlr: 0.1\nlength: 1e\ndevice: ref\n");
  SessionOptions options;
  options.threads = 1;
  Session session(load_solver(folder / "s.yaml", {}), options);
  Executor& executor = session.executor();
  const std::vector<float> w = executor.params().read_weight(0);
  Loader loader(session.validation(), session.eval_loader());
  for (const Views views : {Views::none, Views::flip, Views::shift}) {
    EvaluateOptions evaluate_options;
    evaluate_options.views = views;
    const ClassificationResult found =
        evaluate(executor, session.eval_plan(), loader, evaluate_options);
    double loss = 0.0;
    for (std::int64_t n = 0; n < session.validation().size(); ++n) {
      const Image picture = session.validation().load(n);
      double mean = 0.0;
      for (const View& view : views_of(views)) {
        std::vector<double> scores(4, 0.0);
        for (int y = 0; y < 6; ++y) {
          for (int x = 0; x < 6; ++x) {
            const int shown = view.mirrored ? 5 - x : x;
            const double value =
                (pixel(picture.hwc, 6, y - view.dy, shown - view.dx) / 255.0 - 0.5) / 0.25;
            for (int k = 0; k < 4; ++k) scores[k] += w[k * 36 + y * 6 + x] * value;
          }
        }
        double sum = 0.0;
        for (const double score : scores) sum += std::exp(score);
        mean += view.weight * std::exp(scores[session.validation().label(n)]) / sum;
      }
      loss -= std::log(mean);
    }
    EXPECT_EQ(found.n, 7);
    EXPECT_NEAR(found.loss, loss / 7.0, 1e-4 * (1.0 + loss)) << static_cast<int>(views);
  }
}

}  // namespace
}  // namespace daybreak
