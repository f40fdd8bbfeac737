#include "backend/module.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "build_stamp.h"
#include "core/error.h"

namespace daybreak {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModule = "libdaybreak_cuda.so";

// The module's path; empty when it is nowhere.
fs::path find_module() {
  std::error_code error;
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const fs::path folder = executable.parent_path();
  for (const char* place : {".", "../lib", "..", "../.."}) {
    const fs::path candidate = folder / place / kModule;
    if (fs::exists(candidate, error)) return candidate.lexically_normal();
  }
  return {};
}

std::string dl_error() {
  const char* text = dlerror();
  return text != nullptr ? text : "unknown error";
}

// "error 803 (system has unsupported display driver / cuda driver combination)"
std::string driver_error(void* driver, int code) {
  using TextFunction = int (*)(int, const char**);
  const auto text_of = reinterpret_cast<TextFunction>(dlsym(driver, "cuGetErrorString"));
  const char* text = nullptr;
  if (text_of != nullptr) text_of(code, &text);
  return "error " + std::to_string(code) + (text != nullptr ? " (" + std::string(text) + ")" : "");
}

// What the driver says without any CUDA library: the driver's own entry points are C functions of
// a fixed form (cuda.h); 0 is success.
bool driver_has_gpu(std::string* why) {
  const auto say = [&](std::string text) {
    if (why != nullptr) *why = std::move(text);
    return false;
  };
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return say("no NVIDIA driver is installed");
  using InitFunction = int (*)(unsigned);
  using CountFunction = int (*)(int*);
  const auto init = reinterpret_cast<InitFunction>(dlsym(driver, "cuInit"));
  const auto count_gpus = reinterpret_cast<CountFunction>(dlsym(driver, "cuDeviceGetCount"));
  if (init == nullptr || count_gpus == nullptr) return say("the NVIDIA driver is broken");
  constexpr int kNoDevice = 100;
  const int code = init(0);
  if (code == kNoDevice) return say("the NVIDIA driver sees no GPU");
  if (code != 0) return say("the NVIDIA driver reports " + driver_error(driver, code));
  int count = 0;
  if (count_gpus(&count) != 0 || count == 0) return say("the NVIDIA driver sees no GPU");
  return true;
}

[[noreturn]] void fail(const std::string& text) {
  throw DeviceError("device \"cuda\" asked for, but " + text);
}

constexpr const char* kNotBuilt =
    "this build has no libdaybreak_cuda.so; build it where the CUDA toolkit and cuDNN 9 are";

}  // namespace

bool cuda_available(std::string* why) {
  if (find_module().empty()) {
    if (why != nullptr) *why = kNotBuilt;
    return false;
  }
  return driver_has_gpu(why);
}

namespace {

BackendPtr open_module(int device, int engines) {
  const fs::path path = find_module();
  if (path.empty()) fail(kNotBuilt);
  void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) fail("the module cannot be opened: " + dl_error());
  using MakeFunction = Backend* (*)(int, int, const char*, char*, std::size_t);
  const auto make = reinterpret_cast<MakeFunction>(dlsym(module, "daybreak_make_cuda_backend"));
  if (make == nullptr) fail("\"" + path.string() + "\" is no module of this program");
  char error[1024] = {};
  BackendPtr backend(make(device, engines, DAYBREAK_BUILD_STAMP, error, sizeof error));
  if (backend == nullptr) fail(error);
  return backend;
}

}  // namespace

BackendPtr make_cuda_backend(int device, int engines) {
  std::string why;
  if (!cuda_available(&why)) fail(why);
  return open_module(device, engines);
}

BackendPtr make_cuda_offers(int engines) {
  return open_module(/*device=*/-1, engines);
}

}  // namespace daybreak
