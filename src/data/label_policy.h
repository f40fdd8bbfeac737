#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/specs.h"
#include "data/dataset.h"

namespace daybreak {

/// Corners of a box, in pixels or as fractions: edges, not pixels.
struct Corners {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

/// What happens to boxes that cannot be used, and how many were changed or dropped. Places are
/// "FILE:LINE" or "FILE:LINE:COLUMN".
class LabelPolicy {
 public:
  explicit LabelPolicy(OnError on_bad) : on_bad_(on_bad) {}

  /// A box that cannot be used: throws DataError (on_bad_label: error), or counts and lists it.
  void bad(const std::string& place, const std::string& text);
  /// A class number or name that is not there.
  void unknown_class(const std::string& place, const std::string& found,
                     const std::vector<std::string>& classes);
  /// Checks a box in a picture of w x h and turns it into fractions. Edges up to `slack` outside
  /// are cut; further ones, negative sizes and numbers that are not finite are bad; an empty box is
  /// dropped and counted. False: no box.
  bool make_box(const Corners& corners, double w, double h, double slack, const std::string& place,
                Box& box);
  /// Throws when a picture has more boxes than limits.h accepts.
  static void check_count(std::size_t boxes, const std::string& place);

  /// One line about what was changed, if anything was.
  void log(const std::string& where) const;
  void move_to(DataParts& parts);

  std::int64_t clipped = 0, empty = 0, duplicates = 0, background = 0;

 private:
  OnError on_bad_;
  std::vector<BadInput> listed_;
  std::int64_t count_ = 0;
};

}  // namespace daybreak
