#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "op_cases.h"

namespace daybreak::detail {

template <typename T, typename Configure>
OpCase make_case(std::string name, std::vector<Shape> inputs, Configure configure) {
  return {std::move(name),
          [configure]() -> std::unique_ptr<Op> {
            auto op = std::make_unique<T>();
            configure(*op);
            return op;
          },
          std::move(inputs)};
}

inline OpCase large(OpCase op_case) {
  op_case.large = true;
  return op_case;
}

std::vector<OpCase> conv2d_cases();
std::vector<OpCase> conv2d_transpose_cases();
std::vector<OpCase> linear_cases();
std::vector<OpCase> batchnorm_cases();
std::vector<OpCase> instancenorm_cases();
std::vector<OpCase> act_cases();
std::vector<OpCase> softmax_cases();
std::vector<OpCase> dropout_cases();
std::vector<OpCase> pool_cases();
std::vector<OpCase> adaptive_avgpool_cases();
std::vector<OpCase> upsample_cases();
std::vector<OpCase> pad_cases();
std::vector<OpCase> add_cases();
std::vector<OpCase> concat_cases();
std::vector<OpCase> multiply_cases();
std::vector<OpCase> reorg_cases();
std::vector<OpCase> slice_cases();
std::vector<OpCase> reshape_cases();
std::vector<OpCase> input_u8_cases();
std::vector<OpCase> softmax_xent_cases();
std::vector<OpCase> hinge_cases();
std::vector<OpCase> distance_cases();
std::vector<OpCase> bce_cases();
std::vector<OpCase> region_loss_cases();
std::vector<OpCase> yolo_loss_cases();
std::vector<OpCase> ssd_loss_cases();
std::vector<OpCase> topk_count_cases();

}  // namespace daybreak::detail
