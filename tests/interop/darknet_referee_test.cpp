#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "interop/darknet_import.h"
#include "interop/run_imported.h"
#include "support/temp_folder.h"

// OpenCV has an importer of its own: it must make the same numbers of the same files. It is not
// needed to build or run; DAYBREAK_PYTHON names a Python with OpenCV 4. DAYBREAK_DARKNET_CFGS names
// a folder of cfgs to try as well, official ones say: what is imported and what comes out is
// printed.

namespace daybreak {
namespace {

namespace fs = std::filesystem;

std::vector<float> read_floats(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<float> values(fs::file_size(path) / sizeof(float));
  in.read(reinterpret_cast<char*>(values.data()),
          static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

// Exit code of tests/interop/darknet_referee.py.
int run_referee(const std::string& cfg, const std::string& out, int size) {
  const char* python = std::getenv("DAYBREAK_PYTHON");
  const std::string command = std::string(python ? python : "python3") +
                              " " DAYBREAK_SOURCE_DIR "/tests/interop/darknet_referee.py " + cfg +
                              " " + out + " --size " + std::to_string(size) + " > " + out +
                              "/log 2>&1";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The largest difference from OpenCV's heads, as a share of the largest value.
double difference(const DarknetImport& import, const std::string& folder) {
  const std::vector<float> picture = read_floats(fs::path(folder) / "input.f32");
  const auto ours = test::run_imported(import, {picture.begin(), picture.end()}, /*on_cpu=*/true);
  double worst = 0.0;
  int compared = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const fs::path file = fs::path(folder) / ("raw-" + std::to_string(i) + ".f32");
    if (!fs::exists(file)) break;
    const std::vector<float> theirs = read_floats(file);
    if (theirs.size() != ours[i].size()) return INFINITY;
    double largest = 1e-6, apart = 0.0;
    for (std::size_t k = 0; k < theirs.size(); ++k) {
      largest = std::max(largest, std::abs(double{theirs[k]}));
      apart = std::max(apart, std::abs(double{theirs[k]} - ours[i][k]));
    }
    worst = std::max(worst, apart / largest);
    ++compared;
  }
  return compared > 0 ? worst : INFINITY;
}

const char* const kSmall[] = {
    "[convolutional]\nfilters=8\nsize=3\nstride=2\npad=1\nbatch_normalize=1\nactivation=leaky\n"
    "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"
    "[convolutional]\nfilters=12\nsize=3\npad=1\nbatch_normalize=1\nactivation=mish\n"
    "[route]\nlayers=-1,-3\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=20\nsize=3\npad=1\ngroups=20\nactivation=relu\n"
    "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1\nanchors=3,4,9,7,11,20\nnum=3\nclasses=2\n"
    "[route]\nlayers=-3\n"
    "[upsample]\nstride=2\n"
    "[convolutional]\nfilters=8\nsize=1\nactivation=swish\n"
    "[shortcut]\nfrom=0\nactivation=linear\n"
    "[shortcut]\nfrom=2\nactivation=leaky\n"  // 12 channels onto 8
    "[convolutional]\nfilters=7\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=2\nanchors=3,4,9,7,11,20\nnum=3\nclasses=2\n",
    "[convolutional]\nfilters=16\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=1\n"
    "[reorg]\nstride=2\n"
    "[convolutional]\nfilters=16\nsize=1\nactivation=logistic\n"
    "[convolutional]\nfilters=16\nsize=1\nactivation=linear\n"
    "[region]\nanchors=1,2,3,1\nnum=2\nclasses=3\nsoftmax=1\n",
    "[convolutional]\nfilters=16\nsize=5\nstride=2\npad=1\nactivation=leaky\n"
    "[convolutional]\nfilters=10\nsize=1\nactivation=linear\n"
    "[avgpool]\n[softmax]\n"};

TEST(DarknetReferee, OpenCvAgreesOnSmallNetworks) {
  for (const char* layers : kSmall) {
    SCOPED_TRACE(layers);
    const test::TempFolder folder;
    test::write_text(folder / "net.cfg",
                     std::string("[net]\nheight=32\nwidth=48\nchannels=3\n") + layers);
    const int code = run_referee(folder / "net.cfg", folder / "", 0);
    if (code == 77) GTEST_SKIP() << "no OpenCV 4; set DAYBREAK_PYTHON to a Python that has it";
    ASSERT_EQ(code, 0);
    const DarknetImport import =
        import_darknet(folder / "t.cfg", folder / "t.weights", DarknetDialect::ab);
    EXPECT_LT(difference(import, folder / ""), 1e-4);
  }
}

TEST(DarknetReferee, EveryCfgOfAFolder) {
  const char* cfgs = std::getenv("DAYBREAK_DARKNET_CFGS");
  if (!cfgs) GTEST_SKIP() << "DAYBREAK_DARKNET_CFGS names no folder";
  const char* dialect = std::getenv("DAYBREAK_DARKNET_DIALECT");
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator(cfgs)) files.insert(entry.path());
  for (const fs::path& file : files) {
    if (file.extension() != ".cfg") continue;
    const test::TempFolder folder;
    const int code = run_referee(file, folder / "", 256);
    if (code == 77) GTEST_SKIP() << "no OpenCV 4; set DAYBREAK_PYTHON to a Python that has it";
    std::string line = "| " + file.stem().string() + " | ";
    try {
      const bool known = fs::exists(folder / "t.weights");  // else its sections are odd
      const DarknetImport import = import_darknet(
          known ? folder / "t.cfg" : file.string(), known ? folder / "t.weights" : file.string(),
          dialect && std::string(dialect) == "pj" ? DarknetDialect::pj : DarknetDialect::ab);
      line += std::to_string(import.net.layers) + " | " + std::to_string(import.parameters) + " | ";
      if (code == 0) {
        const double apart = difference(import, folder / "");
        EXPECT_LT(apart, 1e-3) << file;
        char text[32];
        std::snprintf(text, sizeof text, "%.1e |", apart);
        line += text;
      } else {
        test::run_imported(import,
                           std::vector<double>(fs::file_size(folder / "input.f32") / 4, 0.5),
                           /*on_cpu=*/true);
        line += "runs; OpenCV cannot load it |";
      }
    } catch (const std::exception& error) {
      const std::string text = error.what();
      line += "refused: " + text.substr(0, text.find('\n')) + " |";
    }
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace daybreak
