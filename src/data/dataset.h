#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/specs.h"
#include "data/image.h"
#include "data/label_box.h"

namespace daybreak {

/// A run of samples that came from one file, for naming them.
struct SampleRange {
  std::uint32_t first = 0;  ///< in the store
  std::string file;         ///< a sample's name is "file[position in the file]"
};

/// Pictures and labels as opened, shared by the parts made of them. Filled by open_data, then
/// const.
struct PictureStore {
  int channels = 3;
  std::vector<std::int32_t> labels;  ///< 0 in a detection set
  std::vector<std::string> classes;

  // Detection sets only, one entry a sample.
  bool has_boxes = false;
  std::vector<std::vector<LabelBox>> boxes;
  std::vector<std::array<std::int32_t, 2>> sizes;  ///< width, height of the file's picture; before
                                                   ///< the files are probed: what its label says
  std::vector<std::int64_t> ids;                   ///< COCO's, else empty

  // Pictures in memory: dense u8 [h, w, c], one after the other.
  bool in_memory = false;
  std::vector<std::uint8_t> pixels;
  int width = 0, height = 0;         ///< of all pictures; 0 when sizes differ
  std::vector<std::int32_t> widths;  ///< only when sizes differ
  std::vector<std::int32_t> heights;
  std::vector<std::uint64_t> offsets;  ///< bytes into `pixels`, only when sizes differ

  // Names: of files decoded on demand (root/dirs[label]/files[i], or root/files[i] without dirs;
  // an absolute file stands alone), or ranges of set files.
  std::string root;
  std::vector<std::string> dirs;
  std::vector<std::string> files;
  std::vector<SampleRange> ranges;

  /// Path of the picture of sample i.
  std::string path(std::size_t i) const;
};

/// Buffers of one thread for Dataset::picture.
struct ReadScratch {
  std::vector<std::uint8_t> file;
  Image image;
};

/// One part (training, validation or test) of a set of labelled pictures. Cheap to copy: the
/// pictures are shared. All methods may be called from many threads.
class Dataset {
 public:
  Dataset() = default;
  explicit Dataset(std::shared_ptr<const PictureStore> store);
  /// The samples at `positions` of this part, in that order.
  Dataset subset(const std::vector<std::uint32_t>& positions) const;

  std::int64_t size() const { return static_cast<std::int64_t>(samples_.size()); }
  bool empty() const { return samples_.empty(); }
  int label(std::int64_t i) const { return store_->labels[samples_[static_cast<std::size_t>(i)]]; }
  const std::vector<std::string>& classes() const { return store_->classes; }
  int class_count() const { return store_ ? static_cast<int>(store_->classes.size()) : 0; }
  int channels() const { return store_ ? store_->channels : 0; }
  /// Path of a file, or "train-images-idx3-ubyte.gz[123]".
  std::string name(std::int64_t i) const;
  /// How many samples each class has; in a detection set, how many boxes.
  std::vector<std::int64_t> class_sizes() const;

  /// A detection set: samples have boxes, and all labels are 0.
  bool has_boxes() const { return store_ && store_->has_boxes; }
  /// The boxes of sample i of a detection set, as fractions of its picture.
  const std::vector<LabelBox>& boxes(std::int64_t i) const {
    return store_->boxes[samples_[static_cast<std::size_t>(i)]];
  }
  /// Width and height of the picture of sample i of a detection set, in pixels.
  std::array<std::int32_t, 2> picture_size(std::int64_t i) const {
    return store_->sizes[samples_[static_cast<std::size_t>(i)]];
  }
  /// COCO's id of the picture, or its position where there are none.
  std::int64_t picture_id(std::int64_t i) const;
  /// The largest number of boxes in one picture.
  int most_boxes() const;

  /// All pictures are decoded and in memory.
  bool in_memory() const { return store_ && store_->in_memory; }
  /// Size that all pictures share; 0 when they differ or are not known to be equal.
  int width() const { return store_ ? store_->width : 0; }
  int height() const { return store_ ? store_->height : 0; }
  std::uint64_t memory_bytes() const { return store_ ? store_->pixels.size() : 0; }

  /// Picture i with channels() channels: from memory, or read and decoded into `scratch`, which the
  /// view then shows. Throws DataError naming the file.
  PictureView picture(std::int64_t i, ReadScratch& scratch) const;
  /// Where a small picture lies in memory, nothing for others. To be asked for ahead: shuffled
  /// pictures lie where no hardware expects them.
  std::span<const std::uint8_t> small_picture(std::int64_t i) const;
  /// A copy of picture i.
  Image load(std::int64_t i) const;

 private:
  std::shared_ptr<const PictureStore> store_;
  std::vector<std::uint32_t> samples_;  // positions in the store
};

/// A picture that could not be used.
struct BadInput {
  std::string path;
  std::string reason;
};

struct DataParts {
  Dataset train, val, test;          ///< val is empty when there is none
  std::string source;                ///< the folder used, or "synthetic"
  std::vector<BadInput> bad_inputs;  ///< pictures left out under on_error: skip
  std::vector<BadInput> bad_labels;  ///< boxes left out under on_bad_label: skip; "FILE:LINE". The
                                     ///< first thousand
  std::int64_t bad_label_count = 0;

  /// The part that training is judged by: val, or test when there is no val.
  const Dataset& evaluation() const { return val.empty() ? test : val; }
};

/// How far a long step of opening is: files done, files in all.
using OpenProgress = std::function<void(std::int64_t done, std::int64_t total)>;

struct OpenOptions {
  OpenProgress progress;  ///< called from the caller's thread
  /// Decoded folders too large for the cache may be kept fitted to the input's size. Only right
  /// when every list of transforms starts from fitted pictures (sets_size() is false) and the size
  /// never changes; the pictures that come out are then the same.
  bool cache_fitted = false;
  bool need_train = true;  ///< false: `train` and `val` may be missing (daybreak test)
};

/// Opens the first source whose folder exists. Throws DataError naming the places tried and how to
/// install the data, or the file that is wrong. Labels, counts and sizes are checked here.
DataParts open_data(const DataSpec& spec, const InputSpec& input, const OpenOptions& options = {});

}  // namespace daybreak
