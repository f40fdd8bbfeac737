# OpenCV's core and imgproc from Debian's module packages, which carry no CMake config
# (only libopencv-dev does): OpenCVModules_FOUND and the target daybreak_opencv.
find_path(OpenCVModules_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4)
find_library(OpenCVModules_core opencv_core)
find_library(OpenCVModules_imgproc opencv_imgproc)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVModules
  REQUIRED_VARS OpenCVModules_core OpenCVModules_imgproc OpenCVModules_INCLUDE_DIR)
if(OpenCVModules_FOUND AND NOT TARGET daybreak_opencv)
  add_library(daybreak_opencv INTERFACE)
  target_include_directories(daybreak_opencv SYSTEM INTERFACE ${OpenCVModules_INCLUDE_DIR})
  target_link_libraries(daybreak_opencv INTERFACE ${OpenCVModules_core} ${OpenCVModules_imgproc})
endif()
mark_as_advanced(OpenCVModules_INCLUDE_DIR OpenCVModules_core OpenCVModules_imgproc)
