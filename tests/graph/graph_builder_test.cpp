#include "graph/graph_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/linear.h"
#include "ops/pool.h"

namespace daybreak {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Conv2d conv(int filters, int size = 3, int stride = 1) {
  Conv2d op;
  op.out_channels = filters;
  op.kernel_h = op.kernel_w = size;
  op.stride_h = op.stride_w = stride;
  op.pad_h = op.pad_w = size / 2;
  op.bias = false;
  return op;
}

// A graph with one picture input of 3 x 16 x 16.
struct Fixture {
  Graph graph;
  GraphBuilder b{&graph};
  ValueId image = b.graph_input(InputRole::image, {1, 3, 16, 16}, DType::f32, "image");

  ValueId layer(const std::string& name, int line, ValueId from, Conv2d op) {
    b.begin_layer(name, {"tiny.yaml", line, 5}, {from}, "conv");
    b.add(op, {from});
    return b.end_layer();
  }
};

template <typename Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(GraphBuilder, NamesAndShapesFollowTheLayers) {
  Fixture f;
  f.b.begin_layer("stem", {"tiny.yaml", 3, 5}, {f.image}, "conv");
  const ValueId x = f.b.add(conv(8, 3, 2), {f.b.input()});
  const ValueId y = f.b.add(BatchNorm{}, {x}, "norm", {{"weight", {.kind = InitKind::constant}}});
  EXPECT_EQ(f.b.end_layer(), y);

  ASSERT_EQ(f.graph.nodes.size(), 2u);
  EXPECT_EQ(f.graph.values[x].shape, (Shape{1, 8, 8, 8}));
  EXPECT_EQ(f.graph.values[y].name, "stem");
  EXPECT_EQ(f.graph.nodes[1].layer, "stem");
  EXPECT_EQ(f.graph.nodes[1].mark.line, 3);
  EXPECT_THAT(f.graph.nodes[1].inputs, ElementsAre(x));
  std::vector<std::string> names;
  for (const Param& param : f.graph.params) names.push_back(param.name);
  EXPECT_THAT(names, ElementsAre("stem.weight", "stem.norm.weight", "stem.norm.bias",
                                 "stem.norm.running_mean", "stem.norm.running_var"));
  EXPECT_EQ(f.graph.params[1].init.kind, InitKind::constant);
  EXPECT_EQ(f.graph.params[2].init.kind, InitKind::default_);
  EXPECT_EQ(f.graph.trained_parameters(), 8 * 3 * 9 + 8 + 8);
  EXPECT_EQ(f.graph.input(InputRole::image), f.image);
  EXPECT_EQ(f.graph.input(InputRole::labels), kNone);
}

TEST(GraphBuilder, FlopsCountEveryNode) {
  Fixture f;
  const ValueId a = f.layer("a", 3, f.image, conv(8));
  f.layer("b", 4, a, conv(4, 1));
  EXPECT_EQ(f.graph.flops(), 2 * 256 * (8 * 27 + 4 * 8));
}

TEST(GraphBuilder, AddNamesItsInputsAndTheirLines) {
  Fixture f;
  const ValueId r = f.layer("r1b", 9, f.image, conv(128));
  const ValueId p = f.layer("p1", 7, f.image, conv(64));
  const std::string text = error_of([&] {
    f.b.begin_layer("add", {"tiny.yaml", 10, 5}, {r, p});
    f.b.add(Add{}, {r, p});
  });
  EXPECT_EQ(text,
            "tiny.yaml:10:5: error: add: inputs differ: \"r1b\" 128 x 16 x 16 (line 9), "
            "\"p1\" 64 x 16 x 16 (line 7)");
}

TEST(GraphBuilder, ShapeErrorsNameTheInput) {
  Fixture f;
  const std::string text = error_of([&] {
    f.b.begin_layer("p9", {"tiny.yaml", 4, 5}, {f.image}, "maxpool");
    Pool pool;
    pool.size_h = pool.size_w = 40;
    f.b.add(pool, {f.image});
  });
  EXPECT_THAT(text, HasSubstr("tiny.yaml:4:5: error: maxpool: "));
  EXPECT_THAT(text, HasSubstr("\"image\" 3 x 16 x 16"));
}

TEST(GraphBuilder, CountsInputs) {
  Fixture f;
  f.b.begin_layer("c", {"tiny.yaml", 4, 5}, {f.image}, "concat");
  EXPECT_THAT(error_of([&] { f.b.add(Concat{}, {f.image}); }),
              HasSubstr("concat: takes 2 to 64 inputs, found 1: \"image\" 3 x 16 x 16"));
}

TEST(GraphBuilder, RefusesTwoParametersOfOneName) {
  Fixture f;
  f.layer("a", 3, f.image, conv(8));
  EXPECT_THAT(error_of([&] { f.layer("a", 4, f.image, conv(8)); }),
              HasSubstr("tiny.yaml:4:5: error: conv: there is already a parameter \"a.weight\""));
}

TEST(GraphBuilder, RefusesAbsurdSizes) {
  Fixture f;
  f.b.begin_layer("big", {"tiny.yaml", 4, 5}, {f.image}, "linear");
  Linear linear;
  linear.outputs = 4'000'000;
  EXPECT_THAT(error_of([&] { f.b.add(linear, {f.image}); }),
              HasSubstr("parameter \"big.weight\" has too many elements"));
  Conv2d wide = conv(2'000'000'000, 1);
  EXPECT_THAT(error_of([&] { f.b.add(wide, {f.image}); }), HasSubstr("out of range"));
}

TEST(GraphBuilder, LayersNest) {
  Fixture f;
  f.b.begin_layer("block", {"tiny.yaml", 3, 5}, {f.image}, "residual");
  f.b.begin_layer("block.a", {"tiny.yaml", 4, 9}, {f.image}, "conv");
  f.b.add(conv(3), {f.image});
  const ValueId inner = f.b.end_layer();
  EXPECT_EQ(f.b.layer_name(), "block");
  EXPECT_EQ(f.graph.values[inner].name, "block.a");
  const ValueId sum = f.b.add(Add{}, {f.image, inner});
  EXPECT_EQ(f.b.end_layer(), sum);
  EXPECT_EQ(f.graph.values[sum].name, "block");
  EXPECT_EQ(f.graph.nodes[0].layer, "block.a");
  EXPECT_EQ(f.graph.nodes[1].layer, "block");
}

TEST(GraphBuilder, AnEmptyLayerPassesItsInputOn) {
  Fixture f;
  f.b.begin_layer("nothing", {"tiny.yaml", 3, 5}, {f.image});
  EXPECT_EQ(f.b.end_layer(), f.image);
  EXPECT_EQ(f.graph.values[f.image].name, "image");
}

TEST(GraphBuilder, OutputChoosesTheResult) {
  Fixture f;
  f.b.begin_layer("two", {"tiny.yaml", 3, 5}, {f.image});
  const ValueId first = f.b.add(conv(4), {f.image}, "first");
  f.b.add(conv(5), {f.image}, "second");
  f.b.output(first);
  EXPECT_EQ(f.b.end_layer(), first);
}

TEST(GraphBuilder, SaltsDiffer) {
  Fixture f;
  const std::uint32_t first = f.b.next_salt();
  EXPECT_NE(first, f.b.next_salt());
}

}  // namespace
}  // namespace daybreak
