#include "backend/cpu/winograd/winograd.h"

#include <algorithm>
#include <string>

#include "backend/cpu/kernel.h"
#include "backend/cpu/layouts.h"
#include "backend/cpu/winograd/kernels.h"
#include "core/parallel.h"

namespace daybreak {
namespace {

using namespace winograd;  // Kind, Kernels and the jobs

// Parts of the intermediate tensors that one thread works on should stay in its second-level cache.
constexpr std::int64_t kSpreadBytes = 512 << 10;   // transformed tiles
constexpr std::int64_t kFilterBytes = 320 << 10;   // transformed weights, or their gradients
constexpr std::int64_t kProductBytes = 256 << 10;  // products of a group of outputs
// Transformed tiles of x and dy that the team shares: as much as the weights' gradient, to which
// each group adds.
constexpr std::int64_t kSharedBytes = 1 << 20, kSharedBytesMost = 16 << 20;
// A larger workspace than this means pictures too large for whole samples at a time.
constexpr std::int64_t kWorkspaceLimit = 256 << 20;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Runs body(share, begin, end) once for every thread: the items are of equal cost.
template <typename Body>
void share(std::int64_t items, int threads, Body&& body) {
  const std::int64_t grain = divide_up(items, threads);
  parallel_for(items, grain,
               [&](std::int64_t begin, std::int64_t end) { body(begin / grain, begin, end); });
}

template <typename Job>
using Run = void (*)(const Job&, std::int64_t begin, std::int64_t end);

template <typename Job>
void share(std::int64_t items, int threads, Run<Job> run, const Job& job) {
  share(items, threads,
        [&](std::int64_t, std::int64_t begin, std::int64_t end) { run(job, begin, end); });
}

// One pass of one convolution. Forward spreads x and gathers y, backward-data the other way round:
// `summed` channels are summed up, `made` come out. With more weights than pixels all tiles are
// transformed first; then every thread takes panels of outputs and transforms their weights piece
// by piece. Otherwise it is the weights first, and every thread takes samples. Counts are in words
// of 32 bits.
class Winograd {
 public:
  Winograd(const ConvProblem& problem, Pass pass, Kind kind)
      : pass_(pass),
        bf16_(problem.dtype == DType::bf16),
        k_(kernels(kind, bf16_)),
        threads_(compute_threads()),
        samples_(problem.x.n),
        ic_(problem.x.c),
        oc_(problem.y.c) {
    const int rows = static_cast<int>(divide_up(problem.y.h, k_.outputs));
    const int columns = static_cast<int>(divide_up(problem.y.w, k_.outputs));
    const auto tiling = [&](const Shape& s, int step, int pad) {
      return Tiling{s.n, s.c / 16, s.h, s.w, rows, columns, step, pad};
    };
    in_ = tiling(problem.x, k_.outputs * k_.stride, k_.pad);
    out_ = tiling(problem.y, k_.outputs, 0);
    if (pass == Pass::backward_weights) {
      plan_weights();
    } else {
      plan_data();
    }
  }

  std::int64_t workspace_bytes() const { return 4 * (shared_ + shared_too_ + threads_ * own_); }

  void run(const Bindings& b) const {
    if (pass_ == Pass::backward_weights) {
      if (entry(b.dw, 0)) weights(b);
      return;
    }
    std::byte* from = pass_ == Pass::forward ? b.x[0] : b.dy;
    std::byte* to = pass_ == Pass::forward ? b.y : (b.dx.empty() ? nullptr : b.dx[0]);
    if (!to) return;
    if (weights_inside_) {
      data_by_panels(from, to, as(b.w[0]), as(b.workspace));
    } else {
      data_by_samples(from, to, as(b.w[0]), as(b.workspace));
    }
  }

 private:
  std::int64_t squares() const { return std::int64_t{k_.products} * k_.products; }
  int per_word() const { return bf16_ ? 2 : 1; }
  std::int64_t tiles(std::int64_t samples) const { return samples * out_.rows * out_.columns; }
  // From one of the T^2 parts of an intermediate tensor to the next: an odd number of cache lines.
  static std::int64_t step(std::int64_t words) { return (divide_up(words, 16) | 1) * 16; }
  static int panel(std::int64_t columns) { return columns % 32 == 0 ? 32 : 16; }
  std::int64_t summed() const { return pass_ == Pass::backward_data ? oc_ : ic_; }
  std::int64_t made() const { return pass_ == Pass::backward_data ? ic_ : oc_; }
  const Tiling& source() const { return pass_ == Pass::forward ? in_ : out_; }
  const Tiling& target() const { return pass_ == Pass::forward ? out_ : in_; }

  // The part of a map [samples][blocks][h][w][16] that starts at a sample.
  std::byte* from_sample(std::byte* map, const Tiling& t, std::int64_t sample) const {
    return map + sample * t.blocks * t.height * t.width * 16 * (4 / per_word());
  }

