#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "support/device_tensor.h"
#include "support/op_harness.h"

namespace daybreak {

namespace {

/// What a forward kernel left behind for a backward one.
struct Saved {
  std::vector<TensorDesc> inputs, params;
  TensorDesc output;
  HostTensor y;
  BufferPtr aux;
};

/// Which gradients a backward kernel is asked for.
struct Wanted {
  std::vector<bool> dx;
  bool dw = false;
};

class Comparison {
 public:
  Comparison(Backend& backend, const Op& op, const std::vector<Shape>& inputs,
             const HarnessOptions& options)
      : backend_(backend), op_(op), inputs_(inputs), options_(options), specs_(op.params(inputs)) {}

  void run(Fill fill) {
    exact_ = fill == Fill::integers;
    data_ = make_data(op_, inputs_, fill, 7, options_.dtype);
    for (const Mode mode : options_.modes) {
      mode_ = mode;
      const bool gradients =
          is_differentiable(op_, inputs_.size()) && (mode == Mode::train || options_.eval_backward);
      const Want want = gradients ? Want::backward : Want::forward;
      expected_ = run_reference(op_, data_, mode, DType::f64, want);
      expected32_ = run_reference(op_, data_, mode, DType::f32, want);
      for (const Layout layout : options_.input_layouts) run_mode(gradients, layout);
    }
  }

 private:
  KernelQuery forward_query(Layout layout) {
    KernelQuery query = plain_query(op_, inputs_, Pass::forward, mode_, options_.dtype);
    for (TensorDesc& desc : query.inputs) {
      if (desc.dtype != options_.dtype) continue;
      desc.layout = layout;
      desc.bytes = backend_.layout_bytes(desc.shape, desc.dtype, layout);
    }
    return query;
  }

  void run_mode(bool gradients, Layout layout) {
    const std::string mode = mode_ == Mode::train ? "train" : "eval";
    std::set<std::string> seen;
    SCOPED_TRACE("inputs in " + backend_.layout_name(layout));
    const auto offers = ask(forward_query(layout));
    for (const KernelOffer& offer : offers) {
      SCOPED_TRACE(mode + " forward, offer '" + offer.name + "'");
      Saved saved = forward(offer);
      if (!gradients) continue;
      if (!seen.insert(key(saved)).second && !saved.aux) continue;
      backward_passes(saved);
    }
    if (!gradients || (op_.backward_reads().aux && mode_ == Mode::train)) return;
    // Backward kernels must also cope with plain tensors, whatever the forward pass prefers.
    Saved plain;
    const KernelQuery query = forward_query(kNchw);
    plain.inputs = query.inputs;
    plain.params = query.params;
    plain.output = query.output;
    plain.y = expected_.y;
    SCOPED_TRACE(mode + ", plain tensors");
    if (seen.insert(key(plain)).second) backward_passes(plain);
  }

  static std::string key(const Saved& saved) {
    std::string text;
    for (const auto* list : {&saved.inputs, &saved.params}) {
      for (const TensorDesc& d : *list) text += std::to_string(d.layout.id) + " ";
    }
    return text + std::to_string(saved.output.layout.id);
  }

  std::vector<KernelOffer> ask(const KernelQuery& query) {
    std::string reason;
    auto offers = backend_.offers(query, &reason);
    if (!offers.empty()) return offers;
    EXPECT_FALSE(reason.empty()) << "a refusal without a reason";
    const bool allowed = !options_.required || (options_.may_refuse && options_.may_refuse(query));
    EXPECT_TRUE(allowed) << backend_.name() << " has no kernel for " << op_.describe() << ", "
                         << to_string(query.pass) << ": " << reason;
    return offers;
  }

  // --- one kernel call: tensors, bindings, checks common to all passes -------------------------

  struct Call {
    std::vector<DeviceTensor> x, w, dx, dw;
    DeviceTensor y, dy;
    DeviceTensor statistics;
    GuardedBuffer* aux = nullptr;
    BufferPtr workspace, scalars;
    Bindings bindings;
  };

  static std::vector<std::byte*> pointers(std::vector<DeviceTensor>& tensors) {
    std::vector<std::byte*> list;
    for (DeviceTensor& t : tensors) list.push_back(t.data());
    return list;
  }

