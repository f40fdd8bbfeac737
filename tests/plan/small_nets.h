#pragma once

#include <vector>

#include "graph/graph.h"
#include "ops/conv2d.h"

namespace daybreak {

/// A square convolution that keeps the size of its input.
Conv2d conv(int filters, int size, bool bias);

/// Small networks with the shapes of trouble that planning meets, all ending in a softmax loss over
/// 3 classes (float input "image" {1, channels, 6, 6}).
Graph residual_net();       ///< conv-bn-leaky, then x + f(x) twice, pooling, linear
Graph branching_net();      ///< one value read three times, concat, reshape, sum with coefficients
Graph resnet_block_net();   ///< relu after the sum, projected shortcut
Graph darknet_block_net();  ///< norms and leaky relu in front of sums, one of two such branches
/// Residual blocks of 16 channels, one on top of the other.
Graph darknet_tower_net(int blocks);
std::vector<Graph> small_nets();
/// Ops that not every backend has in every type: overlapping windows, instance norm, upsampling,
/// padding, tanh. Its maxima have kinks, so it is none of small_nets().
Graph rare_ops_net();

}  // namespace daybreak
