// SSD's loss over all its maps, in double, one block a picture: the first kernel matches anchors
// and truths, because the loss is divided by the positives of the whole batch; the second computes
// losses and gradients and picks the hard negatives by counting, so nothing is sorted and nothing
// is atomic; the third adds the pictures. The maps are small beside the convolutions before them.

#include <memory>
#include <vector>

#include "ops/head_loss_cuda.cuh"
#include "ops/ssd_loss_math.h"

namespace daybreak::cuda {
namespace {

constexpr int kMaxMaps = 16;

/// What is known when the kernel is made.
struct SsdSetup {
  int samples = 1, truths = 1, classes = 1, places = 0, maps = 0;
  double match_iou = 0.5, negatives = 3.0;
  std::int64_t starts[kMaxMaps + 1] = {};  ///< of the maps' gradients in aux
};

/// Pointers of a call. Work of a picture: a key and a truth an anchor, the best anchor of a truth.
struct SsdCall {
  SsdSetup s;
  const SsdPlace* place;
  const float* x[kMaxMaps];
  const float* boxes;
  float* gradients;         // null: not wanted
  std::uint64_t* keys;      // [samples, places] of the background's loss; 0: learns a truth
  double* losses;           // [samples]
  std::int32_t* match;      // [samples, places]; -1: the background
  std::int32_t* forced;     // [samples, truths]
  std::int32_t* positives;  // [samples]

  __device__ const float* row(int n, int m) const {
    return boxes + (static_cast<std::int64_t>(n) * s.truths + m) * 5;
  }
  __device__ const float* numbers(int n, const SsdPlace& p) const {
    return x[p.map] + n * p.per_sample + p.offset;
  }
  __device__ float* gradient(int n, const SsdPlace& p) const {
    if (gradients == nullptr) return nullptr;
    return gradients + s.starts[p.map] + n * p.per_sample + p.offset;
  }
};

/// The sum over the block, on every thread.
template <class T>
__device__ __forceinline__ T block_total(T v, T* shared) {
  v = block_sum(v, shared);
  __syncthreads();  // the sums of the warps have been read
  if (threadIdx.x == 0) shared[0] = v;
  __syncthreads();
  return shared[0];
}

__device__ double overlap_of(const SsdPlace& place, const float* row) {
  return iou_of<double>({place.cx, place.cy, place.w, place.h}, ssd_box(row));
}

/// The anchor that fits a truth best, the first of equals; -1: none. Valid on thread 0.
__device__ int best_place(const SsdCall& call, const float* row, double* overlaps, int* where) {
  double best = -1.0;
  int at = -1;
  for (int p = threadIdx.x; p < call.s.places; p += blockDim.x) {
    const double overlap = overlap_of(call.place[p], row);
    if (overlap > best) best = overlap, at = p;
  }
  __syncthreads();  // the last truth's values have been read
  overlaps[threadIdx.x] = best;
  where[threadIdx.x] = at;
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) >= half) continue;
    const double other = overlaps[threadIdx.x + half];
    const int place = where[threadIdx.x + half];
    const bool earlier = other == overlaps[threadIdx.x] && place < where[threadIdx.x];
    if (other > overlaps[threadIdx.x] || earlier) {
      overlaps[threadIdx.x] = other;
      where[threadIdx.x] = place;
    }
  }
  return threadIdx.x == 0 ? where[0] : -1;  // it has written it; nobody waits for that
}

__global__ void __launch_bounds__(kThreads) ssd_match_kernel(SsdCall call) {
  __shared__ double overlaps[kThreads];
  __shared__ int where[kThreads];
  __shared__ int shared[kWarp];
  const int n = blockIdx.x;
  const SsdSetup& s = call.s;
  std::int32_t* match = call.match + static_cast<std::int64_t>(n) * s.places;
  std::int32_t* forced = call.forced + static_cast<std::int64_t>(n) * s.truths;
  for (int p = threadIdx.x; p < s.places; p += blockDim.x) {
    double best = -1.0;
    int truth = -1;
    for (int m = 0; m < s.truths; ++m) {
      if (!ssd_is_used(call.row(n, m))) continue;
      const double overlap = overlap_of(call.place[p], call.row(n, m));
      if (!(overlap > best)) continue;
      best = overlap;
      if (overlap >= s.match_iou) truth = m;
    }
    match[p] = truth;
  }
  for (int m = 0; m < s.truths; ++m) {
    if (!ssd_is_used(call.row(n, m))) continue;  // the same for all threads
    const int at = best_place(call, call.row(n, m), overlaps, where);
    if (threadIdx.x == 0) forced[m] = at;
  }
  __syncthreads();
  if (threadIdx.x == 0) {  // in order: the last truth wins a clash
    for (int m = 0; m < s.truths; ++m) {
      if (ssd_is_used(call.row(n, m)) && forced[m] >= 0) match[forced[m]] = m;
    }
  }
  __syncthreads();
  int positives = 0;
  for (int p = threadIdx.x; p < s.places; p += blockDim.x) positives += match[p] >= 0 ? 1 : 0;
  positives = block_sum(positives, shared);
  if (threadIdx.x == 0) call.positives[n] = positives;
}

