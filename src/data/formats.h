#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/specs.h"
#include "data/dataset.h"
#include "data/label_policy.h"

// One reader a format. The byte-level readers take a span, so they can be fuzzed without files.

namespace daybreak {

// ---- IDX (MNIST's format) -----------------------------------------------------------------------

struct IdxArray {
  std::vector<std::uint32_t> dims;  ///< {count} or {count, height, width}
  std::vector<std::uint8_t> data;
};
/// Reads an IDX file of unsigned bytes with 1 or 3 dimensions, plain or gzip. Strict: the size must
/// be the header plus the product of the dimensions, a gzip's checksum must match.
IdxArray read_idx(std::span<const std::uint8_t> bytes, const std::string& path);

// ---- CIFAR binary -------------------------------------------------------------------------------

struct CifarRecords {
  std::vector<std::uint8_t> pixels;  ///< [n, 32, 32, 3], interleaved
  std::vector<std::int32_t> labels;
};
/// Appends the records of one file. `label_bytes`: 1 (CIFAR-10) or 2 (CIFAR-100: coarse, fine);
/// `label_at` selects one of them.
void read_cifar(std::span<const std::uint8_t> bytes, const std::string& path, int label_bytes,
                int label_at, int classes, CifarRecords& records);

// ---- YOLO, VOC and COCO: boxes ------------------------------------------------------------------

/// A picture's text file: a line "class cx cy w h" for each box, fractions of the picture. With
/// `polygons`, "class x1 y1 x2 y2 ..." becomes the box around the points. `place` of a message is
/// "PATH:LINE".
std::vector<LabelBox> read_yolo_labels(std::string_view text, const std::string& path,
                                       const std::vector<std::string>& classes, bool polygons,
                                       LabelPolicy& policy);
/// labels/a.txt of images/a.jpg: the last folder named images, or the picture's own folder.
std::string yolo_label_path(const std::string& picture);

struct VocObject {
  std::string name;
  Corners corners;  ///< edges in pixels: xmin - 1, ymin - 1, xmax, ymax
  bool difficult = false;
  int line = 0;
};
/// What an annotation says; sizes are 0 when it says nothing.
struct VocFile {
  int width = 0, height = 0;
  std::vector<VocObject> objects;
};
/// Reads an annotation file (XML). A document that is not well-formed, or has no <annotation>, is
/// an error whatever the policy; an object without usable numbers goes to the policy.
VocFile read_voc(std::string_view text, const std::string& path, LabelPolicy& policy);

struct CocoImage {
  std::int64_t id = 0;
  std::string file;
  int width = 0, height = 0;
  std::vector<LabelBox> boxes;
};
struct CocoCategory {
  std::int64_t id = 0;
  std::string name;
  bool operator==(const CocoCategory&) const = default;
};
struct CocoFile {
  std::vector<CocoCategory> categories;  ///< by id; a box's category is a position here
  std::vector<CocoImage> images;         ///< in the order of the file
};
/// Reads an annotation file (JSON) as a stream: memory for the boxes only.
CocoFile read_coco(std::string_view text, const std::string& path, LabelPolicy& policy);

// ---- whole sources ------------------------------------------------------------------------------

/// What a source gives: stores, not yet limited or split. A part that does not exist is empty.
struct SourceParts {
  std::shared_ptr<PictureStore> train, val, test;
};

struct SourceRequest {
  const DataSpec& spec;
  const SourceSpec& source;
  const InputSpec& input;
  const OpenOptions& options;
  std::string dir;  ///< expanded
  std::vector<BadInput>* bad_inputs = nullptr;
  LabelPolicy* labels = nullptr;  ///< of detection sets
};

SourceParts open_idx(const SourceRequest& request);
SourceParts open_cifar(const SourceRequest& request);
SourceParts open_folder(const SourceRequest& request);
SourceParts open_synthetic(const SourceRequest& request);
SourceParts open_yolo(const SourceRequest& request);
SourceParts open_voc(const SourceRequest& request);
SourceParts open_coco(const SourceRequest& request);

/// A store for `files` below `root`, without boxes yet.
std::shared_ptr<PictureStore> detection_store(const SourceRequest& request, std::string root,
                                              std::vector<std::string> classes);
/// What detection sources have in common at the end: limits, sizes of pictures, the cache.
void load_detection(const SourceRequest& request, SourceParts& parts);
/// Calls `take` with the lines of a text file that are not blank, without their ends.
void for_lines(const std::string& path,
               const std::function<void(std::int64_t number, std::string_view line)>& take);
/// A message about a place in a file: "PATH:LINE".
std::string at_line(const std::string& path, std::int64_t line);
/// jpg, jpeg or png by the end of a name, in any case.
bool is_picture_name(std::string_view name);

/// Positions of the first `limit` samples of a class-balanced order (the first of each class, then
/// the second of each, ...), ascending; all when limit is 0 or too large.
std::vector<std::uint32_t> balanced_limit(const std::vector<std::int32_t>& labels, int classes,
                                          std::int64_t limit);

/// Turns every picture of a store in memory from `channels` to `want` channels.
void convert_store(PictureStore& store, int want);

}  // namespace daybreak
