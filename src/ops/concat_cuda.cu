// Operations that move numbers: concat, reshape, and pictures of bytes to normalised numbers.

#include <vector>

#include "backend/cuda/device.cuh"
#include "backend/cuda/kernel.h"
#include "backend/cuda/offers.h"
#include "ops/concat.h"
#include "ops/input_u8.h"

namespace daybreak::cuda {
namespace {

/// Copies a [rows, width] matrix between matrices of wider rows; extents in elements of Word.
template <class Word>
__global__ void copy_columns_kernel(const Word* from, Word* to, int rows, int width,
                                    int from_stride, int to_stride) {
  const int row = launch_row(), column = launch_column();
  if (row >= rows || column >= width) return;
  to[static_cast<std::int64_t>(row) * to_stride + column] =
      from[static_cast<std::int64_t>(row) * from_stride + column];
}

/// One input of a concat: its stretch of the output's channels.
struct Stretch {
  int begin, channels;
};

struct ConcatCall {
  std::vector<Stretch> stretches;
  int rows, channels;
  bool forward, wide;  ///< wide: every stretch is a whole number of 16-byte words
};

template <class Word>
void launch_copies(const Context& context, const ConcatCall& call, int per_word,
                   const Bindings& b) {
  for (std::size_t i = 0; i < call.stretches.size(); ++i) {
    const int width = call.stretches[i].channels / per_word;
    const int begin = call.stretches[i].begin / per_word, all = call.channels / per_word;
    const RowLaunch launch = row_launch(call.rows, width);
    if (call.forward) {
      copy_columns_kernel<Word><<<launch.grid, launch.block, 0, context.stream()>>>(
          as<const Word>(b.x[i]), as<Word>(b.y) + begin, call.rows, width, width, all);
    } else if (Word* dx = entry<Word>(b.dx, i)) {
      copy_columns_kernel<Word><<<launch.grid, launch.block, 0, context.stream()>>>(
          as<const Word>(b.dy) + begin, dx, call.rows, width, all, width);
    }
    check_launch("concat kernel");
  }
}

/// One thread per channel of a pixel; mean and 1 / std come from a table of 2 * channels floats.
template <class T>
__global__ void input_u8_kernel(const std::uint8_t* x, T* y, std::int64_t count, int channels,
                                float scale, bool reverse, const float* table) {
  for (std::int64_t i = loop_begin(); i < count; i += loop_stride()) {
    const int c = static_cast<int>(i % channels);
    const std::int64_t from = reverse ? i - c + (channels - 1 - c) : i;
    const float value = static_cast<float>(x[from]) * scale;
    y[i] = from_float<T>((value - table[c]) / table[channels + c]);
  }
}

}  // namespace

Offers concat_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (!float_types(query, reason) || !rows_fit(query.output.shape, reason)) return {};
  const DType dtype = query.inputs[0].dtype;
  KernelOffer offer = nhwc_offer(query, "own:concat");
  for (TensorDesc& input : offer.inputs) input = make_desc(input.shape, dtype, kNhwc);
  offer.output = make_desc(query.output.shape, dtype, kNhwc);
  ConcatCall call;
  const Shape& y = query.output.shape;
  call.rows = y.n * y.h * y.w;
  call.channels = y.c;
  call.forward = query.pass == Pass::forward;
  call.wide = true;
  const int per_word = 16 / static_cast<int>(element_size(dtype));
  int begin = 0;
  for (const TensorDesc& input : query.inputs) {
    call.stretches.push_back({begin, input.shape.c});
    begin += input.shape.c;
    call.wide = call.wide && input.shape.c % per_word == 0;
  }
  offer.make = [&context, call, per_word, narrow = element_size(dtype) == 2,
                name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      if (call.wide) return launch_copies<uint4>(context, call, per_word, b);
      if (narrow) return launch_copies<std::uint16_t>(context, call, 1, b);
      launch_copies<std::uint32_t>(context, call, 1, b);
    });
  };
  return {offer};
}

Offers reshape_offers(Context& context, const KernelQuery& query, std::string*) {
  KernelOffer offer;
  offer.name = "copy";
  offer.inputs = {plain(query.inputs[0])};
  offer.output = make_desc(query.output.shape, query.inputs[0].dtype, kNchw);
  offer.in_place = true;
  offer.make = [&context, bytes = offer.output.bytes, forward = query.pass == Pass::forward,
                name = query_name(query)] {
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      std::byte* from = forward ? b.x[0] : b.dy;
      std::byte* to = forward ? b.y : entry<std::byte>(b.dx, 0);
      if (to == nullptr || to == from) return;
      check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, context.stream()),
            "cudaMemcpyAsync");
    });
  };
  return {offer};
}

Offers input_u8_offers(Context& context, const KernelQuery& query, std::string* reason) {
  if (query.inputs[0].dtype != DType::u8 || !is_float(query.output.dtype)) {
    refuse(reason, "pictures must be bytes, numbers f32, bf16 or f16");
    return {};
  }
  const auto& op = static_cast<const InputU8&>(*query.op);
  const int channels = query.output.shape.c;
  std::vector<float> numbers(op.mean.begin(), op.mean.end());
  numbers.insert(numbers.end(), op.std.begin(), op.std.end());
  KernelOffer offer = nhwc_offer(query, "own:input_u8");
  offer.make = [&context, numbers, channels, scale = op.scale, reverse = op.reverse_channels,
                count = query.output.shape.count(), dtype = query.output.dtype,
                name = query_name(query)] {
    std::shared_ptr<DeviceBuffer> table =
        std::make_shared<DeviceBuffer>(upload_vector(context, numbers));
    return make_run_kernel(name, [=, &context](const Bindings& b) {
      dispatch_float(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        input_u8_kernel<T><<<loop_blocks(count), kThreads, 0, context.stream()>>>(
            as<const std::uint8_t>(b.x[0]), as<T>(b.y), count, channels, scale, reverse,
            table->as<const float>());
        check_launch("input kernel");
      });
    });
  };
  return {offer};
}

}  // namespace daybreak::cuda
