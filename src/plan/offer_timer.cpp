#include "plan/offer_timer.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "core/error.h"
#include "core/philox.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"

namespace daybreak {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kNever = std::numeric_limits<double>::infinity();
// Dropped when slower than the best by this factor: in the warm-up, which has costs of its own, and
// in the first round.
constexpr double kHopeless = 3.0, kSlow = 1.5;
constexpr double kShortest = 200e-6;  // a sample repeats faster kernels to last this long
constexpr double kEnough = 0.05;      // seconds of samples of one kernel after which rounds end
constexpr int kLeastRounds = 2, kMostRounds = 7;
constexpr std::size_t kAlign = 4096, kStagger = 256;  // keeps tensors out of each other's sets

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::size_t sum_bytes(const std::vector<TensorDesc>& descs) {
  std::size_t sum = 0;
  for (const TensorDesc& desc : descs) sum += desc.bytes;
  return sum;
}

// A data gradient that is summed up for the norm before the convolution.
bool is_chain(const KernelQuery& query) {
  return query.pass == Pass::backward_data && query.op->kind() == OpKind::conv2d &&
         static_cast<const Conv2d&>(*query.op).chain;
}

// Of each pair of numbers a channel: statistics, what the norm has saved, its scale and shift.
std::size_t statistics_bytes(const KernelQuery& query) {
  const bool forward = query.pass == Pass::forward;
  if (!is_chain(query) && !(forward && query.op->statistics() != Statistics::none)) return 0;
  const Shape& shape = forward ? query.output.shape : query.inputs[0].shape;
  return 2 * static_cast<std::size_t>(shape.c) * sizeof(float);
}

// What a norm has saved that the convolution behind it applies on load.
std::size_t saved_bytes(const KernelQuery& query) {
  if (query.pass == Pass::backward_data || query.op->kind() != OpKind::conv2d) return 0;
  if (!static_cast<const Conv2d&>(*query.op).loads) return 0;
  return BatchNorm::kDeferredRows * static_cast<std::size_t>(query.inputs[0].shape.c) *
         sizeof(float);
}

// No more than this is taken from the memory for one candidate: every tensor as the plan has it and
// as the offer wants it, with a gradient each.
std::size_t most_bytes(const KernelQuery& query, const KernelOffer& offer,
                       const KernelOffer& liked) {
  const std::size_t tensors = sum_bytes(query.inputs) + query.output.bytes +
                              sum_bytes(query.params) + sum_bytes(offer.inputs) +
                              offer.output.bytes + sum_bytes(offer.params) + liked.output.bytes +
                              sum_bytes(liked.params);
  const std::size_t pieces = 5 * (query.inputs.size() + query.params.size() + 1) + 7;
  return 2 * tensors + offer.workspace_bytes + offer.aux_bytes + saved_bytes(query) +
         4 * statistics_bytes(query) + query.inputs[0].bytes + pieces * (kAlign + kStagger);
}

// Hands out pieces of a memory one after the other.
class Pieces {
 public:
  explicit Pieces(std::byte* base) : base_(base) {}
  std::byte* take(std::size_t bytes) {
    std::byte* piece = base_ + next_;
    next_ += (bytes + kAlign - 1) / kAlign * kAlign + kStagger;
    return piece;
  }

 private:
  std::byte* base_;
  std::size_t next_ = 0;
};

}  // namespace

// The kernel with the reorders around it, in order.
struct OfferTimer::Candidate {
  struct Call {
    KernelPtr kernel;
    Bindings bindings;
  };
  std::vector<Call> calls;
  std::vector<double> samples;
  double seconds = kNever;
  bool alive = false;
};

// Fills in the calls of one offer.
class OfferTimer::Preparation {
 public:
  Preparation(Backend& backend, const KernelQuery& query, const KernelOffer& offer,
              const KernelOffer& liked, std::byte* memory)
      : backend_(backend), query_(query), offer_(offer), liked_(liked), pieces_(memory) {}

