#include "data/augmenter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/error.h"
#include "data/fit.h"
#include "data/limits.h"

namespace daybreak {
namespace {

void check(bool holds, const std::string& text) {
  if (!holds) throw ConfigError(text);
}

// What depends on the output size, or would make a draw meaningless.
struct Checker {
  int side;  // the shorter one of the output

  void operator()(const PadCrop& spec) const {
    check(spec.pad >= 0, fmt::format("pad_crop: pad {} is negative", spec.pad));
    check(
        spec.mode != BorderMode::symmetric || spec.pad <= side,
        fmt::format("pad_crop: pad {} is wider than the picture ({} pixels), which mode symmetric "
                    "cannot mirror; use at most {}",
                    spec.pad, side, side));
    check(spec.mode != BorderMode::reflect || spec.pad < side,
          fmt::format("pad_crop: mode reflect needs pad < picture, found pad {} and {} pixels",
                      spec.pad, side));
  }
  void operator()(const Flip& spec) const { check_p("flip", spec.p); }
  void operator()(const RandomResizedCrop& spec) const {
    check(0 < spec.area[0] && spec.area[0] <= spec.area[1] && spec.area[1] <= 1,
          fmt::format("random_resized_crop: area [{}, {}] is no range within (0, 1]", spec.area[0],
                      spec.area[1]));
    check(0 < spec.ratio[0] && spec.ratio[0] <= spec.ratio[1],
          fmt::format("random_resized_crop: ratio [{}, {}] is no range of positive numbers",
                      spec.ratio[0], spec.ratio[1]));
  }
  void operator()(const ColorJitter& spec) const {
    check(spec.brightness >= 0 && spec.contrast >= 0 && spec.saturation >= 0,
          "color_jitter: brightness, contrast and saturation must not be negative");
    check(spec.hue >= 0 && spec.hue <= 0.5,
          fmt::format("color_jitter: hue {} is outside 0..0.5 turns", spec.hue));
  }
  void operator()(const Rotate& spec) const { check_p("rotate", spec.p); }
  void operator()(const Cutout& spec) const {
    check(spec.size >= 1, fmt::format("cutout: size {} is not positive", spec.size));
    check_p("cutout", spec.p);
  }
  void operator()(const Resize& spec) const { check_size("resize", spec.size); }
  void operator()(const CenterCrop& spec) const { check_size("center_crop", spec.size); }

  static void check_p(const char* name, double p) {
    check(p >= 0 && p <= 1, fmt::format("{}: p {} is outside 0..1", name, p));
  }
  static void check_size(const char* name, int size) {
    check(size >= 0 && size <= limits::kMaxImageSide,
          fmt::format("{}: size {} is outside 0..{}", name, size, limits::kMaxImageSide));
  }
};

// One picture on its way: pixels somewhere, and index maps not yet applied to them.
class Walk {
 public:
  Walk(const PictureView& picture, const Augmenter::Options& options, std::int64_t epoch,
       std::int64_t sample, AugmentScratch& scratch, std::uint8_t* out)
      : options_(options),
        epoch_(epoch),
        sample_(sample),
        scratch_(scratch),
        out_(out),
        now_(picture),
        draws_(options.seed, Purpose::augment, static_cast<std::uint64_t>(epoch),
               static_cast<std::uint64_t>(sample)) {}

  /// Brings the picture to the output's size, if it has another.
  void fit() {
    if (width() == options_.width && height() == options_.height) return;
    flush();
    std::uint8_t* target = other_buffer(options_.width, options_.height);
    fit_picture(now_, options_.width, options_.height, options_.fit, target);
    moved_to(target, options_.width, options_.height);
  }

  void finish() {
    fit();
    flush();
    if (now_.pixels != out_) std::memcpy(out_, now_.pixels, static_cast<std::size_t>(now_.bytes()));
  }

  void operator()(const PadCrop& spec) {
    const bool reaches =
        width() + 2 * spec.pad >= options_.width && height() + 2 * spec.pad >= options_.height;
    if (!reaches) fit();
    start_maps();
    const CropStart start =
        draw_pad_crop(spec, width(), height(), options_.width, options_.height, draws_);
    crop_axis(scratch_.xs, start.x, options_.width, spec.mode, scratch_.next);
    std::swap(scratch_.xs, scratch_.next);
    crop_axis(scratch_.ys, start.y, options_.height, spec.mode, scratch_.next);
    std::swap(scratch_.ys, scratch_.next);
  }

  void operator()(const Flip& spec) {
    if (!draw_flip(spec, options_.seed, epoch_, sample_, draws_)) return;
    start_maps();
    BorderMap& map = spec.vertical ? scratch_.ys : scratch_.xs;
    std::reverse(map.begin(), map.end());
  }

  void operator()(const RandomResizedCrop& spec) {
    flush();
    take_part(draw_random_part(spec, now_.w, now_.h, draws_), options_.width, options_.height);
  }

  void operator()(const Resize& spec) {
    flush();
    const auto [w, h] = resized_size(spec, now_.w, now_.h, options_.width, options_.height);
    const std::int64_t pixels = static_cast<std::int64_t>(w) * h;
    if (w > limits::kMaxImageSide || h > limits::kMaxImageSide ||
        pixels > limits::kMaxImagePixels) {
      fit();  // a strip of extreme aspect: resizing its shorter side would need gigabytes
      return;
    }
    take_part({0, 0, now_.w, now_.h}, w, h);
  }

