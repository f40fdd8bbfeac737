#include <opencv2/imgproc.hpp>

#include "data/opencv_setup.h"
#include "data/transforms.h"

namespace daybreak {

float draw_rotate(const Rotate& spec, Draws& draws) {
  const bool rotated = draws.uniform() < static_cast<float>(spec.p);
  const float degrees = static_cast<float>(spec.degrees) * draws.uniform(-1.0f, 1.0f);
  return rotated ? degrees : 0.0f;
}

void rotate(const PictureView& picture, float degrees, BorderMode mode, std::uint8_t* out) {
  setup_opencv();
  const int type = CV_8UC(picture.c);
  const cv::Mat source(picture.h, picture.w, type, const_cast<std::uint8_t*>(picture.pixels));
  cv::Mat target(picture.h, picture.w, type, out);
  const cv::Point2f centre(static_cast<float>(picture.w - 1) / 2.0f,
                           static_cast<float>(picture.h - 1) / 2.0f);
  const cv::Mat matrix = cv::getRotationMatrix2D(centre, degrees, 1.0);
  int border = cv::BORDER_CONSTANT;
  switch (mode) {
    case BorderMode::symmetric:
      border = cv::BORDER_REFLECT;
      break;
    case BorderMode::reflect:
      border = cv::BORDER_REFLECT_101;
      break;
    case BorderMode::edge:
      border = cv::BORDER_REPLICATE;
      break;
    case BorderMode::zero:
      break;
  }
  cv::warpAffine(source, target, matrix, target.size(), cv::INTER_LINEAR, border);
}

}  // namespace daybreak
