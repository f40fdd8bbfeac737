#include "report/classification_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "demo_report.h"

namespace daybreak {
namespace {

const float kNanF = std::numeric_limits<float>::quiet_NaN();
const float kInfF = std::numeric_limits<float>::infinity();

// Four samples of three classes whose numbers are worked out by hand.
ClassificationResult small_result() {
  ClassificationMetrics metrics(3, 10);
  const std::vector<float> logits = {2.0f, 0.0f, 0.0f,   // label 0: right
                                     0.0f, 1.0f, 3.0f,   // label 1: taken for 2
                                     0.0f, 0.0f, 0.0f,   // label 0: a tie goes to the lower index
                                     1.0f, 0.5f, 0.0f};  // label 2: taken for 0
  metrics.add(std::span(logits).first(6), std::vector<int>{0, 1}, 0);
  metrics.add(std::span(logits).last(6), std::vector<int>{0, 2}, 2);
  return metrics.result();
}

TEST(ClassificationMetrics, MatchesHandWorkedNumbers) {
  const ClassificationResult result = small_result();
  const double e = std::exp(1.0);
  const double loss0 = std::log(1.0 + 2.0 / (e * e));
  const double loss1 = std::log(1.0 + e + e * e * e) - 1.0;
  const double loss2 = std::log(3.0);
  const double loss3 = std::log(e + std::sqrt(e) + 1.0);
  EXPECT_EQ(result.n, 4);
  EXPECT_NEAR(result.loss, (loss0 + loss1 + loss2 + loss3) / 4, 1e-12);
  EXPECT_DOUBLE_EQ(result.top1, 0.5);
  EXPECT_DOUBLE_EQ(result.top5, 1.0);  // of min(5, 3) guesses
  EXPECT_EQ(result.confusion, (std::vector<std::int64_t>{2, 0, 0, 0, 0, 1, 1, 0, 0}));
  EXPECT_NEAR(result.per_class[0].precision, 2.0 / 3.0, 1e-12);
  EXPECT_DOUBLE_EQ(result.per_class[0].recall, 1.0);
  EXPECT_NEAR(result.per_class[0].f1, 0.8, 1e-12);
  EXPECT_DOUBLE_EQ(result.per_class[1].precision, 0.0);  // never predicted
  EXPECT_DOUBLE_EQ(result.per_class[2].recall, 0.0);

  ASSERT_EQ(result.mistakes.size(), 2u);  // of labels 1 and 2, by loss
  EXPECT_EQ(result.mistakes[0].index, 1);
  EXPECT_EQ(result.mistakes[0].label, 1);
  EXPECT_EQ(result.mistakes[0].predicted, 2);
  EXPECT_NEAR(result.mistakes[0].loss, loss1, 1e-12);
  EXPECT_NEAR(result.mistakes[0].probability, e * e * e / (1.0 + e + e * e * e), 1e-12);
  EXPECT_NEAR(result.mistakes[0].label_probability, std::exp(-loss1), 1e-12);
  EXPECT_EQ(result.mistakes[1].index, 3);
}

TEST(ClassificationMetrics, CountsTopFiveByRank) {
  ClassificationMetrics metrics(7, 0);
  const std::vector<float> logits = {7, 6, 5, 4, 3, 2, 1};
  for (int label = 0; label < 7; ++label) metrics.add(logits, std::vector<int>{label}, label);
  const ClassificationResult result = metrics.result();
  EXPECT_NEAR(result.top1, 1.0 / 7.0, 1e-12);
  EXPECT_NEAR(result.top5, 5.0 / 7.0, 1e-12);
  EXPECT_TRUE(result.mistakes.empty());

  ClassificationMetrics ties(7, 0);  // all equal: rank is the index
  const std::vector<float> equal(7, 1.0f);
  for (int label = 0; label < 7; ++label) ties.add(equal, std::vector<int>{label}, label);
  EXPECT_NEAR(ties.result().top5, 5.0 / 7.0, 1e-12);
}

TEST(ClassificationMetrics, SurvivesHugeAndNonFiniteLogits) {
  ClassificationMetrics metrics(2, 5);
  metrics.add(std::vector<float>{3e38f, -3e38f}, std::vector<int>{0}, 0);
  EXPECT_DOUBLE_EQ(metrics.result().loss, 0.0);
  metrics.add(std::vector<float>{kNanF, 1.0f}, std::vector<int>{1}, 1);
  metrics.add(std::vector<float>{kInfF, 1.0f}, std::vector<int>{0}, 2);
  metrics.add(std::vector<float>{kNanF, kNanF}, std::vector<int>{1}, 3);
  const ClassificationResult result = metrics.result();
  EXPECT_TRUE(std::isnan(result.loss));
  EXPECT_DOUBLE_EQ(result.top1, 0.25);
  EXPECT_DOUBLE_EQ(result.top5, 0.25);
  const auto json = nlohmann::json::parse(classification_json(result, {}, "val"));
  EXPECT_TRUE(json["loss"].is_null());
}

TEST(ClassificationMetrics, KeepsTheWorstMistakesWhateverTheOrder) {
  const auto run = [](bool backwards) {
    ClassificationMetrics metrics(2, 3);
    for (int i = 0; i < 20; ++i) {
      const int index = backwards ? 19 - i : i;
      const float margin = static_cast<float>((index * 7) % 20);
      metrics.add(std::vector<float>{margin, 0.0f}, std::vector<int>{1}, index);
    }
    std::vector<std::int64_t> kept;
    for (const WrongSample& wrong : metrics.result().mistakes) kept.push_back(wrong.index);
    return kept;
  };
  // Margins 19, 18, 17 belong to the indices with 7 i = 19, 18, 17 modulo 20.
  EXPECT_EQ(run(false), (std::vector<std::int64_t>{17, 14, 11}));
  EXPECT_EQ(run(true), run(false));
}

TEST(ClassificationMetrics, RefusesLabelsOutOfRange) {
  ClassificationMetrics metrics(3, 0);
  const std::vector<float> logits(3, 0.0f);
  EXPECT_THROW(metrics.add(logits, std::vector<int>{3}, 0), DataError);
  EXPECT_THROW(metrics.add(logits, std::vector<int>{-1}, 0), DataError);
  EXPECT_EQ(metrics.result().n, 0);
}

TEST(ClassificationMetrics, LeavesOutTheMatrixOfManyClasses) {
  ClassificationMetrics metrics(kMaxConfusionClasses + 1, 0);
  metrics.add(std::vector<float>(kMaxConfusionClasses + 1, 0.0f), std::vector<int>{0}, 0);
  const ClassificationResult result = metrics.result();
  EXPECT_TRUE(result.confusion.empty());
  EXPECT_TRUE(top_confusions(result, 5).empty());
  EXPECT_FALSE(nlohmann::json::parse(classification_json(result, {}, "val")).contains("confusion"));
}

TEST(ClassificationMetrics, ListsConfusions) {
  const std::vector<Confusion> pairs = top_confusions(demo_metrics(10, 5000, 0), 4);
  ASSERT_EQ(pairs.size(), 4u);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_EQ(pairs[i].predicted, (pairs[i].label + 2 + pairs[i].label % 3) % 10);
    if (i > 0) {
      EXPECT_GE(pairs[i - 1].count, pairs[i].count);
    }
  }
}

TEST(ClassificationJson, HasTheFieldsOfTheContract) {
  const std::string text =
      classification_json(small_result(), {"cat", "\xFF\"dog\"", "bird"}, "test");
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(text.find("{\"task\":\"classification\",\"split\":\"test\",\"n\":4,\"loss\":"), 0u);
  EXPECT_DOUBLE_EQ(json["top1"], 0.5);
  EXPECT_DOUBLE_EQ(json["top5"], 1.0);
  EXPECT_EQ(json["classes"].size(), 3u);
  EXPECT_EQ(json["classes"][0]["name"], "cat");
  EXPECT_EQ(json["classes"][1]["name"], "\xEF\xBF\xBD\"dog\"");
  EXPECT_EQ(json["classes"][0]["n"], 2);
  EXPECT_DOUBLE_EQ(json["classes"][0]["recall"], 1.0);
  EXPECT_NEAR(json["classes"][0]["precision"].get<double>(), 2.0 / 3.0, 1e-15);
  EXPECT_EQ(json["confusion"], nlohmann::json::parse("[[2,0,0],[0,0,1],[1,0,0]]"));
}

TEST(ClassificationTable, ShowsEveryClass) {
  EXPECT_EQ(class_table(small_result(), {"cat", "dog"}),
            "class    n  precision  recall     f1\n"
            "cat      2      0.667   1.000  0.800\n"
            "dog      1      0.000   0.000  0.000\n"
            "class 2  1      0.000   0.000  0.000\n");
}

}  // namespace
}  // namespace daybreak