  Candidate run() {
    const bool forward = query_.pass == Pass::forward;
    // What the plan has comes first, so that all candidates read it from the same place.
    take(query_.inputs, have_x_);
    take(query_.params, have_w_);
    std::byte* have_y = pieces_.take(query_.output.bytes);
    for (std::size_t i = 0; i < query_.inputs.size(); ++i) {
      const bool read = forward || offer_.reads.input(i);
      main_.x.push_back(read ? input(have_x_[i], query_.inputs[i], offer_.inputs[i]) : nullptr);
    }
    if (query_.pass != Pass::backward_weights) weights();
    if (forward) {
      main_.y = output(offer_.output);
    } else {
      main_.dy = input(have_y, query_.output, offer_.output);
      if (offer_.reads.output) main_.y = pieces_.take(offer_.output.bytes);
      gradients();
    }
    const std::size_t aux_bytes = std::max(offer_.aux_bytes, saved_bytes(query_));
    if (aux_bytes > 0 || offer_.reads.aux) main_.aux = pieces_.take(aux_bytes);
    if (offer_.workspace_bytes > 0) main_.workspace = pieces_.take(offer_.workspace_bytes);
    if (const std::size_t bytes = statistics_bytes(query_)) main_.statistics = pieces_.take(bytes);
    if (is_chain(query_)) chain();
    main_.scalars = &scalars();
    result_.calls.push_back({offer_.make(), std::move(main_)});
    for (auto& call : after_) result_.calls.push_back(std::move(call));
    return std::move(result_);
  }

 private:
  static StepScalars& scalars() {
    static StepScalars instance;
    return instance;
  }

  void take(const std::vector<TensorDesc>& descs, std::vector<std::byte*>& into) {
    for (const TensorDesc& desc : descs) into.push_back(pieces_.take(desc.bytes));
  }

  bool alike(const TensorDesc& a, const TensorDesc& b) const {
    return a == b || (a.dtype == b.dtype && backend_.same_bytes(a, b));
  }

  Candidate::Call reorder(const TensorDesc& from, const TensorDesc& to, std::byte* source,
                          std::byte* target) {
    Candidate::Call call{backend_.reorder(from, to), {}};
    call.bindings.x = {source};
    call.bindings.y = target;
    return call;
  }

  // A tensor that lies at `place` as `have`, made into `want`.
  std::byte* input(std::byte* place, const TensorDesc& have, const TensorDesc& want) {
    if (alike(have, want)) return place;
    std::byte* converted = pieces_.take(want.bytes);
    result_.calls.push_back(reorder(have, want, place, converted));
    return converted;
  }

  // A tensor the kernel writes as `made` where the plan wants `wanted`.
  std::byte* written(const TensorDesc& made, const TensorDesc& wanted) {
    std::byte* place = pieces_.take(made.bytes);
    if (!alike(made, wanted)) {
      after_.push_back(reorder(made, wanted, place, pieces_.take(wanted.bytes)));
    }
    return place;
  }

  // An output unlike its neighbours is paid for again by both gradients.
  std::byte* output(const TensorDesc& made) {
    const std::size_t before = after_.size();
    std::byte* place = written(made, liked_.output);
    if (query_.mode == Mode::train && after_.size() > before) {
      const Bindings bindings = after_.back().bindings;
      for (int gradient = 0; gradient < 2; ++gradient) {
        after_.push_back({backend_.reorder(made, liked_.output), bindings});
      }
    }
    return place;
  }

  // What the norm before a convolution adds to the bindings of its data gradient.
  void chain() {
    const std::size_t bytes = statistics_bytes(query_);
    main_.x.push_back(pieces_.take(offer_.inputs[0].bytes));
    main_.aux = pieces_.take(bytes);
    for (int i = 0; i < 2; ++i) main_.w.push_back(pieces_.take(bytes));
  }

  // Weights nobody has stored yet may lie as the offer wants them; the gradients' kernels have to
  // live with that, so what differs from the first offer's counts as one reorder in training.
  void weights() {
    for (std::size_t i = 0; i < query_.params.size(); ++i) {
      const TensorDesc& want = offer_.params[i];
      if (query_.params_fixed || !backend_.storable(want)) {
        TensorDesc have = query_.params[i];
        if (backend_.keeps_rounded_weights(want.dtype)) {
          have.dtype = want.dtype;
          have.bytes = backend_.layout_bytes(have.shape, have.dtype, have.layout);
        }
        main_.w.push_back(input(have_w_[i], have, want));
        continue;
      }
      std::byte* place = pieces_.take(want.bytes);
      main_.w.push_back(place);
      const TensorDesc& liked = liked_.params[i];
      if (query_.mode == Mode::train && backend_.storable(liked) && !alike(want, liked)) {
        after_.push_back(reorder(want, liked, place, pieces_.take(liked.bytes)));
      }
    }
  }

