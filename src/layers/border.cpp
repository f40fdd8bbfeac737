#include "layers/border.h"

#include "core/error.h"

namespace daybreak {

Border to_border(const std::vector<int>& v) {
  if (v.size() == 1) return {v[0], v[0], v[0], v[0]};
  if (v.size() == 4) return {v[0], v[1], v[2], v[3]};
  // Two; three are an error already, and any border will do for what is said after it.
  DAYBREAK_ASSERT(v.size() >= 2);
  return {v[0], v[1], v[0], v[1]};
}

void check_border(const std::vector<int>& values, const Node& node, const Reader& reader,
                  const std::string& key) {
  if (values.size() != 3) return;
  const Node* found = node.find(key);
  reader.at(key).error(found ? found->mark : node.mark,
                       "must be a number, [vertical, horizontal] or [top, right, bottom, left], "
                       "found 3 numbers");
}

}  // namespace daybreak
