#include "data/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "data/data_support.h"
#include "data/dataset.h"
#include "data/formats.h"
#include "data/sampler.h"

namespace daybreak {
namespace {

std::vector<std::int32_t> random_labels(int count, int classes, std::uint64_t key) {
  std::vector<std::int32_t> labels;
  Draws draws(1, Purpose::synthetic, key, 0);
  for (int i = 0; i < count; ++i) {
    labels.push_back(static_cast<std::int32_t>(draws.below(static_cast<std::uint32_t>(classes))));
  }
  return labels;
}

void expect_partition(const Split& split, std::size_t count) {
  std::vector<std::uint32_t> all = split.train;
  all.insert(all.end(), split.val.begin(), split.val.end());
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), count);
  for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(all[i], i);
  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  EXPECT_TRUE(std::is_sorted(split.val.begin(), split.val.end()));
}

TEST(Split, FractionIsStratifiedAndExact) {
  for (int round = 0; round < 50; ++round) {
    const int count = 20 + 37 * round;
    const auto labels = random_labels(count, 7, static_cast<std::uint64_t>(round));
    const double fraction = 0.05 + 0.01 * round;
    const Split split = make_split(labels, 7, {fraction, 0, 0, 5});
    expect_partition(split, labels.size());
    EXPECT_EQ(split.val.size(), static_cast<std::size_t>(std::llround(fraction * count)));
    for (int label = 0; label < 7; ++label) {
      const auto of_class = [&](std::uint32_t i) { return labels[i] == label; };
      const auto in_val = std::count_if(split.val.begin(), split.val.end(), of_class);
      const auto in_all = std::count(labels.begin(), labels.end(), label);
      EXPECT_NEAR(static_cast<double>(in_val), fraction * static_cast<double>(in_all), 1.0);
    }
  }
}

TEST(Split, FoldsAreDisjointEqualAndComplete) {
  const auto labels = random_labels(103, 4, 1);
  std::set<std::uint32_t> seen;
  for (int fold = 0; fold < 5; ++fold) {
    const Split split = make_split(labels, 4, {0, 5, fold, 9});
    expect_partition(split, labels.size());
    EXPECT_NEAR(static_cast<double>(split.val.size()), 103 / 5.0, 1.0);
    for (const std::uint32_t i : split.val) EXPECT_TRUE(seen.insert(i).second);
  }
  EXPECT_EQ(seen.size(), labels.size());
}

TEST(Split, DependsOnItsSeedOnly) {
  const auto labels = random_labels(200, 3, 2);
  const auto val = [&](std::uint64_t seed) { return make_split(labels, 3, {0.3, 0, 0, seed}).val; };
  EXPECT_EQ(val(1), val(1));
  EXPECT_NE(val(1), val(2));
}

TEST(Limit, TakesEachClassInTurn) {
  const std::vector<std::int32_t> labels = {0, 0, 0, 0, 1, 1, 2};
  EXPECT_EQ(balanced_limit(labels, 3, 3), (std::vector<std::uint32_t>{0, 4, 6}));
  EXPECT_EQ(balanced_limit(labels, 3, 6), (std::vector<std::uint32_t>{0, 1, 2, 4, 5, 6}));
  EXPECT_EQ(balanced_limit(labels, 3, 0).size(), 7u);
  EXPECT_EQ(balanced_limit(labels, 3, 100).size(), 7u);
}

TEST(Sampler, EveryEpochIsAPermutation) {
  std::vector<std::uint32_t> order;
  std::vector<std::uint32_t> before;
  for (const int count : {1, 2, 3, 100, 1001}) {
    for (int epoch = 0; epoch < 4; ++epoch) {
      epoch_order(count, 42, epoch, true, order);
      std::vector<std::uint32_t> sorted = order;
      std::sort(sorted.begin(), sorted.end());
      for (int i = 0; i < count; ++i)
        EXPECT_EQ(sorted[static_cast<std::size_t>(i)], static_cast<std::uint32_t>(i));
      if (count >= 100) {
        EXPECT_NE(order, before);
      }
      before = order;
    }
  }
  epoch_order(100, 1, 0, true, order);
  epoch_order(100, 2, 0, true, before);
  EXPECT_NE(order, before);
  epoch_order(5, 1, 0, false, order);
  EXPECT_EQ(order, (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
}

// Each of 4 items lands on each of 4 places about equally often.
TEST(Sampler, ShuffleIsUniform) {
  int hits[4][4] = {};
  std::vector<std::uint32_t> order;
  for (int epoch = 0; epoch < 8000; ++epoch) {
    epoch_order(4, 7, epoch, true, order);
    for (std::size_t place = 0; place < 4; ++place) ++hits[order[place]][place];
  }
  for (const auto& row : hits) {
    for (const int count : row) EXPECT_NEAR(count, 2000, 200);
  }
}

TEST(OpenData, SplitsTheTrainingPart) {
  DataSpec spec = test::spec_for(DataFormat::synthetic, "");
  spec.train_limit = 120;
  spec.test_limit = 10;
  spec.split = {0.25, 0, 0, 3};
  const DataParts parts = open_data(spec, test::input_of(6, 6, 3));
  EXPECT_EQ(parts.train.size(), 90);
  EXPECT_EQ(parts.val.size(), 30);
  EXPECT_EQ(&parts.evaluation(), &parts.val);
  std::set<std::string> names;
  for (const Dataset* part : {&parts.train, &parts.val}) {
    for (std::int64_t i = 0; i < part->size(); ++i) names.insert(part->name(i));
    for (const std::int64_t size : part->class_sizes()) EXPECT_EQ(size, part->size() / 10);
  }
  EXPECT_EQ(names.size(), 120u);
}

}  // namespace
}  // namespace daybreak
