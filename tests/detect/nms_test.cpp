#include "detect/nms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

#include "support/temp_folder.h"

namespace daybreak {
namespace {

std::vector<Detection> random_detections(int count, int categories, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> unit(0.0f, 1.0f);
  std::vector<Detection> found;
  for (int i = 0; i < count; ++i) {
    Detection d;
    d.box = {unit(random), unit(random), 0.02f + 0.3f * unit(random), 0.02f + 0.3f * unit(random)};
    d.category = static_cast<int>(random() % static_cast<unsigned>(categories));
    d.score = std::round(unit(random) * 200.0f) / 200.0f;  // coarse: ties are common
    found.push_back(d);
  }
  return found;
}

// The definition, written down once more without any care for speed.
std::vector<Detection> brute_force(std::vector<Detection> found, const NmsOptions& options) {
  std::vector<std::size_t> order(found.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [&](std::size_t a, std::size_t b) { return found[a].score > found[b].score; };
  std::stable_sort(order.begin(), order.end(), better);
  const bool soft = options.kind == NmsKind::soft_linear || options.kind == NmsKind::soft_gaussian;
  std::vector<std::size_t> kept;
  while (!order.empty()) {
    if (soft) {
      std::sort(order.begin(), order.end());
      std::stable_sort(order.begin(), order.end(), better);
    }
    const std::size_t best = order.front();
    order.erase(order.begin());
    if (soft && !(found[best].score > options.min_score)) continue;
    kept.push_back(best);
    std::erase_if(order, [&](std::size_t i) {
      if (found[i].category != found[best].category) return false;
      const double share = iou(found[best].box, found[i].box);
      switch (options.kind) {
        case NmsKind::iou:
          return share > options.threshold;
        case NmsKind::greedy:
          return diou(found[best].box, found[i].box, 0.6) > options.threshold;
        case NmsKind::diou:
          return diou(found[best].box, found[i].box, options.beta) > options.threshold;
        case NmsKind::soft_linear:
          if (share > options.threshold) found[i].score *= static_cast<float>(1.0 - share);
          return false;
        case NmsKind::soft_gaussian:
          found[i].score =
              static_cast<float>(found[i].score * std::exp(-share * share / options.sigma));
          return false;
      }
      return false;
    });
  }
  std::sort(kept.begin(), kept.end());
  std::stable_sort(kept.begin(), kept.end(), better);
  std::vector<Detection> result;
  for (const std::size_t i : kept) result.push_back(found[i]);
  return result;
}

void expect_same(const std::vector<Detection>& a, const std::vector<Detection>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].box, b[i].box) << i;
    EXPECT_EQ(a[i].category, b[i].category) << i;
    EXPECT_NEAR(a[i].score, b[i].score, 1e-6) << i;
  }
}

constexpr NmsKind kGreedyKinds[] = {NmsKind::iou, NmsKind::greedy, NmsKind::diou};
constexpr NmsKind kAllKinds[] = {NmsKind::iou, NmsKind::greedy, NmsKind::diou, NmsKind::soft_linear,
                                 NmsKind::soft_gaussian};

TEST(Nms, EqualsTheDefinition) {
  for (const NmsKind kind : kAllKinds) {
    for (unsigned seed = 0; seed < 20; ++seed) {
      NmsOptions options;
      options.kind = kind;
      options.threshold = seed % 4 == 0 ? 0.0f : 0.15f * static_cast<float>(seed % 7);
      options.beta = 1.0f;
      options.min_score = 0.1f;
      const auto found = random_detections(1 + static_cast<int>(seed * 17), 1 + seed % 5, seed);
      SCOPED_TRACE(testing::Message() << static_cast<int>(kind) << " seed " << seed);
      expect_same(suppress(found, options), brute_force(found, options));
    }
  }
}

// Boxes in a row whose overlap is the threshold exactly, within float's rounding.
TEST(Nms, DecidesAtTheThresholdInDouble) {
  std::vector<Detection> found;
  for (int i = 0; i < 64; ++i) {
    const float x = 0.25f * static_cast<float>(i);  // each shares a third with the one before
    found.push_back({{x, 0.5f, 0.5f, 1.0f}, 0, 1.0f - 0.001f * static_cast<float>(i)});
  }
  NmsOptions options;
  options.threshold = 1.0f / 3.0f;
  expect_same(suppress(found, options), brute_force(found, options));
  options.threshold = 0.3333f;
  EXPECT_EQ(suppress(found, options).size(), 32u);
}

TEST(Nms, EmptyAndOddInputs) {
  EXPECT_TRUE(suppress({}, {}).empty());
  const Detection point{{0.5f, 0.5f, 0.0f, 0.0f}, 3, 0.5f};
  EXPECT_EQ(suppress({point, point}, {}).size(), 2u);  // an empty union overlaps nothing
  const Detection box{{0.5f, 0.5f, 0.2f, 0.2f}, 3, 0.5f};
  EXPECT_EQ(suppress({box, box}, {}).size(), 1u);
}

