#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <regex>
#include <sstream>

#include "support/command.h"
#include "support/temp_folder.h"

// What a user sees: the program as a whole on real pictures.

namespace daybreak {
namespace {

using test::read_text;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kFashion = "/usr/share/datasets/fashion-mnist";

// A small network with everything that has state: batch norm, dropout, augmentation, momentum.
std::string net_text() {
  return R"(name: small
input: {channels: 1, height: 28, width: 28, mean: [0.286], std: [0.353]}
defaults: {conv: {norm: batch, act: {leaky: 0.1}}}
layers:
  - conv: {filters: 8, size: 3, stride: 2}
  - res_group: {filters: 16, blocks: 1, stride: 2}
  - dropout: 0.1
  - global_avgpool
  - linear: {outputs: 10}
  - softmax_loss
)";
}

std::string solver_text(int train, int test, const std::string& more) {
  return "net: net.yaml\nname: small\ndata:\n  name: fashion\n  sources: [{idx: {dir: " +
         std::string(kFashion) + "}}]\n  train_limit: " + std::to_string(train) +
         "\n  test_limit: " + std::to_string(test) +
         "\naugment: [{pad_crop: {pad: 2}}, {flip: 0.5}]\nbatch: 50\nseed: 3\n" + more;
}

// A refusal of the processor, not any wrong configuration.
bool lacks_bf16(const CommandResult& result) {
  return result.exit_code == 2 && result.err.find("bf16 is not available") != std::string::npos;
}

class TrainTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kFashion)) {
      GTEST_SKIP() << "needs Debian's package dataset-fashion-mnist";
    }
    write("net.yaml", net_text());
  }
  std::string solver(int train, int test, const std::string& more) {
    return write("solver.yaml", solver_text(train, test, more));
  }
  std::string run_dir(const std::string& name) const { return folder_.path() + "/" + name; }
  // The digest over weights and optimizer state of the newest checkpoint.
  std::string digest(const std::string& run) const {
    const CommandResult result = daybreak({"export", "digest", run});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  std::string write(const std::string& name, const std::string& text) const {
    test::write_text(folder_ / name, text);
    return folder_ / name;
  }

  test::TempFolder folder_;
};

TEST_F(TrainTest, LearnsASmallRealSubset) {
  const std::string file =
      solver(4000, 1000, "one_cycle: {length: 6e, lr: 0.5, momentum: [0.95, 0.85]}\n");
  const CommandResult result = daybreak({"train", file, "--run", run_dir("a"), "--json", "-"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\"task\": \"classification\""));
  for (const char* name :
       {"config.yaml", "results.csv", "results.json", "last.safetensors", "best.safetensors",
        "report.html", "log.txt", "results.png", "confusion_matrix.png"}) {
    EXPECT_TRUE(fs::exists(run_dir("a") + "/" + name)) << name;
  }
  const CommandResult test = daybreak({"test", run_dir("a"), "--min-top1", "0.75", "--json", "-"});
  EXPECT_EQ(test.exit_code, 0) << test.out << test.err;
  EXPECT_THAT(test.out, HasSubstr("\"n\":1000"));
  EXPECT_EQ(daybreak({"test", run_dir("a"), "--min-top1", "0.999"}).exit_code, 1);
}

std::vector<double> losses_of(const std::string& run) {
  std::istringstream lines(read_text(run + "/steps.csv"));
  std::vector<double> losses;
  std::string line;
  std::getline(lines, line);  // step,lr,momentum,loss
  while (std::getline(lines, line)) losses.push_back(std::stod(line.substr(line.rfind(',') + 1)));
  return losses;
}

