#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/philox.h"
#include "report/html_report.h"
#include "report/png_plot.h"

// A made-up run with everything a report can show, for tests.

namespace daybreak {

inline std::vector<std::string> demo_classes(int count) {
  std::vector<std::string> names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                    "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  for (int i = static_cast<int>(names.size()); i < count; ++i) {
    names.push_back("class no. " + std::to_string(i));
  }
  names.resize(static_cast<std::size_t>(count));
  return names;
}

/// A blob on a dark ground whose form depends on `kind`.
inline Image demo_picture(int kind, int side, int channels) {
  Image image;
  image.w = side;
  image.h = side;
  image.c = channels;
  Draws draws(7, Purpose::synthetic, static_cast<std::uint64_t>(kind), 0);
  const double lobes = 2.0 + kind % 5;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      const double u = (x + 0.5) / side - 0.5;
      const double v = (y + 0.5) / side - 0.5;
      const double edge = 0.3 + 0.1 * std::cos(lobes * std::atan2(v, u) + kind);
      const double inside = 1.0 / (1.0 + std::exp(40.0 * (std::hypot(u, v) - edge)));
      for (int c = 0; c < channels; ++c) {
        const double tint = channels == 1 ? 1.0 : 0.6 + 0.4 * std::sin(kind + 2.1 * c);
        image.hwc.push_back(
            static_cast<std::uint8_t>(230.0 * inside * tint + 25.0 * draws.uniform()));
      }
    }
  }
  return image;
}

/// Logits whose argmax is right in most cases; neighbouring classes are mixed up more often.
inline ClassificationResult demo_metrics(int classes, int samples, int keep) {
  ClassificationMetrics metrics(classes, keep);
  std::vector<float> logits(static_cast<std::size_t>(classes));
  for (int i = 0; i < samples; ++i) {
    Draws draws(3, Purpose::synthetic, static_cast<std::uint64_t>(i), 1);
    const int label = i % classes;
    for (float& logit : logits) logit = 2.0f * draws.uniform();
    logits[static_cast<std::size_t>(label)] += 4.0f * draws.uniform() + 1.0f;
    logits[static_cast<std::size_t>((label + 2 + label % 3) % classes)] += 3.4f * draws.uniform();
    metrics.add(logits, std::vector<int>{label}, i);
  }
  return metrics.result();
}

inline void add_demo_curves(ReportData& data, int epochs, int steps_per_epoch) {
  StepCurve curve;
  const int steps = epochs * steps_per_epoch;
  Draws draws(5, Purpose::synthetic, 0, 2);
  for (int s = 1; s <= steps; ++s) {
    const double t = static_cast<double>(s) / steps;
    const double rise = t < 0.4 ? t / 0.4 : (1.0 - t) / 0.6;
    const double noise = 0.25 * (draws.uniform() - 0.5) * (1.1 - t);
    curve.add({s, 0.01 + 0.39 * rise, 0.95 - 0.1 * rise,
               0.18 + 2.1 * std::exp(-9.0 * t) + 0.25 * rise + noise});
  }
  data.steps = curve.points();
  for (int e = 1; e <= epochs; ++e) {
    const double t = static_cast<double>(e) / epochs;
    EpochRow row;
    row.epoch = e;
    row.step = std::int64_t{e} * steps_per_epoch;
    row.samples = row.step * 128;
    row.seconds = 14.2 * e;
    row.lr = 0.4 * (1.0 - t) + 0.001;
    row.momentum = 0.85 + 0.1 * t;
    row.train_loss = 0.17 + 0.9 * std::exp(-3.2 * t);
    row.val_loss = 0.21 + 0.7 * std::exp(-3.5 * t) + (e % 3 == 0 ? 0.03 : 0.0);
    row.val_top1 = 0.934 - 0.25 * std::exp(-3.6 * t) - (e % 3 == 0 ? 0.008 : 0.0);
    row.val_top5 = 0.9985 - 0.01 * (1.0 - t);
    row.images_per_second = 4213.0 + 30.0 * (e % 2);
    data.epochs.push_back(row);
    data.train_top1.push_back(0.94 - 0.34 * std::exp(-3.3 * t));
  }
}

inline ReportData demo_report(int classes = 10) {
  ReportData data;
  data.run_name = "fashion-mnist-1";
  data.net_name = "darknet-small";
  data.data_name = "Fashion-MNIST, 60,000 train / 10,000 test, 28x28x1, 10 classes";
  data.status = "done";
  data.device = "cpu, 2 threads, f32";
  data.planned_epochs = 6;
  data.seconds = 85.4;
  add_demo_curves(data, 6, 469);
  data.marks = {{1126, "decay"}};
  data.class_names = demo_classes(classes);
  data.metrics = demo_metrics(classes, 10000, 24);
  data.metrics_of = "Test split, best weights (epoch 5)";
  for (const WrongSample& wrong : data.metrics->mistakes) {
    data.mistakes.push_back({wrong, demo_picture(wrong.label, 28, 1), ""});
  }
  std::vector<Image> samples;
  std::vector<std::string> labels;
  for (int i = 0; i < 32; ++i) {
    samples.push_back(demo_picture(i, 28, 1));
    labels.push_back(data.class_names[static_cast<std::size_t>(i % classes)]);
  }
  data.training_samples = picture_grid(samples, labels, 8, 3);
  data.layers_text =
      "layer      type        output      params      MFLOP\n"
      "conv1      conv 3x3    32x28x28       320       0.23\n"
      "fc         linear      10           5,130       0.01\n"
      "total                              93,322\n";
  data.config_text =
      "# everything resolved\nname: fashion-mnist\nnet: darknet-small.yaml\ndata:\n"
      "  train: {batch: 128, augment: [flip, {pad_crop: 2}]}\nphases:\n  - {length: 5e, lr: 0.4}\n";
  data.environment = {{"daybreak", "0.1.0 (release)"},
                      {"device", "cpu: oneDNN 2.6.3, avx512_core_bf16"},
                      {"cores", "2"},
                      {"memory", "7.8 GiB"},
                      {"seed", "1"}};
  data.timings = {{"loading data", "0.41 s"}, {"training", "1:12"}, {"validation", "12.9 s"}};
  data.warnings = {"3 pictures could not be read and were left out; see log.txt"};
  return data;
}

}  // namespace daybreak