  void plan_data() {
    const std::int64_t unit = panel(made());
    weights_inside_ = made() > tiles(samples_);
    if (weights_inside_) {
      group_ = samples_;
      piece_ = std::clamp(kFilterBytes / (squares() * unit * 4) * per_word() / 16 * 16,
                          std::int64_t{16}, summed());
      part_ = unit;
      shared_ = squares() * spread_step(summed(), samples_);
      filter_ = squares() * filter_step(piece_, unit);
    } else {
      const std::int64_t one = squares() * tiles(1) * summed() * 4 / per_word();
      group_ = std::clamp(kSpreadBytes / one, std::int64_t{1}, divide_up(samples_, threads_));
      piece_ = summed();
      const std::int64_t outputs = kProductBytes / (squares() * tiles(group_) * 4) / unit * unit;
      part_ = std::clamp(outputs, unit, made());
      shared_ = squares() * filter_step(summed(), made());
      filter_ = squares() * spread_step(summed(), group_);
    }
    products_ = squares() * product_step(part_, group_);
    const bool sums_apart = bf16_ && pass_ == Pass::backward_data && tiles(1) > 1;
    own_ = filter_ + products_ + (sums_apart ? std::int64_t{in_.height} * in_.width * 16 : 0);
  }

  std::int64_t spread_step(std::int64_t channels, std::int64_t samples) const {
    return step(channels * tiles(samples) / per_word());
  }
  std::int64_t filter_step(std::int64_t channels, std::int64_t outputs) const {
    return step(channels * outputs / per_word());
  }
  std::int64_t product_step(std::int64_t outputs, std::int64_t samples) const {
    return step(outputs * tiles(samples));
  }

  SpreadJob spread_job(const Tiling& tiling, std::byte* map, std::int64_t first, std::int64_t count,
                       float* words) const {
    SpreadJob job;
    job.tiling = tiling;
    job.tiling.images = count;
    job.map = from_sample(map, tiling, first);
    job.words = words;
    job.units = tiles(count);
    job.step = spread_step(tiling.blocks * 16, count);
    return job;
  }

  // Weights of `outputs` outputs from `first` on and of `entries` channels that are summed from
  // `sum` on.
  WeightJob weight_job(const float* weights, std::int64_t first, std::int64_t outputs,
                       std::int64_t sum, std::int64_t entries, float* words) const {
    const bool forward = pass_ == Pass::forward;
    WeightJob job;
    job.tap_stride = ic_ * oc_;
    job.lane_stride = forward ? 1 : oc_;
    job.sum_stride = forward ? oc_ : 1;
    job.weights = weights + first * job.lane_stride + sum * job.sum_stride;
    job.summed = entries / per_word();
    job.outputs = outputs;
    job.panel = panel(made());
    job.step = filter_step(entries, outputs);
    job.words = words;
    return job;
  }

  void gather(std::byte* map, std::int64_t first_sample, std::int64_t samples, std::int64_t first,
              std::int64_t channels, float* products) const {
    GatherJob job;
    job.tiling = target();
    job.products = products;
    job.tiles = tiles(samples);
    job.step = product_step(channels, samples);
    job.first_block = static_cast<int>(first / 16);
    job.block_count = static_cast<int>(channels / 16);
    job.map = from_sample(map, job.tiling, first_sample);
    job.scratch = products + products_;
    const auto run = pass_ == Pass::forward ? k_.gather_output : k_.gather_input;
    run(job, 0, samples * job.block_count);
  }

  // x [samples][summed] times the weights of `channels` outputs.
  ProductJob product_job(std::int64_t samples, std::int64_t channels) const {
    ProductJob job;
    job.rows = job.tiles = tiles(samples);
    job.columns = channels;
    job.panel = panel(made());
    job.a_step = spread_step(summed(), samples);
    job.c_step = product_step(channels, samples);
    return job;
  }

  void data_by_panels(std::byte* from, std::byte* to, const float* w, float* workspace) const {
    const SpreadJob job = spread_job(source(), from, 0, samples_, workspace);
    share(source().blocks * job.units, threads_,
          pass_ == Pass::forward ? k_.spread_input : k_.spread_output, job);
    share(made() / part_, threads_, [&](std::int64_t who, std::int64_t begin, std::int64_t end) {
      float* u = workspace + shared_ + who * own_;
      float* m = u + filter_;
      for (std::int64_t first = begin * part_; first < end * part_; first += part_) {
        for (std::int64_t sum = 0; sum < summed(); sum += piece_) {
          const std::int64_t entries = std::min(piece_, summed() - sum);
          k_.spread_weights(weight_job(w, first, part_, sum, entries, u), 0,
                            part_ / 16 * (entries / 16));
          ProductJob product = product_job(samples_, part_);
          product.summed = entries / per_word();
          product.a = workspace + sum * product.tiles / per_word();
          product.b = u;
          product.b_step = filter_step(entries, part_);
          product.c = m;
          product.accumulate = sum > 0;
          k_.multiply(product, 0, squares());
        }
        gather(to, 0, samples_, first, part_, m);
      }
    });
  }