/// Losses and gradients of a picture's positives; keys of the others. A category that is not there
/// makes the loss NaN, which ends the training.
__device__ double learn_truths(const SsdCall& call, int n, double scale, int& background) {
  const SsdSetup& s = call.s;
  const std::int64_t first = static_cast<std::int64_t>(n) * s.places;
  const int outputs = 1 + s.classes;
  double sum = 0.0;
  for (int p = threadIdx.x; p < s.places; p += blockDim.x) {
    const SsdPlace& place = call.place[p];
    const float* x = call.numbers(n, place);
    float* g = call.gradient(n, place);
    for (int c = 0; g && c < 4 + outputs; ++c) g[c * place.stride] = 0.0f;
    const int m = call.match[first + p];
    if (m < 0) {
      ++background;
      call.keys[first + p] = ssd_order_key(
          ssd_class_loss(x + 4 * place.stride, place.stride, outputs, 0, 0.0, nullptr));
      continue;
    }
    call.keys[first + p] = 0;
    const float* row = call.row(n, m);
    if (!(row[0] < static_cast<float>(s.classes))) {
      sum += nan("");
      continue;
    }
    sum += ssd_box_loss(place, x, ssd_box(row), scale, g);
    sum += ssd_class_loss(x + 4 * place.stride, place.stride, outputs, static_cast<int>(row[0]) + 1,
                          scale, g ? g + 4 * place.stride : nullptr);
  }
  return sum;
}

__global__ void __launch_bounds__(kThreads) ssd_loss_kernel(SsdCall call) {
  __shared__ int counts[kWarp];
  __shared__ double sums[kWarp];
  const int n = blockIdx.x;
  const SsdSetup& s = call.s;
  int positives = 0;
  for (int i = threadIdx.x; i < s.samples; i += blockDim.x) positives += call.positives[i];
  positives = block_total(positives, counts);
  const double scale = 1.0 / (positives > 1 ? positives : 1);
  int background = 0;
  double sum = learn_truths(call, n, scale, background);
  background = block_total(background, counts);  // and all keys are written
  const std::uint64_t* keys = call.keys + static_cast<std::int64_t>(n) * s.places;
  const double hard = s.negatives * call.positives[n];
  const std::int64_t wanted = hard < background ? static_cast<std::int64_t>(hard) : background;
  if (wanted > 0) {
    const auto count = [&](std::uint64_t at_least, std::int64_t below) -> std::int64_t {
      int found = 0;
      for (int p = threadIdx.x; p < s.places; p += blockDim.x) {
        found += keys[p] > at_least || (keys[p] == at_least && p < below) ? 1 : 0;
      }
      return block_total(found, counts);
    };
    const SsdSelection chosen = ssd_select(wanted, s.places, count);
    for (int p = threadIdx.x; p < s.places; p += blockDim.x) {
      if (keys[p] == 0 || !chosen.has(keys[p], p)) continue;
      const SsdPlace& place = call.place[p];
      float* g = call.gradient(n, place);
      sum += ssd_class_loss(call.numbers(n, place) + 4 * place.stride, place.stride, 1 + s.classes,
                            0, scale, g ? g + 4 * place.stride : nullptr);
    }
  }
  sum = block_sum(sum, sums);
  if (threadIdx.x == 0) call.losses[n] = sum * scale;
}

__global__ void ssd_total_kernel(const double* losses, int samples, float* y) {
  __shared__ double shared[kWarp];
  double sum = 0.0;
  for (int i = threadIdx.x; i < samples; i += blockDim.x) sum += losses[i];
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) *y = static_cast<float>(sum);
}

/// Offsets of what a call keeps in its workspace.
struct SsdRoom {
  std::size_t losses = 0, match = 0, forced = 0, positives = 0, bytes = 0;

