#include "train/checkpoint_file.h"

#include <fmt/format.h>

#include <span>

#include "core/error.h"
#include "io/safetensors.h"

namespace daybreak {
namespace {

constexpr const char* kDigestKey = "digest";  // written by write_safetensors()

std::vector<TensorView> views_of(const std::vector<NamedTensor>& tensors) {
  std::vector<TensorView> views;
  for (const NamedTensor& tensor : tensors) {
    views.push_back(
        {tensor.name, TensorType::f32, tensor.dims, std::as_bytes(std::span(tensor.values))});
  }
  return views;
}

std::vector<NamedTensor> tensors_of(const SafetensorsFile& file) {
  std::vector<NamedTensor> tensors;
  for (const TensorInfo& info : file.tensors()) {
    tensors.push_back({info.name, info.dims, file.read_f32(info)});
  }
  return tensors;
}

}  // namespace

std::vector<NamedTensor> read_tensors(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  if (file.check_digest() == DigestState::differs) {
    throw DataError(path, "digest does not match, the file is damaged");
  }
  return tensors_of(file);
}

CheckpointData read_checkpoint(const std::string& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  switch (file.check_digest()) {
    case DigestState::matches:
      break;
    case DigestState::differs:
      throw DataError(path, "digest does not match, the file is damaged");
    case DigestState::absent:
      throw DataError(path,
                      "has no digest, so it is no checkpoint of a training (weights alone can "
                      "be given with --init)");
  }
  CheckpointData data;
  data.path = path;
  data.tensors = tensors_of(file);
  for (const auto& [key, value] : file.metadata()) {
    if (key != kDigestKey) data.meta[key] = value;
  }
  return data;
}

void save_tensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                  const std::map<std::string, std::string>& meta) {
  write_safetensors(path, views_of(tensors), Metadata(meta.begin(), meta.end()), Digest::sha256);
}

std::uint64_t saved_bytes(const std::vector<NamedTensor>& tensors,
                          const std::map<std::string, std::string>& meta) {
  return safetensors_size(views_of(tensors), Metadata(meta.begin(), meta.end()), Digest::sha256);
}

}  // namespace daybreak