  void gradients() {
    for (std::size_t i = 0; i < query_.inputs.size(); ++i) {
      const bool wanted = i < query_.want_dx.size() && query_.want_dx[i];
      main_.dx.push_back(wanted ? written(offer_.inputs[i], query_.inputs[i]) : nullptr);
    }
    for (std::size_t i = 0; query_.want_dw && i < query_.params.size(); ++i) {
      main_.dw.push_back(written(offer_.params[i], query_.params[i]));
    }
  }

  Backend& backend_;
  const KernelQuery& query_;
  const KernelOffer& offer_;
  const KernelOffer& liked_;  // the first offer: its layouts suit the rest of a network
  Pieces pieces_;
  std::vector<std::byte*> have_x_, have_w_;
  Bindings main_;
  std::vector<Candidate::Call> after_;
  Candidate result_;
};

OfferTimer::OfferTimer(Backend& backend) : backend_(backend) {}
OfferTimer::~OfferTimer() = default;

// Small positive numbers everywhere: kernels must not meet denormals or NaN.
void OfferTimer::reserve(std::size_t bytes) {
  if (memory_ && memory_->bytes() >= bytes) return;
  memory_.reset();
  memory_ = backend_.allocate(bytes);
  std::vector<float> block(1 << 18);
  Draws draws(1, Purpose::synthetic, 1, 0);
  for (float& value : block) value = draws.uniform(0.01f, 0.1f);
  const std::size_t size = block.size() * sizeof(float);
  for (std::size_t at = 0; at < bytes; at += size) {
    backend_.copy_in(memory_->data() + at, block.data(), std::min(size, bytes - at));
  }
}

void OfferTimer::warm_up(Candidate& candidate, const KernelQuery& query, const KernelOffer& offer,
                         const KernelOffer& liked) {
  try {
    candidate = Preparation(backend_, query, offer, liked, memory_->data()).run();
    candidate.seconds = time(candidate, 1);
    candidate.alive = true;
  } catch (const DeviceError&) {
    candidate = {};
  }
}

double OfferTimer::time(Candidate& candidate, int repeats) {
  backend_.synchronize();
  const auto start = Clock::now();
  for (int i = 0; i < repeats; ++i) {
    for (Candidate::Call& call : candidate.calls) call.kernel->run(call.bindings);
  }
  backend_.synchronize();
  return std::chrono::duration<double>(Clock::now() - start).count() / repeats;
}

void OfferTimer::drop_slower(std::vector<Candidate>& candidates, double factor) {
  double best = kNever;
  for (const Candidate& c : candidates) best = std::min(best, c.seconds);
  for (Candidate& c : candidates) {
    if (c.seconds > factor * best) c.alive = false;
  }
}

std::vector<double> OfferTimer::measure(const KernelQuery& query,
                                        const std::vector<KernelOffer>& offers, double calls) {
  std::size_t bytes = 0;
  for (const KernelOffer& offer : offers)
    bytes = std::max(bytes, most_bytes(query, offer, offers[0]));
  std::vector<Candidate> candidates(offers.size());
  try {
    reserve(bytes);
  } catch (const DeviceError&) {  // no room beside other programs: the static guess does
    return std::vector<double>(offers.size(), kNever);
  }
  double best = kNever;  // of those that are made at once
  for (const bool slow : {false, true}) {
    for (std::size_t i = 0; i < offers.size(); ++i) {
      if (offers[i].slow_to_make != slow || (slow && !may_earn(best, calls))) continue;
      warm_up(candidates[i], query, offers[i], offers[0]);
      if (!slow) best = std::min(best, candidates[i].seconds);
    }
  }
  drop_slower(candidates, kHopeless);
  for (int round = 0; round < kMostRounds; ++round) {
    double spent = kNever;
    for (Candidate& c : candidates) {
      if (!c.alive) continue;
      const int repeats = std::max(1, static_cast<int>(kShortest / std::max(c.seconds, 1e-7)));
      c.samples.push_back(time(c, repeats));
      c.seconds = median(c.samples);
      spent = std::min(spent, c.seconds * static_cast<double>(c.samples.size()));
    }
    if (round == 0) drop_slower(candidates, kSlow);
    const auto alive = std::count_if(candidates.begin(), candidates.end(),
                                     [](const Candidate& c) { return c.alive; });
    if (round + 1 >= kLeastRounds && (alive <= 1 || spent > kEnough)) break;
  }
  std::vector<double> seconds;
  for (const Candidate& c : candidates) seconds.push_back(c.seconds);
  return seconds;
}

}  // namespace daybreak
