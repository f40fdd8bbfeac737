#pragma once

namespace daybreak {

/// SIGINT and SIGTERM ask for a stop at the next step; a SIGINT after that leaves at once, without
/// saving. SIGUSR1 and SIGHUP ask for a save. SIGPIPE and SIGXFSZ are ignored, so that write errors
/// arrive as EPIPE and EFBIG. Handlers only set flags; system calls go on after them.
void install_signal_handlers();

/// A stop was asked for.
bool stop_requested();
/// The signal that asked for it first; 0: none. The program ends by raising it again with its
/// default action, so that its parent sees it.
int stop_signal();
/// A save was asked for since the last call.
bool save_requested();

}  // namespace daybreak
