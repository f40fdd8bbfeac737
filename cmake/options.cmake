# Language, warnings and sanitizers for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()

# -Wrestrict: GCC 12 warns about std::string operator+ without cause (GCC bug 105329).
add_library(daybreak_flags INTERFACE)
target_compile_definitions(daybreak_flags INTERFACE DAYBREAK_VERSION="${PROJECT_VERSION}")
target_compile_options(daybreak_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror=return-type -Wno-restrict>)
if(DAYBREAK_WERROR)
  target_compile_options(daybreak_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(DAYBREAK_SANITIZE)
  target_compile_options(daybreak_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${DAYBREAK_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer>)
  target_link_options(daybreak_flags INTERFACE -fsanitize=${DAYBREAK_SANITIZE})
  # Sanitizers and run-time dispatch by ifunc do not mix: kernels are then built once, for the base ISA.
  target_compile_definitions(daybreak_flags INTERFACE DAYBREAK_NO_MULTIARCH)
endif()

# daybreak_folder(core SOURCES a.cpp ... LINK daybreak_x fmt::fmt ...): one static library a folder.
function(daybreak_folder name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(daybreak_${name} STATIC ${ARG_SOURCES})
  target_include_directories(daybreak_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(daybreak_${name} PUBLIC daybreak_flags ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
  set_property(GLOBAL APPEND PROPERTY DAYBREAK_FOLDERS daybreak_${name})
endfunction()