// `count` squares of one class, all different scores, at places `place` gives.
template <typename Place>
std::vector<Detection> place_boxes(int count, Place place) {
  std::vector<Detection> found;
  for (int i = 0; i < count; ++i) {
    found.push_back({place(i), 0, static_cast<float>((i * 7919) % count + 1) / float(count)});
  }
  return found;
}

void expect_definition(const std::vector<Detection>& found) {
  for (const NmsKind kind : kGreedyKinds) {
    for (const float threshold : {0.0f, 0.05f, 0.3f, 0.45f, 0.5f, 0.75f, 1.0f}) {
      NmsOptions options;
      options.kind = kind, options.threshold = threshold;
      SCOPED_TRACE(testing::Message() << static_cast<int>(kind) << " threshold " << threshold);
      expect_same(suppress(found, options), brute_force(found, options));
    }
  }
}

TEST(Nms, AllEqualAllDisjointAllNested) {
  const auto equal = place_boxes(700, [](int) { return Box{0.4f, 0.6f, 0.2f, 0.1f}; });
  EXPECT_EQ(suppress(equal, {}).size(), 1u);
  EXPECT_EQ(suppress(equal, {})[0].score, 1.0f);
  expect_definition(equal);
  const auto disjoint = place_boxes(900, [](int i) {
    return Box{static_cast<float>(i % 30) / 30.0f, static_cast<float>(i / 30) / 30.0f, 0.02f,
               0.03f};
  });
  EXPECT_EQ(suppress(disjoint, {}).size(), 900u);
  expect_definition(disjoint);
  // Around one point, each a little smaller than the one before.
  expect_definition(place_boxes(300, [](int i) {
    const float size = std::pow(0.97f, static_cast<float>(i));
    return Box{0.5f, 0.5f, size, size};
  }));
}

// Cells follow the mean size: boxes of very different sizes and shapes must meet all the same.
TEST(Nms, SizesFromDustToMoreThanThePicture) {
  for (unsigned seed = 0; seed < 6; ++seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> unit(0.0f, 1.0f);
    const auto size = [&] { return 3.0f * std::pow(10.0f, -6.0f * unit(random)); };
    const float spread = seed % 2 == 0 ? 1.0f : 0.01f;
    expect_definition(place_boxes(500, [&](int) {
      return Box{spread * unit(random) - 0.2f, spread * unit(random) + 0.1f, size(), size()};
    }));
  }
}

// The same boxes in pixels, far from the origin, along one line, and with empty ones among them.
TEST(Nms, AnyUnitPlaceAndEmptySizes) {
  const auto base = random_detections(600, 1, 21);
  for (const float unit : {1e-9f, 640.0f, 1e9f}) {
    auto found = base;
    for (Detection& d : found)
      d.box = {d.box.cx * unit, d.box.cy * unit, d.box.w * unit, d.box.h * unit};
    expect_definition(found);
  }
  auto found = base;
  for (Detection& d : found) d.box.cx += 1e4f;
  expect_definition(found);
  found = base;
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i].box.cy = 0.5f;
    if (i % 3 == 0) found[i].box.w = 0.0f;
    if (i % 5 == 0) found[i].box.h = 0.0f;
  }
  expect_definition(found);
  for (Detection& d : found) d.box = {};
  expect_definition(found);
}

TEST(Nms, TiesAreTakenInTheOrderOfInput) {
  for (const float score : {0.5f, 0.0f, -0.0f, -2.0f}) {
    auto found = random_detections(400, 2, 5);
    for (std::size_t i = 0; i < found.size(); ++i) {
      found[i].score = score == 0.0f && i % 2 == 0 ? 0.0f : score;  // both zeros are a tie
    }
    expect_definition(found);
  }
}

TEST(Nms, NumbersThatAreNone) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  auto found = random_detections(300, 3, 8);
  std::vector<Detection> valid;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i % 7 == 0) found[i].score = i % 2 == 0 ? inf : -inf;
    if (i % 11 == 0) found[i].score = i % 2 == 0 ? nan : -nan;
    if (i % 11 != 0) valid.push_back(found[i]);
  }
  for (const NmsKind kind : kAllKinds) {
    NmsOptions options;
    options.kind = kind;
    const auto kept = suppress(found, options);
    const auto expected = brute_force(valid, options);
    ASSERT_EQ(kept.size(), expected.size()) << static_cast<int>(kind);
    for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i].box, expected[i].box);
  }
  for (const float odd : {inf, -inf, nan, 1e30f, -1.0f}) {
    found = random_detections(300, 1, 9);
    for (std::size_t i = 0; i < found.size(); i += 9) found[i].box.w = odd;
    for (std::size_t i = 4; i < found.size(); i += 9) found[i].box.cy = odd;
    for (const NmsKind kind : kGreedyKinds) {
      NmsOptions options;
      options.kind = kind;
      const auto kept = suppress(found, options), expected = brute_force(found, options);
      ASSERT_EQ(kept.size(), expected.size()) << odd;
      for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i].score, expected[i].score);
    }
  }
}