TEST_F(TrainTest, Bf16FollowsF32) {
  const std::string file =
      solver(3000, 500, "one_cycle: {length: 1e, lr: 0.2, momentum: [0.95, 0.85]}\n");
  ASSERT_EQ(daybreak({"train", file, "--run", run_dir("f32")}).exit_code, 0);
  const CommandResult narrow =
      daybreak({"train", file, "--run", run_dir("bf16"), "--precision", "bf16"});
  if (lacks_bf16(narrow)) GTEST_SKIP() << narrow.err;
  ASSERT_EQ(narrow.exit_code, 0) << narrow.err;
  const auto a = losses_of(run_dir("f32")), b = losses_of(run_dir("bf16"));
  ASSERT_EQ(a.size(), 60u);
  ASSERT_EQ(b.size(), a.size());
  for (std::size_t first = 0; first < a.size(); first += 10) {
    double wide = 0.0, small = 0.0;
    for (std::size_t i = first; i < first + 10; ++i) wide += a[i], small += b[i];
    EXPECT_NEAR(small, wide, 0.02 * wide) << "steps from " << first;
  }
  // Checkpoints are f32 whatever they were trained in, and serve both.
  for (const char* precision : {"f32", "bf16"}) {
    const CommandResult test = daybreak(
        {"test", run_dir("bf16"), "--precision", precision, "--min-top1", "0.35", "--json", "-"});
    EXPECT_EQ(test.exit_code, 0) << precision << test.out << test.err;
  }
}

TEST_F(TrainTest, PhasesMayDifferInPrecision) {
  const std::string file = solver(1000, 200,
                                  "phases:\n"
                                  "  - {until: 1e, lr: 0.1, precision: bf16}\n"
                                  "  - {until: 2e, precision: f32}\n"
                                  "checkpoint: {every: 7s, keep: 2}\n");
  const CommandResult whole = daybreak({"train", file, "--run", run_dir("whole")});
  if (lacks_bf16(whole)) GTEST_SKIP() << whole.err;
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const std::string wide = solver(1000, 200,
                                  "phases:\n"
                                  "  - {until: 1e, lr: 0.1}\n"
                                  "  - {until: 2e}\n"
                                  "checkpoint: {every: 7s, keep: 2}\n");
  ASSERT_EQ(daybreak({"train", wide, "--run", run_dir("wide")}).exit_code, 0);
  EXPECT_NE(digest(run_dir("whole")), digest(run_dir("wide")));
  const auto a = losses_of(run_dir("wide")), b = losses_of(run_dir("whole"));
  ASSERT_EQ(a.size(), b.size());
  EXPECT_NE(a.front(), b.front());  // the first phase is in bf16
  EXPECT_NEAR(a.front(), b.front(), 0.01 * a.front());
}

