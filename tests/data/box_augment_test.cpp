#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "data/augmenter.h"
#include "data/box_track.h"
#include "data/data_support.h"
#include "data/dataset.h"
#include "data/loader.h"

// A box stays on its object: pictures are black with rectangles of unmistakable colours, are
// augmented, and the boxes must then be those of the coloured pixels.

namespace daybreak {
namespace {

using Colour = std::array<int, 3>;

constexpr std::array<Colour, 6> kObjects = {
    {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 0}, {255, 0, 255}, {0, 255, 255}}};

void paint(Image& image, int x0, int y0, int x1, int y1, const Colour& colour) {
  for (int y = y0; y < y1; ++y) {
    for (int x = x0; x < x1; ++x) {
      for (int c = 0; c < 3; ++c) {
        image.hwc[(static_cast<std::size_t>(y) * image.w + x) * 3 + static_cast<std::size_t>(c)] =
            static_cast<std::uint8_t>(colour[static_cast<std::size_t>(c)]);
      }
    }
  }
}

LabelBox label_of(int x0, int y0, int x1, int y1, int w, int h, int category) {
  LabelBox label;
  label.category = category;
  label.box = {static_cast<float>(0.5 * (x0 + x1) / w), static_cast<float>(0.5 * (y0 + y1) / h),
               static_cast<float>(x1 - x0) / w, static_cast<float>(y1 - y0) / h};
  return label;
}

/// Six pictures of different sizes, each with one object of its own colour and category.
std::shared_ptr<PictureStore> painted_store(std::uint64_t seed) {
  auto store = std::make_shared<PictureStore>();
  store->has_boxes = store->in_memory = true;
  store->classes = {"red", "green", "blue", "yellow", "magenta", "cyan"};
  Draws draws(seed, Purpose::synthetic, 0, 0);
  for (int category = 0; category < 6; ++category) {
    const int w = 60 + static_cast<int>(draws.below(100));
    const int h = 60 + static_cast<int>(draws.below(100));
    Image image;
    image.reshape(w, h, 3);
    std::fill(image.hwc.begin(), image.hwc.end(), 0);
    const int bw = w / 4 + static_cast<int>(draws.below(static_cast<std::uint32_t>(w / 3)));
    const int bh = h / 4 + static_cast<int>(draws.below(static_cast<std::uint32_t>(h / 3)));
    const int x = static_cast<int>(draws.below(static_cast<std::uint32_t>(w - bw)));
    const int y = static_cast<int>(draws.below(static_cast<std::uint32_t>(h - bh)));
    paint(image, x, y, x + bw, y + bh, kObjects[static_cast<std::size_t>(category)]);
    store->boxes.push_back({label_of(x, y, x + bw, y + bh, w, h, category)});
    store->sizes.push_back({w, h});
    store->widths.push_back(w);
    store->heights.push_back(h);
    store->offsets.push_back(store->pixels.size());
    store->pixels.insert(store->pixels.end(), image.hwc.begin(), image.hwc.end());
    store->labels.push_back(0);
  }
  return store;
}

struct Extent {
  double x0 = 1e9, y0 = 1e9, x1 = -1e9, y1 = -1e9;
  int pixels = 0;
};

/// Where the pixels of each object are: those nearest to its colour, not to black or grey.
std::map<int, Extent> extents_of(const Image& image) {
  std::map<int, Extent> extents;
  for (int y = 0; y < image.h; ++y) {
    for (int x = 0; x < image.w; ++x) {
      const std::uint8_t* p = &image.hwc[(static_cast<std::size_t>(y) * image.w + x) * 3];
      const auto distance = [&](const Colour& colour) {
        int sum = 0;
        for (std::size_t c = 0; c < 3; ++c) sum += (p[c] - colour[c]) * (p[c] - colour[c]);
        return sum;
      };
      int best = -1;
      int least = std::min(distance({0, 0, 0}), distance({127, 127, 127}));
      for (int k = 0; k < 6; ++k) {
        if (distance(kObjects[static_cast<std::size_t>(k)]) < least) {
          best = k;
          least = distance(kObjects[static_cast<std::size_t>(k)]);
        }
      }
      if (best < 0) continue;
      Extent& extent = extents[best];
      extent.x0 = std::min<double>(extent.x0, x);
      extent.y0 = std::min<double>(extent.y0, y);
      extent.x1 = std::max<double>(extent.x1, x + 1);
      extent.y1 = std::max<double>(extent.y1, y + 1);
      ++extent.pixels;
    }
  }
  return extents;
}

struct Case {
  const char* name;
  std::vector<TransformSpec> transforms;
  bool rotates = false;  // then a box that is cut may be larger than what is left of its object
};

std::vector<Case> cases() {
  const PadCrop pad{6, BorderMode::zero};
  const RandomResizedCrop part{{0.3, 1.0}, {0.5, 2.0}};
  return {{"fit", {}},
          {"flip", {Flip{0.5}, Flip{0.5, true}}},
          {"pad_crop", {pad}},
          {"pad_crop, flip", {Flip{0.5}, pad, Flip{0.5}}},
          {"resize, crop", {Resize{70}, PadCrop{0, BorderMode::zero}}},
          {"resize, centre", {Resize{80}, CenterCrop{50}, Flip{0.5}}},
          {"part", {part, Flip{0.5, true}}},
          {"jitter", {Jitter{0.3}, Flip{0.5}}},
          {"zoom", {Zoom{{0.5, 2.0}, 0.3}}},
          {"zoom, jitter", {Zoom{{0.7, 1.4}, 0.1}, Flip{0.5}, Jitter{0.1}}},
          {"mosaic", {Mosaic{0.8}}},
          {"mosaic, jitter", {Mosaic{0.8, {0.2, 0.8}, {0.6, 1.2}}, Jitter{0.2}, Flip{0.5}}},
          {"rotate", {Rotate{40.0, 1.0, BorderMode::zero}}, true},
          {"jitter, rotate", {Jitter{0.1}, Rotate{180.0, 1.0, BorderMode::zero}}, true}};
}

class BoxesFollow : public ::testing::TestWithParam<Fit> {};

void expect_on_object(const LabelBox& label, const std::map<int, Extent>& extents, int w, int h,
                      bool rotates) {
  const Box& box = label.box;
  const double x0 = (box.cx - box.w / 2) * w, x1 = (box.cx + box.w / 2) * w;
  const double y0 = (box.cy - box.h / 2) * h, y1 = (box.cy + box.h / 2) * h;
  EXPECT_GE(x0, -1e-3);
  EXPECT_GE(y0, -1e-3);
  EXPECT_LE(x1, w + 1e-3);
  EXPECT_LE(y1, h + 1e-3);
  const auto found = extents.find(label.category);
  if (found == extents.end()) {  // a sliver that resizing mixed with its surroundings
    EXPECT_TRUE(rotates || std::min(x1 - x0, y1 - y0) < 2.0);
    return;
  }
  const Extent& e = found->second;
  const double near = rotates ? 2.0 : 1.5;
  // Every pixel of the object lies in its box ...
  EXPECT_GE(e.x0, x0 - near);
  EXPECT_GE(e.y0, y0 - near);
  EXPECT_LE(e.x1, x1 + near);
  EXPECT_LE(e.y1, y1 + near);
  // ... and the box is no larger.
  const bool cut = x0 < 1 || y0 < 1 || x1 > w - 1 || y1 > h - 1;
  if (rotates && cut) return;
  EXPECT_LE(e.x0, x0 + near);
  EXPECT_LE(e.y0, y0 + near);
  EXPECT_GE(e.x1, x1 - near);
  EXPECT_GE(e.y1, y1 - near);
}

TEST_P(BoxesFollow, TheirObjects) {
  const int w = 88, h = 64;
  for (const Case& c : cases()) {
    Augmenter::Options options;
    options.width = w;
    options.height = h;
    options.fit = GetParam();
    options.seed = 9;
    options.min_visible = 0.0;
    const Augmenter augmenter(c.transforms, options);
    int boxes_seen = 0;
    for (int epoch = 0; epoch < 40; ++epoch) {
      const Dataset data(painted_store(static_cast<std::uint64_t>(epoch)));
      const std::int64_t sample = epoch % 6;
      SCOPED_TRACE(fmt::format("{}, epoch {}", c.name, epoch));
      AugmentScratch scratch;
      ReadScratch read;
      std::vector<LabelBox> boxes = data.boxes(sample);
      Image out;
      out.reshape(w, h, 3);
      augmenter.apply(data.picture(sample, read), epoch, sample, scratch, out.hwc.data(),
                      {&boxes, &data, &read});
      const auto extents = extents_of(out);
      std::map<int, int> times;
      for (const LabelBox& label : boxes) ++times[label.category];
      for (const LabelBox& label : boxes) {
        if (times[label.category] > 1) continue;  // mosaic took a picture twice
        ++boxes_seen;
        expect_on_object(label, extents, w, h, c.rotates);
      }
      for (const auto& [category, extent] : extents) {  // nothing to be seen is without its box
        EXPECT_TRUE(times[category] > 0 || extent.pixels < 12) << category;
      }
      if (HasFailure()) return;
    }
    EXPECT_GE(boxes_seen, 20) << c.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Fits, BoxesFollow,
                         ::testing::Values(Fit::stretch, Fit::letterbox, Fit::center_crop));

TEST(BoxAugment, ColoursAndCutoutLeaveBoxesAlone) {
  const Dataset data(painted_store(1));
  const auto run = [&](std::vector<TransformSpec> transforms) {
    Augmenter::Options options;
    options.width = options.height = 50;
    options.seed = 2;
    std::vector<LabelBox> boxes = data.boxes(3);
    AugmentScratch scratch;
    ReadScratch read;
    std::vector<std::uint8_t> out(50 * 50 * 3);
    Augmenter(std::move(transforms), options)
        .apply(data.picture(3, read), 4, 3, scratch, out.data(), {&boxes, &data, &read});
    return boxes;
  };
  const auto plain = run({Jitter{0.2}});
  const auto coloured = run({Jitter{0.2}, Hsv{}, ColorJitter{0.3, 0.3, 0.3, 0.1}, Cutout{20}});
  ASSERT_EQ(plain.size(), 1u);
  ASSERT_EQ(coloured.size(), 1u);
  EXPECT_EQ(plain[0].box, coloured[0].box);
}

TEST(BoxAugment, BoxesThatKeepTooLittleAreDropped) {
  TrackedBoxes tracked;
  track({label_of(0, 0, 40, 40, 100, 100, 1), label_of(60, 60, 100, 100, 100, 100, 2)}, 100, 100,
        tracked);
  move_boxes(tracked, 1, -30, 1, 0);  // a quarter of the first box is left
  cut_boxes(tracked, 0, 0, 70, 100);
  std::vector<LabelBox> boxes;
  finish_boxes(tracked, 70, 100, 0.26, boxes);
  ASSERT_EQ(boxes.size(), 1u);
  EXPECT_EQ(boxes[0].category, 2);
  finish_boxes(tracked, 70, 100, 0.25, boxes);
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_NEAR(boxes[0].box.w, 10.0 / 70, 1e-6);
  // Cut twice: the shares multiply.
  cut_boxes(tracked, 0, 20, 70, 100);
  finish_boxes(tracked, 70, 100, 0.2, boxes);
  EXPECT_EQ(boxes.size(), 1u);
}

TEST(BoxAugment, MosaicStandsFirst) {
  Augmenter::Options options;
  options.width = options.height = 32;
  EXPECT_THROW(Augmenter({Flip{}, Mosaic{}}, options), ConfigError);
}

// ---- the loader
// -----------------------------------------------------------------------------------

LoaderOptions loader_options(int workers) {
  LoaderOptions options;
  options.batch = 4;
  options.width = 48;
  options.height = 32;
  options.workers = workers;
  options.seed = 5;
  options.repeat = true;
  return options;
}

TEST(BoxLoader, RowsOfABatch) {
  auto store = painted_store(3);
  store->boxes[2].clear();
  LabelBox crowd = label_of(1, 1, 20, 20, 60, 60, 4);
  crowd.crowd = true;
  store->boxes[1].push_back(crowd);
  const Dataset data(store);
  EXPECT_EQ(data.most_boxes(), 2);
  LoaderOptions options = loader_options(0);
  options.shuffle = false;
  Loader loader(data, options);
  loader.start(0);
  const Batch& batch = loader.next();
  EXPECT_EQ(batch.max_boxes, 8);
  EXPECT_EQ(batch.width, 48);
  ASSERT_EQ(batch.boxes.size(), 4u * 8 * 5);
  for (int i = 0; i < 4; ++i) {
    const float* row = batch.boxes.data() + i * 40;
    const std::vector<LabelBox>& boxes = data.boxes(i);
    const std::size_t count = i == 2 ? 0 : 1;  // the crowd is left out
    if (count == 1) {
      EXPECT_EQ(row[0], static_cast<float>(boxes[0].category));
      EXPECT_NEAR(row[1], boxes[0].box.cx, 1e-6);
      EXPECT_NEAR(row[4], boxes[0].box.h, 1e-6);
    }
    for (std::size_t k = count; k < 8; ++k) EXPECT_EQ(row[5 * k], -1.0f);
  }
}

TEST(BoxLoader, WorkersChangeNothing) {
  const Dataset data(painted_store(7));
  LoaderOptions options = loader_options(0);
  options.transforms = {Mosaic{0.7}, Jitter{0.2}, Flip{}, Hsv{}};
  options.sizes = {32, 48, 64};
  std::vector<std::vector<float>> boxes;
  std::vector<std::vector<std::uint8_t>> images;
  for (const int workers : {0, 1, 3}) {
    options.workers = workers;
    Loader loader(data, options);
    loader.start(1);
    std::vector<float> all;
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < 8; ++i) {
      const Batch& batch = loader.next();
      EXPECT_EQ(batch.max_boxes, 8);
      all.insert(all.end(), batch.boxes.begin(), batch.boxes.end());
      pixels.insert(pixels.end(), batch.images.begin(), batch.images.end());
    }
    boxes.push_back(std::move(all));
    images.push_back(std::move(pixels));
  }
  for (int i = 1; i < 3; ++i) {
    EXPECT_EQ(boxes[0], boxes[static_cast<std::size_t>(i)]);
    EXPECT_TRUE(images[0] == images[static_cast<std::size_t>(i)]);
  }
}

// A mosaic reads other files into the memory of the sample's own picture.
TEST(BoxLoader, PicturesOnDemandAreTheSame) {
  const test::TempFolder dir;
  const auto store = painted_store(11);
  const auto write_text = [&](const std::string& name, const std::string& text) {
    test::write_file(dir / name, {text.begin(), text.end()});
  };
  for (std::size_t i = 0; i < 6; ++i) {
    const PictureView view{store->pixels.data() + store->offsets[i], store->widths[i],
                           store->heights[i], 3};
    test::write_file(dir / fmt::format("images/{}.png", i), encode_png(view));
    const LabelBox& label = store->boxes[i][0];
    write_text(fmt::format("labels/{}.txt", i),
               fmt::format("{} {} {} {} {}\n", label.category, label.box.cx, label.box.cy,
                           label.box.w, label.box.h));
  }
  write_text("data.yaml", "train: images\nval: images\nnames: [a, b, c, d, e, f]\n");
  DataSpec spec = test::spec_for(DataFormat::yolo, dir.path());
  LoaderOptions options = loader_options(1);
  options.transforms = {Mosaic{}, Flip{}};
  std::vector<std::vector<std::uint8_t>> images;
  std::vector<std::vector<float>> boxes;
  for (const CacheMode cache : {CacheMode::host, CacheMode::none}) {
    spec.cache = cache;
    const Dataset data = open_data(spec, test::input_of(48, 32, 3)).train;
    EXPECT_EQ(data.in_memory(), cache == CacheMode::host);
    Loader loader(data, options);
    loader.start(0);
    const Batch& batch = loader.next();
    images.push_back(batch.images);
    boxes.push_back(batch.boxes);
  }
  EXPECT_TRUE(images[0] == images[1]);
  EXPECT_EQ(boxes[0], boxes[1]);
  EXPECT_GE(boxes[0][0], 0.0f);
}

TEST(BoxLoader, SizesAreDrawnByEpochAndPlace) {
  const Dataset data(painted_store(7));
  LoaderOptions options = loader_options(0);
  options.batch = 2;
  options.sizes = {32, 64, 96};
  const auto sizes_from = [&](std::int64_t offset, int batches) {
    Loader loader(data, options);
    loader.start(0, offset);
    std::vector<int> sizes;
    for (int i = 0; i < batches; ++i) {
      const Batch& batch = loader.next();
      EXPECT_EQ(batch.images.size(), 2u * 3 * batch.width * batch.width);
      EXPECT_EQ(batch.height, batch.width);
      sizes.push_back(batch.width);
    }
    return sizes;
  };
  const std::vector<int> all = sizes_from(0, 60);
  for (const int size : options.sizes) EXPECT_GT(std::count(all.begin(), all.end(), size), 5);
  const std::vector<int> later = sizes_from(2, 59);
  EXPECT_TRUE(std::equal(later.begin(), later.end(), all.begin() + 1));
  options.size_every = 3;  // all of an epoch
  const std::vector<int> groups = sizes_from(0, 60);
  for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(groups[i], groups[i / 3 * 3]);
}

TEST(BoxLoader, RefusesWhatCannotWork) {
  const Dataset data(painted_store(7));
  LoaderOptions options = loader_options(0);
  options.max_boxes = 4;
  EXPECT_THROW(Loader(data, options), ConfigError);
  options.max_boxes = 8;
  options.transforms = {Mosaic{}};
  EXPECT_EQ(box_capacity(data, options.transforms), 8);
  EXPECT_NO_THROW(Loader(data, options));
  DataSpec spec = test::spec_for(DataFormat::synthetic, "");
  spec.train_limit = 8;
  const Dataset classes = open_data(spec, test::input_of(8, 8, 3)).train;
  EXPECT_THROW(Loader(classes, options), ConfigError);
}

}  // namespace
}  // namespace daybreak
