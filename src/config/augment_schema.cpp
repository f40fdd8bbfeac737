#include "config/spec_schemas.h"

namespace daybreak {
namespace {

const Schema<PadCrop>& pad_crop() {
  static const Schema<PadCrop> kSchema{
      short_key("pad"),
      field("pad", &PadCrop::pad).in(0, 1024).doc("pixels added on every side before cropping"),
      field("mode", &PadCrop::mode).doc("what the added pixels are"),
      named_bool("compat", &PadCrop::compat_f0, "none", "f0")
          .doc("f0: offsets 0..2*pad-1 as fastai 0.7, instead of 0..2*pad")};
  return kSchema;
}

const Schema<Flip>& flip() {
  static const Schema<Flip> kSchema{
      short_key("p"), field("p", &Flip::p).in(0, 1).doc("probability"),
      field("vertical", &Flip::vertical).doc("top-bottom instead of left-right"),
      field("alternate", &Flip::alternate)
          .doc("every picture in every second epoch, instead of at random")};
  return kSchema;
}

void check_order(const std::array<double, 2>& range, const char* key, const Node& node,
                 const Reader& reader) {
  if (range[0] <= range[1]) return;
  const Node* at = node.find(key);
  reader.at(key).error(at ? at->mark : node.mark, "must be [smallest, largest]");
}

const Schema<RandomResizedCrop>& random_resized_crop() {
  static const Schema<RandomResizedCrop> kSchema{
      field("area", &RandomResizedCrop::area)
          .above(0)
          .at_most(1)
          .doc("share of the picture, smallest and largest"),
      field("ratio", &RandomResizedCrop::ratio)
          .in(0.01, 100)
          .doc("width over height, smallest and largest"),
      check<RandomResizedCrop>(
          [](const RandomResizedCrop& crop, const Node& node, const Reader& reader) {
            check_order(crop.area, "area", node, reader);
            check_order(crop.ratio, "ratio", node, reader);
          })};
  return kSchema;
}

const Schema<ColorJitter>& color_jitter() {
  static const Schema<ColorJitter> kSchema{
      field("brightness", &ColorJitter::brightness).in(0, 1).doc("factor in 1 - x .. 1 + x"),
      field("contrast", &ColorJitter::contrast).in(0, 1).doc("factor in 1 - x .. 1 + x"),
      field("saturation", &ColorJitter::saturation).in(0, 1).doc("factor in 1 - x .. 1 + x"),
      field("hue", &ColorJitter::hue)
          .in(0, 0.5)
          .doc("shift in -x .. x turns of the colour circle")};
  return kSchema;
}

const Schema<Rotate>& rotate() {
  static const Schema<Rotate> kSchema{
      short_key("degrees"),
      field("degrees", &Rotate::degrees).in(0, 180).doc("largest angle to either side"),
      field("p", &Rotate::p).in(0, 1).doc("probability"),
      field("mode", &Rotate::mode).doc("what the uncovered corners are")};
  return kSchema;
}

const Schema<Cutout>& cutout() {
  static const Schema<Cutout> kSchema{
      short_key("size"),
      field("size", &Cutout::size).in(1, 65535).doc("side of the square, in pixels"),
      field("p", &Cutout::p).in(0, 1).doc("probability")};
  return kSchema;
}

const Schema<Resize>& resize() {
  static const Schema<Resize> kSchema{
      short_key("size"), field("size", &Resize::size)
                             .in(0, 65535)
                             .doc("of the shorter side, in pixels; 0: the network's size")};
  return kSchema;
}

const Schema<CenterCrop>& center_crop() {
  static const Schema<CenterCrop> kSchema{
      short_key("size"),
      field("size", &CenterCrop::size).in(0, 65535).doc("in pixels; 0: the network's size")};
  return kSchema;
}

const Schema<Jitter>& jitter() {
  static const Schema<Jitter> kSchema{
      short_key("amount"), field("amount", &Jitter::amount)
                               .in(0, 0.45)
                               .doc("farthest way of an edge, as a share of the picture's side")};
  return kSchema;
}

const Schema<Zoom>& zoom() {
  static const Schema<Zoom> kSchema{
      field("scale", &Zoom::scale).in(0.05, 20).doc("size of what is shown, smallest and largest"),
      field("shift", &Zoom::shift)
          .in(0, 1)
          .doc("farthest way of the centre, as a share of the side"),
      check<Zoom>([](const Zoom& spec, const Node& node, const Reader& reader) {
        check_order(spec.scale, "scale", node, reader);
      })};
  return kSchema;
}

const Schema<Hsv>& hsv() {
  static const Schema<Hsv> kSchema{
      field("hue", &Hsv::hue).in(0, 0.5).doc("shift in -x .. x turns of the colour circle"),
      field("saturation", &Hsv::saturation).in(1, 10).doc("factor in 1 .. x, or its inverse"),
      field("exposure", &Hsv::exposure).in(1, 10).doc("factor on the value, alike")};
  return kSchema;
}

const Schema<Mosaic>& mosaic() {
  static const Schema<Mosaic> kSchema{
      short_key("p"), field("p", &Mosaic::p).in(0, 1).doc("probability"),
      field("center", &Mosaic::centre)
          .in(0.05, 0.95)
          .doc("where the four meet, as a share of the side, smallest and largest"),
      field("scale", &Mosaic::scale)
          .in(0.1, 2)
          .doc("size of each, times the network's, smallest and largest"),
      check<Mosaic>([](const Mosaic& spec, const Node& node, const Reader& reader) {
        check_order(spec.centre, "center", node, reader);
        check_order(spec.scale, "scale", node, reader);
      })};
  return kSchema;
}

}  // namespace

const Union<TransformSpec>& config_union(Type<TransformSpec>) {
  using T = TransformSpec;
  static const Union<T> kUnion{
      alternative<T>("pad_crop", pad_crop(),
                     "pads, then crops the network's size at a random place"),
      alternative<T>("flip", flip(), "mirrors at random"),
      alternative<T>("random_resized_crop", random_resized_crop(),
                     "crops a random area and resizes it"),
      alternative<T>("color_jitter", color_jitter(), "changes colours at random"),
      alternative<T>("rotate", rotate(), "rotates by a random angle"),
      alternative<T>("cutout", cutout(), "fills a random square with the mean colour"),
      alternative<T>("resize", resize(), "resizes so that the shorter side has this size"),
      alternative<T>("center_crop", center_crop(), "crops the centre"),
      alternative<T>("jitter", jitter(), "moves every edge of the view at random, as Darknet"),
      alternative<T>("zoom", zoom(), "enlarges or reduces and moves the picture"),
      alternative<T>("hsv", hsv(), "changes hue, saturation and exposure, as Darknet"),
      alternative<T>("mosaic", mosaic(), "puts four pictures together; needs boxes, stands first")};
  return kUnion;
}

}  // namespace daybreak
