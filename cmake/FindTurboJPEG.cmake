# libjpeg-turbo's own interface, which carries no CMake config in Debian: TurboJPEG_FOUND and the target
# daybreak_turbojpeg.
find_path(TurboJPEG_INCLUDE_DIR turbojpeg.h)
find_library(TurboJPEG_LIBRARY turbojpeg)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TurboJPEG REQUIRED_VARS TurboJPEG_LIBRARY TurboJPEG_INCLUDE_DIR)
if(TurboJPEG_FOUND AND NOT TARGET daybreak_turbojpeg)
  add_library(daybreak_turbojpeg INTERFACE)
  target_include_directories(daybreak_turbojpeg SYSTEM INTERFACE ${TurboJPEG_INCLUDE_DIR})
  target_link_libraries(daybreak_turbojpeg INTERFACE ${TurboJPEG_LIBRARY})
endif()
mark_as_advanced(TurboJPEG_INCLUDE_DIR TurboJPEG_LIBRARY)