TEST_F(TrainTest, OverfitsSixteenPictures) {
  std::string text = solver_text(16, 16, "lr: 0.1\nlength: 60e\nmomentum: 0.9\n");
  text = std::regex_replace(text, std::regex("augment: .*\n"), "");
  text = std::regex_replace(text, std::regex("batch: 50"), "batch: 16");
  const std::string file = write("overfit.yaml", text);
  const CommandResult trained = daybreak({"train", file, "--run", run_dir("o"), "--set",
                                          "evaluate.every=60e", "--set", "checkpoint.every=60e"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const CommandResult test =
      daybreak({"test", run_dir("o"), "--split", "train", "--min-top1", "1.0"});
  EXPECT_EQ(test.exit_code, 0) << test.out;
}

TEST_F(TrainTest, ResumeAfterKillIsBitIdentical) {
  const std::string file = solver(1000, 200,
                                  "one_cycle: {length: 3e, lr: 0.2, momentum: [0.95, 0.85]}\n"
                                  "checkpoint: {every: 7s, keep: 2}\n");
  ASSERT_EQ(daybreak({"train", file, "--run", run_dir("whole")}).exit_code, 0);
  const std::string expected = digest(run_dir("whole"));
  int kills = 0;
  for (int delay_ms : {0, 30, 90}) {
    const std::string run = run_dir("killed" + std::to_string(delay_ms));
    const CommandResult killed = run_and_signal({DAYBREAK_BINARY, "train", file, "--run", run},
                                                SIGKILL, delay_ms, run + "/last.safetensors");
    if (killed.exit_code == 0) continue;  // it was faster than the signal
    ++kills;
    EXPECT_EQ(killed.exit_code, 128 + SIGKILL);
    const CommandResult resumed = daybreak({"train", "--resume", run});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_EQ(digest(run), expected) << "killed after " << delay_ms << " ms";
    const std::string csv = read_text(run + "/results.csv");
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4) << csv;
  }
  EXPECT_GT(kills, 0) << "no run was killed in time";
}

// A resumed run computes with the kernels of its checkpoint, whatever was measured since.
TEST_F(TrainTest, ResumeDoesNotDependOnTheCacheOfKernels) {
  const std::string file = solver(1000, 200,
                                  "one_cycle: {length: 3e, lr: 0.2, momentum: [0.95, 0.85]}\n"
                                  "checkpoint: {every: 1e, keep: 9}\n");
  const std::string cache = "XDG_CACHE_HOME=" + folder_.path() + "/cache";
  const std::vector<std::string> tuned = {"DAYBREAK_TUNE=on", cache};
  const std::string whole = run_dir("whole");
  ASSERT_EQ(run_command({DAYBREAK_BINARY, "train", file, "--run", whole}, tuned).exit_code, 0);
  EXPECT_TRUE(fs::exists(folder_.path() + "/cache/daybreak/tune.json"));
  // The same run, cut back to the end of its first epoch; the cache is gone and nothing measured.
  const std::string cut = run_dir("cut");
  fs::copy(whole, cut, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  for (const char* name : {"ckpt-0000040.safetensors", "ckpt-0000060.safetensors"}) {
    ASSERT_TRUE(fs::remove(cut + "/" + name)) << name;
  }
  const std::vector<std::string> untuned = {"DAYBREAK_TUNE=off", cache + "2"};
  const CommandResult resumed = run_command({DAYBREAK_BINARY, "train", "--resume", cut}, untuned);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(digest(cut), digest(whole));
}

// Everything of the records' recipes that has state or draws: averages of weights, a whitened and
// frozen first layer, flips by epoch; the views come after training.
const char* const kRecordNet = R"(name: small
input: {channels: 1, height: 28, width: 28, mean: [0.286], std: [0.353]}
defaults: {conv: {bias: false, init: {dirac: {rest: fan_in}}}, batch_norm: {momentum: 0.4, act: gelu}}
layers:
  - conv: {name: whiten, filters: 8, size: 2, pad: 0, bias: true, act: gelu, init: whiten}
  - conv: {filters: 12, stride: 2}
  - batch_norm
  - conv: {filters: 16, stride: 2}
  - batch_norm
  - maxpool: 7
  - linear: {outputs: 10, bias: false}
  - scale: 0.2
  - softmax_loss: {label_smoothing: 0.2}
)";
const char* const kRecordSolver = R"(optimizer: {sgd: {nesterov: true, weight_decay: 1e-3}}
ema: {decay: 0.9, every: 2, ramp: 10}
lookahead: {every: 5, decay: 0.77, power: 3}
phases:
  - {until: 1.5e, lr: [0.05, 0.3], momentum: 0.85, curve: linear, freeze: [whiten.weight]}
  - {until: 3e, lr: [0.3, 0.02], freeze: [whiten]}
evaluate: {every: 1e, tta: shift}
checkpoint: {every: 7s, keep: 9}
)";