  /// Binds what is there; callers may change single pointers before launch().
  void bind(Call& call, const KernelOffer& offer) {
    call.workspace = std::make_unique<GuardedBuffer>(backend_, offer.workspace_bytes);
    call.scalars = std::make_unique<GuardedBuffer>(backend_, sizeof(StepScalars));
    backend_.copy_in(call.scalars->data(), &data_.scalars, sizeof(StepScalars));
    Bindings& b = call.bindings;
    b.x = pointers(call.x);
    b.w = pointers(call.w);
    b.dx = pointers(call.dx);
    b.dw = pointers(call.dw);
    b.y = call.y.data();
    b.dy = call.dy.data();
    b.aux = call.aux ? call.aux->data() : nullptr;
    b.statistics = call.statistics.data();
    b.workspace = offer.workspace_bytes > 0 ? call.workspace->data() : nullptr;
    b.scalars = reinterpret_cast<StepScalars*>(call.scalars->data());
  }

  void launch(Call& call, Kernel& kernel) {
    kernel.run(call.bindings);
    backend_.synchronize();
    for (auto* list : {&call.x, &call.w, &call.dx, &call.dw}) {
      for (std::size_t i = 0; i < list->size(); ++i) {
        if ((*list)[i].buffer) (*list)[i].buffer->expect_guards("tensor " + std::to_string(i));
      }
    }
    if (call.y.buffer) call.y.buffer->expect_guards("y");
    if (call.dy.buffer) call.dy.buffer->expect_guards("dy");
    if (call.statistics.buffer) call.statistics.buffer->expect_guards("statistics");
    if (call.aux) call.aux->expect_guards("aux");
    call.workspace->expect_guards("workspace");
  }

  std::vector<std::vector<std::byte>> snapshot(std::vector<DeviceTensor>& tensors) {
    std::vector<std::vector<std::byte>> bytes;
    for (DeviceTensor& t : tensors) {
      bytes.push_back(t.buffer ? t.buffer->read() : std::vector<std::byte>{});
    }
    return bytes;
  }

  void upload_params(Call& call, const KernelOffer& offer) {
    ASSERT_EQ(offer.params.size(), data_.w.size());
    call.w.clear();
    for (std::size_t i = 0; i < data_.w.size(); ++i) {
      call.w.push_back(upload(backend_, data_.w[i], offer.params[i]));
    }
  }

  void upload_inputs(Call& call, const KernelOffer& offer) {
    ASSERT_EQ(offer.inputs.size(), data_.x.size());
    for (std::size_t i = 0; i < data_.x.size(); ++i) {
      call.x.push_back(upload(backend_, data_.x[i], offer.inputs[i]));
    }
  }

  // --- forward ----------------------------------------------------------------------------------

  /// Those of the reference for a kernel that takes them, poison for one that gives them.
  void bind_statistics(Call& call) {
    if (expected_.statistics.v.empty()) return;
    const TensorDesc desc = plain_desc(expected_.statistics.shape, DType::f32);
    call.statistics = op_.statistics() == Statistics::given
                          ? poisoned(backend_, desc)
                          : upload(backend_, expected_.statistics, desc);
  }

  Saved forward(const KernelOffer& offer) {
    const double k = static_cast<double>(reduction_length(op_, inputs_, Pass::forward));
    Saved saved{offer.inputs, offer.params, offer.output, {}, nullptr};
    Call call;
    upload_inputs(call, offer);
    upload_params(call, offer);
    call.y = poisoned(backend_, offer.output);
    if (offer.aux_bytes > 0) saved.aux = std::make_unique<GuardedBuffer>(backend_, offer.aux_bytes);
    call.aux = saved.aux.get();
    bind_statistics(call);
    bind(call, offer);
    const auto x_before = snapshot(call.x), w_before = snapshot(call.w);
    const KernelPtr kernel = offer.make();
    launch(call, *kernel);
    EXPECT_TRUE(snapshot(call.x) == x_before) << "the forward pass has changed an input";
    if (op_.statistics() == Statistics::given && call.statistics.buffer) {
      compare("statistics", download(backend_, call.statistics), expected_.statistics,
              expected32_.statistics, k, offer);
    }
    saved.y = download(backend_, call.y);
    compare("y", saved.y, expected_.y, expected32_.y, k, offer);
    expect_clean_padding(backend_, call.y, "y");
    const auto w_after = snapshot(call.w);
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      if (is_trained(specs_[i].role)) {
        EXPECT_TRUE(w_after[i] == w_before[i]) << specs_[i].suffix << " has been changed";
      } else {
        compare(specs_[i].suffix, download(backend_, call.w[i]), expected_.w[i], expected32_.w[i],
                k, offer);
      }
    }
    if (offer.in_place && offer.inputs[0].bytes == offer.output.bytes) {
      forward_in_place(offer, *kernel, call, k);
    }
    return saved;
  }

