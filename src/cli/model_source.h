#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "config/network_spec.h"

namespace daybreak {

/// Where `predict` and `detect` find a network: their arguments.
struct ModelSource {
  std::string model;    ///< a run folder or a network file
  std::string weights;  ///< empty: the run's best, or weights.safetensors beside the network
  std::string classes;  ///< file of names; empty: those of the run or the network
};

/// A network with its weights and the names of its classes.
struct Model {
  NetworkSpec net;
  std::string weights;
  std::vector<std::string> classes;
};

/// Adds the argument `model` and the options --weights and --classes.
void add_model_options(CLI::App& verb, ModelSource& source);

/// Throws ConfigError when no weights are to be found, DataError for an unreadable file of names.
Model find_model(const std::string& verb, const ModelSource& source, const CommonOptions& common);

}  // namespace daybreak
