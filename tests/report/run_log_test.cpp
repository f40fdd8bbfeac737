#include "report/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHeader =
    "epoch,step,samples,seconds,lr,momentum,train/loss,val/loss,val/top1,val/top5,img/s\n";

class RunLogTest : public testing::Test {
 protected:
  RunLogTest() {
    std::string name = (fs::temp_directory_path() / "daybreak-report-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
  }
  ~RunLogTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  static std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

EpochRow row_of(std::int64_t epoch) {
  EpochRow row;
  row.epoch = epoch;
  row.step = epoch * 469;
  row.samples = epoch * 60000;
  row.seconds = 14.25 * static_cast<double>(epoch);
  row.lr = 0.05;
  row.momentum = 0.9;
  row.train_loss = 0.1 + 0.2;  // not 0.3: cells read back exactly
  row.val_loss = 0.371;
  row.val_top1 = 0.868;
  row.val_top5 = 0.997;
  row.images_per_second = 4213.04;
  return row;
}

TEST_F(RunLogTest, WritesRowsAtOnce) {
  ResultsCsv csv(path("results.csv"), 0);
  EXPECT_EQ(content(path("results.csv")), kHeader);
  csv.add(row_of(1));
  EXPECT_EQ(content(path("results.csv")),
            std::string(kHeader) +
                "1,469,60000,14.250,0.05,0.9,0.30000000000000004,0.371,0.868,0.997,4213.0\n");
  EpochRow unknown;
  unknown.epoch = 2;
  csv.add(unknown);
  EXPECT_TRUE(content(path("results.csv")).ends_with("\n2,0,0,0.000,,,,,,,\n"));

  const std::vector<EpochRow> rows = read_results_csv(path("results.csv"));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].train_loss, 0.1 + 0.2);
  EXPECT_EQ(rows[0].samples, 60000);
  EXPECT_TRUE(std::isnan(rows[1].val_top1));
}

TEST_F(RunLogTest, DetectorsHaveColumnsOfTheirOwn) {
  constexpr const char* kHeaderOfDetectors =
      "epoch,step,samples,seconds,lr,momentum,train/loss,val/loss,val/map50,val/map,img/s,"
      "val/box,val/objectness,val/classes,train/box,train/objectness,train/classes\n";
  {
    ResultsCsv csv(path("results.csv"), 0, /*detection=*/true);
    EpochRow row = row_of(1);
    row.val_map50 = 0.875;
    row.val_map = 0.5;
    row.val_box = 0.25, row.val_objectness = 0.125;
    row.train_box = 0.5, row.train_classes = 0.75;
    csv.add(row);
  }
  EXPECT_EQ(content(path("results.csv")), std::string(kHeaderOfDetectors) +
                                              "1,469,60000,14.250,0.05,0.9,0.30000000000000004,0."
                                              "371,0.875,0.5,4213.0,0.25,0.125,,0.5,,0.75\n");
  const std::vector<EpochRow> rows = read_results_csv(path("results.csv"));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].val_map50, 0.875);
  EXPECT_EQ(rows[0].val_map, 0.5);
  EXPECT_EQ(rows[0].val_objectness, 0.125);
  EXPECT_TRUE(std::isnan(rows[0].val_classes));
  EXPECT_EQ(rows[0].train_box, 0.5);
  EXPECT_TRUE(std::isnan(rows[0].train_objectness));
  EXPECT_EQ(rows[0].train_classes, 0.75);
  EXPECT_TRUE(std::isnan(rows[0].val_top1));
  const ResultsCsv resumed(path("results.csv"), 1, /*detection=*/true);
  EXPECT_EQ(resumed.rows().size(), 1u);
  const ResultsCsv other(path("results.csv"), 1, /*detection=*/false);
  EXPECT_TRUE(other.rows().empty());
  EXPECT_TRUE(content(path("results.csv.old")).starts_with(kHeaderOfDetectors));
}

TEST_F(RunLogTest, SummariesOfDetectorsHaveMap) {
  RunSummary summary;
  summary.task = "detection";
  summary.final_map50 = 0.9;
  summary.final_map = 0.6;
  summary.best_epoch = 3;
  summary.best_map50 = 0.91;
  const auto json = nlohmann::json::parse(summary_json(summary));
  EXPECT_EQ(json["task"], "detection");
  EXPECT_EQ(json["final"], nlohmann::json::parse(R"({"map50":0.9,"map":0.6})"));
  EXPECT_EQ(json["best"], nlohmann::json::parse(R"({"epoch":3,"map50":0.91})"));
}

