#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace daybreak {

/// Start values of a parameter in file order (OIHW), a pure function of its name, shape, Init and
/// the seed: adding or removing other layers changes nothing, and neither does the thread count.
///
/// With fan_in = product of dims[1..] and fan_out = dims[0] * product of dims[2..] (for transposed
/// convolutions, whose weight is [IC, OC/groups, KH, KW], these are PyTorch's conventions too):
///  - he_normal: N(0, g^2 / fan_in), g = sqrt(2 / (1 + slope^2)) (He et al. 2015, eq. 10, 15)
///  - he_uniform: U(-r, r), r = g sqrt(3 / fan_in)
///  - xavier_normal: N(0, 2 / (fan_in + fan_out)) (Glorot, Bengio 2010)
///  - xavier_uniform: U(-r, r), r = sqrt(6 / (fan_in + fan_out)) (their eq. 16)
///  - normal: N(0, a^2); uniform: U(a, b); constant: a
///  - fan_in_uniform: U(-r, r), r = 1 / sqrt(fan_in) (PyTorch's default: Kaiming with a = sqrt 5)
///  - dirac: 1 from channel i to channel i of each group at the kernel's centre, else 0; filters
///    beyond the channels 0, or as fan_in_uniform with random_rest
///  - whiten: he_normal, until train/whiten.h has seen the pictures
///  - default_: weights he_normal with the slope given (0.1 behind the seed network's leaky ReLU, 1
///    where no activation follows: then g = 1), biases and shifts 0, scales 1, running mean 0,
///    running variance 1
/// Kinds that need a fan are for weights only; the layers set bounds for biases as `uniform`.
std::vector<float> initial_values(const Param& param, std::uint64_t seed);
/// The same into `values`, whose memory is used again.
void initial_values(const Param& param, std::uint64_t seed, std::vector<float>& values);

/// FNV-1a, 64 bit: the key of a parameter's draws.
std::uint64_t name_hash(std::string_view name);

/// "he_normal", the word of configs and messages.
std::string_view to_string(InitKind kind);

}  // namespace daybreak
