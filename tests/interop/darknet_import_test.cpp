#include "interop/darknet_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "config/network_spec.h"
#include "config/solver_config.h"
#include "config/yaml_writer.h"
#include "interop/darknet_eval.h"
#include "interop/darknet_new_heads.h"
#include "interop/run_imported.h"
#include "layers/build_graph.h"
#include "support/shared_data.h"
#include "support/temp_folder.h"

// Small networks in Darknet's language with random weights: every layer's result is that of plain
// loops. What cannot be imported is refused in its place.

namespace daybreak {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kNet = "[net]\nheight=8\nwidth=8\nchannels=4\n";

struct Files {
  test::TempFolder folder;
  std::string cfg, weights;

  Files(const std::string& text, const std::string& bytes) {
    cfg = folder / "t.cfg";
    weights = folder / "t.weights";
    test::write_text(cfg, text);
    test::write_text(weights, bytes);
  }
};

test::Map random_input(int c, int h, int w) {
  test::Map input{c, h, w, {}};
  for (int i = 0; i < c * h * w; ++i) input.v.push_back(float(std::sin(i * 0.7) * 0.9));
  return input;
}

void expect_near(const std::vector<float>& found, const test::Map& expected) {
  ASSERT_EQ(found.size(), expected.v.size());
  double largest = 1e-3, difference = 0.0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, std::abs(expected.v[i]));
    difference = std::max(difference, std::abs(found[i] - expected.v[i]));
  }
  EXPECT_LT(difference, 2e-5 * largest);
}

// Imports, runs on both backends, compares the last layer with the plain loops.
void check(const std::string& layers, DarknetDialect dialect = DarknetDialect::ab,
           const std::string& net = kNet) {
  SCOPED_TRACE(layers);
  const std::string cfg = net + layers;
  const std::vector<float> weights = test::random_weights(cfg, 7);
  const Files files(cfg, test::weights_bytes(weights));
  const DarknetImport import = import_darknet(files.cfg, files.weights, dialect);
  EXPECT_EQ(import.parameters, static_cast<std::int64_t>(weights.size()));
  EXPECT_EQ(import.seen, 1234u);
  const test::Map input = random_input(4, 8, 8);
  const test::Map expected = test::eval_darknet(cfg, weights, input).back();
  for (const bool on_cpu : {false, true}) {
    SCOPED_TRACE(on_cpu ? "cpu" : "ref");
    expect_near(test::run_imported(import, input.v, on_cpu).back(), expected);
  }
}

std::string conv(const std::string& keys) {
  return "[convolutional]\n" + keys + "\n";
}
const std::string kConv8 = conv("filters=8\nsize=3\npad=1\nactivation=leaky");

std::string cfg_error(const std::string& layers, DarknetDialect dialect = DarknetDialect::ab,
                      const std::string& net = kNet) {
  const Files files(net + layers, "");
  return test::message_of<ConfigError>([&] { import_darknet(files.cfg, files.weights, dialect); });
}

TEST(DarknetImport, Convolutions) {
  check(conv(""));  // all defaults: one filter of 1x1, logistic
  check(conv("filters=6\nsize=3\nstride=2\npad=1\nbatch_normalize=1\nactivation=leaky"));
  check(conv("filters=6\nsize=3\npadding=2\nactivation=linear"));
  check(conv("filters=8\ngroups=4\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu"));
  check(conv("filters=4\ngroups=4\nsize=3\npad=1\nactivation=relu"));
  check(conv("filters=5\nsize=3\npad=1\ndilation=2\nactivation=linear"));
  check(conv("filters=5\nsize=3\npad=1\nstride_x=2\nstride_y=1\nactivation=linear"));
  check(conv("filters=5\nsize=2\nstride=2\nactivation=linear"));
}