// Only the ties look at the order of input.
TEST(Nms, DoesNotDependOnTheOrder) {
  auto found = random_detections(500, 3, 9);
  for (std::size_t i = 0; i < found.size(); ++i)
    found[i].score = 0.001f * static_cast<float>(i + 1);
  const auto expected = suppress(found, {});
  std::shuffle(found.begin(), found.end(), std::mt19937(4));
  expect_same(suppress(found, {}), expected);
}

double best_milliseconds(const std::vector<Detection>& found, const NmsOptions& options) {
  double best = 1e9;
  for (int round = 0; round < 7; ++round) {
    std::vector<Detection> candidates = found;
    const auto start = std::chrono::steady_clock::now();
    const auto kept = suppress(std::move(candidates), options);
    const std::chrono::duration<double, std::milli> elapsed =
        std::chrono::steady_clock::now() - start;
    EXPECT_FALSE(kept.empty());
    best = std::min(best, elapsed.count());
  }
  return best;
}

// 100 objects of 80 classes, 200 candidates for each.
std::vector<Detection> crowd(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> near(0.0f, 0.02f);
  std::vector<Detection> found;
  for (unsigned object = 0; object < 100; ++object) {
    const Detection truth = random_detections(1, 80, object)[0];
    for (int i = 0; i < 200; ++i) {
      Detection d = truth;
      d.box.cx += near(random), d.box.cy += near(random);
      d.score = static_cast<float>(random() % 100000) / 100000.0f;
      found.push_back(d);
    }
  }
  return found;
}

std::vector<Detection> disjoint(int side) {
  std::vector<Detection> found;
  const float step = 1.0f / static_cast<float>(side);
  for (int i = 0; i < side * side; ++i) {
    const float x = step * static_cast<float>(i % side), y = step * static_cast<float>(i / side);
    found.push_back({{x, y, 0.9f * step, 0.8f * step}, 0, static_cast<float>(i * 7919 % 20011)});
  }
  return found;
}

// The aim is 2 ms on an idle core; the bound leaves room for a busy machine and for sanitizers.
TEST(Nms, TwentyThousandCandidatesAreQuick) {
  const std::pair<const char*, std::vector<Detection>> cases[] = {
      {"100 objects of 80 classes", crowd(1)},
      {"spread, 80 classes", random_detections(20000, 80, 2)},
      {"spread, one class", random_detections(20000, 1, 3)},
      {"all disjoint, one class", disjoint(142)},
      {"all equal", std::vector<Detection>(20000, {{0.5f, 0.5f, 0.2f, 0.2f}, 0, 0.5f})}};
  for (const auto& [name, found] : cases) {
    ASSERT_GE(found.size(), 20000u);
    const double ms = best_milliseconds(found, {});
    std::printf("20,000 candidates, %s: %.2f ms\n", name, ms);
    EXPECT_LT(ms, 100.0) << name;
  }
}

// torchvision is not needed to build or run; DAYBREAK_PYTHON names a Python that has it.
TEST(Nms, AgreesWithTorchvision) {
  const char* python = std::getenv("DAYBREAK_PYTHON");
  const std::string program = python ? python : "python3";
  if (std::system((program + " -c 'import torchvision' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no torchvision; set DAYBREAK_PYTHON to a Python that has it";
  }
  test::TempFolder folder;
  auto found = random_detections(3000, 7, 11);
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i].score = static_cast<float>((i * 7919) % 3000 + 1) / 3001.0f;  // no ties
  }
  std::ofstream in(folder / "in.txt");
  in.precision(9);
  for (const Detection& d : found) {
    in << d.box.cx - d.box.w / 2 << ' ' << d.box.cy - d.box.h / 2 << ' ' << d.box.cx + d.box.w / 2
       << ' ' << d.box.cy + d.box.h / 2 << ' ' << d.score << ' ' << d.category << '\n';
  }
  in.close();
  test::write_text(
      folder / "t.py",
      "import torch, torchvision, sys\n"
      "rows = torch.tensor([[float(v) for v in l.split()] for l in open(sys.argv[1])])\n"
      "keep = torchvision.ops.batched_nms(rows[:, :4], rows[:, 4], rows[:, 5].long(),"
      " 0.45)\n"
      "open(sys.argv[2], 'w').write(' '.join(str(int(k)) for k in keep))\n");
  ASSERT_EQ(std::system((program + " " + (folder / "t.py") + " " + (folder / "in.txt") + " " +
                         (folder / "out.txt"))
                            .c_str()),
            0);
  std::ifstream out(folder / "out.txt");
  std::vector<Detection> expected;
  for (std::size_t k = 0; out >> k;) expected.push_back(found.at(k));
  expect_same(suppress(found, {}), expected);
}

}  // namespace
}  // namespace daybreak
