#include "data/opencv_setup.h"

#include <mutex>
#include <opencv2/core.hpp>

namespace daybreak {

void setup_opencv() {
  static std::once_flag once;
  std::call_once(once, [] { cv::setNumThreads(1); });
}

}  // namespace daybreak
