#include "backend/cpu/conv_offers.h"

#include <algorithm>
#include <string>
#include <utility>

#include "backend/cpu/plain_conv.h"
#include "backend/cpu/tap_gemm.h"
#include "backend/cpu/tap_gradient.h"
#include "backend/cpu/winograd/winograd.h"

namespace daybreak {
namespace {

// Measured on Zen 4 with oneDNN 2.6.3: F(4x4, 3x3) wins on maps of 4x4 and more with enough
// channels; backward-weights also on 2x2, where the direct kernel is very slow.
bool winograd_pays(const ConvProblem& p, Pass pass) {
  if (p.transposed || p.w.h != 3 || p.w.w != 3 || p.stride[0] != 1 || p.stride[1] != 1)
    return false;
  if (p.x.c < 32 || p.y.c < 32) return false;
  const int side = std::min(p.y.h, p.y.w);
  if (side < (pass == Pass::backward_weights ? 2 : 4)) return false;
  // The transform of the weights is paid once per call.
  return std::int64_t{p.y.n} * p.y.spatial() >= 256;
}

// On maps of up to 2x2 direct kernels reach a half (backward-weights: a seventh) of the rate of a
// matrix product, which moreover leaves out the taps beyond the border.
bool taps_pay(const ConvProblem& p) {
  return p.y.spatial() <= 4 && p.x.c >= 64 && p.y.c >= 64;
}

bool known(Layout layout) {
  return layout.id <= kBlocked.id;
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// A static guess, smaller is better: slow implementations last, then the algorithm, then reorders.
int rank(const OneDnnAnswer& a, ConvAlgorithm algorithm, bool pays, const TensorDesc& x,
         const TensorDesc& y, Pass pass) {
  int score = 0;
  if (contains(a.implementation, "ref")) score += 1000;
  if (contains(a.implementation, "gemm")) score += 100;
  if (!known(a.x) || !known(a.y)) score += 40;
  if (algorithm == ConvAlgorithm::winograd) score += pays ? -10 : 60;
  if (a.w_is_opaque) score += 20;   // the plan would have to prepare the weights in every step
  if (a.y != kBlocked) score += 8;  // the rest of the net works in blocks
  if (pass != Pass::backward_data && a.x != x.layout) score += 1;
  if (pass != Pass::forward && a.y != y.layout) score += 2;
  return score;
}

std::vector<ConvWish> wishes(const KernelQuery& query, const ConvProblem& problem) {
  const bool inference = query.pass == Pass::forward && query.mode == Mode::eval;
  if (problem.residual) {
    // The residual's descriptor must be known: its own layout first.
    const Layout other = query.inputs[1].layout;
    std::vector<ConvWish> result;
    for (const Layout layout : {other, kBlocked, kNhwc, kNchw}) {
      if (!known(layout)) continue;
      const Layout in = known(query.inputs[0].layout) ? query.inputs[0].layout : layout;
      result.push_back({ConvAlgorithm::direct, in, layout, inference});
      if (in != layout) result.push_back({ConvAlgorithm::direct, layout, layout, inference});
    }
    return result;
  }
  const std::vector<ConvAlgorithm> algorithms = {ConvAlgorithm::direct, ConvAlgorithm::winograd};
  std::vector<ConvWish> result;
  const Layout x = query.inputs[0].layout, y = query.output.layout;
  for (ConvAlgorithm algorithm : algorithms) {
    if (query.pass != Pass::forward && known(x) && known(y)) result.push_back({algorithm, x, y});
    if (known(x) && x != kNchw) result.push_back({algorithm, x, {}});
    result.push_back({algorithm, {}, {}});
  }
  result.push_back({ConvAlgorithm::direct, kNchw, kBlocked});
  result.push_back({ConvAlgorithm::direct, kBlocked, kBlocked});
  result.push_back({ConvAlgorithm::direct, kNhwc, kNhwc});
  if (query.pass == Pass::forward && query.mode == Mode::eval) {
    result.push_back({ConvAlgorithm::winograd, {}, {}, /*inference=*/true});
  }
  return result;
}

struct Candidate {
  OneDnnAnswer answer;
  ConvAlgorithm algorithm;
  int rank;
};

// A `ref` or gemm implementation is no direct kernel in the sense of --conv, but neither Winograd.
KernelAlgorithm algorithm_of(const Candidate& c) {
  if (c.algorithm == ConvAlgorithm::winograd) return KernelAlgorithm::winograd;
  return contains(c.answer.implementation, "gemm") ? KernelAlgorithm::gemm
                                                   : KernelAlgorithm::direct;
}

bool same(const LayoutRegistry& layouts, const ConvProblem& p, const OneDnnAnswer& a,
          const OneDnnAnswer& b) {
  return a.implementation == b.implementation && layouts.same_bytes(p.x, a.x, b.x) &&
         layouts.same_bytes(p.y, a.y, b.y) && layouts.same_bytes(p.w, a.w, b.w);
}

// oneDNN 2.6.3's convolution by matrix products (taken below AVX-512) adds the wrong channels of a
// residual when there are groups, and below AVX2 always; its gradients are wrong for pictures of
// one pixel.
bool computes_wrongly(const OneDnnAnswer& answer, const ConvProblem& p, Pass pass) {
  if (!contains(answer.implementation, "gemm")) return false;
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto avx2 = static_cast<unsigned>(dnnl::cpu_isa::avx2);
  if (p.residual && (p.groups > 1 || (isa & avx2) != avx2)) return true;
  return pass != Pass::forward && p.x.spatial() == 1;
}

std::vector<Candidate> candidates(const CpuContext& context, const KernelQuery& query,
                                  const ConvProblem& problem) {
  std::vector<Candidate> result;
  const bool pays = winograd_pays(problem, query.pass);
  for (const ConvWish& wish : wishes(query, problem)) {
    auto answer = context.onednn->convolution(problem, query.pass, wish);
    if (!answer || computes_wrongly(*answer, problem, query.pass)) continue;
    const auto known_answer = [&](const Candidate& c) {
      return same(*context.layouts, problem, c.answer, *answer);
    };
    if (std::any_of(result.begin(), result.end(), known_answer)) continue;
    const int score =
        rank(*answer, wish.algorithm, pays, query.inputs[0], query.output, query.pass);
    result.push_back({std::move(*answer), wish.algorithm, score});
  }
  // The slow fallbacks are kept only where there is nothing better.
  const auto better = [](const Candidate& c) { return c.rank < 100; };
  if (std::any_of(result.begin(), result.end(), better)) {
    std::erase_if(result, [&](const Candidate& c) { return !better(c); });
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const Candidate& a, const Candidate& b) { return a.rank < b.rank; });
  return result;
}

// What is fused must be something a forward kernel of oneDNN can do.
bool can_fuse(const KernelQuery& query, const ConvProblem& p) {
  if (!p.residual && p.act.kind == ActKind::none) return true;
  return query.pass == Pass::forward && query.mode == Mode::eval && onednn_fuses(p.act.kind);
}

// Kernels that compute in problem.dtype, which is that of the query's activations.
CpuOffers offers_in_own_type(const CpuContext& context, const KernelQuery& query,
                             const ConvProblem& problem) {
  CpuOffers offers;
  // Asking oneDNN as well would cost more at start-up than the kernel takes in a run.
  if (problem.dtype == DType::f32) {
    if (auto plain = plain_conv_offer(context, query, problem)) return {std::move(*plain)};
  }
  if (!can_fuse(query, problem)) return offers;
  for (Candidate& candidate : candidates(context, query, problem)) {
    OneDnnAnswer& answer = candidate.answer;
    KernelOffer offer;
    offer.name = "onednn:" + answer.implementation;
    offer.algorithm = algorithm_of(candidate);
    offer.inputs = {context.with_layout(query.inputs[0], answer.x)};
    if (problem.residual) offer.inputs.push_back(context.with_layout(query.inputs[1], answer.y));
    offer.output = context.with_layout(query.output, answer.y);
    TensorDesc weights = query.params[0];
    weights.dtype = query.pass == Pass::backward_weights ? DType::f32 : problem.dtype;
    offer.params = {context.with_layout(weights, answer.w)};
    if (problem.bias) {
      offer.params.push_back(plain_desc(query.params[1].shape, query.params[1].dtype));
    }
    offer.reads.inputs = query.pass == Pass::backward_weights;
    offer.workspace_bytes = answer.workspace_bytes;
    offer.make = std::move(answer.make);
    offers.push_back(std::move(offer));
  }
  if (problem.residual || problem.act.kind != ActKind::none) return offers;
  if (auto taps = tap_gemm_offer(context, query, problem)) {
    offers.insert(taps_pay(problem) ? offers.begin() : offers.end(), std::move(*taps));
  }
  CpuOffers own = winograd_offers(context, query, problem);
  offers.insert(offers.begin(), std::make_move_iterator(own.begin()),
                std::make_move_iterator(own.end()));
  return offers;
}

// The library's fallbacks for shapes that its fast kernels do not take.
bool slow(const KernelOffer& offer) {
  return contains(offer.name, "onednn:ref") || contains(offer.name, "onednn:gemm");
}

// f32 kernels for bf16 activations, conversions left to the plan: algorithms that bf16 lacks, and
// whatever there is where bf16 has nothing fast.
CpuOffers offers_in_f32(const CpuContext& context, const KernelQuery& query, ConvProblem problem,
                        bool all) {
  KernelQuery wide = query;
  problem.dtype = DType::f32;
  for (TensorDesc* desc : {&wide.inputs[0], &wide.output}) {
    desc->dtype = DType::f32;
    *desc = context.with_layout(*desc, desc->layout);
  }
  CpuOffers offers = offers_in_own_type(context, wide, problem);
  std::erase_if(offers, [&](const KernelOffer& offer) {
    return slow(offer) || (!all && !contains(offer.name, "wino") && !contains(offer.name, "own:"));
  });
  return offers;
}

// Measured on Zen 4: direct weight gradients run at 130-300 GFLOP/s on outputs of 2 x 2 and with
// strides up to 4 x 4, products at 430 and only over the taps inside the picture.
bool tap_gradient_pays(const ConvProblem& p) {
  const bool strided = p.stride[0] > 1 || p.stride[1] > 1;
  return p.x.c >= 64 && p.y.c >= 64 && p.y.spatial() <= (strided ? 16 : 4);
}

CpuOffers offers_in_bf16(const CpuContext& context, const KernelQuery& query,
                         const ConvProblem& problem) {
  CpuOffers offers = offers_in_own_type(context, query, problem);
  const bool fast = !offers.empty() && !slow(offers.front());
  const CpuOffers wide = offers_in_f32(context, query, problem, /*all=*/!fast);
  offers.insert(fast ? offers.end() : offers.begin(), wide.begin(), wide.end());
  if (auto taps = tap_gradient_offer(context, query, problem)) {
    offers.insert(tap_gradient_pays(problem) ? offers.begin() : offers.end(), std::move(*taps));
  }
  return offers;
}

}  // namespace

CpuOffers convolution_offers(const CpuContext& context, const KernelQuery& query,
                             const ConvProblem& problem) {
  if (problem.dtype == DType::f32) return offers_in_own_type(context, query, problem);
  CpuOffers offers = offers_in_bf16(context, query, problem);
  if (query.pass != Pass::forward || query.mode != Mode::train || offers.empty()) return offers;
  // Weights are converted before use anyway: keep them as their gradient is written.
  KernelQuery gradient = query;
  gradient.pass = Pass::backward_weights;
  gradient.inputs[0] = context.with_layout(query.inputs[0], offers.front().inputs[0].layout);
  gradient.output = context.with_layout(query.output, offers.front().output.layout);
  const CpuOffers writers = offers_in_bf16(context, gradient, problem);
  for (KernelOffer& offer : offers) {
    if (!writers.empty()) offer.kept_layouts = {writers.front().params[0].layout};
  }
  return offers;
}

}  // namespace daybreak
