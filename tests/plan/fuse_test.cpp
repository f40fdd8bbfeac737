#include "plan/fuse.h"

#include <gtest/gtest.h>

#include "ops/add.h"
#include "ops/batchnorm.h"
#include "plan/small_nets.h"

namespace daybreak {
namespace {

int count(const std::vector<GraphNode>& nodes, OpKind kind) {
  int result = 0;
  for (const GraphNode& node : nodes) result += node.op->kind() == kind;
  return result;
}

TEST(Fuse, JoinsActivationsIntoBatchNormAndAdd) {
  const Graph graph = resnet_block_net();
  const std::vector<GraphNode> nodes = fuse(graph, {graph.loss});
  EXPECT_EQ(count(graph.nodes, OpKind::act), 2);
  EXPECT_EQ(count(nodes, OpKind::act), 0);
  for (const GraphNode& node : nodes) {
    if (node.layer == "n1") {
      EXPECT_EQ(static_cast<const BatchNorm&>(*node.op).act.kind, ActKind::relu);
    }
    if (node.layer == "n2") {
      EXPECT_EQ(static_cast<const BatchNorm&>(*node.op).act.kind, ActKind::none);
    }
    if (node.layer == "sum") {
      EXPECT_EQ(static_cast<const Add&>(*node.op).act.kind, ActKind::relu);
    }
  }
}

TEST(Fuse, LeavesKeptValuesAlone) {
  const Graph graph = residual_net();
  ValueId norm = kNone;
  for (const GraphNode& node : graph.nodes) {
    if (node.layer == "stem_bn") norm = node.output;
  }
  EXPECT_EQ(count(fuse(graph, {graph.loss, norm}), OpKind::act), 1);
  EXPECT_EQ(count(fuse(graph, {graph.loss}), OpKind::act), 0);
}

}  // namespace
}  // namespace daybreak
