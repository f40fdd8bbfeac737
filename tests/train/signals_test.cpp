// Each case runs in a process of its own: handlers and flags belong to the process.
#include "train/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace daybreak {
namespace {

void expect_or_exit(bool condition, int code) {
  if (!condition) ::_exit(code);
}

TEST(SignalsDeathTest, StopAndSaveAreFlags) {
  const auto child = [] {
    install_signal_handlers();
    expect_or_exit(!stop_requested() && stop_signal() == 0 && !save_requested(), 1);
    ::raise(SIGUSR1);
    expect_or_exit(save_requested(), 2);
    expect_or_exit(!save_requested(), 3);
    ::raise(SIGHUP);
    expect_or_exit(save_requested() && !stop_requested(), 4);
    ::raise(SIGTERM);
    expect_or_exit(stop_requested() && stop_signal() == SIGTERM, 5);
    ::raise(SIGTERM);  // a supervisor that says it twice does not lose the save
    expect_or_exit(stop_signal() == SIGTERM, 6);
    ::_exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

TEST(SignalsDeathTest, ASecondInterruptLeavesAtOnce) {
  const auto twice = [](int first) {
    install_signal_handlers();
    ::raise(first);
    expect_or_exit(stop_signal() == first, 1);
    ::raise(SIGINT);
    ::_exit(2);  // not reached
  };
  EXPECT_EXIT(twice(SIGINT), ::testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(twice(SIGTERM), ::testing::KilledBySignal(SIGINT), "");
}

TEST(SignalsDeathTest, ABrokenPipeIsAnErrorCode) {
  const auto child = [] {
    install_signal_handlers();
    int ends[2];
    expect_or_exit(::pipe(ends) == 0, 1);
    ::close(ends[0]);
    expect_or_exit(::write(ends[1], "x", 1) == -1 && errno == EPIPE, 2);
    ::raise(SIGXFSZ);
    ::_exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace daybreak
