#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "config/specs.h"
#include "data/box_track.h"
#include "data/dataset.h"
#include "data/image.h"
#include "data/transforms.h"

namespace daybreak {

/// True when the list decides the size itself (random_resized_crop, resize,
/// center_crop, jitter, zoom, mosaic): such lists see the original picture, all others a picture
/// already fitted to the network's size.
bool sets_size(const std::vector<TransformSpec>& specs);

/// Buffers of one thread, reused from picture to picture.
struct AugmentScratch {
  std::array<std::vector<std::uint8_t>, 2> buffers;
  BorderMap xs, ys, next;
  std::vector<std::uint8_t> mosaic;
  TrackedBoxes boxes;
  std::vector<GatherRun> runs;
  std::span<const std::uint8_t> ahead;  ///< the picture after this one, to be asked for meanwhile
};

/// The boxes of a sample on their way, and where mosaic takes other samples from.
struct AugmentBoxes {
  std::vector<LabelBox>* boxes = nullptr;  ///< fractions of the picture; then of the output
  const Dataset* data = nullptr;           ///< without it, there is no mosaic
  ReadScratch* read = nullptr;             ///< for data; may hold the sample's own picture
};

/// A list of transforms made ready for one output size. Immutable: threads share it, each with its
/// own scratch. The draws depend on (seed, epoch, sample) only.
class Augmenter {
 public:
  struct Options {
    int width = 0, height = 0, channels = 3;
    FitRule fit;
    std::uint64_t seed = 0;
    std::vector<std::uint8_t> mean_colour;  ///< a byte per channel, for cutout; empty: 127
    double min_visible = 0.2;               ///< share of its area below which a cut box is dropped
  };

  /// Throws ConfigError when a transform cannot work at this size, such as a reflection wider than
  /// the picture.
  Augmenter(std::vector<TransformSpec> specs, Options options);

  /// Transforms a picture into out [height, width, channels]. Sequences of pad_crop and flip become
  /// a single copy from the picture to `out`; nothing is allocated once the scratch has grown.
  void apply(const PictureView& picture, std::int64_t epoch, std::int64_t sample,
             AugmentScratch& scratch, std::uint8_t* out) const;
  /// The same with boxes that follow the picture. They are cut at its edges; those that keep less
  /// than min_visible of their area are dropped.
  void apply(const PictureView& picture, std::int64_t epoch, std::int64_t sample,
             AugmentScratch& scratch, std::uint8_t* out, const AugmentBoxes& boxes) const;

  const Options& options() const { return options_; }

 private:
  std::vector<TransformSpec> specs_;
  Options options_;
  std::optional<Mosaic> mosaic_;  // not in specs_
  bool fit_first_ = true;
};

}  // namespace daybreak
