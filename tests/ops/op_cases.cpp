#include "op_cases.h"

#include "op_cases_detail.h"

namespace daybreak {

void PrintTo(const OpCase& op_case, std::ostream* out) {
  *out << op_case.name;
}

std::vector<OpKind> all_op_kinds() {
  std::vector<OpKind> kinds;
  for (int i = 0; i <= static_cast<int>(OpKind::topk_count); ++i) {
    kinds.push_back(static_cast<OpKind>(i));
  }
  return kinds;
}

std::vector<OpCase> cases(OpKind kind) {
  switch (kind) {
    case OpKind::input_u8:
      return detail::input_u8_cases();
    case OpKind::conv2d:
      return detail::conv2d_cases();
    case OpKind::conv2d_transpose:
      return detail::conv2d_transpose_cases();
    case OpKind::linear:
      return detail::linear_cases();
    case OpKind::batchnorm:
      return detail::batchnorm_cases();
    case OpKind::instancenorm:
      return detail::instancenorm_cases();
    case OpKind::act:
      return detail::act_cases();
    case OpKind::softmax:
      return detail::softmax_cases();
    case OpKind::dropout:
      return detail::dropout_cases();
    case OpKind::pool:
      return detail::pool_cases();
    case OpKind::adaptive_avgpool:
      return detail::adaptive_avgpool_cases();
    case OpKind::upsample:
      return detail::upsample_cases();
    case OpKind::pad:
      return detail::pad_cases();
    case OpKind::add:
      return detail::add_cases();
    case OpKind::concat:
      return detail::concat_cases();
    case OpKind::multiply:
      return detail::multiply_cases();
    case OpKind::slice:
      return detail::slice_cases();
    case OpKind::reorg:
      return detail::reorg_cases();
    case OpKind::reshape:
      return detail::reshape_cases();
    case OpKind::softmax_xent:
      return detail::softmax_xent_cases();
    case OpKind::hinge:
      return detail::hinge_cases();
    case OpKind::distance:
      return detail::distance_cases();
    case OpKind::bce:
      return detail::bce_cases();
    case OpKind::region_loss:
      return detail::region_loss_cases();
    case OpKind::yolo_loss:
      return detail::yolo_loss_cases();
    case OpKind::ssd_loss:
      return detail::ssd_loss_cases();
    case OpKind::topk_count:
      return detail::topk_count_cases();
  }
  return {};
}

std::vector<OpCase> all_cases(LargeCases large) {
  std::vector<OpCase> all;
  for (const OpKind kind : all_op_kinds()) {
    for (OpCase& one : cases(kind)) {
      if (one.large && large == LargeCases::without) continue;
      one.name = std::string(to_string(kind)) + "_" + one.name;
      all.push_back(std::move(one));
    }
  }
  return all;
}

}  // namespace daybreak
