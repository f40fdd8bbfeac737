#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace daybreak {

/// A rectangle in pixels of a picture: left, top, width, height. Coordinates are edges: a box of
/// VOC's pixels xmin..xmax, counted from 1, has x = xmin - 1 and w = xmax - xmin + 1.
struct PixelBox {
  double x = 0.0, y = 0.0, w = 0.0, h = 0.0;
};

/// An object that is there.
struct TruthBox {
  PixelBox box;
  int category = 0;
  bool difficult = false;  ///< VOC: not counted, and a detection of it is neither right nor wrong
  bool crowd = false;      ///< COCO: a region; detections in it are neither
  double area = 0.0;       ///< COCO: of the object, decides its area range; 0: that of the box
};

/// An object that a detector reports.
struct FoundBox {
  PixelBox box;
  int category = 0;
  double score = 0.0;
};

/// Points of the COCO curve: the precision at recall k * 0.01.
constexpr int kRecallPoints = 101;

/// Results of one class; -1 where it has no truth.
struct ClassPrecision {
  std::int64_t truths = 0;      ///< without crowds
  std::int64_t detections = 0;  ///< at most 100 a picture
  double ap = -1.0, ap50 = -1.0;
  std::array<double, kRecallPoints> curve{};  ///< precision at IoU 0.5 over recall
};

/// COCO's figures: averages over IoU 0.50, 0.55 .. 0.95 and over the classes that have truths; -1
/// where there are none.
struct DetectionMetrics {
  std::int64_t pictures = 0;
  double map = -1.0, map50 = -1.0, map75 = -1.0;
  double map_small = -1.0, map_medium = -1.0, map_large = -1.0;  ///< area < 32^2, < 96^2, above
  double ar1 = -1.0, ar10 = -1.0, ar100 = -1.0;  ///< recall with so many detections a picture
  std::vector<ClassPrecision> classes;
};

enum class VocCurve : std::uint8_t { all_points, eleven_points };

/// Collects pictures, then tells the average precision. Memory: the boxes.
class AveragePrecision {
 public:
  explicit AveragePrecision(int classes);

  /// One picture; categories are in 0..classes-1. Boxes are compared in the order given where
  /// scores are equal.
  void add(const std::vector<TruthBox>& truths, const std::vector<FoundBox>& found);

  /// As COCO's evaluation does it (Lin et al. 2014): a detection takes the best truth not yet taken
  /// with IoU >= threshold, the best 100 detections of a picture and class count, crowds and boxes
  /// of another area range are neither right nor wrong, precision is the envelope at 101 recalls.
  DetectionMetrics coco() const;

  /// As VOC's development kit does it (Everingham et al. 2010): a detection is right when its best
  /// truth has IoU > `overlap` and was not taken before. The average is the area below the
  /// envelope, or the mean of the envelope at 11 recalls (compared in whole numbers). -1 for
  /// classes without a truth that counts. Crowds are difficult.
  std::vector<double> voc(VocCurve curve, double overlap = 0.5) const;

 private:
  struct Picture {  // the boxes of one class in one picture
    std::vector<TruthBox> truths;
    std::vector<FoundBox> found;  // best first
  };
  struct Class {
    std::vector<Picture> pictures;
    std::int64_t detections = 0;
  };
  std::vector<Class> classes_;
  std::int64_t pictures_ = 0;
};

/// The mean of the values that are not -1; -1 when there are none.
double mean_of_known(const std::vector<double>& values);

}  // namespace daybreak
