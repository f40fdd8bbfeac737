#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/command.h"
#include "cli/json_text.h"
#include "cli/model_source.h"
#include "cli/picture_list.h"
#include "cli/share_check.h"
#include "core/parallel.h"
#include "core/text.h"
#include "data/bytes.h"
#include "detect/draw.h"
#include "io/atomic_file.h"
#include "io/posix_file.h"
#include "report/classification_metrics.h"
#include "report/table.h"
#include "report/text.h"
#include "train/detector.h"
#include "train/device.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct DetectVerb {
  ModelSource source;
  std::vector<std::string> images;
  std::string out;
  std::string nms_kind;
  double conf = 0.25;
  double nms = 0.45;
  bool profile = false;
};

// ---- results ----------------------------------------------------------------------------------

// More cannot be told apart in a picture, and finding places for their labels takes minutes.
constexpr std::size_t kMostDrawn = 1000;

/// A box in pixels of the picture, inside it.
struct Corners {
  double left, top, right, bottom;
};

Corners corners(const Box& box, const Image& picture) {
  const auto clip = [](double value, int side) { return std::clamp(value, 0.0, double(side)); };
  return {clip((box.cx - box.w / 2.0) * picture.w, picture.w),
          clip((box.cy - box.h / 2.0) * picture.h, picture.h),
          clip((box.cx + box.w / 2.0) * picture.w, picture.w),
          clip((box.cy + box.h / 2.0) * picture.h, picture.h)};
}

double rounded(double value, double unit) {
  return std::round(value / unit) * unit;
}

Json to_json(const std::string& path, const Image& picture, const std::vector<Detection>& found,
             const std::vector<std::string>& names) {
  Json list = Json::array();
  for (const Detection& d : found) {
    const Corners c = corners(d.box, picture);
    list.push_back({{"category_id", d.category},
                    {"category", class_name(names, d.category)},
                    {"score", rounded(d.score, 1e-6)},
                    {"bbox",
                     {rounded(c.left, 0.01), rounded(c.top, 0.01), rounded(c.right - c.left, 0.01),
                      rounded(c.bottom - c.top, 0.01)}}});
  }
  return {{"image", path}, {"width", picture.w}, {"height", picture.h}, {"detections", list}};
}

// "dog.png"; a number is added where two pictures have one name but for folder and ending.
std::string drawn_name(const std::string& path, std::set<std::string>& taken) {
  const std::string stem = fs::path(path).stem().string();
  std::string name = stem + ".png";
  for (int count = 2; !taken.insert(name).second; ++count) {
    name = fmt::format("{}-{}.png", stem, count);
  }
  return name;
}

void draw(Image picture, const std::vector<Detection>& found, const std::vector<std::string>& names,
          const std::string& file) {
  convert_channels(picture, 3);
  std::vector<LabelledBox> boxes;
  for (std::size_t i = std::min(found.size(), kMostDrawn); i-- > 0;) {  // the best one on top
    const Detection& d = found[i];
    const Corners c = corners(d.box, picture);
    boxes.push_back({c.left, c.top, c.right, c.bottom, d.category,
                     fmt::format("{} {:.0f}%", class_name(names, d.category), d.score * 100.0)});
  }
  draw_boxes(picture.hwc.data(), picture.w, picture.h, boxes);
  const std::vector<std::uint8_t> png = encode_png(picture.view());
  write_file_atomically(file, {reinterpret_cast<const char*>(png.data()), png.size()});
}

void print_found(const std::string& path, const Image& picture, double load_ms,
                 const DetectTimes& times, const std::vector<Detection>& found,
                 const std::vector<std::string>& names) {
  fmt::print("{}: {} object{}, load {:.1f} ms, network {:.1f} ms, nms {:.2f} ms\n", printable(path),
             found.size(), found.size() == 1 ? "" : "s", load_ms + times.fit_ms, times.network_ms,
             times.nms_ms);
  for (const Detection& d : found) {
    const Corners c = corners(d.box, picture);
    fmt::print("  {:>4.0f}%  {}  at {:.0f},{:.0f}  {:.0f} x {:.0f}\n", d.score * 100.0,
               class_name(names, d.category), c.left, c.top, c.right - c.left, c.bottom - c.top);
  }
}

