#pragma once

#include "layers/layer.h"

// One function a layer type; registry.cpp lists them.

namespace daybreak {

LayerType conv_layer();
LayerType conv_transpose_layer();
LayerType linear_layer();
LayerType batch_norm_layer();
LayerType instance_norm_layer();
LayerType act_layer();
LayerType relu_layer();
LayerType leaky_layer();
LayerType sigmoid_layer();
LayerType tanh_layer();
LayerType softmax_layer();
LayerType dropout_layer();
LayerType maxpool_layer();
LayerType avgpool_layer();
LayerType adaptive_avgpool_layer();
LayerType global_avgpool_layer();
LayerType upsample_layer();
LayerType crop_layer();
LayerType pad_layer();
LayerType add_layer();
LayerType multiply_layer();
LayerType scale_layer();
LayerType concat_layer();
LayerType slice_layer();
LayerType reorg_layer();
LayerType flatten_layer();
LayerType reshape_layer();
LayerType res_layer_layer();
LayerType res_group_layer();
LayerType residual_layer();
LayerType yolo_layer();
LayerType region_layer();
LayerType ssd_layer();
LayerType softmax_loss_layer();
LayerType hinge_loss_layer();
LayerType mse_loss_layer();
LayerType l1_loss_layer();
LayerType smooth_l1_loss_layer();
LayerType bce_loss_layer();

}  // namespace daybreak