TEST_F(TrainTest, RecipesOfTheRecordsResumeBitIdentically) {
  write("net.yaml", kRecordNet);
  std::string text = solver_text(1000, 200, kRecordSolver);
  text = std::regex_replace(text, std::regex("flip: 0.5"), "flip: {alternate: true}");
  const std::string file = write("solver.yaml", text);
  const std::string whole = run_dir("whole"), cut = run_dir("cut");
  const CommandResult trained = daybreak({"train", file, "--run", whole});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out, HasSubstr("averaged weights "));
  EXPECT_THAT(trained.out, HasSubstr("several views of each picture "));
  EXPECT_THAT(read_text(whole + "/results.json"), HasSubstr("\"ema_tta_top1\""));
  fs::copy(whole, cut, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  for (int step = 28; step <= 60; ++step) {  // back to step 21, in the second epoch
    fs::remove(cut + "/ckpt-00000" + std::to_string(step) + ".safetensors");
  }
  const CommandResult resumed = daybreak({"train", "--resume", cut});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("at step 21"));
  EXPECT_EQ(digest(cut), digest(whole));
  // The views and the running mean beside the plain figure, and the mean as a file of its own.
  const CommandResult test = daybreak({"test", whole});
  EXPECT_EQ(test.exit_code, 0) << test.err;
  for (const char* line :
       {"with six views of each picture averaged: top-1 ", "with averaged weights: top-1 ",
        "with averaged weights and six views of each picture averaged: top-1 "}) {
    EXPECT_THAT(test.out, HasSubstr(line));
  }
  const std::string mean = folder_ / "mean.safetensors";
  ASSERT_EQ(daybreak({"export", "safetensors", whole, "--ema", "--out", mean}).exit_code, 0);
  const auto number_after = [](const std::string& json, const std::string& key) {
    const std::size_t at = json.find(key);
    if (at == std::string::npos) return std::string("none");
    const std::size_t begin = at + key.size();
    return json.substr(begin, json.find_first_of(",\n}", begin) - begin);
  };
  const std::string both = daybreak({"test", whole, "--json", "-"}).out;
  const std::string alone =
      daybreak({"test", whole, "--weights", mean, "--tta", "none", "--json", "-"}).out;
  EXPECT_EQ(number_after(both, "\"ema_top1\":"), number_after(alone, "\"top1\":")) << both << alone;
  EXPECT_THAT(alone, testing::Not(HasSubstr("tta")));
}

TEST_F(TrainTest, AveragesCannotBeginInTheMiddle) {
  const std::string file = solver(200, 50, "lr: 0.1\nlength: 1e\n");
  ASSERT_EQ(daybreak({"train", file, "--run", run_dir("a")}).exit_code, 0);
  const CommandResult resumed = daybreak({"train", "--resume", run_dir("a"), "--set", "ema=0.9"});
  EXPECT_EQ(resumed.exit_code, 4);
  EXPECT_THAT(resumed.err, HasSubstr("it was trained without \"ema\", which cannot begin in the "
                                     "middle"));
  const CommandResult exported = daybreak(
      {"export", "safetensors", run_dir("a"), "--ema", "--out", folder_ / "x.safetensors"});
  EXPECT_EQ(exported.exit_code, 4);
  EXPECT_THAT(exported.err, HasSubstr("has no averaged weights: train with \"ema\""));
}

TEST_F(TrainTest, SignalSavesAndResumeGoesOn) {
  const std::string file = solver(1000, 200,
                                  "one_cycle: {length: 40e, lr: 0.2, momentum: [0.95, 0.85]}\n"
                                  "checkpoint: {every: 40e}\n");
  ASSERT_EQ(daybreak({"train", file, "--run", run_dir("whole")}).exit_code, 0);
  const std::string run = run_dir("stopped");
  const CommandResult stopped = run_and_signal({DAYBREAK_BINARY, "train", file, "--run", run},
                                               SIGTERM, 30, run + "/results.csv");
  ASSERT_EQ(stopped.exit_code, 143) << stopped.err;
  EXPECT_TRUE(fs::exists(run + "/last.safetensors"));
  const CommandResult resumed = daybreak({"train", "--resume", run});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err << stopped.err;
  EXPECT_EQ(digest(run), digest(run_dir("whole")));
}

TEST_F(TrainTest, LoaderThreadsDoNotMatter) {
  const std::string file = solver(500, 100, "lr: 0.1\nlength: 1e\n");
  std::string first;
  for (const char* workers : {"0", "1", "3"}) {
    const std::string run = run_dir(std::string("w") + workers);
    ASSERT_EQ(
        daybreak({"train", file, "--run", run, "--set", std::string("data.workers=") + workers})
            .exit_code,
        0);
    if (first.empty()) first = digest(run);
    EXPECT_EQ(digest(run), first) << workers << " workers";
  }
}

TEST_F(TrainTest, DivergenceStopsWithTheCause) {
  const std::string file = solver(1000, 100, "lr: 1e6\nlength: 1e\n");
  const CommandResult result = daybreak({"train", file, "--run", run_dir("nan")});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, testing::ContainsRegex("at step [0-9]+ \\(epoch 1, lr 1e\\+06\\)"));
  EXPECT_THAT(read_text(run_dir("nan") + "/results.json"), HasSubstr("\"diverged\""));
}

