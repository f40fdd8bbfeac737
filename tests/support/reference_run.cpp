#include <stdexcept>

#include "ops/moments_ref.h"
#include "support/op_data.h"

namespace daybreak {

namespace {

/// A plain tensor in host memory: the reference backend's memory can be read directly.
struct Plain {
  std::vector<std::byte> bytes;
  std::byte* data() { return bytes.data(); }
};

/// Runs the passes of one op, one after the other, keeping what they leave for each other.
class ReferenceRun {
 public:
  ReferenceRun(const Op& op, const OpData& data, Mode mode, DType dtype)
      : op_(op),
        data_(data),
        mode_(mode),
        dtype_(dtype),
        backend_(make_ref_backend()),
        scalars_(data.scalars) {
    for (std::size_t i = 0; i < data.x.size(); ++i) {
      shapes_.push_back(data.x[i].shape);
      const TensorDesc desc = natural_desc(op, i, data.x[i].shape, dtype);
      x_.push_back({to_bytes(data.x[i], desc.dtype, desc.layout)});
    }
    for (const HostTensor& w : data.w) w_.push_back({to_bytes(w, dtype)});
    dy_ = {to_bytes(data.dy, dtype)};
    y_.bytes.resize(dy_.bytes.size());
    if (op.statistics() == Statistics::none || mode != Mode::train) return;
    statistics_.bytes.resize(statistics_shape().count() * element_size(dtype));
    if (op.statistics() == Statistics::taken) take_statistics();
  }

  OpResult run(Want want) {
    OpResult result;
    run_pass(Pass::forward);
    result.y = from_bytes(y_.bytes, data_.dy.shape, dtype_);
    for (std::size_t i = 0; i < w_.size(); ++i) {
      result.w.push_back(from_bytes(w_[i].bytes, data_.w[i].shape, dtype_));
    }
    if (!statistics_.bytes.empty()) {
      result.statistics = from_bytes(statistics_.bytes, statistics_shape(), dtype_);
    }
    if (want == Want::forward) return result;
    make_gradients();
    if (op_.splits_backward()) {
      run_pass(Pass::backward_data);
      run_pass(Pass::backward_weights);
    } else {
      run_pass(Pass::backward);
    }
    for (std::size_t i = 0; i < dx_.size(); ++i) {
      const bool some = !dx_[i].bytes.empty();
      result.dx.push_back(some ? from_bytes(dx_[i].bytes, shapes_[i], dtype_) : HostTensor{});
    }
    for (std::size_t i = 0; i < dw_.size(); ++i) {
      const bool some = !dw_[i].bytes.empty();
      result.dw.push_back(some ? from_bytes(dw_[i].bytes, data_.w[i].shape, dtype_) : HostTensor{});
    }
    return result;
  }

 private:
  Shape statistics_shape() const { return {2, data_.dy.shape.c, 1, 1}; }

  void take_statistics() {
    const auto write = [&]<typename T>(T) {
      write_statistics(shapes_[0], reinterpret_cast<const T*>(x_[0].data()),
                       reinterpret_cast<T*>(statistics_.data()));
    };
    dtype_ == DType::f64 ? write(double{}) : write(float{});
  }

  void make_gradients() {
    dx_.resize(x_.size());
    for (std::size_t i = 0; i < x_.size(); ++i) {
      if (op_.differentiable(static_cast<int>(i))) dx_[i].bytes.resize(x_[i].bytes.size());
    }
    const auto specs = op_.params(shapes_);
    dw_.resize(specs.size());
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (is_trained(specs[i].role)) dw_[i].bytes.resize(w_[i].bytes.size());
    }
  }

  void run_pass(Pass pass) {
    KernelQuery query = plain_query(op_, shapes_, pass, mode_, dtype_);
    for (std::size_t i = 0; i < dx_.size(); ++i) query.want_dx[i] = !dx_[i].bytes.empty();
    query.want_dw = pass != Pass::forward;
    std::string reason;
    const auto offers = backend_->offers(query, &reason);
    if (offers.empty()) throw std::runtime_error("ref refuses " + op_.describe() + ": " + reason);
    const KernelOffer& offer = offers.front();
    if (pass == Pass::forward) aux_.bytes.resize(offer.aux_bytes);
    std::vector<std::byte> workspace(offer.workspace_bytes);
    Bindings b;
    const auto pointers = [](std::vector<Plain>& tensors) {
      std::vector<std::byte*> list;
      for (Plain& t : tensors) list.push_back(t.bytes.empty() ? nullptr : t.data());
      return list;
    };
    b.x = pointers(x_);
    b.w = pointers(w_);
    b.dx = pointers(dx_);
    b.dw = pointers(dw_);
    b.y = y_.data();
    b.dy = dy_.data();
    b.aux = aux_.bytes.empty() ? nullptr : aux_.data();
    b.workspace = workspace.data();
    b.statistics = statistics_.bytes.empty() ? nullptr : statistics_.data();
    b.scalars = &scalars_;
    offer.make()->run(b);
  }

  const Op& op_;
  const OpData& data_;
  Mode mode_;
  DType dtype_;
  BackendPtr backend_;
  StepScalars scalars_;
  std::vector<Shape> shapes_;
  std::vector<Plain> x_, w_, dx_, dw_;
  Plain y_, dy_, aux_, statistics_;
};

}  // namespace

OpResult run_reference(const Op& op, const OpData& data, Mode mode, DType dtype, Want want) {
  return ReferenceRun(op, data, mode, dtype).run(want);
}

}  // namespace daybreak
