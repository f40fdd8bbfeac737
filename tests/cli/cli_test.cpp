#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "support/command.h"
#include "support/temp_folder.h"

// Messages, files and exit codes of the verbs, as a user meets them.

namespace daybreak {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

std::string source(const std::string& path) {
  return std::string(DAYBREAK_SOURCE_DIR) + "/" + path;
}

TEST(Cli, HelpListsTheVerbsQuickly) {
  daybreak({"--help"});  // from the disk
  const auto start = std::chrono::steady_clock::now();
  const CommandResult result = daybreak({"--help"});
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_EQ(result.exit_code, 0);
  for (const char* verb :
       {"train", "test", "predict", "lr_find", "describe", "schedule", "bench"}) {
    EXPECT_THAT(result.out, HasSubstr(verb));
  }
  EXPECT_LT(seconds, 0.5);  // 30 ms on an idle machine; this one may be busy
}

TEST(Cli, WrongUsageIsExitTwo) {
  EXPECT_EQ(daybreak({"tarin"}).exit_code, 2);
  EXPECT_EQ(daybreak({"train", "--no-such-option"}).exit_code, 2);
  EXPECT_EQ(daybreak({"test"}).exit_code, 2);
  EXPECT_EQ(daybreak({"bench", "train"}).exit_code, 2);
  const CommandResult none = daybreak({"train", "no/such/file.yaml"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("no/such/file.yaml"));
}

TEST(Cli, ConfigErrorsComeAllAtOnceWithTheirPlaces) {
  test::TempFolder folder;
  test::write_text(folder / "net.yaml",
                   "input: {channels: 1, height: 28, width: 28}\n"
                   "layers:\n"
                   "  - conv: {fliters: 8}\n"
                   "  - conv: {filters: 0}\n"
                   "  - softmax_loss\n");
  const CommandResult result = daybreak({"describe", folder / "net.yaml"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("net.yaml:3:12: error: unknown key \"fliters\""));
  EXPECT_THAT(result.err, HasSubstr("did you mean \"filters\"?"));
  EXPECT_THAT(result.err, HasSubstr("net.yaml:4:"));
}

TEST(Cli, SetIsCheckedLikeTheFile) {
  const CommandResult result = daybreak(
      {"train", "--set", "optimizer.sgd.wieght_decay=1", "--set", "batch=010", "--print-config"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("did you mean \"weight_decay\"?"));
  EXPECT_THAT(result.err, HasSubstr("\"010\""));
}

TEST(Cli, PrintedConfigPrintsTheSameAgain) {
  test::TempFolder folder;
  const CommandResult first =
      daybreak({"train", source("cfg/solver/lenet.yaml"), "--print-config"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  test::write_text(folder / "config.yaml", first.out);
  const CommandResult again = daybreak({"train", folder / "config.yaml", "--print-config"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, first.out);
}

TEST(Cli, DescribeCountsTheSeedNetwork) {
  const CommandResult result =
      daybreak({"describe", source("cfg/net/cifar10-darknet.yaml"), "--batch", "2", "--json", "-"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\"params\":31410922"));
  EXPECT_THAT(result.out, HasSubstr("\"arena_bytes\""));
  EXPECT_THAT(result.out, HasSubstr("\"traffic\":{\"forward\":{\"moved_bytes\":"));
}

TEST(Cli, DescribeShowsWhatAStepMovesBesideItsFloor) {
  const std::vector<std::string> command = {
      "describe", source("cfg/net/lenet.yaml"), "--batch", "2", "--device", "cpu"};
  EXPECT_THAT(daybreak(command).out, testing::Not(HasSubstr("memory traffic")));
  std::vector<std::string> with_plan = command;
  with_plan.push_back("--plan");
  const CommandResult result = daybreak(with_plan);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, testing::ContainsRegex("memory traffic +moved +floor +ratio"));
  for (const char* row : {"forward", "backward", "update", "a step"}) {
    EXPECT_THAT(result.out, testing::ContainsRegex(std::string(row) + " +[0-9]"));
  }
}

TEST(Cli, ScheduleDrawsItsPlot) {
  test::TempFolder folder;
  const CommandResult result = daybreak({"schedule", source("cfg/solver/cifar10-darknet.yaml"),
                                         "--samples", "50000", "--out", folder / "s"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("5,850 steps"));
  EXPECT_THAT(result.out, HasSubstr("1.3"));
  EXPECT_TRUE(fs::exists(folder / "s.svg"));
  EXPECT_TRUE(fs::exists(folder / "s.png"));
}

TEST(Cli, InitWritesFilesThatLoad) {
  test::TempFolder folder;
  const std::string old = fs::current_path();
  fs::current_path(folder.path());
  const CommandResult made = daybreak({"init", "mine"});
  const CommandResult twice = daybreak({"init", "mine"});
  const CommandResult printed = daybreak({"train", "mine.yaml", "--print-config"});
  fs::current_path(old);
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(twice.exit_code, 2);
  EXPECT_THAT(twice.err, HasSubstr("exists already"));
  EXPECT_EQ(printed.exit_code, 0) << printed.err;
}

TEST(Cli, CudaWithoutAGpuIsExitFiveInOneLine) {
  const CommandResult result =
      daybreak({"describe", source("cfg/net/lenet.yaml"), "--batch", "2", "--device", "cuda"});
  if (result.exit_code == 0) GTEST_SKIP() << "there is a GPU";
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err, HasSubstr("cuda"));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

// The module is opened when it is asked for: nothing of CUDA may be needed to start.
TEST(Cli, TheProgramLinksNoCudaLibrary) {
  const CommandResult result = run_command({"readelf", "-d", DAYBREAK_BINARY});
  ASSERT_EQ(result.exit_code, 0) << "readelf (binutils) is needed: " << result.err;
  EXPECT_THAT(result.out, HasSubstr("(NEEDED)"));
  EXPECT_THAT(result.out, HasSubstr("libdnnl"));
  for (const char* library : {"libcuda", "libcudart", "libcudnn", "libcublas", "libnvrtc"}) {
    EXPECT_THAT(result.out, testing::Not(HasSubstr(library)));
  }
}

TEST(Cli, DoctorSaysWhatIsInTheWayOfAGpu) {
  const CommandResult result = daybreak({"doctor"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              testing::ContainsRegex(
                  "\ncuda +(cannot be used: .+|.+, a small network gives the CPU's numbers)\n"));
}

TEST(Cli, MissingDataSaysHowToGetIt) {
  test::TempFolder folder;
  test::write_text(folder / "s.yaml",
                   "net: " + source("cfg/net/lenet.yaml") +
                       "\ndata: {name: x, sources: [{idx: {dir: nowhere}}], install: sudo get it}\n"
                       "lr: 0.1\nlength: 1e\n");
  const CommandResult result = daybreak({"train", folder / "s.yaml", "--run", folder / "run"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("nowhere"));
  EXPECT_THAT(result.err, HasSubstr("sudo get it"));
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(Cli, TruncatedDataIsExitFour) {
  test::TempFolder folder;
  fs::create_directories(folder / "d");
  for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    test::write_text(folder / (std::string("d/") + name), std::string("\0\0\x08\x03\0\0", 6));
  }
  test::write_text(folder / "s.yaml", "net: " + source("cfg/net/lenet.yaml") +
                                          "\ndata: {name: x, sources: [{idx: {dir: d}}]}\n"
                                          "lr: 0.1\nlength: 1e\n");
  const CommandResult result = daybreak({"train", folder / "s.yaml", "--run", folder / "run"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("ubyte: error: ends inside its header"));
}

TEST(Cli, Bf16IsRefusedWhereTheProcessorHasNone) {
  const std::vector<std::string> bench = {
      DAYBREAK_BINARY, "bench", "train",      source("cfg/net/lenet.yaml"), "--batch", "2",
      "--steps",       "1",     "--precision"};
  const auto run = [&](const char* precision, const char* isa) {
    std::vector<std::string> arguments = bench;
    arguments.push_back(precision);
    return run_command(arguments, {std::string("ONEDNN_MAX_CPU_ISA=") + isa});
  };
  const CommandResult old = run("bf16", "AVX2");
  EXPECT_EQ(old.exit_code, 2);
  EXPECT_THAT(old.err, HasSubstr("error: precision bf16 is not available on "));
  EXPECT_EQ(std::count(old.err.begin(), old.err.end(), '\n'), 1) << old.err;
  EXPECT_EQ(run("f32", "AVX2").exit_code, 0);
  EXPECT_EQ(run("f16", "ALL").exit_code, 2);
  const CommandResult unknown = run("fp16", "ALL");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("must be one of f32, bf16, f16, auto, found \"fp16\""));
}

/// AVX-512 without bf16 instructions: oneDNN emulates them.
TEST(Cli, Bf16WarnsOnceWhereItIsEmulated) {
  const CommandResult result =
      run_command({DAYBREAK_BINARY, "bench", "train", source("cfg/net/lenet.yaml"), "--batch", "2",
                   "--steps", "1", "--precision", "bf16"},
                  {"ONEDNN_MAX_CPU_ISA=AVX512_CORE"});
  if (result.err.find("bf16 is not available") != std::string::npos) {
    GTEST_SKIP() << "no AVX-512 here: " << result.err;
  }
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::string said = "bf16 is emulated and slower than f32";
  const std::size_t first = result.err.find(said);
  ASSERT_NE(first, std::string::npos) << result.err;
  EXPECT_EQ(result.err.find(said, first + 1), std::string::npos) << result.err;
}

TEST(Cli, SqueezeNetGivesTheProbabilitiesOfItsAuthorsWeights) {
  const char* given = std::getenv("DAYBREAK_SHARED");
  const std::string shared = given != nullptr ? given : source("../shared");
  const std::string weights = shared + "/weights/squeezenet1.1.safetensors";
  if (!fs::exists(weights)) GTEST_SKIP() << "needs the shared weights";
  const CommandResult result =
      daybreak({"predict", source("cfg/net/squeezenet1.1.yaml"), "--weights", weights, "--classes",
                source("data/imagenet-classes.txt"), "--json", "-", shared + "/images/dog.jpg",
                shared + "/images/eagle.jpg"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // squeezenet1.1.expected.json: dogsled .5876, kite .4865; within 0.01.
  EXPECT_THAT(result.out,
              testing::ContainsRegex(
                  "\"class_index\":537,\"class\":\"dogsled\",\"probability\":0.58[0-9]"));
  EXPECT_THAT(result.out, testing::ContainsRegex(
                              "\"class_index\":21,\"class\":\"kite\",\"probability\":0.48[0-9]"));
}

}  // namespace
}  // namespace daybreak
