# cuDNN 9, which ships no CMake config and may lie apart from the toolkit: beside it, in a prefix given as
# CUDNN_ROOT, or in the wheel layout (PREFIX/include, PREFIX/lib/libcudnn.so.9 without the plain .so link).
# Gives CUDNN_FOUND, CUDNN_VERSION and the target daybreak_cudnn.
find_path(CUDNN_INCLUDE_DIR cudnn_graph.h
  HINTS ${CUDNN_ROOT} $ENV{CUDNN_ROOT} ${CUDAToolkit_INCLUDE_DIRS}
  PATH_SUFFIXES include)
find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9
  HINTS ${CUDNN_ROOT} $ENV{CUDNN_ROOT} ${CUDAToolkit_LIBRARY_DIR}
  PATH_SUFFIXES lib lib64)

set(CUDNN_VERSION "")
if(CUDNN_INCLUDE_DIR)
  foreach(_file cudnn_version_v9.h cudnn_version.h)
    if(EXISTS ${CUDNN_INCLUDE_DIR}/${_file} AND NOT CUDNN_VERSION)
      file(STRINGS ${CUDNN_INCLUDE_DIR}/${_file} _lines REGEX "^#define CUDNN_(MAJOR|MINOR|PATCHLEVEL) +[0-9]+")
      string(REGEX REPLACE "#define CUDNN_[A-Z]+ +" "" _numbers "${_lines}")
      list(JOIN _numbers "." CUDNN_VERSION)
    endif()
  endforeach()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CUDNN REQUIRED_VARS CUDNN_LIBRARY CUDNN_INCLUDE_DIR
  VERSION_VAR CUDNN_VERSION)
if(CUDNN_FOUND AND NOT TARGET daybreak_cudnn)
  add_library(daybreak_cudnn INTERFACE)
  target_include_directories(daybreak_cudnn SYSTEM INTERFACE ${CUDNN_INCLUDE_DIR})
  target_link_libraries(daybreak_cudnn INTERFACE ${CUDNN_LIBRARY})
endif()
mark_as_advanced(CUDNN_INCLUDE_DIR CUDNN_LIBRARY)
