#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/bench_net.h"
#include "cli/command.h"
#include "data/dataset.h"
#include "data/fit.h"
#include "detect/anchor_kmeans.h"
#include "report/table.h"
#include "report/text.h"

namespace daybreak {
namespace {

struct AnchorsOptions {
  std::string path;
  int count = 9;
  std::string size;
  bool letterbox = false;
};

struct Source {
  DataSpec data;
  InputSpec input;
  std::uint64_t seed = 1;
};

Source source_of(const AnchorsOptions& options, const CommonOptions& common) {
  Source source;
  if (is_data_file(options.path)) {
    source.data = load_data(options.path, common.sets);
    if (options.size.empty()) throw ConfigError("--size is needed with a data file");
    if (common.seed) source.seed = *common.seed;
  } else {
    const SolverConfig config = load_solver_or_run(options.path, common.solver_sets());
    source.data = config.spec.data;
    source.input = config.net.input;
    source.seed = config.spec.seed;
  }
  const auto [height, width] = parse_size(options.size);
  if (height > 0) {
    source.input.height = height;
    source.input.width = width;
  }
  if (options.letterbox) source.input.fit = Fit::letterbox;
  source.data.cache = CacheMode::none;  // only sizes are needed
  return source;
}

// The training boxes in pixels of the network's input.
std::vector<BoxShape> shapes_of(const Dataset& data, const InputSpec& input) {
  std::vector<BoxShape> shapes;
  for (std::int64_t i = 0; i < data.size(); ++i) {
    const auto [w, h] = data.picture_size(i);
    const FitGeometry g = fit_geometry(w, h, input.width, input.height, input.fit);
    for (const LabelBox& label : data.boxes(i)) {
      if (label.crowd) continue;
      const Box box = fit_box(label.box, g, w, h, input.width, input.height);
      shapes.push_back({double{box.w} * input.width, double{box.h} * input.height});
    }
  }
  return shapes;
}

std::string line_of(const std::vector<BoxShape>& anchors) {
  std::string line;
  for (const BoxShape& anchor : anchors) {
    line += fmt::format("{}[{:.1f}, {:.1f}]", line.empty() ? "" : ", ", anchor[0], anchor[1]);
  }
  return "anchors: [" + line + "]";
}

void print_result(const AnchorClusters& clusters, std::size_t shapes, const InputSpec& input) {
  Table table({{"anchor", Align::right},
               {"width", Align::right},
               {"height", Align::right},
               {"boxes", Align::right}});
  for (std::size_t k = 0; k < clusters.anchors.size(); ++k) {
    table.add_row({std::to_string(k), fmt::format("{:.1f}", clusters.anchors[k][0]),
                   fmt::format("{:.1f}", clusters.anchors[k][1]),
                   with_separators(clusters.counts[k])});
  }
  fmt::print("{}{} boxes at {}x{}: mean IoU {:.4f}, worst {:.4f}\n\n{}\n", table.to_string(),
             with_separators(static_cast<std::int64_t>(shapes)), input.height, input.width,
             clusters.mean_iou, clusters.worst_iou, line_of(clusters.anchors));
}

int run_anchors(const AnchorsOptions& options, const CommonOptions& common) {
  const Source source = source_of(options, common);
  const DataParts parts = open_data(source.data, source.input);
  if (!parts.train.has_boxes()) {
    throw ConfigError(source.data.mark, fmt::format("data \"{}\" has no boxes", source.data.name));
  }
  const std::vector<BoxShape> shapes = shapes_of(parts.train, source.input);
  const AnchorClusters clusters = cluster_anchors(shapes, options.count, source.seed);
  if (common.json != "-") print_result(clusters, shapes.size(), source.input);
  write_json_result(common, nlohmann::ordered_json{{"anchors", clusters.anchors},
                                                   {"counts", clusters.counts},
                                                   {"mean_iou", clusters.mean_iou},
                                                   {"worst_iou", clusters.worst_iou},
                                                   {"boxes", shapes.size()},
                                                   {"height", source.input.height},
                                                   {"width", source.input.width}}
                                .dump());
  return 0;
}

}  // namespace

Command add_anchors(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<AnchorsOptions>();
  CLI::App* verb =
      add_verb(app, common, "anchors", "anchors for a detection set, by k-means over its boxes");
  verb->add_option("file", options->path, "SOLVER.yaml, a run folder, or a data file")->required();
  verb->add_option("--count", options->count, "anchors of all heads together (default: 9)")
      ->check(CLI::Range(1, 1000));
  verb->add_option("--size", options->size, "network's input, N or HxW (default: the solver's)");
  verb->add_flag("--letterbox", options->letterbox, "pictures keep their aspect");
  return {verb, [options, &common] { return run_anchors(*options, common); }};
}

}  // namespace daybreak
