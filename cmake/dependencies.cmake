# Everything comes from Debian packages; what is missing is reported at once with the line that installs it.
find_package(OpenMP QUIET COMPONENTS CXX)
find_package(fmt QUIET)
find_package(spdlog QUIET)
find_package(yaml-cpp QUIET)
find_package(nlohmann_json QUIET)
find_package(CLI11 QUIET)
find_package(OneDNN QUIET)
find_package(ZLIB QUIET)
find_package(PNG QUIET)
find_package(OpenCVModules QUIET)
find_package(TurboJPEG QUIET)
find_package(Protobuf QUIET)
find_package(pugixml QUIET)

set(_missing "")
foreach(_pair
    "OpenMP_CXX:build-essential" "fmt:libfmt-dev" "spdlog:libspdlog-dev" "yaml-cpp:libyaml-cpp-dev"
    "nlohmann_json:nlohmann-json3-dev" "CLI11:libcli11-dev" "OneDNN:libdnnl-dev" "ZLIB:zlib1g-dev"
    "PNG:libpng-dev" "OpenCVModules:libopencv-core-dev libopencv-imgproc-dev" "TurboJPEG:libturbojpeg0-dev"
    "pugixml:libpugixml-dev" "Protobuf:libprotobuf-dev protobuf-compiler")
  string(REGEX MATCH "^[^:]+" _name "${_pair}")
  string(REGEX REPLACE "^[^:]+:" "" _package "${_pair}")
  if(NOT ${_name}_FOUND)
    string(APPEND _missing " ${_package}")
  endif()
endforeach()
if(_missing)
  message(FATAL_ERROR "missing packages; install them with\n"
    "  sudo apt-get install -y --no-install-recommends${_missing}\n"
    "or run scripts/quickstart, which does it")
endif()
