#pragma once

namespace daybreak {

/// What this machine can do at most, measured now on the given number of threads. Speeds of
/// networks are compared with these.
struct MachineCeilings {
  double fma_gflops = 0.0;        ///< f32 multiply-adds in registers, counted as 2 each
  double bf16_gflops = 0.0;       ///< bf16 dot products in registers (AVX512_BF16); 0: none
  double bandwidth_gbytes = 0.0;  ///< triad a = b + s * c over arrays far larger than the caches
};

/// Takes about `seconds` for each probe.
MachineCeilings probe_machine(int threads, double seconds);
/// The first probe alone.
double probe_fma_gflops(int threads, double seconds);

}  // namespace daybreak
