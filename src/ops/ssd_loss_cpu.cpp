#include <algorithm>
#include <memory>

#include "backend/cpu/kernel.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/head_loss_cpu.h"
#include "ops/ssd_loss_math.h"

// A picture at a time, in double. The first round matches anchors and truths, because the loss is
// divided by the positives of the whole batch; the second computes losses and gradients.

namespace daybreak {
namespace {

// What is known when the plan is made.
struct Setup {
  int classes = 1, samples = 1, truths = 1;
  double match_iou = 0.5, negatives = 3.0;
  std::vector<SsdPlace> places;
  std::vector<std::int64_t> starts;  // of the maps' gradients in aux
};

// The workspace: for every picture a truth and a background loss an anchor, its best anchor a
// truth, its count of positives and its loss.
struct Work {
  double* background = nullptr;    // [samples, places]
  double* best = nullptr;          // [samples, truths]
  double* loss = nullptr;          // [samples]
  std::int32_t* match = nullptr;   // [samples, places]
  std::int32_t* order = nullptr;   // [samples, places]
  std::int32_t* forced = nullptr;  // [samples, truths]
  std::int32_t* positives = nullptr;

  static std::size_t bytes(const Setup& s) {
    const std::size_t n = static_cast<std::size_t>(s.samples);
    const std::size_t places = s.places.size(), truths = static_cast<std::size_t>(s.truths);
    return n * ((places + truths + 1) * sizeof(double) +
                (2 * places + truths + 1) * sizeof(std::int32_t));
  }
  Work(const Setup& s, std::byte* memory) {
    const std::int64_t n = s.samples, places = static_cast<std::int64_t>(s.places.size());
    background = as<double>(memory);
    best = background + n * places;
    loss = best + n * s.truths;
    match = reinterpret_cast<std::int32_t*>(loss + n);
    order = match + n * places;
    forced = order + n * places;
    positives = forced + n * s.truths;
  }
};

struct Job {
  const Setup& s;
  const Bindings& b;
  Work work;
  double scale = 1.0;

