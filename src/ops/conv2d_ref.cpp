#include "ops/conv2d.h"

#include "backend/ref/ref_kernel.h"
#include "backend/ref/ref_ops.h"
#include "ops/act_ref.h"
#include "ops/conv_ref.h"
#include "ops/moments_ref.h"

namespace daybreak {

namespace {

// What the norm in front starts with (Conv2d::chain).
template <typename T>
void sum_gradient(const Conv2d& op, const Shape& s, const Bindings& b) {
  const std::size_t first = op.bias ? 2 : 1;
  const T *x = as<T>(b.x[1]), *aux = as<T>(b.aux), *scale = as<T>(b.w[first]),
          *shift = as<T>(b.w[first + 1]), *gradient = as<T>(b.dx[0]);
  T* sums = as<T>(b.statistics);
  for (int c = 0; c < s.c; ++c) {
    double sum = 0.0, product = 0.0;
    for_each_of_channel(s, c, [&](auto i) {
      const double hat = (x[i] - aux[c]) * double{aux[s.c + c]};
      const double g = hat * scale[c] + shift[c] > 0.0 ? double{gradient[i]} : 0.0;
      sum += g;
      product += g * hat;
    });
    sums[c] = static_cast<T>(sum);
    sums[s.c + c] = static_cast<T>(product);
  }
}

// The input, or relu(norm(x)) of a norm that has left it to be made (Conv2d::loads).
template <typename T>
const T* loaded(const Conv2d& op, const Shape& s, const Bindings& b) {
  const T* x = as<T>(b.x[0]);
  if (!op.loads) return x;
  const T *mean = as<T>(b.aux), *inverse = mean + s.c, *scale = inverse + s.c, *shift = scale + s.c;
  T* made = as<T>(b.workspace);
  for (int c = 0; c < s.c; ++c) {
    for_each_of_channel(s, c, [&](auto i) {
      const double value = (x[i] - double{mean[c]}) * inverse[c] * scale[c] + shift[c];
      made[i] = static_cast<T>(act_value({ActKind::relu}, value));
    });
  }
  return made;
}

}  // namespace

std::vector<KernelOffer> conv2d_ref_offers(const KernelQuery& query) {
  const Conv2d op = static_cast<const Conv2d&>(*query.op);
  const ConvForm form{query.inputs[0].shape, query.output.shape, op.kernel_h, op.kernel_w,
                      op.stride_h,           op.stride_w,        op.pad_h,    op.pad_w,
                      op.dilation_h,         op.dilation_w,      op.groups};
  const std::size_t room =
      op.loads ? plain_desc(form.fine, ref_dtype(query)).bytes : std::size_t{0};
  if (query.pass == Pass::forward) {
    const bool measures = op.measures && query.mode == Mode::train;
    KernelOffer offer = ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* bias = op.bias ? as<T>(b.w[1]) : nullptr;
      coarse_from_fine(form, loaded<T>(op, form.fine, b), as<T>(b.w[0]), bias, as<T>(b.y));
      if (measures) write_statistics(form.coarse, as<T>(b.y), as<T>(b.statistics));
      if (!op.residual && op.act.kind == ActKind::none) return;
      T* y = as<T>(b.y);
      for (std::int64_t i = 0; i < form.coarse.count(); ++i) {
        const T sum = op.residual ? y[i] + as<T>(b.x[1])[i] : y[i];
        y[i] = static_cast<T>(act_value(op.act, sum));
      }
    });
    offer.workspace_bytes = room;
    return {offer};
  }
  if (query.pass == Pass::backward_data) {
    return {ref_offer(query, {}, [=]<typename T>(T, const Bindings& b) {
      const T* no_bias = nullptr;
      fine_from_coarse(form, as<T>(b.dy), as<T>(b.w[0]), no_bias, as<T>(b.dx[0]));
      if (op.chain) sum_gradient<T>(op, form.fine, b);
    })};
  }
  KernelOffer offer = ref_offer(query, op.backward_reads(), [=]<typename T>(T, const Bindings& b) {
    if (T* dw = entry<T>(b.dw, 0)) {
      weight_gradient(form, loaded<T>(op, form.fine, b), as<T>(b.dy), dw);
    }
    T* db = op.bias ? entry<T>(b.dw, 1) : nullptr;
    if (db) bias_gradient(form.coarse, as<T>(b.dy), db);
  });
  offer.workspace_bytes = room;
  return {offer};
}

}  // namespace daybreak
