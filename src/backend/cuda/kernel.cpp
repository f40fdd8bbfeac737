#include "backend/cuda/kernel.h"

#include <limits>

namespace daybreak::cuda {

std::string query_name(const KernelQuery& query) {
  return query.op->describe() + " " + std::string(to_string(query.pass));
}

TensorDesc make_desc(const Shape& shape, DType dtype, Layout layout) {
  TensorDesc desc = plain_desc(shape, dtype);
  desc.layout = layout;
  return desc;
}

TensorDesc nhwc(const TensorDesc& desc) {
  return make_desc(desc.shape, desc.dtype, kNhwc);
}
TensorDesc plain(const TensorDesc& desc) {
  return make_desc(desc.shape, desc.dtype, kNchw);
}

bool same_order(const TensorDesc& a, const TensorDesc& b) {
  return a.shape == b.shape && (a.layout == b.layout || a.shape.c == 1 || a.shape.spatial() == 1);
}

KernelOffer nhwc_offer(const KernelQuery& query, std::string name) {
  KernelOffer offer;
  offer.name = std::move(name);
  for (const TensorDesc& input : query.inputs) offer.inputs.push_back(nhwc(input));
  offer.output = nhwc(query.output);
  for (const TensorDesc& param : query.params) offer.params.push_back(plain(param));
  return offer;
}

bool float_types(const KernelQuery& query, std::string* reason) {
  const auto bad = [&](DType type, const char* what) {
    if (is_float(type)) return false;
    refuse(reason, std::string(what) + " of type " + to_string(type) +
                       "; the cuda backend computes in f32, bf16 and f16");
    return true;
  };
  if (!query.inputs.empty() && bad(query.inputs[0].dtype, "input")) return false;
  if (bad(query.output.dtype, "output")) return false;
  for (const TensorDesc& param : query.params) {
    if (bad(param.dtype, "parameter")) return false;
  }
  return true;
}

bool rows_fit(const Shape& shape, std::string* reason) {
  const std::int64_t rows = static_cast<std::int64_t>(shape.n) * shape.h * shape.w;
  if (rows <= std::numeric_limits<int>::max() / 2) return true;
  refuse(reason, "more than 2^30 pixels in a batch");
  return false;
}

}  // namespace daybreak::cuda