TEST_F(RunLogTest, DropsRowsAfterTheResumedEpoch) {
  const std::string file = path("results.csv");
  std::string first_three;
  {
    ResultsCsv csv(file, 0);
    for (int epoch = 1; epoch <= 5; ++epoch) {
      csv.add(row_of(epoch));
      if (epoch == 3) first_three = content(file);
    }
  }
  ResultsCsv csv(file, 3);
  EXPECT_EQ(content(file), first_three);
  EXPECT_EQ(csv.rows().size(), 3u);
  csv.add(row_of(4));
  EXPECT_EQ(csv.rows().size(), 4u);
  const std::vector<EpochRow> rows = read_results_csv(file);
  ASSERT_EQ(rows.size(), 4u);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].epoch, static_cast<std::int64_t>(i) + 1);
  }
  EXPECT_EQ(files(), 1u);  // no temporary is left
}

TEST_F(RunLogTest, HealsAFileThatACrashCutShort) {
  const std::string file = path("results.csv");
  {
    ResultsCsv csv(file, 0);
    csv.add(row_of(1));
    csv.add(row_of(2));
  }
  const std::string whole = content(file);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    write(file, whole.substr(0, cut));
    ResultsCsv csv(file, 2);
    const std::string healed = content(file);
    EXPECT_TRUE(healed.ends_with('\n'));
    EXPECT_EQ(whole.substr(0, healed.size()), healed) << "cut after " << cut;
    csv.add(row_of(9));
    EXPECT_EQ(read_results_csv(file).back().epoch, 9);
  }
}

TEST_F(RunLogTest, KeepsAFileWithOtherColumns) {
  const std::string file = path("results.csv");
  write(file, "epoch,loss\n1,0.5\n");
  ResultsCsv csv(file, 1);
  EXPECT_EQ(content(file), kHeader);
  EXPECT_EQ(content(file + ".old"), "epoch,loss\n1,0.5\n");
}

TEST_F(RunLogTest, SaysWhyItCannotWrite) {
  EXPECT_TRUE(read_results_csv(path("nowhere.csv")).empty());
  EXPECT_THROW(ResultsCsv(path("no/such/folder/results.csv"), 0), DeviceError);
  EXPECT_THROW(write_summary(path("missing/results.json"), {}), DeviceError);
}

// A file that may grow no further refuses the row with a message, and SIGXFSZ is not what ends us.
TEST_F(RunLogTest, ReportsAFullDisk) {
  const std::string file = path("results.csv");
  ResultsCsv csv(file, 0);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {fs::file_size(file), before.rlim_max};
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);  // as main does
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  try {
    csv.add(row_of(1));
  } catch (const DeviceError& error) {
    message = error.what();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(message, file + ": error: cannot write: File too large");
  EXPECT_TRUE(csv.rows().empty());
}

TEST_F(RunLogTest, StepCurveIsThinnedByAveraging) {
  StepCurve curve;
  constexpr std::int64_t kSteps = 10000;
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    curve.add({step, 0.001 * static_cast<double>(step), 0.9, static_cast<double>(step % 2)});
  }
  EXPECT_LE(curve.points().size(), StepCurve::kMaxPoints);
  EXPECT_GE(curve.points().size(), StepCurve::kMaxPoints / 2);
  const std::int64_t stride = curve.points()[1].step - curve.points()[0].step;
  EXPECT_EQ(stride, 8);
  for (const StepSample& point : curve.points()) {
    EXPECT_EQ(point.step % stride, 0);
    EXPECT_DOUBLE_EQ(point.loss, 0.5);
    EXPECT_NEAR(point.lr, 0.001 * (static_cast<double>(point.step) - 3.5), 1e-9);
  }
}

TEST_F(RunLogTest, StepCurveOfADetectorHasPartsAndGapsInThem) {
  StepCurve curve(/*detection=*/true);
  curve.add({1, 0.1, 0.9, 3.0, 1.0, 0.5, 1.5});
  curve.add({2, 0.1, 0.9, 2.0});
  curve.save(path("steps.csv"));
  EXPECT_EQ(content(path("steps.csv")),
            "step,lr,momentum,train/loss,train/box,train/objectness,train/classes\n"
            "1,0.1,0.9,3,1,0.5,1.5\n2,0.1,0.9,2,,,\n");
  StepCurve resumed(/*detection=*/true);
  resumed.load(path("steps.csv"), 100);
  ASSERT_EQ(resumed.points().size(), 2u);
  EXPECT_EQ(resumed.points()[0].classes, 1.5);
  EXPECT_TRUE(std::isnan(resumed.points()[1].box));
  StepCurve other;  // of a classifier: other columns
  other.load(path("steps.csv"), 100);
  EXPECT_TRUE(other.points().empty());
}

