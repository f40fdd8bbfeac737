#include "train/signals.h"

#include <signal.h>

namespace daybreak {
namespace {

volatile sig_atomic_t stop_flag = 0;
volatile sig_atomic_t save_flag = 0;

void on_stop(int number) {
  if (stop_flag == 0) {
    stop_flag = number;
  } else if (number == SIGINT) {
    // Someone is waiting at the keyboard: die of the signal as soon as this handler returns.
    ::signal(SIGINT, SIG_DFL);
    ::raise(SIGINT);
  }
}

void on_save(int) {
  save_flag = 1;
}

void handle(int number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(number, &action, nullptr);
}

}  // namespace

void install_signal_handlers() {
  handle(SIGINT, on_stop);
  handle(SIGTERM, on_stop);
  handle(SIGUSR1, on_save);
  handle(SIGHUP, on_save);
  handle(SIGPIPE, SIG_IGN);
  handle(SIGXFSZ, SIG_IGN);
}

bool stop_requested() {
  return stop_flag != 0;
}

int stop_signal() {
  return stop_flag;
}

bool save_requested() {
  if (save_flag == 0) return false;
  save_flag = 0;
  return true;
}

}  // namespace daybreak
