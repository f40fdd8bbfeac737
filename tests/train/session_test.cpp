#include "train/session.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/temp_folder.h"
#include "train/checkpoints.h"
#include "train/weights.h"

namespace daybreak {
namespace {

constexpr const char* kFashion = "/usr/share/datasets/fashion-mnist";

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kFashion)) {
      GTEST_SKIP() << "needs Debian's package dataset-fashion-mnist";
    }
  }

  Session make_session(const std::string& more) {
    test::write_text(folder_ / "net.yaml",
                     "input: {channels: 1, height: 28, width: 28, mean: [0.286], std: [0.353]}\n"
                     "layers: [{linear: {outputs: 10}}, {dropout: 0.5}, softmax_loss]\n");
    test::write_text(
        folder_ / "s.yaml",
        "net: net.yaml\ndata: {name: f, sources: [{idx: {dir: " + std::string(kFashion) +
            "}}], train_limit: 100, test_limit: 10}\nbatch: 10\nlr: 0.1\n"
            "length: 1e\ndevice: cpu\n" +
            (more.find("seed") == std::string::npos ? "seed: 42\n" : "") + more);
    SessionOptions options;
    options.threads = 1;
    return Session(load_solver(folder_ / "s.yaml", {}), options);
  }

  test::TempFolder folder_;
};

TEST_F(SessionTest, TheSeedReachesDropout) {
  EXPECT_EQ(make_session("").executor().scalars().seed, 42u);
}

TEST_F(SessionTest, LossScalesFollowKeyAndPrecision) {
  EXPECT_FALSE(make_session("").phase(0).loss_scaling.on) << "dynamic is for f16 alone";
  EXPECT_FALSE(make_session("loss_scale: 0\n").phase(0).loss_scaling.on);
  const LossScaling fixed = make_session("loss_scale: 512\n").phase(0).loss_scaling;
  EXPECT_TRUE(fixed.on);
  EXPECT_FALSE(fixed.dynamic);
  EXPECT_EQ(fixed.scale, 512.0f);
  EXPECT_THROW(make_session("loss_scale: fast\n"), ConfigError);
  EXPECT_THROW(make_session("loss_scale: -2\n"), ConfigError);
}

// A signal may come before the first step.
TEST_F(SessionTest, ATrainingStoppedBeforeItsFirstStepResumes) {
  Session stopped = make_session("");
  const CheckpointData data = checkpoint_of(stopped, TrainingState{}, "");
  Session resumed = make_session("seed: 43\n");
  EXPECT_EQ(restore_checkpoint(resumed, data).step, 0);
  EXPECT_EQ(resumed.executor().params().slots(), 1);
  EXPECT_EQ(read_weights(resumed.executor())[0].values, read_weights(stopped.executor())[0].values);
}

TEST_F(SessionTest, ANamedDeviceNeedsNoNote) {
  EXPECT_EQ(make_session("").device_note(), "");
}

}  // namespace
}  // namespace daybreak
