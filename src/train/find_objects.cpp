#include "train/find_objects.h"

#include <utility>

#include "data/fit.h"
#include "detect/nms.h"

namespace daybreak {

std::vector<Detection> find_objects(const Graph& graph, const std::vector<const float*>& raw,
                                    const std::vector<HeadMap>& maps, Fit fit, int w, int h,
                                    const DetectOptions& options) {
  std::vector<Detection> found;
  for (std::size_t k = 0; k < maps.size(); ++k) {
    decode_head(graph.heads[k], maps[k], raw[k], options.conf, found);
  }
  const int input_w = maps.front().input_width, input_h = maps.front().input_height;
  const FitGeometry geometry = fit_geometry(w, h, input_w, input_h, fit);
  for (Detection& d : found) d.box = unfit_box(d.box, geometry, w, h, input_w, input_h);
  NmsOptions nms;
  nms.kind = options.nms_kind.value_or(graph.heads.back().nms);
  nms.beta = graph.heads.back().nms_beta;
  nms.threshold = options.nms;
  nms.min_score = options.conf;
  return suppress(std::move(found), nms);
}

}  // namespace daybreak
