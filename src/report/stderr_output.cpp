#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "report/progress.h"

namespace daybreak {
namespace {

constexpr int kDefaultColumns = 80;
constexpr int kPatienceMs = 200;  // for a pipe that is full and does not block

// write(2) whose EPIPE does not raise SIGPIPE: it is blocked in this thread, and one that our write
// raised is taken off again. False when the text could not be written.
bool write_quietly(int fd, std::string_view text) {
  sigset_t pipe_set, before, pending;
  sigemptyset(&pipe_set);
  sigaddset(&pipe_set, SIGPIPE);
  sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  if (pthread_sigmask(SIG_BLOCK, &pipe_set, &before) != 0) return false;

  bool ok = true;
  bool broken = false;
  while (!text.empty() && ok) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{fd, POLLOUT, 0};
      ok = ::poll(&ready, 1, kPatienceMs) > 0 && (ready.revents & POLLOUT) != 0;
    } else if (errno != EINTR) {
      broken = errno == EPIPE;
      ok = false;
    }
  }
  if (broken && !was_pending) {
    const timespec now{0, 0};
    while (sigtimedwait(&pipe_set, nullptr, &now) == -1 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return ok;
}

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kDefaultColumns;
}

bool wants_bar(bool quiet) {
  const char* no_color = std::getenv("NO_COLOR");  // counts when set and not empty (no-color.org)
  const char* term = std::getenv("TERM");
  const bool plain = no_color != nullptr && *no_color != '\0';
  const bool dumb = term != nullptr && std::strcmp(term, "dumb") == 0;
  return !quiet && !plain && !dumb && ::isatty(STDERR_FILENO) == 1;
}

}  // namespace

ProgressOutput stderr_output(bool quiet) {
  ProgressOutput output;
  auto open = std::make_shared<bool>(true);  // shared: std::function copies its state
  output.write = [open](std::string_view text) {
    if (*open) *open = write_quietly(STDERR_FILENO, text);
  };
  output.now_s = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  output.columns = terminal_columns;
  output.bar = wants_bar(quiet);
  return output;
}

}  // namespace daybreak
