#include "config/spec_names.h"

#include "config/values.h"

namespace daybreak {

std::span<const EnumName<BorderMode>> enum_names(BorderMode) {
  static constexpr EnumName<BorderMode> kNames[] = {
      {BorderMode::symmetric, "symmetric", "mirrored, the edge pixel twice"},
      {BorderMode::reflect, "reflect", "mirrored, the edge pixel once"},
      {BorderMode::zero, "zero", "the value 0"},
      {BorderMode::edge, "edge", "the edge pixel repeated"}};
  return kNames;
}

std::span<const EnumName<CacheMode>> enum_names(CacheMode) {
  static constexpr EnumName<CacheMode> kNames[] = {
      {CacheMode::automatic, "auto",
       "decoded pictures stay in memory when they fit into cache_bytes"},
      {CacheMode::none, "none", "every picture is decoded when it is needed"},
      {CacheMode::host, "host", "decoded pictures stay in memory"}};
  return kNames;
}

std::span<const EnumName<OnError>> enum_names(OnError) {
  static constexpr EnumName<OnError> kNames[] = {
      {OnError::error, "error", "a bad one ends the program"},
      {OnError::skip, "skip", "bad ones are left out, counted and listed"}};
  return kNames;
}

std::span<const EnumName<DataFormat>> enum_names(DataFormat) {
  static constexpr EnumName<DataFormat> kNames[] = {
      {DataFormat::idx, "idx", "IDX files as MNIST's, plain or .gz"},
      {DataFormat::cifar10, "cifar10", "CIFAR-10, binary version"},
      {DataFormat::cifar100, "cifar100", "CIFAR-100, binary version"},
      {DataFormat::folder, "folder", "DIR/train/CLASS/*.jpg or .png"},
      {DataFormat::synthetic, "synthetic", "drawn pictures, for tests"},
      {DataFormat::yolo, "yolo", "boxes: data.yaml, images/*.jpg or .png, labels/*.txt"},
      {DataFormat::voc, "voc", "boxes: JPEGImages, Annotations/*.xml, ImageSets/Main/*.txt"},
      {DataFormat::coco, "coco", "boxes: a folder of pictures and a JSON file for each part"}};
  return kNames;
}

std::span<const EnumName<ChannelOrder>> enum_names(ChannelOrder) {
  static constexpr EnumName<ChannelOrder> kNames[] = {{ChannelOrder::rgb, "rgb", "red first"},
                                                      {ChannelOrder::bgr, "bgr", "blue first"}};
  return kNames;
}

std::span<const EnumName<Fit>> enum_names(Fit) {
  static constexpr EnumName<Fit> kNames[] = {
      {Fit::stretch, "stretch", "to the input's size, whatever the aspect ratio"},
      {Fit::letterbox, "letterbox", "whole picture, the rest grey"},
      {Fit::center_crop, "center_crop", "shorter side fits, the rest is cut off"}};
  return kNames;
}

std::span<const EnumName<Resample>> enum_names(Resample) {
  static constexpr EnumName<Resample> kNames[] = {
      {Resample::area, "area", "averaged where both sides shrink, else linear"},
      {Resample::linear, "linear", "bilinear between pixel centres, as OpenCV does"},
      {Resample::aligned, "aligned", "bilinear with corners on corners, as Darknet does"}};
  return kNames;
}

std::span<const EnumName<OptimizerType>> enum_names(OptimizerType) {
  static constexpr EnumName<OptimizerType> kNames[] = {
      {OptimizerType::sgd, "sgd", "stochastic gradient descent with momentum"},
      {OptimizerType::adagrad, "adagrad", "AdaGrad"},
      {OptimizerType::rmsprop, "rmsprop", "RMSProp"},
      {OptimizerType::adadelta, "adadelta", "AdaDelta"},
      {OptimizerType::adam, "adam", "Adam"},
      {OptimizerType::adamw, "adamw", "Adam with decoupled weight decay"}};
  return kNames;
}

std::span<const EnumName<WeightDecayForm>> enum_names(WeightDecayForm) {
  static constexpr EnumName<WeightDecayForm> kNames[] = {
      {WeightDecayForm::l2, "l2", "added to the gradient"},
      {WeightDecayForm::decoupled, "decoupled", "w is multiplied by 1 - lr * weight_decay"}};
  return kNames;
}

std::span<const EnumName<DecayOn>> enum_names(DecayOn) {
  static constexpr EnumName<DecayOn> kNames[] = {
      {DecayOn::weights, "weights", "not on biases and norms"},
      {DecayOn::all, "all", "on everything"}};
  return kNames;
}

std::span<const EnumName<Curve>> enum_names(Curve) {
  static constexpr EnumName<Curve> kNames[] = {
      {Curve::constant, "const", "start"},
      {Curve::linear, "linear", "start + (end - start) * t"},
      {Curve::cosine, "cosine", "end + (start - end) / 2 * (1 + cos(pi * t))"},
      {Curve::exponential, "exp", "start * (end / start)^t"},
      {Curve::polynomial, "poly", "end + (start - end) * (1 - t)^power"}};
  return kNames;
}

std::span<const EnumName<PolicyKind>> enum_names(PolicyKind) {
  static constexpr EnumName<PolicyKind> kNames[] = {
      {PolicyKind::none, "none", "phases are used"},
      {PolicyKind::step, "step", "lr * gamma^(step / every)"},
      {PolicyKind::steps, "steps", "lr * gamma for each number of `at` that is reached"},
      {PolicyKind::exponential, "exp", "lr * gamma^step"},
      {PolicyKind::inverse, "inv", "lr * (1 + gamma * step)^-power"},
      {PolicyKind::polynomial, "poly", "lr * (1 - step / length)^power"},
      {PolicyKind::sigmoid, "sigmoid", "lr / (1 + exp(gamma * (step - center)))"}};
  return kNames;
}

std::span<const EnumName<BestMetric>> enum_names(BestMetric) {
  static constexpr EnumName<BestMetric> kNames[] = {
      {BestMetric::accuracy, "accuracy", "highest accuracy; of detectors mAP at IoU 0.5"},
      {BestMetric::loss, "loss", "lowest loss"}};
  return kNames;
}

std::span<const EnumName<Precision>> enum_names(Precision) {
  static constexpr EnumName<Precision> kNames[] = {
      {Precision::f32, "f32", "32 bits everywhere"},
      {Precision::bf16, "bf16", "activations in bfloat16"},
      {Precision::f16, "f16", "activations in half precision"},
      {Precision::automatic, "auto", "bf16 where the device multiplies it, else f32"}};
  return kNames;
}

std::span<const EnumName<TuneMode>> enum_names(TuneMode) {
  static constexpr EnumName<TuneMode> kNames[] = {
      {TuneMode::on, "on", "measure what the cache of choices does not know, and keep it there"},
      {TuneMode::cached, "cached", "use the cache of choices, measure nothing"},
      {TuneMode::off, "off", "take the built-in guess"}};
  return kNames;
}

std::span<const EnumName<ConvChoice>> enum_names(ConvChoice) {
  static constexpr EnumName<ConvChoice> kNames[] = {
      {ConvChoice::automatic, "auto", "whatever is fastest"},
      {ConvChoice::direct, "direct", "no Winograd, whose rounding errors are larger"},
      {ConvChoice::winograd, "winograd", "Winograd wherever there is a kernel"}};
  return kNames;
}

std::span<const EnumName<Views>> enum_names(Views) {
  static constexpr EnumName<Views> kNames[] = {
      {Views::none, "none", "the picture as it is"},
      {Views::flip, "flip", "also mirrored"},
      {Views::shift, "shift", "also moved by a pixel to two corners; all three also mirrored"}};
  return kNames;
}

std::span<const EnumName<LastBatch>> enum_names(LastBatch) {
  static constexpr EnumName<LastBatch> kNames[] = {
      {LastBatch::drop, "drop", "an incomplete last batch of an epoch is left out"},
      {LastBatch::keep, "keep", "it is trained on"}};
  return kNames;
}

std::string length_text(const Length& length) {
  return number_text(length.amount) + (length.unit == LengthUnit::epochs ? "e" : "s");
}

}  // namespace daybreak