  void data_by_samples(std::byte* from, std::byte* to, const float* w, float* workspace) const {
    share(made() / 16 * (summed() / 16), threads_, k_.spread_weights,
          weight_job(w, 0, made(), 0, summed(), workspace));
    const std::int64_t groups = divide_up(samples_, group_);
    const auto spread = pass_ == Pass::forward ? k_.spread_input : k_.spread_output;
    share(groups, threads_, [&](std::int64_t who, std::int64_t begin, std::int64_t end) {
      float* v = workspace + shared_ + who * own_;
      float* m = v + filter_;
      for (std::int64_t sample = begin * group_; sample < std::min(samples_, end * group_);
           sample += group_) {
        const std::int64_t count = std::min(group_, samples_ - sample);
        const SpreadJob job = spread_job(source(), from, sample, count, v);
        spread(job, 0, source().blocks * job.units);
        for (std::int64_t first = 0; first < made(); first += part_) {
          const std::int64_t channels = std::min(part_, made() - first);
          ProductJob product = product_job(count, channels);
          product.summed = summed() / per_word();
          product.a = v;
          product.b = workspace + first * product.summed;
          product.b_step = filter_step(summed(), made());
          product.c = m;
          k_.multiply(product, 0, squares() * (channels / product.panel));
          gather(to, sample, count, first, channels, m);
        }
      }
    });
  }

  // Weight gradients sum over tiles; in bf16 two tiles make a word.
  std::int64_t tile_words(std::int64_t samples) const {
    return divide_up(tiles(samples), per_word());
  }

  void plan_weights() {
    const std::int64_t word = 4 / per_word();
    const std::int64_t one = squares() * tiles(1) * (ic_ + oc_) * word;
    weights_inside_ = ic_ * oc_ > tiles(samples_) * (ic_ + oc_);
    const std::int64_t bytes =
        std::clamp(squares() * ic_ * oc_ * 4, kSharedBytes, kSharedBytesMost);
    group_ = weights_inside_ ? samples_ : std::clamp(bytes / one, std::int64_t{1}, samples_);
    part_ = weights_inside_ ? panel(oc_) : oc_;
    piece_ = weights_inside_ ? std::clamp(kFilterBytes / (squares() * part_ * 4) / 16 * 16,
                                          std::int64_t{16}, ic_)
                             : ic_;
    shared_ = squares() * step(ic_ * tile_words(group_));
    shared_too_ = squares() * step(oc_ * tile_words(group_));
    own_ = squares() * step(piece_ * part_);
    if (!weights_inside_) own_ = divide_up(own_, threads_);  // one for all
  }

  void spread_pairs(const Tiling& tiling, std::byte* map, std::int64_t first, std::int64_t count,
                    float* words, Run<SpreadJob> kernel) const {
    SpreadJob job = spread_job(tiling, map, first, count, words);
    job.pairs = bf16_;
    job.units = tile_words(count);
    job.step = step(tiling.blocks * 16 * job.units);
    share(tiling.blocks * job.units, threads_, kernel, job);
  }

  void weights(const Bindings& b) const {
    float* v = as(b.workspace);
    float* z = v + shared_;
    float* d = z + shared_too_;
    for (std::int64_t sample = 0; sample < samples_; sample += group_) {
      const std::int64_t count = std::min(group_, samples_ - sample);
      spread_pairs(in_, b.x[0], sample, count, v, k_.spread_input);
      spread_pairs(out_, b.dy, sample, count, z, k_.spread_output);
      ProductJob job;
      job.rows = piece_;
      job.summed = job.tiles = tile_words(count);
      job.columns = part_;
      job.panel = panel(oc_);
      job.a = v;
      job.b = z;
      job.c = d;
      job.a_step = step(ic_ * job.tiles);
      job.b_step = step(oc_ * job.tiles);
      job.c_step = step(piece_ * part_);
      job.accumulate = sample > 0;
      if (weights_inside_) {
        weights_by_blocks(job, as(b.dw[0]));
        continue;
      }
      share(squares() * (oc_ / job.panel), threads_, k_.multiply_weights, job);
      if (sample + count < samples_) continue;
      share(ic_ * (oc_ / 16), threads_, k_.gather_weights,
            WeightGradientJob{d, job.c_step, ic_, oc_, as(b.dw[0]), ic_ * oc_, oc_});
    }
  }

