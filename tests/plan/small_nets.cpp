#include "plan/small_nets.h"

#include <string>

#include "graph/graph_builder.h"
#include "ops/act.h"
#include "ops/adaptive_avgpool.h"
#include "ops/add.h"
#include "ops/batchnorm.h"
#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/instancenorm.h"
#include "ops/linear.h"
#include "ops/pad.h"
#include "ops/pool.h"
#include "ops/reshape.h"
#include "ops/softmax_xent.h"
#include "ops/topk_count.h"
#include "ops/upsample.h"

namespace daybreak {

Conv2d conv(int filters, int size, bool bias) {
  Conv2d op;
  op.out_channels = filters;
  op.kernel_h = op.kernel_w = size;
  op.pad_h = op.pad_w = size / 2;
  op.bias = bias;
  return op;
}

namespace {

Act leaky() {
  Act op;
  op.act = {ActKind::leaky, 0.1f};
  return op;
}

class Net {
 public:
  Net(const char* name, int channels) : builder_(&graph_) {
    graph_.name = name;
    value_ = builder_.graph_input(InputRole::image, {1, channels, 6, 6}, DType::f32, "image");
    labels_ = builder_.graph_input(InputRole::labels, {1, 1, 1, 1}, DType::i32, "labels");
  }

  template <typename OpType>
  ValueId layer(const char* name, OpType op, std::vector<ValueId> inputs) {
    builder_.begin_layer(name, Mark{"test.yaml", 1, 1}, inputs);
    builder_.add(op, inputs);
    return value_ = builder_.end_layer();
  }
  template <typename OpType>
  ValueId layer(const char* name, OpType op) {
    return layer(name, op, {value_});
  }
  ValueId value() const { return value_; }

  Graph finish() {
    Linear linear;
    linear.outputs = 3;
    graph_.prediction = layer("head", linear);
    graph_.classes = 3;
    TopkCount count;
    count.k = 2;
    graph_.topk = layer("topk", count, {graph_.prediction, labels_});
    graph_.loss = layer("loss", SoftmaxXent{}, {graph_.prediction, labels_});
    return std::move(graph_);
  }

 private:
  Graph graph_;
  GraphBuilder builder_;
  ValueId value_ = kNone, labels_ = kNone;
};

}  // namespace

Graph residual_net() {
  Net net("residual", 3);
  net.layer("stem", conv(5, 3, false));
  net.layer("stem_bn", BatchNorm{});
  ValueId skip = net.layer("stem_act", leaky());
  const char* names[2][5] = {{"a1", "a2", "a3", "a4", "sum1"}, {"b1", "b2", "b3", "b4", "sum2"}};
  for (const auto& n : names) {
    net.layer(n[0], conv(4, 1, false), {skip});
    net.layer(n[1], BatchNorm{});
    net.layer(n[2], leaky());
    const ValueId body = net.layer(n[3], conv(5, 3, true));
    skip = net.layer(n[4], Add{}, {skip, body});
  }
  net.layer("pool", AdaptiveAvgPool{});
  return net.finish();
}

Graph branching_net() {
  Net net("branching", 2);
  const ValueId stem = net.layer("stem", conv(4, 3, true));
  const ValueId left = net.layer("left", conv(4, 1, true), {stem});
  Add weighted;
  weighted.coeff[0] = 0.5f;
  weighted.coeff[1] = -2.0f;
  const ValueId sum = net.layer("sum", weighted, {stem, left});
  const ValueId twice = net.layer("twice", Add{}, {sum, sum});
  const ValueId joined = net.layer("joined", Concat{}, {stem, twice, left});
  Pool pool;
  const ValueId pooled = net.layer("pooled", pool, {joined});
  net.layer("flat", Reshape{}, {pooled});
  return net.finish();
}

Graph resnet_block_net() {
  Net net("resnet", 3);
  const ValueId stem = net.layer("stem", conv(4, 3, true));
  net.layer("c1", conv(6, 3, false), {stem});
  net.layer("n1", BatchNorm{});
  Act relu;
  relu.act.kind = ActKind::relu;
  net.layer("r1", relu);
  net.layer("c2", conv(6, 3, false));
  const ValueId body = net.layer("n2", BatchNorm{});
  const ValueId shortcut = net.layer("project", conv(6, 1, false), {stem});
  net.layer("sum", Add{}, {body, shortcut});
  net.layer("r2", relu);
  net.layer("pool", AdaptiveAvgPool{});
  return net.finish();
}

Graph darknet_block_net() {
  Net net("darknet", 3);
  const auto block = [&](const char* conv_name, const char* norm, const char* act, int filters,
                         ValueId input) {
    net.layer(conv_name, conv(filters, 3, false), {input});
    net.layer(norm, BatchNorm{});
    return net.layer(act, leaky());
  };
  const ValueId stem = block("stem", "stem_bn", "stem_act", 5, net.value());
  const ValueId half = block("a1", "a2", "a3", 3, stem);
  const ValueId whole = block("a4", "a5", "a6", 5, half);
  const ValueId sum = net.layer("sum1", Add{}, {stem, whole});
  const ValueId left = block("b1", "b2", "b3", 4, sum);
  const ValueId right = block("b4", "b5", "b6", 4, sum);
  net.layer("sum2", Add{}, {left, right});
  net.layer("pool", AdaptiveAvgPool{});
  return net.finish();
}

Graph darknet_tower_net(int blocks) {
  Net net("tower", 3);
  const auto block = [&](const std::string& name, int filters, int size) {
    net.layer(name.c_str(), conv(filters, size, false), {net.value()});
    net.layer((name + "_bn").c_str(), BatchNorm{});
    return net.layer((name + "_act").c_str(), leaky());
  };
  ValueId skip = block("stem", 16, 3);
  for (int i = 1; i <= blocks; ++i) {
    const std::string name = std::to_string(i);
    block("half" + name, 16, 1);
    const ValueId body = block("whole" + name, 16, 3);
    skip = net.layer(("sum" + name).c_str(), Add{}, {skip, body});
  }
  net.layer("pool", AdaptiveAvgPool{});
  return net.finish();
}

Graph rare_ops_net() {
  Net net("rare", 3);
  const ValueId stem = net.layer("stem", conv(6, 3, true));
  net.layer("in", InstanceNorm{}, {stem});
  Pool max;
  max.size_h = max.size_w = 3;
  max.pad_top = max.pad_left = 1;
  net.layer("max", max);  // 6 -> 3, windows overlap
  net.layer("up", Upsample{});
  Act tanh;
  tanh.act.kind = ActKind::tanh;
  const ValueId up = net.layer("tanh", tanh);
  net.layer("sum", Add{}, {stem, up});
  Pad pad;
  pad.pad = PadKind::reflect;
  pad.top = pad.right = 1;
  net.layer("pad", pad);
  Pool average;
  average.pool = PoolKind::average;
  average.size_h = average.size_w = 3;
  average.stride_h = average.stride_w = 2;
  net.layer("average", average);
  net.layer("c2", conv(5, 1, false));
  AdaptiveAvgPool last;
  net.layer("pool", last);
  return net.finish();
}

std::vector<Graph> small_nets() {
  std::vector<Graph> nets;
  nets.push_back(residual_net());
  nets.push_back(branching_net());
  nets.push_back(resnet_block_net());
  nets.push_back(darknet_block_net());
  return nets;
}

}  // namespace daybreak