// Where the network's time goes: batch norms are folded here, unlike in `bench layers`.
void print_profile(Detector& detector) {
  constexpr int kRounds = 50;
  const std::vector<StepTime> times = detector.profile(kRounds);
  double total = 0.0;
  for (const StepTime& time : times) total += time.seconds;
  Table table({{"layer"},
               {"operation", Align::left, 40},
               {"kernel", Align::left, 44},
               {"ms", Align::right},
               {"share", Align::right},
               {"GFLOP/s", Align::right}});
  for (const StepTime& time : times) {
    const double gflops = static_cast<double>(time.step->flops) / time.seconds * 1e-9;
    table.add_row({time.step->layer, time.step->op, time.step->kernel,
                   fmt::format("{:.3f}", time.seconds * 1e3),
                   fmt::format("{:.1f} %", 100.0 * time.seconds / total),
                   gflops > 0.0 ? fmt::format("{:.0f}", gflops) : ""});
  }
  table.add_rule();
  table.add_row({"total", "", "", fmt::format("{:.3f}", total * 1e3)});
  fmt::print("{}", table.to_string());
}

DetectOptions detect_options(const DetectVerb& options) {
  DetectOptions result;
  result.conf = static_cast<float>(options.conf);
  result.nms = static_cast<float>(options.nms);
  static const std::map<std::string, NmsKind> kKinds = {{"iou", NmsKind::iou},
                                                        {"greedy", NmsKind::greedy},
                                                        {"diou", NmsKind::diou},
                                                        {"soft_linear", NmsKind::soft_linear},
                                                        {"soft_gaussian", NmsKind::soft_gaussian}};
  if (!options.nms_kind.empty()) result.nms_kind = kKinds.at(options.nms_kind);
  return result;
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw DeviceError(path + ": cannot make the folder: " + error.message());
}

int run_detect(const DetectVerb& options, const CommonOptions& common) {
  const int threads = common.threads > 0 ? common.threads : usable_cores();
  set_compute_threads(threads);
  const std::vector<std::string> pictures = list_pictures(options.images);
  const Model model = find_model("detect", options.source, common);
  const BackendPtr backend = make_backend(common.device.empty() ? "auto" : common.device, threads);
  Detector detector(model.net, static_cast<int>(model.classes.size()), *backend, model.weights);
  if (!options.out.empty()) make_folder(options.out);
  const DetectOptions settings = detect_options(options);
  Json json = Json::array();
  std::set<std::string> drawn;
  int failed = 0;
  for (const std::string& path : pictures) {
    try {
      const auto start = std::chrono::steady_clock::now();
      const Image picture = load_image(path);
      const std::chrono::duration<double, std::milli> load =
          std::chrono::steady_clock::now() - start;
      DetectTimes times;
      const std::vector<Detection> found = detector.detect(picture, settings, &times);
      if (common.json != "-") {
        print_found(path, picture, load.count(), times, found, model.classes);
      }
      if (!options.out.empty()) {
        if (found.size() > kMostDrawn && common.json != "-") {
          fmt::print("  only the {} best are drawn\n", kMostDrawn);
        }
        draw(picture, found, model.classes, options.out + "/" + drawn_name(path, drawn));
      }
      json.push_back(to_json(path, picture, found, model.classes));
    } catch (const DataError& error) {
      if (pictures.size() == 1) throw;
      std::cerr << error.what() << std::endl;  // the others are still worth doing
      ++failed;
    }
  }
  if (options.profile && common.json != "-") print_profile(detector);
  if (!options.out.empty()) {
    write_file_atomically(options.out + "/detections.json", json_text(json) + "\n");
  }
  write_json_result(common, json_text(json));
  if (failed == 0) return 0;
  std::cerr << fmt::format("daybreak: error: {} of {} pictures could not be read", failed,
                           pictures.size())
            << std::endl;
  return 4;
}

}  // namespace

Command add_detect(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<DetectVerb>();
  CLI::App* verb = add_verb(app, common, "detect", "boxes around the objects in pictures");
  add_model_options(*verb, options->source);
  verb->add_option("images", options->images,
                   "pictures (JPEG or PNG), folders of them, lists (.txt, a path a line)")
      ->required();
  verb->add_option("--conf", options->conf, "least score of a box (default 0.25)")
      ->check(share_check());
  verb->add_option("--nms", options->nms,
                   "overlap above which the lower of two boxes is dropped (default 0.45)")
      ->check(share_check());
  verb->add_option("--nms-kind", options->nms_kind,
                   "how overlap is judged (default: the network's)")
      ->check(CLI::IsMember({"iou", "greedy", "diou", "soft_linear", "soft_gaussian"}));
  verb->add_option("--out", options->out, "folder for drawn pictures and detections.json");
  verb->add_flag("--profile", options->profile, "also show where the network's time goes");
  return {verb, [options, &common] { return run_detect(*options, common); }};
}

}  // namespace daybreak