TEST_F(RunLogTest, StepCurveGoesOnAfterAResume) {
  const auto sample = [](std::int64_t step) {
    return StepSample{step, 0.1, 0.9, 1.0 / static_cast<double>(step)};
  };
  StepCurve whole;
  for (std::int64_t step = 1; step <= 4800; ++step) whole.add(sample(step));

  StepCurve first;
  for (std::int64_t step = 1; step <= 2400; ++step) first.add(sample(step));
  first.save(path("steps.csv"));
  StepCurve resumed;
  resumed.load(path("steps.csv"), 2200);
  EXPECT_LE(resumed.points().back().step, 2200);
  for (std::int64_t step = 2201; step <= 4800; ++step) resumed.add(sample(step));
  ASSERT_EQ(resumed.points().size(), whole.points().size());
  for (std::size_t i = 0; i < whole.points().size(); ++i) {
    EXPECT_EQ(resumed.points()[i].step, whole.points()[i].step);
    EXPECT_EQ(resumed.points()[i].loss, whole.points()[i].loss);
  }
  resumed.load(path("none.csv"), 100);
  EXPECT_TRUE(resumed.points().empty());
  write(path("steps.csv"), "step,lr,momentum,train/loss\n1,x,0.9,1\n\n2,0.1,0.9,0.5\n3,0.1");
  resumed.load(path("steps.csv"), 100);
  ASSERT_EQ(resumed.points().size(), 1u);
  EXPECT_EQ(resumed.points()[0].step, 2);
}

TEST_F(RunLogTest, SummaryHasTheFieldsOfTheContract) {
  RunSummary summary;
  summary.name = "fashion-mnist-1";
  summary.status = "done";
  summary.epochs = 5;
  summary.steps = 2340;
  summary.seconds = 71.2;
  summary.images_per_second = 4213.0;
  summary.final_loss = 0.19;
  summary.final_top1 = 0.934;
  summary.best_epoch = 5;
  summary.best_top1 = 0.934;
  summary.device = "cpu";
  summary.threads = 2;
  summary.precision = "f32";
  summary.seed = 18446744073709551615u;
  summary.versions = {{"daybreak", "0.1.0"}, {"onednn", "2.6.3"}};
  summary.warnings = {"\xFFname"};
  write_summary(path("results.json"), summary);
  const auto json = nlohmann::json::parse(content(path("results.json")));
  EXPECT_EQ(json["task"], "classification");
  EXPECT_EQ(json["epochs"], 5);
  EXPECT_EQ(json["steps"], 2340);
  EXPECT_EQ(json["seconds"], 71.2);
  EXPECT_EQ(json["images_per_second"], 4213.0);
  EXPECT_EQ(json["final"], nlohmann::json::parse(R"({"loss":0.19,"top1":0.934})"));
  EXPECT_EQ(json["best"], nlohmann::json::parse(R"({"epoch":5,"top1":0.934})"));
  EXPECT_EQ(json["device"], "cpu");
  EXPECT_EQ(json["threads"], 2);
  EXPECT_EQ(json["precision"], "f32");
  EXPECT_EQ(json["seed"].get<std::uint64_t>(), 18446744073709551615u);
  EXPECT_EQ(json["versions"]["onednn"], "2.6.3");
  EXPECT_EQ(json["warnings"][0], "\xEF\xBF\xBDname");
}

TEST_F(RunLogTest, LogGoesToConsoleFileAndWarnings) {
  std::string console;
  ProgressOutput output;
  output.write = [&](std::string_view text) { console += text; };
  output.now_s = [] { return 0.0; };
  output.columns = [] { return 80; };
  Progress progress(output);
  const auto before = spdlog::default_logger();
  {
    RunLog log(progress, Verbosity::normal);
    spdlog::info("early");
    log.open_file(path("log.txt"));
    spdlog::debug("detail");
    spdlog::warn("careful");
    spdlog::warn("careful");
    spdlog::error("broken");
    EXPECT_EQ(console, "early\nwarning: careful\nwarning: careful\nerror: broken\n");
    EXPECT_EQ(log.warnings(), std::vector<std::string>{"careful"});
    EXPECT_THAT(content(path("log.txt")),
                testing::MatchesRegex("[^\n]+ info: early\n[^\n]+ debug: detail\n[^\n]+ warning: "
                                      "careful\n[^\n]+ warning: careful\n[^\n]+ error: broken\n"));
  }
  EXPECT_EQ(spdlog::default_logger(), before);
  console.clear();
  RunLog log(progress, Verbosity::quiet);
  spdlog::info("nothing");
  spdlog::warn("shown");
  EXPECT_EQ(console, "warning: shown\n");
  EXPECT_THROW(log.open_file("/proc/no/such/folder/log.txt"), DeviceError);
}

}  // namespace
}  // namespace daybreak
