#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "ops/op.h"

namespace daybreak {

/// Compares every gradient of the reference backend with central differences in double, for
/// |analytic - numeric| <= 1e-7 + 1e-6 max(|analytic|, |numeric|): up to 100 elements of each input
/// and trained parameter one by one, and all of them at once along a random direction.
void check_gradients(const Op& op, const std::vector<Shape>& inputs, Mode mode = Mode::train);

struct HarnessOptions {
  DType dtype = DType::f32;
  std::vector<Mode> modes = {Mode::train, Mode::eval};
  /// What forward queries say their float inputs lie in: plain as at the entry of a net, and a
  /// backend's own layouts as in its middle.
  std::vector<Layout> input_layouts = {kNchw};
  bool eval_backward = false;  ///< also ask for gradients in evaluation mode
  double tolerance = 2e-6;     ///< relative L2 error allowed, times sqrt(terms in a sum)
  double tolerance_cap = 1e-4;
  double winograd_factor = 16.0;  ///< both are multiplied by this for offers named "...wino..."
  bool integers = true;           ///< also: whole numbers, results equal to the last bit
  bool required = true;           ///< having no offer at all is a failure
  /// A query the backend may refuse although `required`, for example one that is not supported yet.
  std::function<bool(const KernelQuery&)> may_refuse;
};

/// Runs every offer of every pass of `backend` and compares with the reference. Tensors are brought
/// into an offer's layouts by Backend::reorder. Outputs, workspace and saved data start as NaN,
/// guard bytes lie around every buffer, read-only buffers must stay as they were, tensors that an
/// offer says it does not read are null, padding that a layout adds must come out as zeros.
/// Backward kernels get what each of the forward offers saved, with every choice of wanted
/// gradients.
void check_backend(Backend& backend, const Op& op, const std::vector<Shape>& inputs,
                   const HarnessOptions& options = {});

/// Compares `steps` of the backend's optimizer with the reference: groups with own rates and decay,
/// a frozen one, clipping, gradient scale; slots, weights and grad_norm. The weights it also writes
/// in the types `rounded` must be those of its weights, rounded to nearest, ties to even.
void check_optimizer(Backend& backend, const OptimizerAttrs& attrs, double tolerance = 2e-6,
                     const std::vector<DType>& rounded = {});

/// The nearest number of bf16 or f16, ties to even, by arithmetic in double; for finite numbers
/// that are in the type's range.
double nearest_in(double value, DType dtype);

/// Gradients that are not finite leave weights and slots as they are and back the loss scale off;
/// good ones move them, and let it grow.
void check_guarded_update(Backend& backend, const OptimizerAttrs& attrs);

/// Compares y += x over tensors of odd sizes, in the plain layout.
void check_accumulate(Backend& backend);

}  // namespace daybreak
