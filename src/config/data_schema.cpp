#include <fmt/format.h>

#include "config/resolve.h"
#include "config/spec_schemas.h"

namespace daybreak {
namespace {

using S = SourceSpec;

/// A directory: variables replaced, then made absolute. One whose variable is not set stays as it
/// is written: no such place exists, and messages show which variable would name it.
bool read_dir(const Node& node, std::string& dir, const Reader& reader) {
  std::string text, expanded;
  if (!read_text(node, text, reader)) return false;
  if (!expand_variables(text, expanded)) {
    return reader.error(
        node.mark,
        fmt::format("has a malformed variable, found {} (write ${{NAME}})", describe(node)));
  }
  dir = expanded.find("${") == std::string::npos ? data_path(expanded, node.mark) : expanded;
  return true;
}

auto dir() {
  return field("dir", &S::dir)
      .not_empty()
      .required()
      .custom(
          read_dir, [](const std::string& text) { return Node::make_text(text); },
          [] { return TypeInfo::of(TypeInfo::Kind::text); })
      .doc("folder; ${NAME} is an environment variable, relative to this file");
}

const Schema<S>& plain_source() {
  static const Schema<S> kSchema{short_key("dir"), dir()};
  return kSchema;
}

const Schema<S>& cifar100_source() {
  static const Schema<S> kSchema{short_key("dir"), dir(),
                                 named_bool("labels", &S::coarse_labels, "fine", "coarse")
                                     .doc("100 classes, or their 20 groups")};
  return kSchema;
}

const Schema<S>& folder_source() {
  static const Schema<S> kSchema{
      short_key("dir"), dir(),
      field("train", &S::train).not_empty().doc("sub-folder of the training part"),
      field("val", &S::val).not_empty().doc("sub-folder of the validation part"),
      field("test", &S::test).not_empty().doc("sub-folder of the test part")};
  return kSchema;
}

const Schema<S>& yolo_source() {
  static const Schema<S> kSchema{
      short_key("dir"), dir(),
      field("file", &S::file).not_empty().doc("in dir: says where the parts are, and the names"),
      named_bool("polygons", &S::polygons, "error", "box")
          .doc("what a line with more than four numbers does; box: the box around it is taken")};
  return kSchema;
}

const Schema<S>& voc_source() {
  static const Schema<S> kSchema{
      short_key("dir"), dir(),
      field("train", &S::train).not_empty().doc("list in ImageSets/Main of the training part"),
      field("val", &S::val).not_empty().doc("list of the validation part"),
      field("test", &S::test).not_empty().doc("list of the test part")};
  return kSchema;
}

const Schema<S>& coco_source() {
  static const Schema<S> kSchema{
      short_key("dir"),
      dir(),
      field("train", &S::train).not_empty().doc("annotations of the training part"),
      field("train_images", &S::train_images).not_empty().doc("folder of its pictures"),
      field("val", &S::val).not_empty().doc("annotations of the validation part"),
      field("val_images", &S::val_images).not_empty().doc("folder of its pictures"),
      field("test", &S::test).not_empty().doc("annotations of the test part"),
      field("test_images", &S::test_images).not_empty().doc("folder of its pictures")};
  return kSchema;
}

S source_start(DataFormat format) {
  S start;
  start.format = format;
  if (format == DataFormat::coco) {
    start.train = "annotations/instances_train2017.json";
    start.val = "annotations/instances_val2017.json";
    start.test = "annotations/instances_test2017.json";
  }
  return start;
}

const Schema<S>& synthetic_source() {
  static const Schema<S> kSchema;
  return kSchema;
}

const Union<S>& sources() {
  const auto entry = [](DataFormat format, const Schema<S>& schema) {
    const auto& name = enum_names(format)[static_cast<std::size_t>(format)];
    return choice<S>(std::string(name.name), source_start(format), std::string(name.doc), schema,
                     [format](const S& source) { return source.format == format; });
  };
  static const Union<S> kUnion{entry(DataFormat::idx, plain_source()),
                               entry(DataFormat::cifar10, plain_source()),
                               entry(DataFormat::cifar100, cifar100_source()),
                               entry(DataFormat::folder, folder_source()),
                               entry(DataFormat::synthetic, synthetic_source()),
                               entry(DataFormat::yolo, yolo_source()),
                               entry(DataFormat::voc, voc_source()),
                               entry(DataFormat::coco, coco_source())};
  return kUnion;
}

void check_split(const SplitSpec& split, const Node& node, const Reader& reader) {
  if (split.folds > 0 && split.fraction > 0) {
    reader.error(node.mark, "takes either \"fraction\" or \"folds\" with \"fold\"");
  } else if (split.folds == 1) {
    reader.at("folds").error(node.find("folds")->mark, "must be 0 or in 2..1000, found 1");
  } else if (split.fold >= std::max(split.folds, 1)) {
    const std::string most =
        split.folds > 0 ? fmt::format("in 0..{}", split.folds - 1) : "0 without \"folds\"";
    reader.at("fold").error(node.find("fold")->mark,
                            fmt::format("must be {}, found {}", most, split.fold));
  }
}

}  // namespace

bool ValueTraits<SourceSpec>::read(const Node& node, SourceSpec& source, const Reader& reader) {
  if (!sources().read(node, source, reader)) return false;
  source.mark = node.mark;
  return true;
}
Node ValueTraits<SourceSpec>::write(const SourceSpec& source, const Rules&) {
  return sources().write(source);
}
TypeInfo ValueTraits<SourceSpec>::type(const Rules&) {
  return sources().type();
}

const Schema<SplitSpec>& config_schema(Type<SplitSpec>) {
  static const Schema<SplitSpec> kSchema{
      short_key("fraction"),
      field("fraction", &SplitSpec::fraction)
          .at_least(0)
          .below(1)
          .doc("share of the training pictures; 0: none"),
      field("folds", &SplitSpec::folds).in(0, 1000).doc("number of equal parts; 0: none"),
      field("fold", &SplitSpec::fold).in(0, 999).doc("which of them is for validation, from 0"),
      field("seed", &SplitSpec::seed).doc("of the order before the cut"),
      check<SplitSpec>(check_split)};
  return kSchema;
}

const Schema<DataFile>& config_schema(Type<DataFile>) {
  using D = DataFile;
  static const Schema<D> kSchema{
      short_key("descriptor"),
      field("descriptor", &D::descriptor)
          .doc("file with these keys; the ones given here come first"),
      field("name", &D::name).doc("of the data set; default: the descriptor's file name"),
      field("sources", &D::sources).items(1, 100).doc("places; the first that exists is used"),
      field("classes", &D::classes).items(0, 100000).doc("names of the classes; []: from the data"),
      field("install", &D::install).doc("shown when no place exists: how to get the data"),
      field("split", &D::split).doc("validation part taken from the training pictures"),
      field("workers", &D::workers)
          .in(0, 256)
          .or_word("auto", -1)
          .doc("threads that decode and augment"),
      field("cache", &D::cache).doc("where decoded pictures stay"),
      field("cache_bytes", &D::cache_bytes)
          .in(0, 1e15)
          .doc("largest decoded set that stays in memory"),
      field("on_error", &D::on_error).doc("what a bad picture does"),
      field("max_skipped", &D::max_skipped).in(0, 1).doc("share of bad pictures that skip accepts"),
      field("on_bad_label", &D::on_bad_label).doc("what a bad box does"),
      field("min_visible", &D::min_visible)
          .in(0, 1)
          .doc("share of a box's area that augmentation must leave; else the box is dropped"),
      field("train_limit", &D::train_limit)
          .in(0, 1e9)
          .doc("use only so many training pictures; 0: all"),
      field("test_limit", &D::test_limit).in(0, 1e9).doc("use only so many test pictures; 0: all")};
  return kSchema;
}

}  // namespace daybreak