  const float* rows(std::int64_t n) const {
    return as(b.x[s.starts.size() - 1]) + n * s.truths * 5;
  }
  const float* numbers(std::int64_t n, const SsdPlace& p) const {
    return as(b.x[static_cast<std::size_t>(p.map)]) + n * p.per_sample + p.offset;
  }
  float* gradient(std::int64_t n, const SsdPlace& p) const {
    if (!b.aux) return nullptr;
    return as(b.aux) + s.starts[static_cast<std::size_t>(p.map)] + n * p.per_sample + p.offset;
  }
};

void check_categories(const Job& job) {
  for (int n = 0; n < job.s.samples; ++n) {
    for (int m = 0; m < job.s.truths; ++m) {
      const float* row = job.rows(n) + 5 * m;
      if (!ssd_is_used(row) || row[0] < static_cast<float>(job.s.classes)) continue;
      throw DataError("category " + std::to_string(static_cast<int>(row[0])) +
                      " of a box of sample " + std::to_string(n) + " of the batch is outside 0.." +
                      std::to_string(job.s.classes - 1));
    }
  }
}

void match_picture(const Job& job, std::int64_t n) {
  const std::int64_t places = static_cast<std::int64_t>(job.s.places.size());
  std::int32_t* match = job.work.match + n * places;
  ssd_match(job.s.places, job.rows(n), job.s.truths, job.s.match_iou, match,
            job.work.forced + n * job.s.truths, job.work.best + n * job.s.truths);
  job.work.positives[n] = static_cast<std::int32_t>(places - std::count(match, match + places, -1));
}

// The `wanted` anchors with the highest loss come first in order[0 .. count); their losses summed.
double hard_negatives(const Job& job, std::int64_t n, std::int64_t count, std::int64_t wanted) {
  const std::int64_t places = static_cast<std::int64_t>(job.s.places.size());
  std::int32_t* order = job.work.order + n * places;
  const double* losses = job.work.background + n * places;
  const auto harder = [losses](std::int32_t a, std::int32_t b) {
    return losses[a] > losses[b] || (losses[a] == losses[b] && a < b);
  };
  if (wanted < count) std::nth_element(order, order + wanted, order + count, harder);
  double sum = 0.0;
  for (std::int64_t k = 0; k < std::min(wanted, count); ++k) {
    const SsdPlace& place = job.s.places[static_cast<std::size_t>(order[k])];
    float* g = job.gradient(n, place);
    sum += ssd_class_loss(job.numbers(n, place) + 4 * place.stride, place.stride, 1 + job.s.classes,
                          0, job.scale, g ? g + 4 * place.stride : nullptr);
  }
  return sum;
}

void picture_loss(const Job& job, std::int64_t n) {
  const std::int64_t places = static_cast<std::int64_t>(job.s.places.size());
  const int outputs = 1 + job.s.classes;
  double sum = 0.0;
  std::int64_t count = 0;
  for (std::int64_t p = 0; p < places; ++p) {
    const SsdPlace& place = job.s.places[static_cast<std::size_t>(p)];
    const float* x = job.numbers(n, place);
    float* g = job.gradient(n, place);
    for (int c = 0; g && c < 4 + outputs; ++c) g[c * place.stride] = 0.0f;
    const int m = job.work.match[n * places + p];
    if (m < 0) {
      job.work.background[n * places + p] =
          ssd_class_loss(x + 4 * place.stride, place.stride, outputs, 0, 0.0, nullptr);
      job.work.order[n * places + count++] = static_cast<std::int32_t>(p);
      continue;
    }
    const float* row = job.rows(n) + 5 * m;
    sum += ssd_box_loss(place, x, ssd_box(row), job.scale, g);
    sum += ssd_class_loss(x + 4 * place.stride, place.stride, outputs, static_cast<int>(row[0]) + 1,
                          job.scale, g ? g + 4 * place.stride : nullptr);
  }
  const double wanted = job.s.negatives * job.work.positives[n];
  sum += hard_negatives(job, n, count, static_cast<std::int64_t>(wanted));
  job.work.loss[n] = sum;
}

void forward(const Setup& s, const Bindings& b) {
  Job job{s, b, Work(s, b.workspace)};
  check_categories(job);
  parallel_for(s.samples, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) match_picture(job, n);
  });
  std::int64_t positives = 0;
  for (int n = 0; n < s.samples; ++n) positives += job.work.positives[n];
  job.scale = 1.0 / static_cast<double>(std::max<std::int64_t>(1, positives));
  parallel_for(s.samples, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) picture_loss(job, n);
  });
  double sum = 0.0;
  for (int n = 0; n < s.samples; ++n) sum += job.work.loss[n];
  *as(b.y) = static_cast<float>(sum * job.scale);
}

void backward(const Setup& s, const Bindings& b) {
  const float dy = *as(b.dy);
  for (std::size_t k = 0; k + 1 < s.starts.size(); ++k) {
    float* dx = entry(b.dx, k);
    if (!dx) continue;
    const float* saved = as(b.aux) + s.starts[k];
    parallel_for(s.starts[k + 1] - s.starts[k], kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) dx[i] = dy * saved[i];
    });
  }
}

}  // namespace

CpuOffers ssd_loss_cpu_offers(const CpuContext& context, const KernelQuery& query) {
  const auto& op = static_cast<const SsdLoss&>(*query.op);
  auto setup = std::make_shared<Setup>();
  std::vector<Shape> shapes;
  setup->starts.push_back(0);
  for (std::size_t k = 0; k < op.maps.size(); ++k) {
    shapes.push_back(query.inputs[k].shape);
    setup->starts.push_back(setup->starts.back() + shapes[k].count());
  }
  setup->classes = op.classes;
  setup->samples = shapes[0].n, setup->truths = query.inputs.back().shape.c;
  setup->match_iou = op.match_iou, setup->negatives = op.negatives;
  setup->places = ssd_places(op, shapes);
  const bool is_forward = query.pass == Pass::forward;
  KernelOffer offer = own_offer(context, query, "ssd_loss", kNchw, [=](const Bindings& b) {
    is_forward ? forward(*setup, b) : backward(*setup, b);
  });
  if (is_forward) {
    offer.workspace_bytes = Work::bytes(*setup);
    if (query.mode == Mode::train) {
      offer.aux_bytes = static_cast<std::size_t>(setup->starts.back()) * sizeof(float);
    }
  } else {
    offer.reads = {.aux = true};
  }
  take_plain_f32(offer);
  return {offer};
}

}  // namespace daybreak
