#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/box.h"
#include "core/error.h"
#include "core/shape.h"
#include "ops/op.h"

namespace daybreak {

using ValueId = int;
using ParamId = int;
using NodeId = int;
constexpr int kNone = -1;

/// How a parameter starts. Formulas in graph/init.h.
enum class InitKind : std::uint8_t {
  default_,  ///< by role: weights He (fan-in, leaky gain), biases 0, scales 1, running var 1
  he_normal,
  he_uniform,
  xavier_normal,
  xavier_uniform,
  normal,          ///< N(0, std^2)
  uniform,         ///< U(low, high)
  fan_in_uniform,  ///< U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default for conv and linear
  constant,
  dirac,   ///< identity: channel i to channel i at the kernel's centre
  whiten,  ///< filters that whiten patches of the training pictures (train/whiten.h)
};

struct Init {
  InitKind kind = InitKind::default_;
  float a = 0.0f;      ///< std, low, the constant, or what whiten adds to variances
  float b = 0.0f;      ///< high
  float slope = 0.0f;  ///< negative slope of the activation that follows, for He's gain; 1: none
  int groups = 1;      ///< of a convolution, for dirac
  bool random_rest = false;  ///< dirac: filters beyond the channels start as fan_in_uniform, not 0
};

/// A named tensor that outlives plans. Names are those of files: "g1.conv.weight".
struct Param {
  std::string name;
  ParamSpec spec;
  Init init;
};

/// An edge of the graph. Shapes are for batch 1 and the network's nominal picture size.
struct Value {
  std::string name;  ///< of the layer that made it
  Shape shape;
  DType dtype = DType::f32;  ///< f32 stands for "the plan's precision"; u8 pictures, i32 labels
  NodeId producer = kNone;   ///< kNone for graph inputs
};

/// An op of the graph with its edges and parameters.
struct GraphNode {
  std::shared_ptr<const Op> op;
  std::vector<ValueId> inputs;
  ValueId output = kNone;
  std::vector<ParamId> params;
  std::string layer;  ///< name of the layer it was lowered from
  Mark mark;          ///< where that layer stands in the file
};

/// What the inputs of a graph are for; the executor finds them by this.
enum class InputRole : std::uint8_t {
  image,
  labels,
  target,
  boxes,  ///< f32 [N, M, 1, 5]: category (-1: no box), cx, cy, w, h as fractions of the picture
};

struct GraphInput {
  ValueId value = kNone;
  InputRole role = InputRole::image;
};

enum class HeadKind : std::uint8_t { yolo, region, ssd };

/// A place where boxes are read off a network, and how: src/detect/decode.h has the formulas.
/// yolo, region: `raw` is [N, mask.size() * (5 + classes), H, W], for each anchor of the mask
/// tx, ty, tw, th, objectness and the classes, as the convolution before made them. ssd: 4 offsets,
/// the score of the background and the classes.
struct DetectionHead {
  HeadKind kind = HeadKind::yolo;
  ValueId raw = kNone;
  std::vector<std::array<float, 2>>
      anchors;  ///< w, h: yolo in pixels of the input, region in cells, ssd fractions of the input
  std::vector<int> mask;  ///< which of the anchors are this head's, never empty
  int classes = 0;
  float cells_x = 0.0f, cells_y = 0.0f;  ///< ssd: across the input; 0: as many as the map has
  float scale_x_y = 1.0f;   ///< how far a centre may leave its cell: s * sigmoid(t) - (s - 1) / 2
  bool new_coords = false;  ///< yolo: the values arrive squashed; sizes are 4 v^2 * anchor
  bool softmax = false;     ///< region: classes by softmax, else by sigmoid
  NmsKind nms = NmsKind::iou;
  float nms_beta = 0.6f;  ///< exponent of NmsKind::diou
  std::string layer;
  Mark mark;
};

/// A network as operations: plain data, no backend. Nodes are in topological order.
struct Graph {
  std::string name;
  std::vector<GraphNode> nodes;
  std::vector<Value> values;
  std::vector<Param> params;
  std::vector<GraphInput> inputs;
  ValueId prediction = kNone;        ///< scores before the loss (logits), or the last value
  ValueId loss = kNone;              ///< {1, 1, 1, 1}; kNone for a network without a loss
  ValueId topk = kNone;              ///< output of TopkCount, when the loss takes labels
  int classes = 0;                   ///< of a network with label loss or heads
  std::vector<DetectionHead> heads;  ///< of a detector, in the order of the layers

  ValueId input(InputRole role) const;  ///< kNone when there is none
  std::int64_t trained_parameters() const;
  /// Floating-point operations of a forward pass over one picture (a multiply-add counts as 2).
  std::int64_t flops() const;
};

}  // namespace daybreak
