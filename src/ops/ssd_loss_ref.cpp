#include "ops/ssd_loss.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "backend/ref/label.h"
#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/box_overlap.h"

namespace daybreak {
namespace {

using Box4 = BoxT<double>;

template <typename T>
std::vector<Box4> truths_of(const T* rows, int truths, int sample, int classes,
                            std::vector<int>& categories) {
  std::vector<Box4> boxes;
  categories.clear();
  for (int m = 0; m < truths; ++m, rows += 5) {
    if (!(rows[0] >= 0) || !(rows[3] > 0) || !(rows[4] > 0)) continue;
    categories.push_back(checked_label(static_cast<std::int32_t>(rows[0]), sample, classes));
    boxes.push_back({double(rows[1]), double(rows[2]), double(rows[3]), double(rows[4])});
  }
  return boxes;
}

/// The truth of every anchor, -1 for the background.
std::vector<int> match(const std::vector<SsdPlace>& places, const std::vector<Box4>& truths,
                       double threshold) {
  std::vector<int> result(places.size(), -1);
  std::vector<double> best_of_truth(truths.size(), -1.0);
  std::vector<std::size_t> forced(truths.size(), 0);
  for (std::size_t p = 0; p < places.size(); ++p) {
    const Box4 prior{places[p].cx, places[p].cy, places[p].w, places[p].h};
    double best = -1.0;
    int truth = -1;
    for (std::size_t m = 0; m < truths.size(); ++m) {
      const double overlap = iou_of(prior, truths[m]);
      if (overlap > best) best = overlap, truth = static_cast<int>(m);
      if (overlap > best_of_truth[m]) best_of_truth[m] = overlap, forced[m] = p;
    }
    if (best >= threshold) result[p] = truth;
  }
  for (std::size_t m = 0; m < truths.size(); ++m) result[forced[m]] = static_cast<int>(m);
  return result;
}

struct Attributes {
  int classes = 1, samples = 1, truths = 1;
  double match_iou = 0.5, negatives = 3.0;
  std::vector<SsdPlace> places;
  std::vector<std::int64_t> starts;  // of the maps' gradients in aux
};

/// Cross-entropy with class `label` (0: background) and its gradient, added at `g`.
template <typename T>
double class_loss(const T* scores, std::int64_t stride, int count, int label, double scale, T* g) {
  double most = scores[0], sum = 0.0;
  for (int c = 1; c < count; ++c) most = std::max<double>(most, scores[c * stride]);
  for (int c = 0; c < count; ++c) sum += std::exp(scores[c * stride] - most);
  for (int c = 0; g && c < count; ++c) {
    const double p = std::exp(scores[c * stride] - most) / sum;
    g[c * stride] = static_cast<T>(scale * (p - (c == label ? 1.0 : 0.0)));
  }
  return most + std::log(sum) - scores[label * stride];
}

template <typename T>
double offset_loss(const T* x, std::int64_t stride, const std::array<double, 4>& target,
                   double scale, T* g) {
  double sum = 0.0;
  for (int k = 0; k < 4; ++k) {
    const double off = x[k * stride] - target[k], size = std::abs(off);
    sum += size < 1.0 ? 0.5 * off * off : size - 0.5;
    if (g) g[k * stride] = static_cast<T>(scale * (size < 1.0 ? off : off > 0.0 ? 1.0 : -1.0));
  }
  return sum;
}

template <typename T>
void forward(const Attributes& at, const Bindings& b) {
  const std::size_t maps = at.starts.size() - 1;
  T* aux = as<T>(b.aux);
  if (aux) std::fill(aux, aux + at.starts.back(), T(0));
  const auto numbers = [&](int n, const SsdPlace& p) {
    return as<T>(b.x[p.map]) + n * p.per_sample + p.offset;
  };
  const auto gradient = [&](int n, const SsdPlace& p) {
    return aux ? aux + at.starts[p.map] + n * p.per_sample + p.offset : nullptr;
  };
  std::vector<std::vector<int>> matches, categories(at.samples);
  std::vector<std::vector<Box4>> truths;
  std::int64_t positives = 0;
  for (int n = 0; n < at.samples; ++n) {
    const T* rows = as<T>(b.x[maps]) + std::int64_t{n} * at.truths * 5;
    truths.push_back(truths_of(rows, at.truths, n, at.classes, categories[n]));
    matches.push_back(match(at.places, truths[n], at.match_iou));
    positives += std::count_if(matches[n].begin(), matches[n].end(), [](int m) { return m >= 0; });
  }
  const double scale = 1.0 / static_cast<double>(std::max<std::int64_t>(1, positives));
  double total = 0.0;
  for (int n = 0; n < at.samples; ++n) {
    std::vector<std::pair<double, std::size_t>> background;  // minus the loss, the anchor
    std::int64_t own = 0;
    for (std::size_t i = 0; i < at.places.size(); ++i) {
      const SsdPlace& p = at.places[i];
      const T* x = numbers(n, p);
      T* g = gradient(n, p);
      const int m = matches[n][i];
      if (m < 0) {
        T* const none = nullptr;
        const double loss = class_loss(x + 4 * p.stride, p.stride, 1 + at.classes, 0, 0.0, none);
        background.emplace_back(-loss, i);
        continue;
      }
      ++own;
      const Box4& t = truths[n][m];
      total += offset_loss(x, p.stride, ssd_offsets(p, {t.x, t.y, t.w, t.h}), scale, g);
      total += class_loss(x + 4 * p.stride, p.stride, 1 + at.classes, categories[n][m] + 1, scale,
                          g ? g + 4 * p.stride : nullptr);
    }
    std::sort(background.begin(), background.end());
    const auto wanted = static_cast<std::size_t>(at.negatives * static_cast<double>(own));
    for (std::size_t k = 0; k < std::min(wanted, background.size()); ++k) {
      const SsdPlace& p = at.places[background[k].second];
      T* g = gradient(n, p);
      total += class_loss(numbers(n, p) + 4 * p.stride, p.stride, 1 + at.classes, 0, scale,
                          g ? g + 4 * p.stride : nullptr);
    }
  }
  *as<T>(b.y) = static_cast<T>(total * scale);
}

}  // namespace

std::vector<KernelOffer> ssd_loss_ref_offers(const KernelQuery& query) {
  const auto& op = static_cast<const SsdLoss&>(*query.op);
  auto at = std::make_shared<Attributes>();
  std::vector<Shape> shapes;
  at->starts.push_back(0);
  for (std::size_t k = 0; k < op.maps.size(); ++k) {
    shapes.push_back(query.inputs[k].shape);
    at->starts.push_back(at->starts.back() + shapes[k].count());
  }
  at->classes = op.classes, at->match_iou = op.match_iou, at->negatives = op.negatives;
  at->samples = shapes[0].n, at->truths = query.inputs.back().shape.c;
  at->places = ssd_places(op, shapes);
  if (query.pass == Pass::forward) {
    KernelOffer offer =
        ref_offer(query, {}, [at]<typename T>(T, const Bindings& b) { forward<T>(*at, b); });
    if (query.mode == Mode::train) {
      offer.aux_bytes =
          static_cast<std::size_t>(at->starts.back()) * element_size(ref_dtype(query));
    }
    return {offer};
  }
  return {ref_offer(query, {.aux = true}, [at]<typename T>(T, const Bindings& b) {
    const double dy = *as<T>(b.dy);
    for (std::size_t k = 0; k + 1 < at->starts.size(); ++k) {
      T* dx = entry<T>(b.dx, k);
      for (std::int64_t i = at->starts[k]; dx && i < at->starts[k + 1]; ++i) {
        *dx++ = static_cast<T>(dy * as<T>(b.aux)[i]);
      }
    }
  })};
}

}  // namespace daybreak
