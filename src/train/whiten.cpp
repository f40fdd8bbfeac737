#include "train/whiten.h"

#include <algorithm>
#include <cmath>

#include "core/symmetric_eigen.h"
#include "ops/conv2d.h"
#include "ops/input_u8.h"

namespace daybreak {
namespace {

constexpr std::int64_t kPictures = 5000;
// Multiply-adds that may be spent on second moments: about a second.
constexpr double kMostWork = 2e9;

// E[p p'] of the patches of pictures, p in the order of a filter: channel, row, column.
class PatchMoments {
 public:
  PatchMoments(const InputU8& input, const Conv2d& conv, const Shape& picture)
      : input_(input),
        conv_(conv),
        shape_(picture),
        length_(picture.c * conv.kernel_h * conv.kernel_w),
        sums_(static_cast<std::size_t>(length_) * length_, 0.0),
        plane_(static_cast<std::size_t>(picture.per_sample())),
        patch_(static_cast<std::size_t>(length_)) {
    rows_ = shape_.h - conv.dilation_h * (conv.kernel_h - 1);
    columns_ = shape_.w - conv.dilation_w * (conv.kernel_w - 1);
  }

  int length() const { return length_; }
  // Small pictures may have no whole patch: padding makes them.
  bool any() const { return rows_ > 0 && columns_ > 0; }

  // Distance between the patches that are used, so that `pictures` of them stay affordable.
  int step(std::int64_t pictures) const {
    const double work = 0.5 * length_ * length_ * rows_ * columns_ * static_cast<double>(pictures);
    return std::max(1, static_cast<int>(std::ceil(std::sqrt(work / kMostWork))));
  }

  // One picture, u8 [H, W, C].
  void add(const std::uint8_t* picture, int step) {
    normalise(picture);
    for (int y = 0; y < rows_; y += step) {
      for (int x = 0; x < columns_; x += step) add_patch(y, x);
    }
  }

  std::vector<double> mean() const {
    std::vector<double> result = sums_;
    for (int i = 0; i < length_; ++i) {
      for (int j = 0; j <= i; ++j) {
        const double value = sums_[index(i, j)] / static_cast<double>(patches_);
        result[index(i, j)] = result[index(j, i)] = value;
      }
    }
    return result;
  }

 private:
  std::size_t index(int row, int column) const {
    return static_cast<std::size_t>(row) * length_ + column;
  }

  // To [C, H, W], by the formula of InputU8.
  void normalise(const std::uint8_t* picture) {
    const int pixels = shape_.spatial(), channels = shape_.c;
    for (int c = 0; c < channels; ++c) {
      const int from = input_.reverse_channels ? channels - 1 - c : c;
      const double mean = input_.mean[c], std = input_.std[c], scale = input_.scale;
      double* to = plane_.data() + static_cast<std::size_t>(c) * pixels;
      for (int i = 0; i < pixels; ++i) to[i] = (picture[i * channels + from] * scale - mean) / std;
    }
  }

  void add_patch(int y, int x) {
    double* to = patch_.data();
    for (int c = 0; c < shape_.c; ++c) {
      const double* plane = plane_.data() + static_cast<std::size_t>(c) * shape_.spatial();
      for (int i = 0; i < conv_.kernel_h; ++i) {
        const double* row = plane + (y + i * conv_.dilation_h) * shape_.w + x;
        for (int j = 0; j < conv_.kernel_w; ++j) *to++ = row[j * conv_.dilation_w];
      }
    }
    for (int i = 0; i < length_; ++i) {
      double* sums = sums_.data() + index(i, 0);
      for (int j = 0; j <= i; ++j) sums[j] += patch_[i] * patch_[j];
    }
    ++patches_;
  }

  const InputU8& input_;
  const Conv2d& conv_;
  Shape shape_;
  int length_, rows_ = 0, columns_ = 0;
  std::int64_t patches_ = 0;
  std::vector<double> sums_, plane_, patch_;
};

std::vector<float> filters_of(const Eigen& eigen, int filters, double eps) {
  const int length = static_cast<int>(eigen.values.size());
  std::vector<float> weights;
  for (int f = 0; f < filters; ++f) {
    const auto i = static_cast<std::size_t>(f % length);
    const double scale =
        (f < length ? 1.0 : -1.0) / std::sqrt(std::max(eigen.values[i], 0.0) + eps);
    for (const double x : eigen.vectors[i]) weights.push_back(static_cast<float>(scale * x));
  }
  return weights;
}

void whiten_one(Executor& executor, const GraphNode& node, const Dataset& train,
                LoaderOptions options) {
  const Graph& graph = executor.graph();
  const auto& conv = static_cast<const Conv2d&>(*node.op);
  const Value& pictures = graph.values[node.inputs[0]];
  const auto& input = static_cast<const InputU8&>(*graph.nodes[pictures.producer].op);
  const std::int64_t count = std::min(kPictures, train.size());
  PatchMoments moments(input, conv, pictures.shape);
  if (!moments.any()) {
    throw ConfigError(node.mark, "\"init\": whiten needs windows smaller than the pictures");
  }
  options.shuffle = true;
  options.last_batch = LastBatch::keep;
  options.batch = static_cast<int>(std::min<std::int64_t>(count, 100));
  options.workers = 0;
  Loader loader(train, options);
  loader.start(0, 0);
  const int step = moments.step(count);
  for (std::int64_t done = 0; done < count;) {
    const Batch& batch = loader.next();
    const std::size_t bytes = batch.images.size() / batch.labels.size();
    for (int i = 0; i < batch.count && done < count; ++i, ++done) {
      moments.add(batch.images.data() + bytes * static_cast<std::size_t>(i), step);
    }
  }
  const ParamId weight = node.params[0];
  const double eps = graph.params[weight].init.a;
  const Eigen eigen = symmetric_eigen(moments.mean(), moments.length());
  executor.params().write_weight(weight, filters_of(eigen, conv.out_channels, eps));
}

}  // namespace

void whiten_filters(Executor& executor, const Dataset& train, LoaderOptions options) {
  for (const GraphNode& node : executor.graph().nodes) {
    const bool whitens = !node.params.empty() &&
                         executor.graph().params[node.params[0]].init.kind == InitKind::whiten;
    if (whitens) whiten_one(executor, node, train, options);
  }
}

}  // namespace daybreak
