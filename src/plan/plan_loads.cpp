// Norms whose output the convolution behind them makes as it loads its input (Conv2d::loads).
// Whether that pays is a question about all kernels that read or write the output, so it is asked
// for them together, when the norm's input has been planned and its layout is known.

#include "ops/conv2d.h"
#include "plan/fuse.h"
#include "plan/plan_builder.h"

namespace daybreak {
namespace {

/// A norm and the convolution that alone reads it, together or apart.
class Pair {
 public:
  Pair(PlanBuilder& builder, const GraphNode& norm, const GraphNode& conv, bool joined)
      : b_(builder), norm_(norm), conv_(conv), dtype_(builder.dtype_of(norm)), joined_(joined) {
    if (joined) fuse_load(norm_, conv_);
  }

  const GraphNode& norm() const { return norm_; }
  const GraphNode& conv() const { return conv_; }

  /// The kernels that read or write the norm's output; fewer where one is not to be had.
  std::vector<KernelAsk> kernels() {
    const TensorDesc x = b_.in_dtype(b_.value_desc(norm_.inputs[0]), dtype_);
    const KernelOffer* norm = ask(norm_, Pass::forward, x, output(norm_), b_.param_descs(norm_));
    if (norm == nullptr) return {};
    const TensorDesc loaded = joined_ ? x : norm->output;
    const KernelOffer* conv =
        ask(conv_, Pass::forward, loaded, output(conv_), b_.param_descs(conv_));
    if (conv == nullptr) return {};
    if (!b_.trainable(conv_.params[0])) return std::move(kernels_);
    std::vector<TensorDesc> stored;  // as the forward pass will have decided by then
    for (std::size_t i = 0; i < conv_.params.size(); ++i) {
      stored.push_back(b_.layouts.desc[conv_.params[i]].value_or(b_.stored_desc(conv_, i, *conv)));
    }
    const TensorDesc dy = b_.in_dtype(conv->output, dtype_);
    if (ask(conv_, Pass::backward_weights, loaded, dy, std::move(stored)) == nullptr) return {};
    return std::move(kernels_);
  }

 private:
  TensorDesc output(const GraphNode& node) const {
    return plain_desc(b_.plan.shapes[node.output], dtype_);
  }

  // The first offer, or null. Valid until the next call.
  const KernelOffer* ask(const GraphNode& node, Pass pass, const TensorDesc& x, const TensorDesc& y,
                         std::vector<TensorDesc> params) {
    KernelQuery query;
    query.op = node.op.get();
    query.pass = pass;
    query.mode = b_.request.mode;
    query.inputs = {x};
    query.output = y;
    query.params = std::move(params);
    if (pass == Pass::forward) {
      query.params_fixed = b_.params_fixed(node);
    } else {
      query.want_dx = {false};
      query.want_dw = true;
    }
    std::string reason;
    std::vector<KernelOffer> offers = b_.offers(node, query, &reason);
    if (offers.empty()) return nullptr;
    kernels_.push_back({std::move(query), std::move(offers)});
    return &kernels_.back().offers[0];
  }

  PlanBuilder& b_;
  GraphNode norm_, conv_;
  DType dtype_;
  bool joined_;
  std::vector<KernelAsk> kernels_;
};

}  // namespace

void join_on_load(PlanBuilder& builder, std::size_t index) {
  const int loader = loader_of(builder.nodes, index, builder.request.keep);
  if (loader == kNone || !builder.join) return;
  GraphNode &norm = builder.nodes[index], &conv = builder.nodes[static_cast<std::size_t>(loader)];
  const DType dtype = builder.dtype_of(norm);
  if (dtype != builder.dtype_of(conv) || !builder.backend.loads_norms(dtype)) return;
  Pair apart(builder, norm, conv, false), joined(builder, norm, conv, true);
  const std::vector<KernelAsk> separate = apart.kernels(), together = joined.kernels();
  if (separate.empty() || separate.size() != together.size()) return;
  if (!builder.join(separate, together)) return;
  norm = joined.norm();
  conv = joined.conv();
}

}  // namespace daybreak
