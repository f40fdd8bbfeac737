#include "plan/tune_key.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/conv2d_transpose.h"
#include "ops/linear.h"

namespace daybreak {
namespace {

template <typename Conv>
std::string window_text(const Conv& op) {
  return fmt::format("{}x{} stride {}x{} pad {}x{} dilation {}x{} groups {}{}", op.kernel_h,
                     op.kernel_w, op.stride_h, op.stride_w, op.pad_h, op.pad_w, op.dilation_h,
                     op.dilation_w, op.groups, op.bias ? " bias" : "");
}

std::string op_text(const Op& op) {
  switch (op.kind()) {
    case OpKind::conv2d:
      return "conv2d " + window_text(static_cast<const Conv2d&>(op));
    case OpKind::conv2d_transpose: {
      const auto& conv = static_cast<const Conv2dTranspose&>(op);
      return fmt::format("conv2d_transpose {} output_pad {}x{}", window_text(conv),
                         conv.output_pad_h, conv.output_pad_w);
    }
    case OpKind::linear:
      return fmt::format("linear{}", static_cast<const Linear&>(op).bias ? " bias" : "");
    case OpKind::batchnorm:
      return op.describe() + (static_cast<const BatchNorm&>(op).measured ? ", measured" : "");
    default:
      return std::string(to_string(op.kind()));
  }
}

std::string desc_text(const Backend& backend, const TensorDesc& desc) {
  return fmt::format("{}x{}x{}x{}:{}:{}", desc.shape.n, desc.shape.c, desc.shape.h, desc.shape.w,
                     to_string(desc.dtype), backend.layout_name(desc.layout));
}

}  // namespace

bool tunable(const Op& op) {
  return op.kind() == OpKind::conv2d || op.kind() == OpKind::conv2d_transpose ||
         op.kind() == OpKind::linear;
}

std::string tune_key(const Backend& backend, const KernelQuery& query) {
  std::string key = fmt::format("{}, {}, {}", op_text(*query.op), to_string(query.pass),
                                query.mode == Mode::train ? "train" : "eval");
  const bool gives = query.op->statistics() == Statistics::given;
  if (gives && query.pass == Pass::forward) key += " with statistics";
  for (const TensorDesc& desc : query.inputs) key += ", x " + desc_text(backend, desc);
  key += ", y " + desc_text(backend, query.output);
  for (const TensorDesc& desc : query.params) key += ", w " + desc_text(backend, desc);
  if (query.op->kind() == OpKind::conv2d) {
    const auto& conv = static_cast<const Conv2d&>(*query.op);
    if (conv.act.kind != ActKind::none) key += fmt::format(", then {}", to_string(conv.act.kind));
    if (conv.chain && query.pass == Pass::backward_data) key += ", summed up for a norm";
    if (conv.loads && query.pass != Pass::backward_data) key += ", norm on load";
  }
  if (!query.params_fixed) key += " (free)";
  return key;
}

std::vector<std::string> offer_names(const Backend& backend,
                                     const std::vector<KernelOffer>& offers) {
  std::vector<std::string> names;
  for (const KernelOffer& offer : offers) {
    std::string name = offer.name;
    for (const TensorDesc& desc : offer.inputs) name += " x " + backend.layout_name(desc.layout);
    name += " y " + backend.layout_name(offer.output.layout);
    if (!offer.params.empty()) name += " w " + backend.layout_name(offer.params[0].layout);
    names.push_back(std::move(name));
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto before =
        std::count(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]);
    if (before > 0) names[i] += fmt::format(" #{}", before + 1);
  }
  return names;
}

}  // namespace daybreak
