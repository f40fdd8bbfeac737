#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/specs.h"
#include "core/error.h"
#include "core/philox.h"
#include "data/image.h"
#include "support/temp_folder.h"

namespace daybreak::test {

using Bytes = std::vector<std::uint8_t>;

void write_file(const std::string& path, const Bytes& bytes);
/// A picture of deterministic noise, different for each key.
Image noise_image(int w, int h, int c, std::uint64_t key);
/// A picture of one colour.
Image flat_image(int w, int h, std::vector<std::uint8_t> colour);
Bytes jpeg_of(const Image& image, int quality = 90);
/// JPEG with CMYK inks.
Bytes cmyk_jpeg(int w, int h, std::vector<std::uint8_t> inks);
/// Inserts an EXIF segment with this orientation behind the start marker.
Bytes with_orientation(const Bytes& jpeg, int orientation, bool big_endian);
Bytes gzip_of(const Bytes& bytes);
Bytes idx_of(const std::vector<std::uint32_t>& dims, const Bytes& data);

/// What the DataError thrown by `action` says; fails the test when none is thrown.
std::string data_error(const std::function<void()>& action);

DataSpec spec_for(DataFormat format, const std::string& dir);
InputSpec input_of(int w, int h, int c);

/// root/PART/CLASS/NNN.png for `classes` classes.
void write_folder(const std::string& root, const std::string& part, int classes, int per_class,
                  int w, int h);

}  // namespace daybreak::test
