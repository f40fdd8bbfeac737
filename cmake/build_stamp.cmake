# cmake -DOUTPUT=FILE -DVERSION=V "-DHEADERS=a;b" -P build_stamp.cmake: writes the stamp that program and module
# compare before they trust each other's vtables: the version and a hash of the headers both are compiled from.
set(text "${VERSION}")
foreach(header IN LISTS HEADERS)
  file(SHA256 ${header} hash)
  string(APPEND text " ${hash}")
endforeach()
string(SHA256 stamp "${text}")
string(SUBSTRING "${stamp}" 0 16 stamp)
file(WRITE ${OUTPUT} "#pragma once\n#define DAYBREAK_BUILD_STAMP \"${VERSION}-${stamp}\"\n")