// A power of two changes no bit in f32; the checkpoint carries the scale.
TEST_F(TrainTest, ALossScaleChangesNothingInF32AndIsResumed) {
  const std::string file = solver(500, 100, "lr: 0.1\nlength: 3e\ncheckpoint: {every: 1e}\n");
  ASSERT_EQ(daybreak({"train", file, "--run", run_dir("plain")}).exit_code, 0);
  const std::vector<std::string> scaled = {
      DAYBREAK_BINARY, "train", file, "--run", run_dir("scaled"), "--set", "loss_scale=4096"};
  ASSERT_EQ(run_command(scaled).exit_code, 0);
  EXPECT_EQ(digest(run_dir("scaled")), digest(run_dir("plain")));
  const std::string checkpoint = read_text(run_dir("scaled") + "/last.safetensors");
  EXPECT_NE(checkpoint.find("\"loss_scale\":\"4096\""), std::string::npos);
  EXPECT_EQ(read_text(run_dir("plain") + "/last.safetensors").find("loss_scale\":\"4096"),
            std::string::npos);
}

TEST_F(TrainTest, AutoSaysWhatComputes) {
  const std::string file = solver(100, 100, "lr: 0.1\nlength: 1e\n");
  const CommandResult result = daybreak({"train", file, "--run", run_dir("auto")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, testing::ContainsRegex("device  (the CPU computes: |GPU 0 computes)"));
  const CommandResult named = daybreak({"train", file, "--run", run_dir("cpu"), "--device", "cpu"});
  EXPECT_THAT(named.err, testing::Not(HasSubstr("device  ")));
}

TEST_F(TrainTest, HalfPrecisionOnTheCpuIsRefusedInOneLine) {
  const std::string file = solver(100, 100, "lr: 0.1\nlength: 1e\n");
  const CommandResult result =
      daybreak({"train", file, "--run", run_dir("f16"), "--device", "cpu", "--precision", "f16"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("f16 is not available on"));
  EXPECT_THAT(result.err, HasSubstr("needs a GPU"));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_FALSE(fs::exists(run_dir("f16")));
}

TEST_F(TrainTest, ClassCountMustFitTheData) {
  write("net.yaml", std::regex_replace(net_text(), std::regex("outputs: 10"), "outputs: 7"));
  const std::string file = solver(100, 100, "lr: 0.1\nlength: 1e\n");
  const CommandResult result = daybreak({"train", file, "--run", run_dir("c")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("net.yaml:"));
  EXPECT_THAT(result.err, HasSubstr("10"));
  EXPECT_FALSE(fs::exists(run_dir("c")));
}

TEST_F(TrainTest, RefusesWeightsOfAnotherNetwork) {
  const std::string file = solver(200, 100, "lr: 0.1\nlength: 1e\n");
  ASSERT_EQ(daybreak({"train", file, "--run", run_dir("n")}).exit_code, 0);
  const CommandResult result =
      daybreak({"test", file, "--weights", run_dir("n") + "/best.safetensors", "--set",
                "net.layers[0].conv.filters=9"});
  EXPECT_EQ(result.exit_code, 4) << result.out << result.err;
  EXPECT_THAT(result.err, HasSubstr("conv1.weight"));
}

TEST_F(TrainTest, LrFindLeavesNothingBehind) {
  const std::string file = solver(2000, 100, "lr: 0.1\nlength: 1e\n");
  const CommandResult result =
      daybreak({"lr_find", file, "--steps", "40", "--out", folder_.path() + "/lr", "--json", "-"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\"valley\""));
  EXPECT_THAT(result.out, HasSubstr("\"points\""));
  EXPECT_TRUE(fs::exists(folder_.path() + "/lr.png"));
  const CommandResult missing = daybreak({"train", folder_.path() + "/none.yaml"});
  EXPECT_EQ(missing.exit_code, 2);
}

}  // namespace
}  // namespace daybreak
