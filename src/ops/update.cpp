#include "ops/update.h"

namespace daybreak {

int OptimizerAttrs::slots() const {
  switch (kind) {
    case OptimizerKind::sgd:
      return 1;
    case OptimizerKind::adagrad:
      return 1;
    case OptimizerKind::rmsprop:
      return centered ? 3 : 2;
    case OptimizerKind::adadelta:
      return 2;
    case OptimizerKind::adam:
      return 2;
  }
  return 0;
}

std::string_view to_string(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::sgd:
      return "sgd";
    case OptimizerKind::adagrad:
      return "adagrad";
    case OptimizerKind::rmsprop:
      return "rmsprop";
    case OptimizerKind::adadelta:
      return "adadelta";
    case OptimizerKind::adam:
      return "adam";
  }
  return "?";
}

}  // namespace daybreak
