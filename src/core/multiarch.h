#pragma once

// Hot loops are compiled for AVX-512, AVX2 and the base ISA, and the processor's best is taken when
// the program is loaded. GCC does not clone OpenMP-outlined bodies or templates, so the pattern is:
// a parallel_for calls a plain cloned range function, which inlines everything below it.
#if defined(DAYBREAK_NO_MULTIARCH) || !defined(__x86_64__)
#define DAYBREAK_MULTIARCH __attribute__((noinline))
#else
#define DAYBREAK_MULTIARCH \
  __attribute__((noinline, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
