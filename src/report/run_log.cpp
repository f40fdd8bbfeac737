#include "report/run_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string_view>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/posix_file.h"

namespace daybreak {
namespace {

constexpr const char* kHeader =
    "epoch,step,samples,seconds,lr,momentum,train/loss,val/loss,val/top1,val/top5,img/s";
constexpr const char* kDetectionHeader =
    "epoch,step,samples,seconds,lr,momentum,train/loss,val/loss,val/map50,val/map,img/s,"
    "val/box,val/objectness,val/classes,train/box,train/objectness,train/classes";
constexpr const char* kStepHeader = "step,lr,momentum,train/loss";
constexpr const char* kDetectionStepHeader =
    "step,lr,momentum,train/loss,train/box,train/objectness,train/classes";

// The shortest text that reads back as the same number; empty for kNoValue.
std::string cell(double value) {
  return std::isnan(value) ? "" : fmt::format("{}", value);
}

std::string fixed_cell(double value, int decimals) {
  return std::isnan(value) ? "" : fmt::format("{:.{}f}", value, decimals);
}

std::string row_text(const EpochRow& row, bool detection) {
  std::string text = fmt::format(
      "{},{},{},{},{},{},{},{},{},{},{}", row.epoch, row.step, row.samples,
      fixed_cell(row.seconds, 3), cell(row.lr), cell(row.momentum), cell(row.train_loss),
      cell(row.val_loss), cell(detection ? row.val_map50 : row.val_top1),
      cell(detection ? row.val_map : row.val_top5), fixed_cell(row.images_per_second, 1));
  if (detection) {
    for (const double part : {row.val_box, row.val_objectness, row.val_classes, row.train_box,
                              row.train_objectness, row.train_classes}) {
      text += "," + cell(part);
    }
  }
  return text + '\n';
}

template <typename Number>
bool parse(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse_cell(std::string_view text, double& value) {
  value = kNoValue;
  return text.empty() || parse(text, value);
}

// Exactly N cells between commas.
template <std::size_t N>
std::optional<std::array<std::string_view, N>> split_cells(std::string_view line) {
  std::array<std::string_view, N> cells;
  for (std::size_t i = 0; i < N; ++i) {
    const std::size_t comma = line.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == N)) return std::nullopt;
    cells[i] = line.substr(0, comma);
    if (comma != std::string_view::npos) line.remove_prefix(comma + 1);
  }
  return cells;
}

constexpr std::size_t kCells = 11, kDetectionCells = 17;

std::optional<EpochRow> parse_row(std::string_view line, bool detection) {
  std::array<std::string_view, kDetectionCells> cells;
  if (detection) {
    const auto all = split_cells<kDetectionCells>(line);
    if (!all) return std::nullopt;
    cells = *all;
  } else {
    const auto all = split_cells<kCells>(line);
    if (!all) return std::nullopt;
    std::copy(all->begin(), all->end(), cells.begin());
  }
  EpochRow row;
  const std::array<std::int64_t*, 3> counts = {&row.epoch, &row.step, &row.samples};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (!parse(cells[i], *counts[i])) return std::nullopt;
  }
  const std::array<double*, kDetectionCells - 3> figures = {
      &row.seconds,
      &row.lr,
      &row.momentum,
      &row.train_loss,
      &row.val_loss,
      detection ? &row.val_map50 : &row.val_top1,
      detection ? &row.val_map : &row.val_top5,
      &row.images_per_second,
      &row.val_box,
      &row.val_objectness,
      &row.val_classes,
      &row.train_box,
      &row.train_objectness,
      &row.train_classes};
  const std::size_t count = (detection ? kDetectionCells : kCells) - counts.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (!parse_cell(cells[i + counts.size()], *figures[i])) return std::nullopt;
  }
  return row;
}

// The columns of steps.csv after the step; the last three are a detector's.
constexpr double StepSample::*kStepFigures[] = {&StepSample::lr,         &StepSample::momentum,
                                                &StepSample::loss,       &StepSample::box,
                                                &StepSample::objectness, &StepSample::classes};
constexpr std::size_t kPlainStepFigures = 3, kDetectionStepFigures = 6;

template <std::size_t Cells>
std::optional<StepSample> parse_step(std::string_view line) {
  const auto cells = split_cells<Cells>(line);
  StepSample point;
  if (!cells || !parse((*cells)[0], point.step)) return std::nullopt;
  for (std::size_t i = 1; i < Cells; ++i) {
    if (!parse_cell((*cells)[i], point.*kStepFigures[i - 1])) return std::nullopt;
  }
  return point;
}

// Lines that end in a line feed, so a row that a crash cut short is not among them.
std::vector<std::string_view> whole_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::vector<EpochRow> parse_rows(std::string_view text) {
  std::vector<EpochRow> rows;
  const std::vector<std::string_view> lines = whole_lines(text);
  if (lines.empty()) return rows;
  const bool detection = lines[0] == kDetectionHeader;
  if (!detection && lines[0] != kHeader) return rows;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (const auto row = parse_row(lines[i], detection)) rows.push_back(*row);
  }
  return rows;
}

// Empty when there is no such file.
std::string text_of_file(const std::string& path) {
  constexpr std::uint64_t kMaxBytes = 256u << 20;
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return "";
  const FileBytes bytes = read_whole_file(path, kMaxBytes);
  return std::string(reinterpret_cast<const char*>(bytes.data.get()), bytes.size);
}

}  // namespace

std::vector<EpochRow> read_results_csv(const std::string& path) {
  return parse_rows(text_of_file(path));
}

