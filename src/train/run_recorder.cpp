#include "train/run_recorder.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/version.h"
#include "detect/draw.h"
#include "report/canvas.h"
#include "report/detection_report.h"
#include "report/png_plot.h"

namespace daybreak {
namespace {

constexpr int kGridPictures = 32;
constexpr float kShownScore = 0.25f;
constexpr int kShownWidth = 400;
constexpr int kLargePicture = 200;  // pixels: fewer of them, and fewer side by side
constexpr int kGridLargePictures = 8;

std::string device_text(const Session& session) {
  const SolverSpec& solver = session.solver();
  static const char* const kNames[] = {"f32", "bf16", "f16"};
  return fmt::format("{}, {} threads, {}",
                     solver.device == "auto" ? session.backend().name() : solver.device,
                     session.threads(), kNames[static_cast<int>(solver.precision)]);
}

// A white frame, a pixel or two inside the edges of a box.
void frame(Image& picture, const Box& box) {
  const int thick = std::max(1, picture.w / 320);
  const auto at = [](double value, int side) {
    return std::clamp(static_cast<int>(std::lround(value)), 0, side - 1);
  };
  const int x0 = at((box.cx - box.w / 2.0) * picture.w, picture.w);
  const int x1 = at((box.cx + box.w / 2.0) * picture.w, picture.w);
  const int y0 = at((box.cy - box.h / 2.0) * picture.h, picture.h);
  const int y1 = at((box.cy + box.h / 2.0) * picture.h, picture.h);
  for (int y = y0; y <= y1; ++y) {
    for (int x = x0; x <= x1; ++x) {
      const bool inside = x >= x0 + thick && x <= x1 - thick && y >= y0 + thick && y <= y1 - thick;
      if (inside) continue;
      std::uint8_t* pixel = picture.hwc.data() + (static_cast<std::int64_t>(y) * picture.w + x) * 3;
      pixel[0] = pixel[1] = pixel[2] = 255;
    }
  }
}

// One sample as the loader makes it: fitted and augmented, before normalisation.
Image picture_of(const Batch& batch, int channels, int index) {
  Image image;
  image.reshape(batch.width, batch.height, channels);
  const std::size_t bytes = static_cast<std::size_t>(image.w) * image.h * image.c;
  const auto begin = batch.images.begin() + static_cast<std::ptrdiff_t>(bytes * index);
  image.hwc.assign(begin, begin + static_cast<std::ptrdiff_t>(bytes));
  return image;
}

// The same with its boxes and their classes.
Image boxed_picture_of(const Batch& batch, const Dataset& data, int index) {
  Image image = picture_of(batch, data.channels(), index);
  if (!data.has_boxes() || image.c == 2 || image.c > 3) return image;
  convert_channels(image, 3);
  std::vector<LabelledBox> boxes;
  const float* row = batch.boxes.data() + static_cast<std::size_t>(index) * batch.max_boxes * 5;
  for (int i = 0; i < batch.max_boxes && row[0] >= 0; ++i, row += 5) {
    LabelledBox box;
    box.left = (row[1] - row[3] / 2) * image.w;
    box.right = (row[1] + row[3] / 2) * image.w;
    box.top = (row[2] - row[4] / 2) * image.h;
    box.bottom = (row[2] + row[4] / 2) * image.h;
    box.category = static_cast<int>(row[0]);
    box.label = class_name(data.classes(), box.category);
    boxes.push_back(std::move(box));
  }
  draw_boxes(image.hwc.data(), image.w, image.h, boxes);
  return image;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> versions_of(Backend& backend) {
  return {{"daybreak", kVersion}, {"backend", backend.identity()}};
}

Image sample_grid(const Session& session, int phase, int count) {
  LoaderOptions options = session.phase(phase).loader;
  options.workers = 0;
  options.batch = std::min<int>(count, static_cast<int>(session.data().train.size()));
  Loader loader(session.data().train, options);
  loader.start(0, 0);
  const Batch& batch = loader.next();
  std::vector<Image> pictures;
  std::vector<std::string> labels;
  const Dataset& train = session.data().train;
  for (int i = 0; i < batch.count; ++i) {
    pictures.push_back(boxed_picture_of(batch, train, i));
    if (!train.has_boxes()) labels.push_back(class_name(train.classes(), batch.labels[i]));
  }
  const int scale = std::max(1, 96 / std::max(1, batch.width));
  return picture_grid(pictures, labels, batch.width > kLargePicture ? 4 : 8, scale);
}

RunRecorder::RunRecorder(Session& session, std::string run_dir, std::string layers_text,
                         std::int64_t resumed_epoch, std::int64_t resumed_step)
    : session_(session),
      run_dir_(std::move(run_dir)),
      csv_(run_dir_ + "/results.csv", resumed_epoch, session.is_detector()),
      curve_(session.is_detector()),
      events_(run_dir_) {
  if (resumed_step > 0) curve_.load(run_dir_ + "/steps.csv", resumed_step);
  fill_static_parts(layers_text);
  const bool large = session_.config().net.input.width > kLargePicture;
  const Image grid = sample_grid(session_, 0, large ? kGridLargePictures : kGridPictures);
  write_png(run_dir_ + "/train_batch0.png", grid);
  report_.training_samples = grid;
}

void RunRecorder::fill_static_parts(const std::string& layers_text) {
  const SolverSpec& solver = session_.solver();
  const Dataset& train = session_.data().train;
  const InputSpec& input = session_.config().net.input;
  summary_.name = solver.name;
  if (session_.is_detector()) summary_.task = "detection";
  summary_.device = solver.device == "auto" ? session_.backend().name() : solver.device;
  static const char* const kPrecisions[] = {"f32", "bf16", "f16"};
  summary_.precision = kPrecisions[static_cast<int>(solver.precision)];
  summary_.threads = session_.threads();
  summary_.seed = solver.seed;
  summary_.params = session_.executor().graph().trained_parameters();
  summary_.versions = versions_of(session_.backend());
  report_.run_name = run_dir_;
  report_.net_name = session_.config().net.name;
  report_.data_name =
      fmt::format("{}, {} train / {} evaluation, {}x{}x{}", solver.data.name, train.size(),
                  session_.validation().size(), input.width, input.height, input.channels);
  report_.device = device_text(session_);
  report_.class_names = train.classes();
  report_.layers_text = layers_text;
  report_.config_text = print_config(session_.config());
  report_.environment = summary_.versions;
  const Schedule& schedule = session_.schedule();
  report_.planned_epochs =
      static_cast<int>(schedule.position(schedule.total_steps() - 1).epoch + 1);
  for (std::size_t p = 1; p < schedule.phases().size(); ++p) {
    report_.marks.push_back({schedule.phases()[p].begin_step, fmt::format("phase {}", p + 1)});
  }
}

void RunRecorder::on_step(const StepEvent& event) {
  const StepReport& report = event.report;
  curve_.add({event.state.step, event.knobs.lr, event.knobs.momentum, report.loss, report.parts.box,
              report.parts.objectness, report.parts.classes});
}

void RunRecorder::on_epoch(const EpochEvent& event) {
  const EpochRow& row = event.row;
  events_.scalar("train/loss", row.step, row.train_loss);
  if (!session_.is_detector()) events_.scalar("train/top1", row.step, event.train_top1);
  events_.scalar("lr", row.step, row.lr);
  events_.scalar("momentum", row.step, row.momentum);
  if (event.result != nullptr) {
    events_.scalar("val/loss", row.step, row.val_loss);
    events_.scalar("val/top1", row.step, row.val_top1);
    report_.metrics = *event.result;
    report_.metrics_of = fmt::format("evaluation after epoch {}", row.epoch);
    summary_.final_loss = row.val_loss;
    summary_.final_top1 = row.val_top1;
    summary_.final_top5 = row.val_top5;
    add_mistakes(*event.result);
  }
  if (event.detection != nullptr) add_detection(event);
  add_others(event);
  events_.flush();
  if (!event.epoch_done) return;
  csv_.add(row);
  report_.train_top1.push_back(event.train_top1);
  curve_.save(run_dir_ + "/steps.csv");
  summary_.best_epoch = event.state.best_epoch;
  if (event.state.best_epoch > 0) {
    (session_.is_detector() ? summary_.best_map50 : summary_.best_top1) = event.state.best_metric;
  }
  report_.seconds = row.seconds;
  report_.status = "running";
  write_report();
}

void RunRecorder::add_others(const EpochEvent& event) {
  const OtherFigures& others = event.others;
  if (!std::isnan(others.ema)) {
    events_.scalar(session_.is_detector() ? "val/ema_map50" : "val/ema_top1", event.row.step,
                   others.ema);
  }
  summary_.final_ema = others.ema;
  summary_.final_tta = others.tta;
  summary_.final_ema_tta = others.ema_tta;
  report_.others.clear();
  const auto add = [&](double value, const char* what) {
    if (!std::isnan(value)) report_.others.push_back({what, value});
  };
  const bool detects = session_.is_detector();
  add(others.ema, detects ? "mAP@0.5 with averaged weights" : "with averaged weights");
  add(others.tta, "over several views of each picture");
  add(others.ema_tta, "with both");
}

void RunRecorder::add_detection(const EpochEvent& event) {
  const EpochRow& row = event.row;
  events_.scalar("val/loss", row.step, row.val_loss);
  const std::pair<const char*, double> parts[] = {
      {"train/box", row.train_box},           {"train/objectness", row.train_objectness},
      {"train/classes", row.train_classes},   {"val/box", row.val_box},
      {"val/objectness", row.val_objectness}, {"val/classes", row.val_classes}};
  for (const auto& [name, value] : parts) {
    if (std::isfinite(value)) events_.scalar(name, row.step, value);
  }
  events_.scalar("val/map50", row.step, row.val_map50);
  events_.scalar("val/map", row.step, row.val_map);
  report_.metrics_of = fmt::format("Evaluation after epoch {}", row.epoch);
  report_.detection = event.detection->metrics;
  samples_ = event.detection->samples;
  summary_.final_loss = row.val_loss;
  summary_.final_map50 = row.val_map50;
  summary_.final_map = row.val_map;
}

void RunRecorder::add_mistakes(const ClassificationResult& result) {
  report_.mistakes.clear();
  for (const WrongSample& sample : result.mistakes) {
    MistakePicture mistake;
    mistake.sample = sample;
    mistake.picture = session_.validation().load(sample.index);
    mistake.source = session_.validation().name(sample.index);
    report_.mistakes.push_back(std::move(mistake));
  }
}

// Truths in white below, finds in the colours of their classes above.
void RunRecorder::draw_found() {
  const Dataset& data = session_.validation();
  report_.found.clear();
  for (const FoundSample& sample : samples_) {
    FoundPicture one;
    one.picture = data.load(sample.index);
    convert_channels(one.picture, 3);
    if (one.picture.w > kShownWidth) {  // photographs as PNG are large
      const int height =
          static_cast<int>(std::int64_t{one.picture.h} * kShownWidth / one.picture.w);
      one.picture = resize_picture(one.picture.view(), kShownWidth, std::max(1, height));
    }
    one.source = std::filesystem::path(data.name(sample.index)).filename().string();
    const int w = one.picture.w, h = one.picture.h;
    std::vector<LabelledBox> found;
    const auto add = [&](const Box& box, int category, std::string label) {
      found.push_back({(box.cx - box.w / 2.0) * w, (box.cy - box.h / 2.0) * h,
                       (box.cx + box.w / 2.0) * w, (box.cy + box.h / 2.0) * h, category,
                       std::move(label)});
    };
    for (auto d = sample.found.rbegin(); d != sample.found.rend(); ++d) {  // the best on top
      if (d->score < kShownScore) continue;
      const std::string score = fmt::format("{:.0f}", d->score * 100.0);
      const bool by_colour = data.classes().size() <= kMostLegendClasses;
      add(d->box, d->category,
          by_colour ? score : class_name(data.classes(), d->category) + " " + score);
    }
    one.found = static_cast<int>(found.size());
    one.truths = static_cast<int>(data.boxes(sample.index).size());
    for (const LabelBox& label : data.boxes(sample.index)) frame(one.picture, label.box);
    draw_boxes(one.picture.hwc.data(), w, h, found);
    report_.found.push_back(std::move(one));
  }
}

void RunRecorder::write_report() {
  report_.epochs = csv_.rows();
  report_.steps = curve_.points();
  if (report_.train_top1.size() != report_.epochs.size()) report_.train_top1.clear();
  write_html_report(run_dir_ + "/report.html", report_);
}

void RunRecorder::write_pictures() {
  // A run that was stopped early has nothing to draw yet.
  const auto write = [&](const char* name, const Image& image) {
    if (image.w > 0) write_png(run_dir_ + "/" + name, image);
  };
  write("results.png", plot_picture(report_plots(report_), 2));
  if (report_.metrics) {
    write("confusion_matrix.png", confusion_picture(*report_.metrics, report_.class_names));
  }
  if (report_.detection) {
    write("PR_curve.png",
          plot_picture({precision_recall_plot(*report_.detection, report_.class_names)}, 1));
  }
  if (!report_.mistakes.empty()) write("mistakes.png", mistakes_picture(report_));
}

void RunRecorder::finish(const TrainingState& state, const std::string& status,
                         const std::vector<std::string>& warnings) {
  summary_.status = status;
  summary_.epochs = csv_.rows().empty() ? 0 : csv_.rows().back().epoch;
  summary_.steps = state.step;
  summary_.samples = state.samples;
  summary_.seconds = state.seconds;
  double training_seconds = state.epoch_seconds;
  std::int64_t samples = state.epoch_samples, before = 0;
  for (const EpochRow& row : csv_.rows()) {
    const double count = static_cast<double>(row.samples - before);
    before = row.samples;
    if (!(row.images_per_second > 0.0)) continue;
    training_seconds += count / row.images_per_second;
    samples += static_cast<std::int64_t>(count);
  }
  if (training_seconds > 0.0) {
    summary_.images_per_second = static_cast<double>(samples) / training_seconds;
  }
  summary_.warnings = warnings;
  report_.status = status;
  report_.warnings = warnings;
  report_.seconds = state.seconds;
  draw_found();
  write_report();
  write_pictures();
  write_summary(run_dir_ + "/results.json", summary_);
}

}  // namespace daybreak