  // Blocks of `piece_` channels of x times a panel of channels of y, each finished by one thread.
  void weights_by_blocks(const ProductJob& all, float* dw) const {
    const std::int64_t row_blocks = divide_up(ic_, piece_), panels = oc_ / part_;
    share(
        row_blocks * panels, threads_, [&](std::int64_t who, std::int64_t begin, std::int64_t end) {
          float* d = const_cast<float*>(all.c) + who * own_;
          for (std::int64_t item = begin; item < end; ++item) {
            const std::int64_t row = item % row_blocks * piece_, column = item / row_blocks * part_;
            ProductJob job = all;
            job.rows = std::min(piece_, ic_ - row);
            job.a += row * job.tiles;
            job.b += column * job.tiles;
            job.c = d;
            k_.multiply_weights(job, 0, squares());
            const WeightGradientJob gradient{
                d, job.c_step, job.rows, part_, dw + row * oc_ + column, ic_ * oc_, oc_};
            k_.gather_weights(gradient, 0, job.rows * (part_ / 16));
          }
        });
  }

  Pass pass_;
  bool bf16_;
  const Kernels& k_;
  int threads_;
  Tiling in_, out_;
  std::int64_t samples_, ic_, oc_;
  bool weights_inside_ = false;
  std::int64_t group_ = 1;  // samples that are transformed together
  std::int64_t piece_ =
      0;                   // summed channels (weights: channels of x) that are transformed together
  std::int64_t part_ = 0;  // outputs (weights: channels of y) that are computed together
  // Places in the workspace: shared tensors, then for every thread transformed operands, products
  // and sums.
  std::int64_t shared_ = 0, shared_too_ = 0, own_ = 0, filter_ = 0, products_ = 0;
};

bool suits(const ConvProblem& p) {
  if (p.transposed || p.groups != 1 || p.bias || p.w.h != 3 || p.w.w != 3) return false;
  if (p.x.c % 16 != 0 || p.y.c % 16 != 0) return false;
  for (int i = 0; i < 2; ++i) {
    if (p.dilation[i] != 1 || p.pad_before[i] != 1 || p.stride[i] != p.stride[0]) return false;
  }
  return p.dtype == DType::f32 || p.dtype == DType::bf16;
}

struct Choice {
  Kind kind;
  const char* name;
};

// The algorithms for a problem, the one with the fewest products first. None of those that round
// more than a direct convolution computes a forward pass in bf16: about 1 % of noise in every
// output, a new one whenever the weights move, is more than a network can fit. Seven steps of the
// seed network on one batch end at a loss of 0.87 with it, at 0.76 without, as in f32 (0.75); the
// same noise in gradients averages out (0.77).
std::vector<Choice> choices(const ConvProblem& p, Pass pass) {
  const int side = std::min(p.y.h, p.y.w);
  if (p.stride[0] == 1) {
    if (p.x.h == 2 && p.x.w == 2 && p.y.h == 2 && p.y.w == 2) return {{Kind::map2, "2x2"}};
  }
  if (p.dtype == DType::bf16 && pass == Pass::forward) return {};
  if (p.stride[0] == 1 && side >= 3) return {{Kind::f43, "4x4"}};
  if (p.stride[0] == 2) {
    const Choice two{Kind::strided2, "2x2/2"}, four{Kind::strided4, "4x4/2"};
    if (side >= 3) return {four, two};
    if (side == 2) return {two};
  }
  return {};
}

}  // namespace

bool has_winograd_kernels(bool bf16) {
  const bool f32 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return f32 && (!bf16 || __builtin_cpu_supports("avx512bf16"));
}

std::vector<KernelOffer> winograd_offers(const CpuContext& context, const KernelQuery& query,
                                         const ConvProblem& problem) {
  std::vector<KernelOffer> offers;
  if (context.block != 16 || !suits(problem)) return offers;
  if (!has_winograd_kernels(problem.dtype == DType::bf16)) return offers;
  for (const Choice& choice : choices(problem, query.pass)) {
    const Winograd kernel(problem, query.pass, choice.kind);
    if (kernel.workspace_bytes() > kWorkspaceLimit) continue;
    KernelOffer offer = own_offer(context, query, std::string("winograd_") + choice.name, kBlocked,
                                  [kernel](const Bindings& b) { kernel.run(b); });
    const Shape& w = query.params[0].shape;
    const dnnl::memory::desc hwio({w.n, w.c, w.h, w.w}, dnnl_type(DType::f32),
                                  dnnl::memory::format_tag::cdba);
    offer.params[0] = context.with_layout(query.params[0], context.layouts->find(hwio, w));
    offer.algorithm = KernelAlgorithm::winograd;
    offer.reads.inputs = query.pass == Pass::backward_weights;
    offer.workspace_bytes = static_cast<std::size_t>(kernel.workspace_bytes());
    offers.push_back(std::move(offer));
  }
  return offers;
}

}  // namespace daybreak
