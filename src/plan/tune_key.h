#pragma once

#include <string>

#include "backend/backend.h"

namespace daybreak {

/// True for the ops whose kernels are chosen by measuring: convolutions and linear layers.
bool tunable(const Op& op);

/// Everything the best kernel of a query may depend on, in words: op with attributes, pass, mode,
/// shapes, types and layouts. Two queries of equal key get equal offers from one backend.
std::string tune_key(const Backend& backend, const KernelQuery& query);

/// Names of an offer that hold from process to process: kernel and layouts. A backend that makes
/// two offers of one name gets the second as "NAME #2".
std::vector<std::string> offer_names(const Backend& backend,
                                     const std::vector<KernelOffer>& offers);

}  // namespace daybreak
