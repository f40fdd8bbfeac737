#include "layers/options.h"

#include "config/spec_schemas.h"

namespace daybreak {

const Union<Activation>& config_union(Type<Activation>) {
  static const Schema<Activation> kLeaky{
      short_key("slope"),
      field("slope", &Activation::slope).in(0, 1).doc("factor for negative inputs")};
  static const Union<Activation> kUnion{
      choice<Activation>("none", {.kind = ActKind::none}, "no activation"),
      choice<Activation>("relu", {.kind = ActKind::relu}, "max(0, x)"),
      choice<Activation>("leaky", {.kind = ActKind::leaky}, "x, or slope * x where x < 0", kLeaky),
      choice<Activation>("sigmoid", {.kind = ActKind::sigmoid}, "1 / (1 + exp(-x))"),
      choice<Activation>("tanh", {.kind = ActKind::tanh}, "hyperbolic tangent"),
      choice<Activation>("relu6", {.kind = ActKind::relu6}, "min(max(0, x), 6)"),
      choice<Activation>("elu", {.kind = ActKind::elu}, "x, or exp(x) - 1 where x < 0"),
      choice<Activation>("selu", {.kind = ActKind::selu}, "scaled elu (Klambauer et al. 2017)"),
      choice<Activation>("swish", {.kind = ActKind::swish}, "x * sigmoid(x), also called SiLU"),
      choice<Activation>("mish", {.kind = ActKind::mish}, "x * tanh(log(1 + exp(x))) (Misra 2019)"),
      choice<Activation>("hard_mish", {.kind = ActKind::hard_mish},
                         "x, or x^2/2 + x from -2 to 0, or 0 below"),
      choice<Activation>("gelu", {.kind = ActKind::gelu},
                         "the tanh form (Hendrycks and Gimpel 2016)"),
      choice<Activation>("ramp", {.kind = ActKind::ramp}, "max(0, x) + 0.1 x (Darknet)"),
      choice<Activation>("loggy", {.kind = ActKind::loggy}, "2 sigmoid(x) - 1 (Darknet)"),
      choice<Activation>("hardtan", {.kind = ActKind::hardtan}, "x within [-1, 1] (Darknet)"),
      choice<Activation>("lhtan", {.kind = ActKind::lhtan},
                         "x from 0 to 1, slope 0.001 outside (Darknet)"),
      choice<Activation>("plse", {.kind = ActKind::plse},
                         "a sigmoid in three straight pieces (Darknet)"),
      choice<Activation>("stair", {.kind = ActKind::stair}, "steps joined by slopes (Darknet)")};
  return kUnion;
}

Field<NormOptions, float> norm_momentum_field() {
  return field("momentum", &NormOptions::momentum)
      .in(0, 1)
      .doc("share of the batch in the running statistics, as in PyTorch");
}

Field<NormOptions, float> norm_eps_field() {
  return field("eps", &NormOptions::eps).above(0).at_most(1).doc("added to the variance");
}

Field<NormOptions, bool> norm_affine_field() {
  return field("affine", &NormOptions::affine).doc("with a scale and a shift for each channel");
}

Field<NormOptions, float> norm_scale_field() {
  return field("scale_init", &NormOptions::scale_init)
      .in(0, 100)
      .or_word("one", 1.0f)
      .or_word("zero", 0.0f)
      .or_word("uniform", kUniformScale)
      .doc("what the scale starts with; uniform: drawn from (0, 1) as PyTorch did up to 1.1");
}

const Union<NormOptions>& config_union(Type<NormOptions>) {
  static const Schema<NormOptions> kBatch{norm_momentum_field(), norm_eps_field(),
                                          norm_affine_field(), norm_scale_field()};
  static const Schema<NormOptions> kInstance{norm_eps_field(), norm_affine_field(),
                                             norm_scale_field()};
  static const Union<NormOptions> kUnion{
      choice<NormOptions>("none", {.kind = NormKind::none}, "no normalisation"),
      choice<NormOptions>("batch", {.kind = NormKind::batch},
                          "over the batch, with running statistics", kBatch),
      choice<NormOptions>("instance", {.kind = NormKind::instance, .affine = false},
                          "over each picture and channel", kInstance)};
  return kUnion;
}

Init scale_init(float value) {
  if (value == kUniformScale) return {.kind = InitKind::uniform, .a = 0.0f, .b = 1.0f};
  return {.kind = InitKind::constant, .a = value};
}

const Union<Init>& config_union(Type<Init>) {
  static const Schema<Init> kNormal{
      short_key("std"), field("std", &Init::a).above(0).at_most(100).doc("standard deviation")};
  static const Schema<Init> kUniform{
      field("low", &Init::a).in(-100, 100).doc("lower end"),
      field("high", &Init::b).in(-100, 100).doc("upper end"),
      check<Init>([](const Init& init, const Node& node, const Reader& reader) {
        if (init.a > init.b) reader.at("low").error(node.mark, "must not be above \"high\"");
      })};
  static const Schema<Init> kConstant{
      short_key("value"),
      field("value", &Init::a).in(-1e6, 1e6).required().doc("what every weight starts with")};
  static const Schema<Init> kDirac{
      short_key("rest"), named_bool("rest", &Init::random_rest, "zero", "fan_in")
                             .doc("filters beyond the input's channels: all zero, or as fan_in")};
  static const Schema<Init> kWhiten{short_key("eps"),
                                    field("eps", &Init::a)
                                        .above(0)
                                        .at_most(1)
                                        .doc("added to the variances of normalised patches")};
  static const Union<Init> kUnion{
      choice<Init>("auto", {.kind = InitKind::default_},
                   "he, with the gain of the layer's activation"),
      choice<Init>("he", {.kind = InitKind::he_normal},
                   "normal, variance gain^2 / fan_in (He et al. 2015)"),
      choice<Init>("he_uniform", {.kind = InitKind::he_uniform}, "the same variance, uniform"),
      choice<Init>("xavier", {.kind = InitKind::xavier_normal},
                   "normal, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)"),
      choice<Init>("xavier_uniform", {.kind = InitKind::xavier_uniform},
                   "the same variance, uniform"),
      choice<Init>("fan_in", {.kind = InitKind::fan_in_uniform},
                   "uniform within 1 / sqrt(fan_in), biases too: PyTorch's default"),
      choice<Init>("normal", {.kind = InitKind::normal, .a = 0.02f},
                   "normal with the given standard deviation", kNormal),
      choice<Init>("uniform", {.kind = InitKind::uniform, .a = -0.05f, .b = 0.05f},
                   "uniform between two bounds", kUniform),
      choice<Init>("constant", {.kind = InitKind::constant}, "the same number everywhere",
                   kConstant),
      choice<Init>("dirac", {.kind = InitKind::dirac},
                   "the identity: channel i to channel i at the window's centre", kDirac),
      choice<Init>("whiten", {.kind = InitKind::whiten, .a = 5e-4f},
                   "of a convolution over the pictures: makes their patches uncorrelated, of "
                   "variance 1 (eigenvectors of 5000 pictures' patches, then their negatives)",
                   kWhiten)};
  return kUnion;
}

int resolve_pad(int pad, int size, int dilation) {
  return pad == kSamePad ? dilation * (size - 1) / 2 : pad;
}

}  // namespace daybreak