  void operator()(const CenterCrop& spec) {
    const int w = spec.size == 0 ? options_.width : spec.size;
    const int h = spec.size == 0 ? options_.height : spec.size;
    if (width() < w ||
        height() < h) {  // too small: the largest centred part of that aspect, enlarged
      flush();
      const FitGeometry g = fit_geometry(now_.w, now_.h, w, h, Fit::center_crop);
      take_part({g.crop_x, g.crop_y, g.crop_w, g.crop_h}, w, h);
      return;
    }
    start_maps();
    crop_axis(scratch_.xs, (width() - w) / 2, w, BorderMode::edge, scratch_.next);
    std::swap(scratch_.xs, scratch_.next);
    crop_axis(scratch_.ys, (height() - h) / 2, h, BorderMode::edge, scratch_.next);
    std::swap(scratch_.ys, scratch_.next);
  }

  void operator()(const ColorJitter& spec) {
    const JitterFactors factors = draw_color_jitter(spec, draws_);
    std::uint8_t* pixels = own();
    color_jitter(pixels, static_cast<std::int64_t>(now_.w) * now_.h, now_.c, factors);
  }

  void operator()(const Rotate& spec) {
    if (width() > limits::kMaxWarpSide || height() > limits::kMaxWarpSide) fit();
    const float degrees = draw_rotate(spec, draws_);
    if (degrees == 0.0f) return;
    flush();
    std::uint8_t* target = other_buffer(now_.w, now_.h);
    rotate(now_, degrees, spec.mode, target);
    moved_to(target, now_.w, now_.h);
  }

  void operator()(const Cutout& spec) {
    const CutoutCentre centre = draw_cutout(spec, width(), height(), draws_);
    if (centre.x < 0) return;
    std::uint8_t* pixels = own();
    cutout(pixels, now_.w, now_.h, now_.c, centre, spec.size, options_.mean_colour);
  }

 private:
  int width() const { return pending_ ? static_cast<int>(scratch_.xs.size()) : now_.w; }
  int height() const { return pending_ ? static_cast<int>(scratch_.ys.size()) : now_.h; }

  void start_maps() {
    if (pending_) return;
    scratch_.xs.resize(static_cast<std::size_t>(now_.w));
    scratch_.ys.resize(static_cast<std::size_t>(now_.h));
    std::iota(scratch_.xs.begin(), scratch_.xs.end(), 0);
    std::iota(scratch_.ys.begin(), scratch_.ys.end(), 0);
    pending_ = true;
  }

  /// Applies the maps that wait.
  void flush() {
    if (!pending_) return;
    const int w = width();
    const int h = height();
    std::uint8_t* target = other_buffer(w, h);
    gather(now_, scratch_.xs, scratch_.ys, scratch_.runs, target);
    pending_ = false;
    moved_to(target, w, h);
  }

  /// Pixels that may be changed in place.
  std::uint8_t* own() {
    flush();
    if (!owned_) {
      std::uint8_t* target = other_buffer(now_.w, now_.h);
      std::memcpy(target, now_.pixels, static_cast<std::size_t>(now_.bytes()));
      moved_to(target, now_.w, now_.h);
    }
    return owned_;
  }

  void take_part(const PartRect& part, int w, int h) {
    std::uint8_t* target = other_buffer(w, h);
    resize_part(now_, part.x, part.y, part.w, part.h, w, h, target,
                static_cast<std::int64_t>(w) * now_.c);
    moved_to(target, w, h);
  }

  /// Room for a picture that is not where the current one is; the output itself when the size fits.
  std::uint8_t* other_buffer(int w, int h) {
    if (w == options_.width && h == options_.height && now_.pixels != out_) return out_;
    std::vector<std::uint8_t>& first = scratch_.buffers[0];
    std::vector<std::uint8_t>& buffer = now_.pixels == first.data() ? scratch_.buffers[1] : first;
    const std::size_t bytes = static_cast<std::size_t>(w) * h * now_.c;
    if (buffer.size() < bytes) buffer.resize(bytes);
    return buffer.data();
  }

  void moved_to(std::uint8_t* pixels, int w, int h) {
    now_ = {pixels, w, h, now_.c};
    owned_ = pixels;
  }

  const Augmenter::Options& options_;
  std::int64_t epoch_, sample_;
  AugmentScratch& scratch_;
  std::uint8_t* out_;
  PictureView now_;
  std::uint8_t* owned_ = nullptr;  // now_.pixels when they are ours
  bool pending_ = false;           // scratch maps wait to be applied to now_
  Draws draws_;
};

}  // namespace

bool sets_size(const std::vector<TransformSpec>& specs) {
  return std::any_of(specs.begin(), specs.end(), [](const TransformSpec& spec) {
    return std::holds_alternative<RandomResizedCrop>(spec) ||
           std::holds_alternative<Resize>(spec) || std::holds_alternative<CenterCrop>(spec);
  });
}

Augmenter::Augmenter(std::vector<TransformSpec> specs, Options options)
    : specs_(std::move(specs)), options_(std::move(options)), fit_first_(!sets_size(specs_)) {
  DAYBREAK_ASSERT(options_.width > 0 && options_.height > 0 && options_.channels > 0);
  if (options_.mean_colour.empty()) {
    options_.mean_colour.assign(static_cast<std::size_t>(options_.channels), 127);
  }
  DAYBREAK_ASSERT(options_.mean_colour.size() == static_cast<std::size_t>(options_.channels));
  const Checker checker{std::min(options_.width, options_.height)};
  for (const TransformSpec& spec : specs_) std::visit(checker, spec);
}

void Augmenter::apply(const PictureView& picture, std::int64_t epoch, std::int64_t sample,
                      AugmentScratch& scratch, std::uint8_t* out) const {
  DAYBREAK_ASSERT(picture.c == options_.channels);
  Walk walk(picture, options_, epoch, sample, scratch, out);
  if (fit_first_) walk.fit();
  for (const TransformSpec& spec : specs_) std::visit(walk, spec);
  walk.finish();
}

}  // namespace daybreak
