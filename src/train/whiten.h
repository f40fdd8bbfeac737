#pragma once

#include "data/loader.h"
#include "plan/executor.h"

namespace daybreak {

/// Gives convolutions with `init: whiten` (InitKind::whiten) filters that make the patches they
/// read uncorrelated and of variance 1, as in Jordan's airbench94 (2024): with eigenvalues l_i,
/// largest first, and eigenvectors v_i of the patches' second moments E[p p'], filter i is
/// v_i / sqrt(l_i + eps), and filter n + i its negative (patches of n numbers have 2n filters at
/// most; fewer are the first of these). The patches are all of 5000 pictures, or an even choice
/// where that would take long; the pictures are the first of epoch 0, so they depend on the
/// data and `options.seed` only. Everything is computed in double, in a fixed order.
/// `options`: how the network's pictures are fitted.
void whiten_filters(Executor& executor, const Dataset& train, LoaderOptions options);

}  // namespace daybreak