  explicit SsdRoom(const SsdSetup& s) {
    const auto samples = static_cast<std::size_t>(s.samples);
    const std::size_t places = samples * static_cast<std::size_t>(s.places);
    losses = aligned(places * sizeof(std::uint64_t));
    match = losses + aligned(samples * sizeof(double));
    forced = match + aligned(places * sizeof(std::int32_t));
    positives = forced + aligned(samples * static_cast<std::size_t>(s.truths) * 4);
    bytes = positives + samples * sizeof(std::int32_t);
  }
};

void run_forward(const Context& context, const SsdSetup& s, const SsdPlace* places,
                 const Bindings& b) {
  const SsdRoom room(s);
  std::byte* workspace = workspace_begin(b.workspace);
  SsdCall call{};
  call.s = s;
  call.place = places;
  for (int k = 0; k < s.maps; ++k) call.x[k] = as<const float>(b.x[k]);
  call.boxes = as<const float>(b.x[s.maps]);
  call.gradients = as<float>(b.aux);
  call.keys = as<std::uint64_t>(workspace);
  call.losses = as<double>(workspace + room.losses);
  call.match = as<std::int32_t>(workspace + room.match);
  call.forced = as<std::int32_t>(workspace + room.forced);
  call.positives = as<std::int32_t>(workspace + room.positives);
  const cudaStream_t stream = context.stream();
  ssd_match_kernel<<<s.samples, kThreads, 0, stream>>>(call);
  check_launch("ssd match kernel");
  ssd_loss_kernel<<<s.samples, kThreads, 0, stream>>>(call);
  check_launch("ssd loss kernel");
  ssd_total_kernel<<<1, kThreads, 0, stream>>>(call.losses, s.samples, as<float>(b.y));
  check_launch("ssd total kernel");
}

void run_backward(const Context& context, const SsdSetup& s, const Bindings& b) {
  for (int k = 0; k < s.maps; ++k) {
    float* dx = entry<float>(b.dx, static_cast<std::size_t>(k));
    if (dx == nullptr) continue;
    const std::int64_t count = s.starts[k + 1] - s.starts[k];
    scale_saved_kernel<<<loop_blocks(count), kThreads, 0, context.stream()>>>(
        as<const float>(b.aux) + s.starts[k], as<const float>(b.dy), dx, count);
    check_launch("ssd gradient kernel");
  }
}

SsdSetup ssd_setup(const SsdLoss& op, const KernelQuery& query) {
  SsdSetup s;
  s.maps = static_cast<int>(op.maps.size());
  for (int k = 0; k < s.maps; ++k) s.starts[k + 1] = s.starts[k] + query.inputs[k].shape.count();
  s.samples = query.inputs[0].shape.n, s.truths = query.inputs.back().shape.c;
  s.classes = op.classes, s.match_iou = op.match_iou, s.negatives = op.negatives;
  return s;
}

}  // namespace

Offers ssd_loss_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason)) return {};
  const auto& op = static_cast<const SsdLoss&>(*query.op);
  std::vector<Shape> shapes;
  for (std::size_t k = 0; k < op.maps.size(); ++k) {
    if (!rows_fit(query.inputs[k].shape, reason)) return {};
    shapes.push_back(query.inputs[k].shape);
  }
  if (op.maps.size() > kMaxMaps) {
    refuse(reason, "an SSD head of more than " + std::to_string(kMaxMaps) + " maps");
    return {};
  }
  SsdSetup setup = ssd_setup(op, query);
  const std::vector<SsdPlace> places = ssd_places(op, shapes);
  setup.places = static_cast<int>(places.size());
  KernelOffer offer;
  offer.name = "own:ssd_loss";
  for (const TensorDesc& input : query.inputs) {
    offer.inputs.push_back(plain_desc(input.shape, DType::f32));
  }
  offer.output = plain_desc(query.output.shape, DType::f32);
  if (query.pass != Pass::forward) {
    offer.reads = {.aux = true};
    offer.make = [&context, setup, name = query_name(query)] {
      return make_run_kernel(name,
                             [=, &context](const Bindings& b) { run_backward(context, setup, b); });
    };
    return {offer};
  }
  offer.workspace_bytes = workspace_room(SsdRoom(setup).bytes);
  if (query.mode == Mode::train) {
    offer.aux_bytes = static_cast<std::size_t>(setup.starts[setup.maps]) * sizeof(float);
  }
  offer.make = [&context, setup, places, name = query_name(query)] {
    auto table = std::make_shared<DeviceBuffer>(upload_vector(context, places));
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      run_forward(context, setup, table->as<const SsdPlace>(), b);
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