ResultsCsv::ResultsCsv(std::string path, std::int64_t resumed_epoch, bool detection)
    : path_(std::move(path)), detection_(detection) {
  const std::string header = detection ? kDetectionHeader : kHeader;
  const std::string before = text_of_file(path_);
  const std::vector<std::string_view> lines = whole_lines(before);
  const bool same = !lines.empty() && lines[0] == header;
  if (!lines.empty() && !same) write_file_atomically(path_ + ".old", before);
  std::string content = header + '\n';
  for (const EpochRow& row : same ? parse_rows(before) : std::vector<EpochRow>()) {
    if (row.epoch > resumed_epoch) continue;
    content += row_text(row, detection);
    rows_.push_back(row);
  }
  if (content != before) write_file_atomically(path_, content);
  fd_ = FileDescriptor(open_retrying(path_, O_WRONLY | O_APPEND));
  if (!fd_.open()) throw_file_error(path_, "open", errno);
}

void ResultsCsv::add(const EpochRow& row) {
  const std::string text = row_text(row, detection_);
  const int error = write_fully(fd_.get(), std::as_bytes(std::span(text)));
  if (error != 0) throw_file_error(path_, "write", error);
  rows_.push_back(row);
}

StepCurve::StepCurve(bool detection) : detection_(detection) {
  points_.reserve(kMaxPoints + 1);
  clear_sum();
}

void StepCurve::clear_sum() {
  sum_ = {};
  sum_.box = sum_.objectness = sum_.classes = 0.0;
  pending_ = 0;
}

void StepCurve::add(const StepSample& sample) {
  for (const auto figure : kStepFigures) sum_.*figure += sample.*figure;
  if (++pending_ < stride_) return;
  points_.push_back({sample.step});
  for (const auto figure : kStepFigures) {
    points_.back().*figure = sum_.*figure / static_cast<double>(pending_);
  }
  clear_sum();
  if (points_.size() >= kMaxPoints) halve();
}

void StepCurve::halve() {
  const std::size_t half = points_.size() / 2;
  for (std::size_t i = 0; i < half; ++i) {
    const StepSample a = points_[2 * i], b = points_[2 * i + 1];
    points_[i].step = b.step;
    for (const auto figure : kStepFigures) points_[i].*figure = (a.*figure + b.*figure) / 2;
  }
  points_.resize(half);
  stride_ *= 2;
}

void StepCurve::save(const std::string& path) const {
  std::string text = std::string(detection_ ? kDetectionStepHeader : kStepHeader) + '\n';
  const std::size_t figures = detection_ ? kDetectionStepFigures : kPlainStepFigures;
  for (const StepSample& point : points_) {
    text += std::to_string(point.step);
    for (std::size_t i = 0; i < figures; ++i) text += "," + cell(point.*kStepFigures[i]);
    text += '\n';
  }
  write_file_atomically(path, text);
}

void StepCurve::load(const std::string& path, std::int64_t last_step) {
  points_.clear();
  clear_sum();
  stride_ = 1;
  const std::string text = text_of_file(path);
  const std::vector<std::string_view> lines = whole_lines(text);
  if (lines.empty() || lines[0] != (detection_ ? kDetectionStepHeader : kStepHeader)) return;
  for (std::size_t i = 1; i < lines.size() && points_.size() < kMaxPoints - 1; ++i) {
    const auto point = detection_ ? parse_step<1 + kDetectionStepFigures>(lines[i])
                                  : parse_step<1 + kPlainStepFigures>(lines[i]);
    if (point && point->step <= last_step) points_.push_back(*point);
  }
  if (points_.size() >= 2) {
    const std::int64_t gap = points_[1].step - points_[0].step;
    while (stride_ < gap && stride_ < (std::int64_t{1} << 40)) stride_ *= 2;
  }
}

std::string summary_json(const RunSummary& summary) {
  using Json = nlohmann::ordered_json;
  const auto put = [](Json& object, const char* key, double value) {
    if (std::isfinite(value)) object[key] = value;
  };
  Json json = {{"task", summary.task}};
  if (!summary.name.empty()) json["name"] = summary.name;
  if (!summary.status.empty()) json["status"] = summary.status;
  json["epochs"] = summary.epochs;
  json["steps"] = summary.steps;
  json["samples"] = summary.samples;
  put(json, "seconds", summary.seconds);
  put(json, "images_per_second", summary.images_per_second);
  json["final"] = Json::object();
  put(json["final"], "loss", summary.final_loss);
  put(json["final"], "top1", summary.final_top1);
  put(json["final"], "top5", summary.final_top5);
  put(json["final"], "map50", summary.final_map50);
  put(json["final"], "map", summary.final_map);
  put(json["final"], summary.task == "detection" ? "ema_map50" : "ema_top1", summary.final_ema);
  put(json["final"], "tta_top1", summary.final_tta);
  put(json["final"], "ema_tta_top1", summary.final_ema_tta);
  if (summary.best_epoch > 0) {
    json["best"] = {{"epoch", summary.best_epoch}};
    put(json["best"], "top1", summary.best_top1);
    put(json["best"], "map50", summary.best_map50);
  }
  json["device"] = summary.device;
  json["threads"] = summary.threads;
  json["precision"] = summary.precision;
  json["seed"] = summary.seed;
  if (summary.params > 0) json["params"] = summary.params;
  json["versions"] = Json::object();
  for (const auto& [name, version] : summary.versions) json["versions"][name] = version;
  json["warnings"] = summary.warnings;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void write_summary(const std::string& path, const RunSummary& summary) {
  write_file_atomically(path, summary_json(summary));
}

}  // namespace daybreak