TEST(DarknetImport, EveryActivation) {
  for (const char* name :
       {"linear", "leaky", "relie", "relu", "relu6", "logistic", "tanh", "elu", "ramp", "mish",
        "swish", "hard_mish", "gelu", "loggy", "hardtan", "lhtan", "plse", "stair"}) {
    check(conv(std::string("filters=3\nsize=1\nactivation=") + name));
    check(kConv8 + "[activation]\nactivation=" + name + "\n");
  }
}

TEST(DarknetImport, Pools) {
  check("[maxpool]\nsize=2\nstride=2\n");
  check("[maxpool]\nsize=2\nstride=1\n");  // tiny YOLO's: one pixel of padding, behind
  check("[maxpool]\nsize=3\nstride=2\n");
  check("[maxpool]\nsize=3\nstride=2\npadding=0\n");
  check("[maxpool]\nsize=5\nstride=1\n");
  check("[maxpool]\nsize=4\nstride=1\n");
  check("[maxpool]\nstride=2\n");
  check("[maxpool]\nsize=2\nstride_x=1\nstride_y=2\n");
  check("[local_avgpool]\nsize=3\nstride=2\n");
  check("[avgpool]\n");
}

TEST(DarknetImport, RoutesAndShortcuts) {
  check(kConv8 + kConv8 + "[route]\nlayers=-1,-2\n" + kConv8);
  check(kConv8 + kConv8 + "[route]\nlayers=0\n" + kConv8);
  check(kConv8 + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n" + kConv8 + "[route]\nlayers=-1,-2\n");
  check(kConv8 + kConv8 + "[route]\nlayers=0,1\ngroups=4\ngroup_id=2\n");
  check(kConv8 + kConv8 + "[shortcut]\nfrom=-2\nactivation=leaky\n" + kConv8);
  check(kConv8 + kConv8 + kConv8 + "[shortcut]\nfrom=-2,-3\nactivation=mish\n");
  check(kConv8 + kConv8 + "[dropout]\nprobability=.15\n[shortcut]\nfrom=-3\nactivation=linear\n");
  check(kConv8 + kConv8 + "[shortcut]\nfrom=-2\nalpha=0.5\nbeta=2\nactivation=linear\n",
        DarknetDialect::pj);
}

std::string imported_yaml(const std::string& layers, DarknetDialect dialect) {
  const std::string cfg = kNet + layers;
  const Files files(cfg, test::weights_bytes(test::random_weights(cfg, 1)));
  return to_yaml(import_darknet(files.cfg, files.weights, dialect).net.network);
}

// Fewer and more channels than the sum has; every second pixel, which only pj takes.
TEST(DarknetImport, ShortcutsOfUnequalShapes) {
  const std::string narrow = conv("filters=3\nsize=1\nactivation=linear");
  const std::string wide = conv("filters=13\nsize=1\nactivation=tanh");
  const std::string half = conv("filters=13\nsize=3\nstride=2\npad=1\nactivation=linear");
  const std::string keys = "[shortcut]\nfrom=-2\nactivation=leaky\n";
  for (const DarknetDialect dialect : {DarknetDialect::ab, DarknetDialect::pj}) {
    check(kConv8 + narrow + keys + kConv8, dialect);
    check(kConv8 + wide + keys + kConv8, dialect);
    EXPECT_THAT(imported_yaml(kConv8 + wide + keys, dialect), HasSubstr("unequal: common"));
    EXPECT_THAT(imported_yaml(kConv8 + kConv8 + keys, dialect), Not(HasSubstr("unequal")));
  }
  check(kConv8 + narrow + wide + "[shortcut]\nfrom=-2,-3\nactivation=linear\n");
  check(kConv8 + half + keys + kConv8, DarknetDialect::pj);
  check(wide + conv("filters=5\nsize=2\nstride=2\nactivation=linear") +
            "[shortcut]\nfrom=-2\nalpha=0.5\nbeta=3\nactivation=relu\n",
        DarknetDialect::pj);
}

// Pixels come to the graph as the input section scales them, which holds the other half of a crop.
TEST(DarknetImport, CropIsTheFirstLayer) {
  check("[crop]\ncrop_height=5\ncrop_width=6\nnoadjust=1\nflip=1\nangle=0\n" + kConv8);
  check("[crop]\ncrop_height=8\ncrop_width=3\nnoadjust=1\n" + kConv8, DarknetDialect::pj);
  const std::string yaml =
      imported_yaml("[crop]\ncrop_height=5\ncrop_width=6\n" + kConv8, DarknetDialect::ab);
  EXPECT_THAT(yaml, HasSubstr("mean: [0.5, 0.5, 0.5, 0.5]"));
  EXPECT_THAT(yaml, HasSubstr("std: [0.5, 0.5, 0.5, 0.5]"));
  EXPECT_THAT(yaml, HasSubstr("size: [5, 6]"));
}

TEST(DarknetImport, CommentsAndKeysGivenAgain) {
  check(conv("filters=6 # were 8\nsize=1\nactivation=linear\nfilters = 6"));
  check(kConv8, DarknetDialect::ab, kNet + "batch=1\nsubdivisions=1\nbatch=64\nsubdivisions=16\n");
  EXPECT_THAT(cfg_error("", DarknetDialect::ab, kNet + "height=9\n"),
              HasSubstr("given twice, first in line 2"));
}

TEST(DarknetImport, ScalesOfChannelsAndPixels) {
  check(kConv8 + "[avgpool]\n" + conv("filters=8\nsize=1\nactivation=logistic") +
        "[scale_channels]\nfrom=-3\n" + kConv8);
  check(kConv8 + conv("filters=1\nsize=1\nactivation=logistic") +
        "[scale_channels]\nfrom=-2\nscale_wh=1\nactivation=relu\n");
  check(kConv8 + conv("filters=8\nsize=1\nactivation=logistic") + "[sam]\nfrom=-2\n" + kConv8);
}

TEST(DarknetImport, Reorganisations) {
  check(kConv8 + "[upsample]\nstride=2\n");
  check(kConv8 + "[reorg]\nstride=2\n" + kConv8);
  check("[reorg]\nstride=2\n");
  check(kConv8 + "[reorg3d]\nstride=2\n" + kConv8);
  check(kConv8 + "[reorg3d]\nstride=4\n");
}

TEST(DarknetImport, Classifiers) {
  check(kConv8 +
        "[connected]\noutput=10\nactivation=relu\n[dropout]\nprobability=.5\n"
        "[connected]\noutput=5\nactivation=linear\n[softmax]\ngroups=1\n");
  check("[connected]\noutput=6\nbatch_normalize=1\nactivation=leaky\n");
  check(kConv8 + "[batchnorm]\n" + kConv8);
  check(conv("filters=5\nsize=1\nactivation=linear") + "[avgpool]\n[softmax]\n[cost]\ntype=sse\n");
}

// Connected matrices of files with a version above 1000 lie the other way round.
TEST(DarknetImport, OldMatricesAreTurned) {
  const std::string cfg = kNet + "[connected]\noutput=3\nactivation=linear\n";
  const std::vector<float> weights = test::random_weights(cfg, 3);
  const Files files(cfg, test::weights_bytes(weights, 0, 1001));
  const DarknetImport import = import_darknet(files.cfg, files.weights, DarknetDialect::ab);
  const test::Map input = random_input(4, 8, 8);
  expect_near(test::run_imported(import, input.v, false).back(),
              test::eval_darknet(cfg, weights, input, /*old_order=*/true).back());
}

TEST(DarknetImport, HeadsCarryTheirKeys) {
  const std::string cfg =
      kNet + conv("filters=14\nsize=1\nactivation=linear") +
      "[yolo]\nmask=1,3\nanchors=1,2, 3,4, 5.5,6, 7,8,\nnum=4\nclasses=2\nscale_x_y=1.05\n"
      "ignore_thresh=.7\niou_loss=ciou\nnms_kind=diounms\nbeta_nms=.5\njitter=.3\n"
      "[route]\nlayers=0\n" +
      conv("filters=14\nsize=1\nactivation=logistic") +
      "[yolo]\nmask=0,1\nanchors=1,2,3,4,5,6\nnum=3\nclasses=2\nnew_coords=1\n";
  const std::vector<float> weights = test::random_weights(cfg, 5);
  const Files files(cfg, test::weights_bytes(weights));
  const DarknetImport import = import_darknet(files.cfg, files.weights, DarknetDialect::ab);
  Diagnostics diagnostics;
  const Graph graph = build_graph(parse_network(import.net.network, diagnostics), {});
  ASSERT_EQ(graph.heads.size(), 2u);
  const DetectionHead& first = graph.heads[0];
  EXPECT_EQ(first.mask, (std::vector<int>{1, 3}));
  EXPECT_EQ(first.anchors[2], (std::array<float, 2>{5.5f, 6.0f}));
  EXPECT_FLOAT_EQ(first.scale_x_y, 1.05f);
  EXPECT_EQ(first.nms, NmsKind::diou);
  EXPECT_FLOAT_EQ(first.nms_beta, 0.5f);
  EXPECT_FALSE(first.new_coords);
  EXPECT_TRUE(graph.heads[1].new_coords);
  const test::Map input = random_input(4, 8, 8);
  const auto maps = test::eval_darknet(cfg, weights, input);
  const auto found = test::run_imported(import, input.v, true);
  expect_near(found[0], maps[0]);
  expect_near(found[1], maps[3]);
}

TEST(DarknetImport, RegionOfYoloV2) {
  const std::string cfg =
      kNet + conv("filters=14\nsize=1\nactivation=linear") +
      "[region]\nanchors=1.3,1.7, 3.1,4.0\nnum=2\nclasses=2\ncoords=4\nsoftmax=1\nthresh=.6\n"
      "bias_match=1\nrescore=1\nobject_scale=5\n";
  const Files files(cfg, test::weights_bytes(test::random_weights(cfg, 1)));
  const DarknetImport import = import_darknet(files.cfg, files.weights, DarknetDialect::pj);
  Diagnostics diagnostics;
  const NetworkSpec net = parse_network(import.net.network, diagnostics);
  const Graph graph = build_graph(net, {});
  ASSERT_EQ(graph.heads.size(), 1u);
  EXPECT_EQ(graph.heads[0].kind, HeadKind::region);
  EXPECT_TRUE(graph.heads[0].softmax);
  EXPECT_EQ(net.input.fit, Fit::letterbox);  // pj shows a detector the whole picture with bars
  EXPECT_EQ(net.input.resample, Resample::aligned);
}

// ---- refusals ---------------------------------------------------------------------------------

struct Refusal {
  const char* layers;
  const char* place;  // line, as kNet takes four
  const char* text;
};

TEST(DarknetImport, RefusesWithLineAndReason) {
  const Refusal kRefusals[] = {
      {"[lstm]\noutput=3\n", "t.cfg:5:1", "recurrent layers are not supported"},
      {"[detection]\n", "t.cfg:5:1", "YOLOv1"},
      {"[convolutional]\n[crop]\ncrop_height=4\n", "t.cfg:6:1", "behind other layers"},
      {"[crop]\ncrop_height=9\ncrop_width=4\n", "t.cfg:5:1", "9 x 4 cannot be cut from"},
      {"[Gaussian_yolo]\n", "t.cfg:5:1", "uncertainty"},
      {"[convolutonal]\nfilters=3\n", "t.cfg:5:1", "did you mean [convolutional]?"},
      {"[convolutional]\nfliters=3\n", "t.cfg:6:1",
       "unknown key \"fliters\", did you mean \"filters\"?"},
      {"[convolutional]\nfilters=3\nfilters=4\n", "t.cfg:7:1", "given twice, first in line 6"},
      {"[convolutional]\nactivation=lekay\n", "t.cfg:6:1", "did you mean \"leaky\"?"},
      {"[convolutional]\nactivation=normalize_channels\n", "t.cfg:6:1", "works across channels"},
      {"[convolutional]\nfilters=0\n", "t.cfg:6:1", "must be in 1..65536, found 0"},
      {"[convolutional]\nfilters=3x\n", "t.cfg:6:1", "must be a whole number, found \"3x\""},
      {"[convolutional]\nxnor=1\n", "t.cfg:6:1", "\"xnor\"=1 cannot be imported"},
      {"[convolutional]\nantialiasing=1\n", "t.cfg:6:1", "not supported"},
      {"[convolutional]\nsize=9\n", "t.cfg:5:1", "does not fit"},
      {"[convolutional]\ngroups=3\n", "t.cfg:5:1", "groups 3 must divide"},
      {"[route]\nlayers=1\n", "t.cfg:6:1", "only layers before it"},
      {"[convolutional]\n[route]\nlayers=-2\n", "t.cfg:7:1", "only layers before it"},
      {"[convolutional]\n[convolutional]\nstride=2\n[shortcut]\nfrom=-2\n", "t.cfg:8:1",
       "added by the dialect pj only"},
      {"[convolutional]\nstride=2\n[upsample]\n[shortcut]\nfrom=-2\n", "t.cfg:8:1",
       "must be as large as"},
      {"[convolutional]\n[shortcut]\nfrom=-1\nweights_type=per_channel\n", "t.cfg:8:1",
       "weighted shortcuts are not supported"},
      {"[yolo]\nmask=0\nanchors=1,2\nnum=1\nclasses=3\n", "t.cfg:5:1",
       "needs 8 channels, 1 anchors x (5 + 3 classes)"},
      {"[yolo]\nmask=3\nanchors=1,2\nnum=1\nclasses=3\n", "t.cfg:6:1", "names anchor 3, but num=1"},
      {"[yolo]\nmask=0\nanchors=1,2,3\nnum=1\nclasses=3\n", "t.cfg:7:1", "must be 2 numbers"},
      {"[region]\ntree=data/9k.tree\nanchors=1,2\nnum=1\nclasses=3\nsoftmax=1\n", "t.cfg:6:1",
       "trees"},
      {"filters\n", "t.cfg:5:1", "expected KEY=VALUE or [SECTION]"},
      {"[softmax]\ntree=x\n", "t.cfg:6:1", "a tree of classes is not supported"},
      {"[upsample]\nstride=-2\n", "t.cfg:6:1", "downsampling"},
  };
  for (const Refusal& refusal : kRefusals) {
    SCOPED_TRACE(refusal.layers);
    const std::string found = cfg_error(refusal.layers);
    EXPECT_THAT(found, HasSubstr(refusal.place));
    EXPECT_THAT(found, HasSubstr(refusal.text));
  }
}

TEST(DarknetImport, DialectsDiffer) {
  EXPECT_THAT(cfg_error("[convolutional]\nactivation=mish\n", DarknetDialect::pj),
              HasSubstr("silently take relu"));
  EXPECT_THAT(cfg_error("[reorg]\nstride=2\n", DarknetDialect::hk), HasSubstr("hk has dropped"));
  EXPECT_THAT(cfg_error("[sam]\nfrom=0\n", DarknetDialect::pj), HasSubstr("unknown section"));
  const auto fit_of = [](DarknetDialect dialect, const std::string& keys) {
    const std::string cfg = kNet + keys + conv("filters=6\nsize=1\nactivation=linear") +
                            "[yolo]\nanchors=1,2\nnum=1\nclasses=1\n";
    const Files files(cfg, test::weights_bytes(test::random_weights(cfg, 1)));
    return import_darknet(files.cfg, files.weights, dialect)
        .net.network.find("input")
        ->find("fit")
        ->text;
  };
  EXPECT_EQ(fit_of(DarknetDialect::ab, ""), "stretch");
  EXPECT_EQ(fit_of(DarknetDialect::ab, "letter_box=1\n"), "letterbox");
  EXPECT_EQ(fit_of(DarknetDialect::pj, ""), "letterbox");
}

TEST(DarknetImport, RefusesFilesThatAreNoNetwork) {
  EXPECT_THAT(cfg_error("", DarknetDialect::ab, ""), HasSubstr("no sections"));
  EXPECT_THAT(cfg_error("[convolutional]\n", DarknetDialect::ab, ""),
              HasSubstr("first section must be [net]"));
  EXPECT_THAT(cfg_error("", DarknetDialect::ab, "[net]\nheight=8\n"),
              HasSubstr("needs height, width and channels"));
  EXPECT_THAT(cfg_error("\x01\x02\n"), HasSubstr("not a line of text"));
}

TEST(DarknetImport, NewHeadsTakeAnyClasses) {
  const std::string head =
      conv("filters=6\nsize=1\nactivation=linear") + "[yolo]\nanchors=1,2\nnum=1\nclasses=1\n";
  const auto renewed = [](const std::string& layers) {
    const std::string cfg = kNet + layers;
    const Files files(cfg, test::weights_bytes(test::random_weights(cfg, 1)));
    DarknetImport import = import_darknet(files.cfg, files.weights, DarknetDialect::ab);
    renew_heads(import);
    return import;
  };
  const DarknetImport import = renewed(kConv8 + head + "[route]\nlayers=-3\n" + kConv8 + head);
  const std::string yaml = to_yaml(import.net.network);
  EXPECT_THAT(yaml, Not(HasSubstr("conv1,")));
  EXPECT_THAT(yaml, HasSubstr("classes: auto"));
  std::vector<std::string> names;
  for (const ImportedTensor& tensor : import.tensors) names.push_back(tensor.name);
  EXPECT_THAT(names,
              testing::ElementsAre("conv0.bias", "conv0.weight", "conv4.bias", "conv4.weight"));
  Diagnostics diagnostics;
  const NetworkSpec net = parse_network(import.net.network, diagnostics);
  BuildOptions options;
  options.classes = 3;
  const Graph graph = build_graph(net, options);
  ASSERT_EQ(graph.heads.size(), 2u);
  EXPECT_EQ(graph.heads[1].classes, 3);
  EXPECT_EQ(graph.values[graph.heads[1].raw].shape.c, 8);
  const auto error = [&](const std::string& layers) {
    return test::message_of<ConfigError>([&] { renewed(layers); });
  };
  EXPECT_THAT(error(head + "[route]\nlayers=0\n" + kConv8), HasSubstr("read by \"conv3\" as well"));
  EXPECT_THAT(error(conv("filters=6\nsize=1\nactivation=logistic") +
                    "[yolo]\nanchors=1,2\nnum=1\nclasses=1\nnew_coords=1\n"),
              HasSubstr("not a plain 1x1 convolution"));
}

// ---- weights ----------------------------------------------------------------------------------

const std::string kTwoLayers = kNet + conv("filters=2\nsize=1\nactivation=linear") +
                               conv("filters=3\nsize=1\nactivation=linear");

std::string weights_error(const std::string& bytes, const std::string& until = "") {
  const Files files(kTwoLayers, bytes);
  return test::message_of<DataError>(
      [&] { import_darknet(files.cfg, files.weights, DarknetDialect::ab, until); });
}

TEST(DarknetImport, EveryByteMustBeUsed) {
  const std::vector<float> weights = test::random_weights(kTwoLayers, 2);  // 2 + 8 + 3 + 6
  ASSERT_EQ(weights.size(), 19u);
  const std::string good = test::weights_bytes(weights);
  EXPECT_EQ(weights_error(good), "no exception");
  EXPECT_THAT(weights_error(good + "x"),
              HasSubstr("97 bytes, 96 needed (1 left over behind layer 1"));
  const std::string cut = weights_error(good.substr(0, good.size() - 4));
  EXPECT_THAT(cut, HasSubstr("92 bytes, 96 needed (4 short)"));
  EXPECT_THAT(cut, HasSubstr("the first layer not filled is 1 [convolutional]"));
  EXPECT_THAT(cut, Not(HasSubstr("--until")));
  EXPECT_THAT(weights_error(good.substr(0, 40)), HasSubstr("the first layer not filled is 0"));
  EXPECT_THAT(weights_error(good.substr(0, 15)), HasSubstr("too few"));
  EXPECT_THAT(weights_error(good.substr(0, 18)), HasSubstr("header"));
  EXPECT_THAT(weights_error(""), HasSubstr("too few"));
}

TEST(DarknetImport, PartialFilesNeedUntil) {
  const std::string partial =
      test::weights_bytes(test::random_weights(kTwoLayers, 2)).substr(0, 20 + 10 * 4);
  EXPECT_THAT(weights_error(partial), HasSubstr("import it with --until 1"));
  const Files files(kTwoLayers, partial);
  for (const char* until : {"1", "conv0"}) {
    const DarknetImport import =
        import_darknet(files.cfg, files.weights, DarknetDialect::ab, until);
    EXPECT_EQ(import.layers_filled, 1);
    EXPECT_EQ(import.tensors.size(), 2u);
  }
  EXPECT_THAT(weights_error(partial + "1234", "1"), HasSubstr("4 left over"));
  const auto bad_until = [&](const char* until) {
    return test::message_of<ConfigError>(
        [&] { import_darknet(files.cfg, files.weights, DarknetDialect::ab, until); });
  };
  EXPECT_THAT(bad_until("3"), HasSubstr("layers 0 to 1"));
  EXPECT_THAT(bad_until("conv5"), HasSubstr("names no layer"));
}

TEST(DarknetImport, RefusesWhatIsNotFinite) {
  std::vector<float> weights = test::random_weights(kTwoLayers, 2);
  weights[12] = NAN;
  EXPECT_THAT(weights_error(test::weights_bytes(weights)), HasSubstr("\"conv1.bias\" of layer 1"));
  weights[12] = INFINITY;
  EXPECT_THAT(weights_error(test::weights_bytes(weights)), HasSubstr("inf"));
}

// cfg/net/bccd-fastest.yaml names its layers as the import does, so that `--init` finds them.
TEST(DarknetImport, TheShippedNetworkForFineTuningTakesAllButTheHeads) {
  const std::string cfg = test::shared_data("weights/yolo-fastest-1.1.cfg");
  const std::string weights = test::shared_data("weights/yolo-fastest-1.1.weights");
  if (cfg.empty() || weights.empty()) {
    GTEST_SKIP() << "shared/weights/yolo-fastest-1.1.* is not there";
  }
  DarknetImport import = import_darknet(cfg, weights, DarknetDialect::ab);
  renew_heads(import);
  std::map<std::string, std::vector<std::int64_t>> imported;
  for (const ImportedTensor& tensor : import.tensors) imported[tensor.name] = tensor.dims;
  const Graph graph = build_graph(
      load_network(std::string(DAYBREAK_SOURCE_DIR) + "/cfg/net/bccd-fastest.yaml", {}), {});
  for (const Param& param : graph.params) {
    const bool of_head = param.name.starts_with("large.") || param.name.starts_with("small.");
    const auto found = imported.find(param.name);
    EXPECT_EQ(found == imported.end(), of_head) << param.name;
    if (found == imported.end()) continue;
    EXPECT_EQ(found->second, param.spec.dims) << param.name;
    imported.erase(found);
  }
  EXPECT_TRUE(imported.empty()) << imported.begin()->first;
}

}  // namespace
}  // namespace daybreak