  void forward_in_place(const KernelOffer& offer, Kernel& kernel, Call& call, double k) {
    SCOPED_TRACE("in place");
    upload_params(call, offer);
    call.y = upload(backend_, data_.x[0], offer.inputs[0]);
    bind(call, offer);
    call.bindings.x[0] = call.bindings.y;
    launch(call, kernel);
    call.y.desc = offer.output;
    compare("y", download(backend_, call.y), expected_.y, expected32_.y, k, offer);
  }

  // --- backward ---------------------------------------------------------------------------------

  void backward_passes(Saved& saved) {
    const bool trained = has_trained_params(op_, inputs_);
    if (op_.splits_backward()) {
      backward(saved, Pass::backward_data, {{true}, false});
      if (trained) backward(saved, Pass::backward_weights, {{false}, true});
      return;
    }
    for (const std::vector<bool>& dx : dx_choices()) {
      const bool some = std::find(dx.begin(), dx.end(), true) != dx.end();
      if (some) backward(saved, Pass::backward, {dx, false});
      if (trained) backward(saved, Pass::backward, {dx, true});
    }
  }

  /// None, all, and each alone.
  std::vector<std::vector<bool>> dx_choices() const {
    const std::size_t n = inputs_.size();
    std::vector<bool> all(n);
    for (std::size_t i = 0; i < n; ++i) all[i] = op_.differentiable(static_cast<int>(i));
    std::vector<std::vector<bool>> choices = {std::vector<bool>(n, false), all};
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<bool> one(n, false);
      one[i] = all[i];
      if (all[i] && one != all) choices.push_back(one);
    }
    return choices;
  }

  void backward(Saved& saved, Pass pass, const Wanted& wanted) {
    KernelQuery query = plain_query(op_, inputs_, pass, mode_, options_.dtype);
    query.inputs = saved.inputs;
    query.params = saved.params;
    query.output = saved.output;
    query.want_dx = wanted.dx;
    query.want_dw = wanted.dw;
    for (const KernelOffer& offer : ask(query)) {
      std::string which;
      for (const bool one : wanted.dx) which += one ? "1" : "0";
      SCOPED_TRACE(std::string(to_string(pass)) + ", offer '" + offer.name + "', dx " + which +
                   (wanted.dw ? ", dw" : ""));
      run_backward(saved, offer, pass, wanted);
    }
  }

