#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "backend/batch_recipe.h"
#include "core/error.h"
#include "support/forwarding_backend.h"

namespace daybreak {

/// Stands for a device whose work is recorded, over a backend in host memory: while it records,
/// kernels are noted with copies of their bindings and not run, as in the capture of a stream, and
/// whatever a recording must not do is written down. It makes batches of resident pictures as the
/// CUDA kernel does, pixel by pixel.
class RecordingBackend final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  std::vector<std::string> violations;
  bool refuses = false;  ///< every recording fails at its end
  int recordings = 0, replays = 0, kernels_run = 0;
  int sent = 0;       ///< copies from the host that nobody waits for
  int read_back = 0;  ///< copies to the host
  int waits = 0;      ///< synchronize()

  using Work = std::function<void()>;

  std::vector<KernelOffer> offers(const KernelQuery& query, std::string* reason) override {
    std::vector<KernelOffer> list = inner_.offers(query, reason);
    for (KernelOffer& offer : list) {
      offer.make = [this, make = offer.make] { return wrapped(make()); };
    }
    return list;
  }
  KernelPtr reorder(const TensorDesc& from, const TensorDesc& to) override {
    forbid("reorder made");
    return wrapped(inner_.reorder(from, to));
  }
  KernelPtr accumulate(const TensorDesc& desc) override { return wrapped(inner_.accumulate(desc)); }
  KernelPtr step_work(StepWork work, DType dtype) override {
    return wrapped(inner_.step_work(work, dtype));
  }
  std::unique_ptr<UpdateKernel> optimizer(const OptimizerAttrs& attrs, DType dtype) override {
    return std::make_unique<Update>(*this, inner_.optimizer(attrs, dtype));
  }
  KernelPtr batch_maker(const BatchRecipe& recipe) override {
    struct Maker final : Kernel {
      BatchRecipe recipe;
      void run(const Bindings& b) override { make_batch(recipe, b); }
    };
    auto maker = std::make_unique<Maker>();
    maker->recipe = recipe;
    return wrapped(std::move(maker));
  }

  KernelPtr row_keeper(const RowRecipe& recipe) override {
    return wrapped(inner_.row_keeper(recipe));
  }

  MemoryPtr allocate(std::size_t bytes) override {
    forbid("memory");
    return inner_.allocate(bytes);
  }
  void copy_in(std::byte* to, const void* from, std::size_t bytes) override {
    forbid("copy in");
    inner_.copy_in(to, from, bytes);
  }
  void send(std::byte* to, const void* from, std::size_t bytes) override {
    forbid("send");
    ++sent;
    inner_.copy_in(to, from, bytes);
  }
  void copy_out(void* to, const std::byte* from, std::size_t bytes) override {
    forbid("copy out");
    ++read_back;
    inner_.copy_out(to, from, bytes);
  }
  void synchronize() override {
    forbid("wait");
    ++waits;
    inner_.synchronize();
  }

  bool can_record() const override { return true; }
  void begin_recording() override {
    forbid("a recording");
    recording_ = true;
    noted_.clear();
  }
  RecordingPtr end_recording() override {
    recording_ = false;
    if (refuses) throw DeviceError("cudaStreamEndCapture failed");
    ++recordings;
    struct Noted final : Recording {
      std::vector<Work> work;
      RecordingBackend* backend;
      void replay() override {
        ++backend->replays;
        for (const Work& one : work) one();
      }
    };
    auto made = std::make_unique<Noted>();
    made->work = std::move(noted_);
    made->backend = this;
    return made;
  }

 private:
  struct Wrapper final : Kernel {
    Wrapper(RecordingBackend& owner, KernelPtr inner) : backend(owner), kernel(std::move(inner)) {}
    void run(const Bindings& b) override {
      backend.take([this, b] { kernel->run(b); });
    }
    RecordingBackend& backend;
    KernelPtr kernel;
  };

  struct Update final : UpdateKernel {
    Update(RecordingBackend& owner, std::unique_ptr<UpdateKernel> inner)
        : backend(owner), kernel(std::move(inner)) {}
    void norm(std::byte* gradients, std::span<const UpdateGroup> groups,
              StepScalars* scalars) override {
      backend.take([this, gradients, all = copy(groups), scalars] {
        kernel->norm(gradients, all, scalars);
      });
    }
    void update(const UpdateArenas& arenas, std::span<const UpdateGroup> groups,
                StepScalars* scalars) override {
      std::vector<std::byte*> slots(arenas.slots.begin(), arenas.slots.end());
      std::vector<RoundedWeights> rounded(arenas.rounded.begin(), arenas.rounded.end());
      backend.take([this, weights = arenas.weights, gradients = arenas.gradients, slots, rounded,
                    all = copy(groups), scalars] {
        kernel->update({weights, gradients, slots, rounded}, all, scalars);
      });
    }
    static std::vector<UpdateGroup> copy(std::span<const UpdateGroup> groups) {
      return {groups.begin(), groups.end()};
    }
    RecordingBackend& backend;
    std::unique_ptr<UpdateKernel> kernel;
  };

  static void make_batch(const BatchRecipe& recipe, const Bindings& b) {
    const auto* pictures = reinterpret_cast<const std::uint8_t*>(b.x[0]);
    const auto* labels = reinterpret_cast<const std::int32_t*>(b.x[1]);
    const auto* order = reinterpret_cast<const std::uint32_t*>(b.x[2]);
    auto* out = reinterpret_cast<std::uint8_t*>(b.y);
    const std::size_t size =
        static_cast<std::size_t>(recipe.height) * recipe.width * recipe.channels;
    for (int n = 0; n < recipe.batch; ++n) {
      const std::uint64_t wanted = b.scalars->first_sample + static_cast<std::uint64_t>(n);
      const std::uint32_t sample = order[std::min(wanted, recipe.samples - 1)];
      const BatchDraws draws = draw_batch_sample(recipe, b.scalars->epoch, sample);
      if (b.w[0] != nullptr) reinterpret_cast<std::int32_t*>(b.w[0])[n] = labels[sample];
      for (int y = 0; y < recipe.height; ++y) {
        for (int x = 0; x < recipe.width; ++x) {
          const BatchPixel pixel = batch_pixel(recipe, draws, x, y);
          for (int c = 0; c < recipe.channels; ++c, ++out) {
            const std::size_t at =
                (static_cast<std::size_t>(pixel.y) * recipe.width + pixel.x) * recipe.channels;
            *out = pixel.from == BatchPixel::picture  ? pictures[sample * size + at + c]
                   : pixel.from == BatchPixel::colour ? recipe.colour[c]
                                                      : std::uint8_t{0};
          }
        }
      }
    }
  }

  KernelPtr wrapped(KernelPtr kernel) {
    return std::make_unique<Wrapper>(*this, std::move(kernel));
  }
  void take(Work work) {
    if (recording_) {
      noted_.push_back(std::move(work));
    } else {
      ++kernels_run;
      work();
    }
  }
  void forbid(const char* what) {
    if (recording_) violations.emplace_back(what);
  }

  bool recording_ = false;
  std::vector<Work> noted_;
};

}  // namespace daybreak
