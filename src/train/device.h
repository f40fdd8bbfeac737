#pragma once

#include <string>

#include "backend/backend.h"
#include "config/specs.h"

namespace daybreak {

/// The backend a `device` key asks for: auto, cpu, cuda, cuda:N, ref. `auto` takes GPU 0 when there
/// is one that passes check_backend_works, else the CPU; `note` (may be null) then says which and
/// why. Throws ConfigError for another word, DeviceError when a GPU was asked for by name and
/// cannot be had.
BackendPtr make_backend(const std::string& device, int threads, std::string* note = nullptr);

/// `auto` as bf16 where the backend multiplies it and as f32 elsewhere; others stay.
Precision resolved(const Backend& backend, Precision precision);

/// The type of activations on this backend; the reference always works in f32. Warns when the type
/// is slow here, throws ConfigError when the backend does not have it.
DType activation_dtype(const Backend& backend, Precision precision);

/// One step of a small network (LeNet, two pictures) on a backend and on the CPU. Throws
/// DeviceError when the loss or the gradient norm differ, or with what went wrong.
void check_backend_works(Backend& backend);

}  // namespace daybreak
