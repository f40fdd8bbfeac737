# Debian's libdnnl-dev: its own CMake config demands OpenCL's headers, which a CPU build does not use.
# Gives OneDNN_FOUND and the target daybreak_onednn.
find_path(OneDNN_INCLUDE_DIR dnnl.hpp)
find_library(OneDNN_LIBRARY dnnl)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OneDNN REQUIRED_VARS OneDNN_LIBRARY OneDNN_INCLUDE_DIR)
if(OneDNN_FOUND AND NOT TARGET daybreak_onednn)
  add_library(daybreak_onednn INTERFACE)
  target_include_directories(daybreak_onednn SYSTEM INTERFACE ${OneDNN_INCLUDE_DIR})
  target_link_libraries(daybreak_onednn INTERFACE ${OneDNN_LIBRARY})
endif()
mark_as_advanced(OneDNN_INCLUDE_DIR OneDNN_LIBRARY)
