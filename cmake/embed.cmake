# Run as a script: writes OUTPUT, a C++ file that holds the FILES (relative to ROOT) as strings,
# so that `daybreak train` without arguments needs nothing beside the binary.
string(REPLACE "," ";" FILES "${FILES}")
set(text "// Made by cmake/embed.cmake from the files in cfg/ and data/.\n#include <vector>\n\n#include \"config/builtin.h\"\n\nnamespace daybreak {\n\nstd::span<const BuiltinFile> builtin_files() {\n  static const std::vector<BuiltinFile> files = {\n")
foreach(file ${FILES})
  file(READ ${ROOT}/${file} content)
  string(APPEND text "      {\"${file}\", R\"daybreak(${content})daybreak\"},\n")
endforeach()
string(APPEND text "  };\n  return files;\n}\n\n}  // namespace daybreak\n")
file(WRITE ${OUTPUT} "${text}")
