#pragma once

namespace daybreak {

/// Keeps OpenCV on the calling thread, once a process: our loader has the threads, and results must
/// not depend on how many there are.
void setup_opencv();

}  // namespace daybreak