  void run_backward(Saved& saved, const KernelOffer& offer, Pass pass, const Wanted& wanted) {
    Call call;
    upload_inputs(call, offer);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (!offer.reads.input(i)) call.x[i] = DeviceTensor{};
    }
    upload_params(call, offer);
    if (offer.reads.output) call.y = upload(backend_, saved.y, offer.output);
    if (offer.reads.aux) call.aux = saved.aux.get();
    call.dy = upload(backend_, data_.dy, offer.output);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      call.dx.push_back(wanted.dx[i] ? poisoned(backend_, offer.inputs[i]) : DeviceTensor{});
    }
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      const bool want = wanted.dw && is_trained(specs_[i].role);
      call.dw.push_back(want ? poisoned(backend_, offer.params[i]) : DeviceTensor{});
    }
    bind(call, offer);
    const auto x_before = snapshot(call.x), w_before = snapshot(call.w);
    const auto dy_before = call.dy.buffer->read();
    const KernelPtr kernel = offer.make();
    launch(call, *kernel);
    EXPECT_TRUE(snapshot(call.x) == x_before) << "the backward pass has changed an input";
    EXPECT_TRUE(snapshot(call.w) == w_before) << "the backward pass has changed a parameter";
    EXPECT_TRUE(call.dy.buffer->read() == dy_before) << "the backward pass has changed dy";
    compare_gradients(call, offer, pass);
    if (offer.in_place && wanted.dx[0] && offer.inputs[0].bytes == offer.output.bytes) {
      SCOPED_TRACE("in place");
      call.dx[0] = upload(backend_, data_.dy, offer.output);
      bind(call, offer);
      call.bindings.dy = call.bindings.dx[0];
      launch(call, *kernel);
      call.dx[0].desc = offer.inputs[0];
      compare_gradients(call, offer, pass);
    }
  }

  void compare_gradients(Call& call, const KernelOffer& offer, Pass pass) {
    const double k = static_cast<double>(reduction_length(op_, inputs_, pass));
    for (std::size_t i = 0; i < call.dx.size(); ++i) {
      if (!call.dx[i].buffer) continue;
      const std::string name = "dx[" + std::to_string(i) + "]";
      compare(name, download(backend_, call.dx[i]), expected_.dx[i], expected32_.dx[i], k, offer);
      expect_clean_padding(backend_, call.dx[i], name);
    }
    for (std::size_t i = 0; i < call.dw.size(); ++i) {
      if (!call.dw[i].buffer) continue;
      const std::string name = "d" + specs_[i].suffix;
      compare(name, download(backend_, call.dw[i]), expected_.dw[i], expected32_.dw[i], k, offer);
      if (backend_.storable(call.dw[i].desc)) expect_clean_padding(backend_, call.dw[i], name);
    }
  }

  // --- numbers ----------------------------------------------------------------------------------

  void compare(const std::string& what, const HostTensor& actual, const HostTensor& expected,
               const HostTensor& expected32, double k, const KernelOffer& offer) {
    ASSERT_EQ(actual.v.size(), expected.v.size()) << what;
    const bool winograd = offer.name.find("wino") != std::string::npos;
    double error = 0.0, size = 0.0, conditioning = 0.0;
    std::size_t worst = 0;
    double worst_error = -1.0;
    for (std::size_t i = 0; i < actual.v.size(); ++i) {
      const double difference = std::abs(actual.v[i] - expected.v[i]);
      error += difference * difference;
      size += expected.v[i] * expected.v[i];
      conditioning += std::pow(expected32.v[i] - expected.v[i], 2);
      if (!(difference <= worst_error)) worst = i, worst_error = difference;
    }
    if (actual.v.empty()) return;
    const std::string place = what + ", worst at " + std::to_string(worst) + ": got " +
                              std::to_string(actual.v[worst]) + ", expected " +
                              std::to_string(expected.v[worst]);
    if (exact_ && !winograd && options_.dtype == DType::f32) {
      EXPECT_EQ(error, 0.0) << place << " (whole numbers must come out exactly)";
      return;
    }
    const double factor = winograd ? options_.winograd_factor : 1.0;
    const double relative =
        factor * std::min(options_.tolerance_cap, options_.tolerance * std::sqrt(k));
    // What rounding to f32 alone does to the reference is not held against anybody.
    const double allowed = relative * std::sqrt(size) + 16.0 * std::sqrt(conditioning) + 1e-30;
    EXPECT_LE(std::sqrt(error), allowed)
        << place << "; L2 of the tensor " << std::sqrt(size) << ", relative allowance " << relative;
  }

  Backend& backend_;
  const Op& op_;
  std::vector<Shape> inputs_;
  const HarnessOptions& options_;
  std::vector<ParamSpec> specs_;
  OpData data_;
  Mode mode_ = Mode::train;
  OpResult expected_, expected32_;
  bool exact_ = false;
};

}  // namespace

void check_backend(Backend& backend, const Op& op, const std::vector<Shape>& inputs,
                   const HarnessOptions& options) {
  Comparison comparison(backend, op, inputs, options);
  comparison.run(Fill::real);
  if (!options.integers || !is_exact_on_integers(op)) return;
  SCOPED_TRACE("whole numbers");
  comparison.run(Fill::integers);
}

}  // namespace daybreak
