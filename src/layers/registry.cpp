#include "layers/registry.h"

#include "layers/layer_list.h"

namespace daybreak {

std::span<const LayerType> layer_types() {
  static const std::vector<LayerType> kTypes = {
      conv_layer(),
      conv_transpose_layer(),
      linear_layer(),
      batch_norm_layer(),
      instance_norm_layer(),
      act_layer(),
      relu_layer(),
      leaky_layer(),
      sigmoid_layer(),
      tanh_layer(),
      softmax_layer(),
      dropout_layer(),
      maxpool_layer(),
      avgpool_layer(),
      adaptive_avgpool_layer(),
      global_avgpool_layer(),
      upsample_layer(),
      crop_layer(),
      pad_layer(),
      add_layer(),
      multiply_layer(),
      scale_layer(),
      concat_layer(),
      slice_layer(),
      reorg_layer(),
      flatten_layer(),
      reshape_layer(),
      res_layer_layer(),
      res_group_layer(),
      residual_layer(),
      yolo_layer(),
      region_layer(),
      ssd_layer(),
      softmax_loss_layer(),
      hinge_loss_layer(),
      mse_loss_layer(),
      l1_loss_layer(),
      smooth_l1_loss_layer(),
      bce_loss_layer(),
  };
  return kTypes;
}

const LayerType* find_layer_type(std::string_view name) {
  for (const LayerType& type : layer_types()) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::vector<std::string> layer_type_names() {
  std::vector<std::string> names;
  for (const LayerType& type : layer_types()) names.push_back(type.name);
  return names;
}

std::vector<LayerSchemaEntry> layer_schema_entries() {
  std::vector<LayerSchemaEntry> entries;
  for (const LayerType& type : layer_types()) {
    entries.push_back({type.name, type.doc, type.schema});
  }
  return entries;
}

const Schema<NoOptions>& no_options() {
  static const Schema<NoOptions> kSchema;
  return kSchema;
}

}  // namespace daybreak
