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
  void operator()(const Jitter& spec) const {
    check(spec.amount >= 0 && spec.amount < 0.5,
          fmt::format("jitter: amount {} is outside 0..0.5", spec.amount));
  }
  void operator()(const Zoom& spec) const {
    check(0 < spec.scale[0] && spec.scale[0] <= spec.scale[1],
          fmt::format("zoom: scale [{}, {}] is no range of positive numbers", spec.scale[0],
                      spec.scale[1]));
  }
  void operator()(const Hsv& spec) const {
    check(spec.saturation >= 1 && spec.exposure >= 1,
          "hsv: saturation and exposure must be at least 1");
  }
  void operator()(const Mosaic& spec) const {
    check_p("mosaic", spec.p);
    check(0 < spec.scale[0] && spec.scale[0] <= spec.scale[1],
          fmt::format("mosaic: scale [{}, {}] is no range of positive numbers", spec.scale[0],
                      spec.scale[1]));
  }

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
       std::int64_t sample, AugmentScratch& scratch, std::uint8_t* out, const AugmentBoxes& boxes)
      : options_(options),
        epoch_(epoch),
        sample_(sample),
        scratch_(scratch),
        out_(out),
        boxes_(boxes),
        now_(picture),
        draws_(options.seed, Purpose::augment, static_cast<std::uint64_t>(epoch),
               static_cast<std::uint64_t>(sample)) {
    scratch_.boxes.clear();
    if (boxes.boxes) track(*boxes.boxes, picture.w, picture.h, scratch_.boxes);
  }

  /// Brings the picture to the output's size, if it has another.
  void fit() {
    if (width() == options_.width && height() == options_.height) return;
    flush();
    std::uint8_t* target = other_buffer(options_.width, options_.height);
    fit_boxes(scratch_.boxes,
              fit_geometry(now_.w, now_.h, options_.width, options_.height, options_.fit));
    fit_picture(now_, options_.width, options_.height, options_.fit, target);
    moved_to(target, options_.width, options_.height);
  }

  void finish() {
    fit();
    flush();
    if (now_.pixels != out_) std::memcpy(out_, now_.pixels, static_cast<std::size_t>(now_.bytes()));
    if (!boxes_.boxes) return;
    finish_boxes(scratch_.boxes, options_.width, options_.height, options_.min_visible,
                 *boxes_.boxes);
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
    // Mirrored copies in the border stay without a box.
    move_boxes(scratch_.boxes, 1, -start.x, 1, -start.y);
    cut_boxes(scratch_.boxes, 0, 0, options_.width, options_.height);
  }

  void operator()(const Flip& spec) {
    if (!draw_flip(spec, options_.seed, epoch_, sample_, draws_)) return;
    start_maps();
    mirror_boxes(scratch_.boxes, width(), height(), spec.vertical);
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
    move_boxes(scratch_.boxes, 1, -((width() - w) / 2), 1, -((height() - h) / 2));
    cut_boxes(scratch_.boxes, 0, 0, w, h);
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
    rotate_boxes(scratch_.boxes, degrees, now_.w, now_.h);
    cut_boxes(scratch_.boxes, 0, 0, now_.w, now_.h);
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

  void operator()(const Jitter& spec) {
    flush();
    show(draw_jitter(spec, frame(), draws_));
  }

  void operator()(const Zoom& spec) {
    flush();
    show(draw_zoom(spec, frame(), draws_));
  }

  void operator()(const Hsv& spec) {
    const HsvFactors factors = draw_hsv(spec, draws_);
    std::uint8_t* pixels = own();
    change_hsv(pixels, static_cast<std::int64_t>(now_.w) * now_.h, now_.c, factors);
  }

  void operator()(const Mosaic&) {}  // compose() did it

  /// The sample and three others around a point; false, and nothing done, when it is spared.
  bool compose(const Mosaic& spec) {
    if (!(draws_.uniform() < static_cast<float>(spec.p))) return false;
    DAYBREAK_ASSERT(boxes_.boxes && boxes_.data && boxes_.read);
    const int w = options_.width, h = options_.height;
    const auto low = static_cast<float>(spec.centre[0]), high = static_cast<float>(spec.centre[1]);
    const int cx = std::clamp(static_cast<int>(w * draws_.uniform(low, high)), 1, w - 1);
    const int cy = std::clamp(static_cast<int>(h * draws_.uniform(low, high)), 1, h - 1);
    const std::uint32_t own_place = draws_.below(4);
    const auto count = static_cast<std::uint32_t>(boxes_.data->size());
    std::uint8_t* canvas = other_buffer(w, h);
    std::memset(canvas, kLetterboxFill, static_cast<std::size_t>(w) * h * now_.c);
    scratch_.boxes.clear();
    for (std::uint32_t i = 0; i < 4; ++i) {  // the sample first: reading others may take its memory
      const std::uint32_t place = (own_place + i) % 4;
      const float scale =
          draws_.uniform(static_cast<float>(spec.scale[0]), static_cast<float>(spec.scale[1]));
      const std::int64_t other = i == 0 ? sample_ : draws_.below(count);
      const PictureView picture = i == 0 ? now_ : boxes_.data->picture(other, *boxes_.read);
      const Quarter quarter{place % 2 == 1, place / 2 == 1, cx, cy};
      put_quarter(picture, i == 0 ? *boxes_.boxes : boxes_.data->boxes(other), scale, quarter,
                  canvas);
    }
    moved_to(canvas, w, h);
    return true;
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
    gather(now_, scratch_.xs, scratch_.ys, scratch_.runs, scratch_.ahead, target);
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

  /// A quarter of a mosaic whose parts meet at (x, y).
  struct Quarter {
    bool right, bottom;
    int x, y;
  };

  /// Fits a picture to `scale` times the network's size and puts it into a quarter of the canvas, a
  /// corner where the quarters meet.
  void put_quarter(const PictureView& picture, const std::vector<LabelBox>& boxes, float scale,
                   const Quarter& quarter, std::uint8_t* canvas) {
    const int w = options_.width, h = options_.height, c = picture.c;
    const auto scaled = [&](int side) {
      return std::max(1, static_cast<int>(static_cast<float>(side) * scale));
    };
    FitGeometry g = fit_geometry(picture.w, picture.h, scaled(w), scaled(h), options_.fit);
    g.place_x = quarter.right ? quarter.x : quarter.x - g.place_w;
    g.place_y = quarter.bottom ? quarter.y : quarter.y - g.place_h;
    std::vector<std::uint8_t>& part = scratch_.mosaic;
    const std::int64_t stride = static_cast<std::int64_t>(g.place_w) * c;
    part.resize(static_cast<std::size_t>(stride) * g.place_h);
    resize_part(picture, g.crop_x, g.crop_y, g.crop_w, g.crop_h, g.place_w, g.place_h, part.data(),
                stride);
    // What of it lies in the quarter.
    const int x0 = std::max(g.place_x, 0), x1 = std::min(g.place_x + g.place_w, w);
    const int y0 = std::max(g.place_y, 0), y1 = std::min(g.place_y + g.place_h, h);
    for (int y = y0; y < y1; ++y) {
      std::memcpy(
          canvas + (static_cast<std::int64_t>(y) * w + x0) * c,
          part.data() + (y - g.place_y) * stride + static_cast<std::int64_t>(x0 - g.place_x) * c,
          static_cast<std::size_t>(x1 - x0) * c);
    }
    const std::size_t first = scratch_.boxes.size();
    track(boxes, picture.w, picture.h, scratch_.boxes);
    fit_boxes(scratch_.boxes, g, first);
    cut_boxes(scratch_.boxes, x0, y0, x1, y1, first);
  }

  Frame frame() const {
    return network_frame(now_.w, now_.h, options_.width, options_.height, options_.fit);
  }

  /// A part that may reach beyond the picture becomes the whole of the network's picture.
  void show(const PartRect& part) {
    const int w = options_.width, h = options_.height;
    std::uint8_t* target = other_buffer(w, h);
    const std::int64_t stride = static_cast<std::int64_t>(w) * now_.c;
    FitGeometry g;
    const bool sees = view_geometry(part, now_.w, now_.h, w, h, g);
    if (!sees || g.place_w < w || g.place_h < h) {
      std::memset(target, kLetterboxFill, static_cast<std::size_t>(stride) * h);
    }
    if (sees) {
      resize_part(now_, g.crop_x, g.crop_y, g.crop_w, g.crop_h, g.place_w, g.place_h,
                  target + g.place_y * stride + static_cast<std::int64_t>(g.place_x) * now_.c,
                  stride);
      fit_boxes(scratch_.boxes, g);
    } else {
      cut_boxes(scratch_.boxes, -1, -1, -1, -1);
    }
    moved_to(target, w, h);
  }

  void take_part(const PartRect& part, int w, int h) {
    fit_boxes(scratch_.boxes, {part.x, part.y, part.w, part.h, 0, 0, w, h});
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
  const AugmentBoxes& boxes_;
  PictureView now_;
  std::uint8_t* owned_ = nullptr;  // now_.pixels when they are ours
  bool pending_ = false;           // scratch maps wait to be applied to now_
  Draws draws_;
};

}  // namespace

bool sets_size(const std::vector<TransformSpec>& specs) {
  return std::any_of(specs.begin(), specs.end(), [](const TransformSpec& spec) {
    return std::holds_alternative<RandomResizedCrop>(spec) ||
           std::holds_alternative<Resize>(spec) || std::holds_alternative<CenterCrop>(spec) ||
           std::holds_alternative<Jitter>(spec) || std::holds_alternative<Zoom>(spec) ||
           std::holds_alternative<Mosaic>(spec);
  });
}

Augmenter::Augmenter(std::vector<TransformSpec> specs, Options options)
    : specs_(std::move(specs)), options_(std::move(options)) {
  DAYBREAK_ASSERT(options_.width > 0 && options_.height > 0 && options_.channels > 0);
  if (options_.mean_colour.empty()) {
    options_.mean_colour.assign(static_cast<std::size_t>(options_.channels), 127);
  }
  DAYBREAK_ASSERT(options_.mean_colour.size() == static_cast<std::size_t>(options_.channels));
  const Checker checker{std::min(options_.width, options_.height)};
  for (const TransformSpec& spec : specs_) std::visit(checker, spec);
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const auto* mosaic = std::get_if<Mosaic>(&specs_[i]);
    if (!mosaic) continue;
    check(i == 0, "mosaic must be the first transform: it takes whole pictures");
    mosaic_ = *mosaic;
  }
  if (mosaic_) {
    check(std::min(options_.width, options_.height) >= 2, "mosaic: a picture has 2 pixels a side");
    specs_.erase(specs_.begin());
  }
  fit_first_ = !sets_size(specs_);
}

void Augmenter::apply(const PictureView& picture, std::int64_t epoch, std::int64_t sample,
                      AugmentScratch& scratch, std::uint8_t* out) const {
  DAYBREAK_ASSERT(!mosaic_);
  apply(picture, epoch, sample, scratch, out, {});
}

void Augmenter::apply(const PictureView& picture, std::int64_t epoch, std::int64_t sample,
                      AugmentScratch& scratch, std::uint8_t* out, const AugmentBoxes& boxes) const {
  DAYBREAK_ASSERT(picture.c == options_.channels);
  Walk walk(picture, options_, epoch, sample, scratch, out, boxes);
  const bool composed = mosaic_ && walk.compose(*mosaic_);
  if (fit_first_ && !composed) walk.fit();
  for (const TransformSpec& spec : specs_) std::visit(walk, spec);
  walk.finish();
}

}  // namespace daybreak
