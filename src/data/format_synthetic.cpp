#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "core/parallel.h"
#include "core/philox.h"
#include "data/formats.h"

// Pictures made up for tests and benchmarks: every class has a colour and the direction of its
// stripes; phase, brightness and noise vary. A small network learns them in seconds, a guess of the
// colour alone does not suffice because two classes share each colour.

namespace daybreak {
namespace {

constexpr int kDefaultTrain = 4096;
constexpr int kDefaultTest = 1024;
constexpr int kDefaultClasses = 10;

struct ClassLook {
  double angle = 0.0;              // of the stripes
  std::array<double, 3> colour{};  // 0..1
};

ClassLook class_look(int label, int classes) {
  ClassLook look;
  look.angle = std::numbers::pi * label / classes;
  const int colours = std::max(1, (classes + 1) / 2);
  const double hue = 2.0 * std::numbers::pi * (label % colours) / colours;
  for (std::size_t c = 0; c < 3; ++c) {
    look.colour[c] =
        0.5 + 0.35 * std::cos(hue - 2.0 * std::numbers::pi * static_cast<double>(c) / 3.0);
  }
  return look;
}

void paint(const ClassLook& look, Draws draws, int w, int h, int channels, std::uint8_t* out) {
  const double phase = 2.0 * std::numbers::pi * draws.uniform();
  const double gain = 0.7 + 0.3 * draws.uniform();
  // Four stripes over the shorter side.
  const double frequency = 2.0 * std::numbers::pi * 4.0 / std::min(w, h);
  const double fx = frequency * std::cos(look.angle);
  const double fy = frequency * std::sin(look.angle);
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      const double stripe = 0.5 + 0.5 * std::sin(fx * x + fy * y + phase);
      const std::uint32_t noise = draws.bits();
      for (int c = 0; c < channels; ++c) {
        const double tint = channels == 1 ? 0.7 : look.colour[static_cast<std::size_t>(c % 3)];
        const double grain = static_cast<double>((noise >> (8 * (c % 3))) & 0xffu) / 255.0 - 0.5;
        const double value = gain * tint * (0.4 + 0.6 * stripe) + 0.2 * grain;
        *out++ = static_cast<std::uint8_t>(std::clamp(255.0 * value, 0.0, 255.0));
      }
    }
  }
}

std::shared_ptr<PictureStore> make_part(const SourceRequest& request, int part, int count,
                                        const std::string& name) {
  const InputSpec& input = request.input;
  auto store = std::make_shared<PictureStore>();
  store->classes = request.spec.classes;
  for (int i = 0; request.spec.classes.empty() && i < kDefaultClasses; ++i) {
    store->classes.push_back(std::to_string(i));
  }
  const int classes = static_cast<int>(store->classes.size());
  store->channels = input.channels;
  store->in_memory = true;
  store->width = input.width;
  store->height = input.height;
  store->ranges.push_back({0, name});
  const std::size_t bytes = static_cast<std::size_t>(input.width) * input.height * input.channels;
  store->pixels.resize(bytes * static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) store->labels.push_back(i % classes);
  parallel_for(count, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Draws draws(request.spec.split.seed, Purpose::synthetic,
                        static_cast<std::uint64_t>(part), static_cast<std::uint64_t>(i));
      paint(class_look(static_cast<int>(i % classes), classes), draws, input.width, input.height,
            input.channels, store->pixels.data() + static_cast<std::size_t>(i) * bytes);
    }
  });
  return store;
}

}  // namespace

SourceParts open_synthetic(const SourceRequest& request) {
  const int train = request.spec.train_limit > 0 ? request.spec.train_limit : kDefaultTrain;
  const int test = request.spec.test_limit > 0 ? request.spec.test_limit : kDefaultTest;
  SourceParts parts;
  parts.test = make_part(request, 1, test, "synthetic-test");
  if (request.options.need_train) parts.train = make_part(request, 0, train, "synthetic-train");
  return parts;
}

}  // namespace daybreak
