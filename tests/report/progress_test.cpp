#include "report/progress.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <limits>

#include "report/text.h"

namespace daybreak {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A Progress whose output, clock and width the test holds.
struct Screen {
  std::string text;
  double now = 100.0;
  int columns = 100;

  ProgressOutput output(bool bar) {
    ProgressOutput out;
    out.write = [this](std::string_view piece) { text += piece; };
    out.now_s = [this] { return now; };
    out.columns = [this] { return columns; };
    out.bar = bar;
    return out;
  }
  std::string take() { return std::exchange(text, ""); }
};

constexpr std::array<Metric, 2> kTrain = {{{"loss", 0.512}, {"acc", 0.813}}};
constexpr std::array<Metric, 4> kAll = {
    {{"loss", 0.512}, {"acc", 0.813}, {"val loss", 0.371}, {"val acc", 0.868}}};

TEST(Progress, WritesOneLineAnEpochWithoutATerminal) {
  Screen screen;
  Progress progress(screen.output(/*bar=*/false));
  for (int epoch = 1; epoch <= 2; ++epoch) {
    progress.begin_epoch(epoch, 5, 469, 0, 1000);
    for (int step = 1; step <= 469; ++step) {
      screen.now += 0.2;
      progress.step(step, step * 128, kTrain, 0.05);
    }
    progress.begin_task("evaluating", 100, "img");
    progress.task(50);
    progress.end_task();
    EXPECT_EQ(screen.text, "");
    progress.end_epoch({kAll, 12400.0, 14.2, epoch == 1});
    EXPECT_EQ(screen.take(),
              epoch == 1 ? "epoch 1/5  loss 0.512  acc 0.813  val loss 0.371  val acc 0.868  "
                           "12,400 img/s  14.2 s  best *\n"
                         : "epoch 2/5  loss 0.512  acc 0.813  val loss 0.371  val acc 0.868  "
                           "12,400 img/s  14.2 s\n");
  }
}

TEST(Progress, LeavesOutWhatWasNotMeasured) {
  Screen screen;
  Progress progress(screen.output(/*bar=*/false));
  progress.begin_epoch(3, 5, 1, 0, 1);
  const std::array<Metric, 2> metrics = {{{"loss", 0.25}, {"val loss", kNan}}};
  progress.end_epoch({metrics, kNan, kNan, false});
  EXPECT_EQ(screen.take(), "epoch 3/5  loss 0.250\n");
}

TEST(Progress, DrawsABarAtMostTenTimesASecond) {
  Screen screen;
  Progress progress(screen.output(/*bar=*/true));
  progress.begin_epoch(1, 5, 469, 0, 5 * 469 * 128);
  EXPECT_EQ(screen.take(), "\repoch 1/5  [------------------------]  0/469\x1b[K");

  int draws = 0;
  for (int step = 1; step <= 328; ++step) {
    screen.now += 0.01;  // 128 samples in 10 ms
    progress.step(step, step * 128, kTrain, 0.05);
    if (!screen.text.empty()) ++draws;
    if (step < 328) screen.text.clear();
  }
  EXPECT_GE(draws, 29);
  EXPECT_LE(draws, 33);
  screen.now += 0.1;
  progress.step(328, 329 * 128, kTrain, 0.05);
  EXPECT_THAT(screen.take(), testing::HasSubstr("  328/469  "));
}

TEST(Progress, BarHasTheFormOfTheManual) {
  const BarParts parts = {
      "epoch 1/5",
      0.625,
      "328/469",
      {{"12,400 img/s", 2}, {"loss 0.512", 0}, {"acc 0.813", 3}, {"lr 0.0500", 4}},
      "ETA 0:07"};
  EXPECT_EQ(bar_line(parts, 200),
            "epoch 1/5  [###############---------]  328/469  12,400 img/s  loss 0.512  acc 0.813  "
            "lr 0.0500  ETA 0:07");
  EXPECT_EQ(bar_line(parts, 97),
            "epoch 1/5  [##########------]  328/469  12,400 img/s  loss 0.512  acc 0.813  "
            "lr 0.0500  ETA 0:07");
  EXPECT_EQ(bar_line(parts, 80),
            "epoch 1/5  [######----]  328/469  12,400 img/s  loss 0.512  acc 0.813  ETA 0:07");
  EXPECT_EQ(bar_line(parts, 45), "epoch 1/5  [#######-----]  328/469  ETA 0:07");
}

TEST(Progress, BarFitsEveryWidth) {
  const BarParts parts = {
      "epoch 1/5",
      0.5,
      "328/469",
      {{"12,400 img/s", 2}, {"loss 0.512", 0}, {"acc 0.813", 3}, {"lr 0.0500", 4}},
      "ETA 0:07"};
  for (int columns = 2; columns < 160; ++columns) {
    const std::string line = bar_line(parts, columns);
    EXPECT_LE(display_width(line), static_cast<std::size_t>(columns - 1)) << line;
    EXPECT_FALSE(line.empty());
  }
  BarParts odd = parts;
  odd.share = kNan;
  EXPECT_THAT(bar_line(odd, 97), testing::HasSubstr("[----------------]"));
  odd.share = 7.0;
  EXPECT_THAT(bar_line(odd, 97), testing::HasSubstr("[################]"));
}

TEST(Progress, EstimatesRateAndTimeLeft) {
  Screen screen;
  Progress progress(screen.output(/*bar=*/true));
  // Two epochs of 1000 samples at 100 a second, each followed by 4 s of validation.
  progress.begin_epoch(1, 2, 10, 0, 2000);
  for (int step = 1; step <= 10; ++step) {
    screen.now += 1.0;
    screen.text.clear();
    progress.step(step, step * 100, kTrain, 0.05);
  }
  EXPECT_THAT(screen.take(),
              testing::HasSubstr("  100 img/s  loss 0.512  acc 0.813  lr 0.0500  ETA 0:10"));
  screen.now += 4.0;
  progress.end_epoch({kAll, 100.0, 14.0, false});
  progress.begin_epoch(2, 2, 10, 1000, 2000);
  screen.now += 1.0;
  screen.text.clear();
  progress.step(1, 1100, kTrain, 0.05);
  EXPECT_THAT(screen.take(), testing::HasSubstr("  100 img/s  "));
  screen.now += 1.0;
  progress.step(2, 1200, kTrain, 0.05);  // 8 s of training and 4 s of validation are left
  EXPECT_THAT(screen.take(), testing::HasSubstr("ETA 0:12"));
}

TEST(Progress, EpochLineReplacesTheBar) {
  Screen screen;
  Progress progress(screen.output(/*bar=*/true));
  progress.begin_epoch(1, 1, 10, 0, 10);
  screen.text.clear();
  const std::array<Metric, 1> metrics = {{{"loss", 0.5}}};
  progress.end_epoch({metrics, kNan, kNan, false});
  EXPECT_EQ(screen.take(), "\r\x1b[Kepoch 1/1  loss 0.500\n");
}

TEST(Progress, LinesGoAboveTheBar) {
  Screen screen;
  Progress progress(screen.output(/*bar=*/true));
  progress.line("before");
  EXPECT_EQ(screen.take(), "before\n");
  progress.begin_epoch(1, 1, 10, 0, 10);
  screen.text.clear();
  progress.line("warning: x");
  EXPECT_EQ(screen.take(),
            "\r\x1b[Kwarning: x\n\repoch 1/1  [------------------------]  0/10\x1b[K");
}

TEST(Progress, ShowsTasks) {
  Screen screen;
  Progress progress(screen.output(/*bar=*/true));
  progress.begin_task("evaluating", 10000, "img");
  screen.now += 1.0;
  progress.task(2500);
  EXPECT_EQ(screen.take(),
            "\revaluating  [######------------------]  2,500/10,000  2,500 img/s  ETA 0:03\x1b[K");
  progress.end_task();
  EXPECT_EQ(screen.take(), "\r\x1b[K");
  progress.end_task();
  EXPECT_EQ(screen.take(), "");
}

TEST(Progress, KeepsTheBarWhenAnErrorIsUnderWay) {
  Screen screen;
  {
    Progress progress(screen.output(/*bar=*/true));
    progress.begin_epoch(1, 1, 10, 0, 10);
    screen.text.clear();
  }
  EXPECT_EQ(screen.take(), "\n");
}

// Runs `body` with standard error replaced by `fd`.
template <typename Body>
void with_stderr(int fd, Body body) {
  const int saved = ::dup(STDERR_FILENO);
  if (fd >= 0) {
    ::dup2(fd, STDERR_FILENO);
  } else {
    ::close(STDERR_FILENO);
  }
  body();
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
}

TEST(StderrOutput, SurvivesABrokenPipeAndAClosedDescriptor) {
  std::array<int, 2> pipe_fds{};
  ASSERT_EQ(::pipe(pipe_fds.data()), 0);
  ::close(pipe_fds[0]);
  // Without the care taken, SIGPIPE ends this test.
  with_stderr(pipe_fds[1], [] {
    const ProgressOutput output = stderr_output(/*quiet=*/false);
    for (int i = 0; i < 3; ++i) output.write("x\n");
  });
  ::close(pipe_fds[1]);
  with_stderr(-1, [] {
    const ProgressOutput output = stderr_output(/*quiet=*/false);
    output.write("x\n");
    EXPECT_GT(output.columns(), 0);
    EXPECT_FALSE(output.bar);
  });
}

TEST(StderrOutput, WritesLinesToAPipe) {
  std::array<int, 2> pipe_fds{};
  ASSERT_EQ(::pipe(pipe_fds.data()), 0);
  with_stderr(pipe_fds[1], [] {
    const ProgressOutput output = stderr_output(/*quiet=*/false);
    EXPECT_FALSE(output.bar);
    Progress progress(output);
    progress.line("hello");
  });
  std::array<char, 16> got{};
  EXPECT_EQ(::read(pipe_fds[0], got.data(), got.size()), 6);
  EXPECT_STREQ(got.data(), "hello\n");
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
}

TEST(StderrOutput, GivesUpOnAPipeThatNobodyEmpties) {
  std::array<int, 2> pipe_fds{};
  ASSERT_EQ(::pipe2(pipe_fds.data(), O_NONBLOCK), 0);
  with_stderr(pipe_fds[1], [] {
    const ProgressOutput output = stderr_output(/*quiet=*/false);
    const std::string much(1 << 20, 'x');
    const double before = output.now_s();
    for (int i = 0; i < 50; ++i) output.write(much);
    EXPECT_LT(output.now_s() - before, 5.0);
  });
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
}

TEST(StderrOutput, DrawsABarOnATerminalUnlessToldNotTo) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0) {
    GTEST_SKIP() << "no pseudo terminals here";
  }
  const int end = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY);
  if (end < 0) GTEST_SKIP() << "no pseudo terminals here";
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "xterm", 1);
  with_stderr(end, [] {
    EXPECT_TRUE(stderr_output(/*quiet=*/false).bar);
    EXPECT_FALSE(stderr_output(/*quiet=*/true).bar);
    ::setenv("NO_COLOR", "1", 1);
    EXPECT_FALSE(stderr_output(/*quiet=*/false).bar);
    ::setenv("NO_COLOR", "", 1);
    EXPECT_TRUE(stderr_output(/*quiet=*/false).bar);
    ::setenv("TERM", "dumb", 1);
    EXPECT_FALSE(stderr_output(/*quiet=*/false).bar);
  });
  ::close(end);
  ::close(terminal);
}

}  // namespace
}  // namespace daybreak
