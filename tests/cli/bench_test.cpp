#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "io/safetensors.h"
#include "support/command.h"
#include "support/temp_folder.h"

// `bench train` as bench/compare.py drives it: the dump another program starts from, the rounds.

namespace daybreak {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string kLenet = std::string(DAYBREAK_SOURCE_DIR) + "/cfg/net/lenet.yaml";

/// `bench train` with lines for its standard input.
CommandResult paired(const std::string& lines, const std::string& warmup) {
  const std::string program = std::string("\"") + DAYBREAK_BINARY + "\" bench train \"" + kLenet +
                              "\" --batch 4 --threads 1 --paired --warmup " + warmup;
  return run_command({"/bin/sh", "-c", "printf '%b' '" + lines + "' | " + program});
}

std::vector<json> json_lines(const std::string& text) {
  std::vector<json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
  return lines;
}

TEST(Bench, PairedRoundsContinueOneTraining) {
  const CommandResult rounds = paired("2\\n3\\n", "2");
  ASSERT_EQ(rounds.exit_code, 0) << rounds.err;
  const std::vector<json> lines = json_lines(rounds.out);
  ASSERT_EQ(lines.size(), 3u) << rounds.out;
  EXPECT_EQ(lines[0]["seconds"].size(), 2u);
  EXPECT_EQ(lines[1]["seconds"].size(), 2u);
  EXPECT_EQ(lines[2]["seconds"].size(), 3u);
  EXPECT_GT(lines[2]["peak_rss_bytes"], 1000000);

  const CommandResult whole = daybreak({"bench", "train", kLenet, "--batch", "4", "--threads", "1",
                                        "--warmup", "1", "--steps", "6", "--json", "-"});
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const json losses = json::parse(whole.out)["losses"];
  EXPECT_EQ(losses.size(), 7u);
  EXPECT_EQ(losses, lines[2]["losses"]);
  EXPECT_LT(losses[6].get<double>(), losses[0].get<double>());
}

TEST(Bench, PairedRefusesWhatIsNoNumberOfSteps) {
  for (const char* line : {"x\\n", "0\\n", "-1\\n", "\\n", "100001\\n"}) {
    const CommandResult result = paired(line, "1");
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("--paired wants a number of steps, 1 to 100000"));
  }
}

TEST(Bench, DumpHoldsWeightsAndBatch) {
  const test::TempFolder folder;
  const std::string path = folder / "state.safetensors";
  const CommandResult result = daybreak({"bench", "train", kLenet, "--batch", "3", "--dump", path});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const SafetensorsFile file = SafetensorsFile::open(path);
  const TensorInfo* image = file.find("input.image");
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(image->type, TensorType::u8);
  EXPECT_EQ(image->dims, (std::vector<std::int64_t>{3, 28, 28, 1}));
  const TensorInfo* labels = file.find("input.labels");
  ASSERT_NE(labels, nullptr);
  EXPECT_EQ(labels->type, TensorType::i32);
  EXPECT_EQ(labels->dims, (std::vector<std::int64_t>{3}));
  std::size_t weights = 0;
  for (const TensorInfo& tensor : file.tensors()) weights += tensor.type == TensorType::f32;
  EXPECT_EQ(weights, file.tensors().size() - 2);
  EXPECT_GE(weights, 4u);
}

TEST(Bench, DumpAndPairedAreForSteps) {
  const CommandResult result = daybreak({"bench", "machine", "--paired"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--dump and --paired are for bench train and bench infer"));
}

TEST(Bench, LoaderSaysWhatNormalisationCosts) {
  const CommandResult result = daybreak(
      {"bench", "loader", std::string(DAYBREAK_SOURCE_DIR) + "/cfg/solver/cifar10-darknet.yaml",
       "--set", "data.sources=[synthetic]", "--batch", "8", "--threads", "1", "--json", "-"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json figures = json::parse(result.out);
  EXPECT_GT(figures["images_per_second"], 1000.0);
  EXPECT_GT(figures["normalise_seconds_per_image"], 0.0);
  EXPECT_LT(figures["with_normalisation"].get<double>(),
            figures["images_per_second"].get<double>());
}

}  // namespace
}  // namespace daybreak
