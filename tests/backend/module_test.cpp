#include "backend/module.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace daybreak {
namespace {

TEST(CudaModule, WithoutAGpuSaysWhatIsMissingInOneLine) {
  std::string why;
  if (cuda_available(&why)) GTEST_SKIP() << "there is a GPU here";
  EXPECT_FALSE(why.empty());
  EXPECT_EQ(why.find('\n'), std::string::npos) << why;
  try {
    make_cuda_backend(0);
    FAIL() << "a backend without a GPU";
  } catch (const DeviceError& error) {
    EXPECT_EQ(std::string(error.what()), "device \"cuda\" asked for, but " + why);
  }
}

TEST(CudaModule, RefusesAGpuThatIsNotThere) {
  if (!cuda_available(nullptr)) GTEST_SKIP() << "skipped: no CUDA device";
  try {
    make_cuda_backend(4711);
    FAIL() << "a backend on GPU 4711";
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("there is no GPU 4711"), std::string::npos)
        << error.what();
  }
}

TEST(CudaModule, AvailabilityCanBeAskedWithoutAReason) {
  std::string why;
  EXPECT_EQ(cuda_available(nullptr), cuda_available(&why));
}

}  // namespace
}  // namespace daybreak
