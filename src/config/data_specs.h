#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/error.h"

// What a solver and a network say about pictures: augmentation, data sets, the network's input.

namespace daybreak {

// ---- augmentation -------------------------------------------------------------------------------

enum class BorderMode : std::uint8_t { symmetric, reflect, zero, edge };

/// Pads every side and crops the network's size at random: offsets 0..2*pad inclusive, or
/// 0..2*pad-1 with `compat: f0` (fastai 0.7).
struct PadCrop {
  int pad = 4;
  BorderMode mode = BorderMode::symmetric;
  bool compat_f0 = false;
};
/// Mirrors left-right (or top-bottom) with probability p; `alternate` flips every picture in every
/// second epoch, starting from a random side per picture (Jordan 2024).
struct Flip {
  double p = 0.5;
  bool vertical = false;
  bool alternate = false;
};
/// Crops a random area and aspect ratio and resizes it to the network's size (Szegedy et al. 2015).
struct RandomResizedCrop {
  std::array<double, 2> area = {0.08, 1.0};
  std::array<double, 2> ratio = {0.75, 4.0 / 3.0};
};
/// Random factors in [1 - x, 1 + x] for brightness, contrast, saturation; hue shift in [-x, x]
/// turns.
struct ColorJitter {
  double brightness = 0.0, contrast = 0.0, saturation = 0.0, hue = 0.0;
};
/// Rotates by a uniform angle in [-degrees, degrees] with probability p; bilinear, border by mode.
struct Rotate {
  double degrees = 10.0;
  double p = 0.75;
  BorderMode mode = BorderMode::symmetric;
};
/// Fills a square of `size` pixels at a random centre with the mean colour (DeVries, Taylor 2017).
struct Cutout {
  int size = 8;
  double p = 1.0;
};
/// Resizes so that the shorter side is `size` (0: the network's size).
struct Resize {
  int size = 0;
};
/// Crops the centre to `size` (0: the network's size).
struct CenterCrop {
  int size = 0;
};
/// Moves every edge of the view by up to `amount` of the picture's side, out or in, and resizes
/// what it then shows to the network's size; grey outside of the picture (Darknet's jitter).
struct Jitter {
  double amount = 0.2;
};
/// Shows the picture `scale` times as large, its centre moved by up to `shift` of the side.
struct Zoom {
  std::array<double, 2> scale = {0.5, 1.5};
  double shift = 0.1;
};
/// Colours in hue, saturation, value: hue moved by up to `hue` turns, the others multiplied by a
/// factor in [1, x] or its inverse (Darknet).
struct Hsv {
  double hue = 0.1, saturation = 1.5, exposure = 1.5;
};
/// Four pictures around a random centre (Bochkovskiy et al. 2020): the sample and three others,
/// each `scale` times the network's size; needs boxes and stands first.
struct Mosaic {
  double p = 1.0;
  std::array<double, 2> centre = {0.3, 0.7};
  std::array<double, 2> scale = {0.5, 1.0};
};
using TransformSpec = std::variant<PadCrop, Flip, RandomResizedCrop, ColorJitter, Rotate, Cutout,
                                   Resize, CenterCrop, Jitter, Zoom, Hsv, Mosaic>;

// ---- data ---------------------------------------------------------------------------------------

enum class DataFormat : std::uint8_t { idx, cifar10, cifar100, folder, synthetic, yolo, voc, coco };

/// One place a data set may lie in; the first that exists is used. `${NAME}` in `dir` is an
/// environment variable; relative paths are relative to the file that names them.
struct SourceSpec {
  DataFormat format = DataFormat::idx;
  std::string dir;
  std::string train = "train", val = "val", test = "test";  ///< folder, voc: names of the parts;
                                                            ///< coco: their annotation files
  std::string train_images = "train2017", val_images = "val2017",
              test_images = "test2017";  ///< coco
  std::string file = "data.yaml";        ///< yolo: the description in `dir`
  bool polygons = false;                 ///< yolo: take polygons as their boxes
  bool coarse_labels = false;            ///< cifar100
  Mark mark;
};

/// A validation part taken from the training pictures: a fraction, or fold `fold` of `folds`.
struct SplitSpec {
  double fraction = 0.0;
  int folds = 0;
  int fold = 0;
  std::uint64_t seed = 0;
};

enum class CacheMode : std::uint8_t { automatic, none, host };
enum class OnError : std::uint8_t { error, skip };

struct DataSpec {
  std::string name;
  std::vector<SourceSpec> sources;
  std::vector<std::string> classes;  ///< class names; empty: from the data
  std::string install;               ///< shown when no source exists: how to get the data
  SplitSpec split;
  int workers = -1;  ///< loader threads; -1: automatic
  CacheMode cache = CacheMode::automatic;
  std::int64_t cache_bytes = std::int64_t{2}
                             << 30;  ///< decoded sets up to this size stay in memory
  OnError on_error = OnError::error;
  double max_skipped = 0.01;              ///< share of bad pictures that `skip` accepts
  OnError on_bad_label = OnError::error;  ///< of boxes
  double min_visible = 0.2;  ///< share of a box that augmentation must leave, else it is dropped
  int train_limit = 0;       ///< use only the first N of a class-balanced order; 0: all
  int test_limit = 0;
  Mark mark;
};

// ---- network input ------------------------------------------------------------------------------

enum class ChannelOrder : std::uint8_t { rgb, bgr };
enum class Fit : std::uint8_t { stretch, letterbox, center_crop };

/// How a picture is resized. area: averaged where both sides shrink, else bilinear; the others are
/// bilinear always, with half-pixel centres (OpenCV) or with corners on corners (Darknet).
enum class Resample : std::uint8_t { area, linear, aligned };

/// Where a picture goes in the network's input, and how it is resized to get there.
struct FitRule {
  Fit place = Fit::stretch;
  Resample resample = Resample::area;

  FitRule(Fit where = Fit::stretch, Resample how = Resample::area)  // NOLINT: meant to be implicit
      : place(where), resample(how) {}
  operator Fit() const { return place; }  // NOLINT: most readers care about the place only
};

/// How pictures become the network's input: stored with the weights.
struct InputSpec {
  int channels = 3, height = 32, width = 32;
  std::vector<double> mean;  ///< per channel after scaling; empty: measured on the training part
  std::vector<double> std;
  double scale = 1.0 / 255.0;
  ChannelOrder order = ChannelOrder::rgb;
  Fit fit = Fit::stretch;  ///< how a picture of another size is fitted
  Resample resample = Resample::area;
  Mark mark;

  FitRule rule() const { return {fit, resample}; }
};

}  // namespace daybreak
