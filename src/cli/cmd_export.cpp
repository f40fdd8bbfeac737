#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <span>

#include "cli/command.h"
#include "io/sha256.h"
#include "train/averages.h"
#include "train/weights.h"

namespace daybreak {
namespace {

struct ExportOptions {
  std::string format;
  std::string run;
  std::string weights;
  std::string out;
  bool ema = false;
};

// One SHA-256 over all tensors of the newest checkpoint, optimizer included: equal digests mean
// bit-equal trainings.
int run_digest(const ExportOptions& options) {
  Sha256 hash;
  std::vector<NamedTensor> tensors =
      read_tensors(options.weights.empty() ? options.run + "/last.safetensors" : options.weights);
  std::sort(tensors.begin(), tensors.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  for (const NamedTensor& tensor : tensors) {
    hash.update(tensor.name);
    hash.update(std::as_bytes(std::span(tensor.values)));
  }
  fmt::print("{}\n", to_hex(hash.finish()));
  return 0;
}

// Weights alone, without the optimizer's arrays: what other programs read.
int run_export(const ExportOptions& options) {
  if (options.format == "digest") return run_digest(options);
  if (options.out.empty()) throw ConfigError("export safetensors needs --out FILE");
  std::string source = options.weights;
  if (source.empty()) source = options.run + "/best.safetensors";
  std::vector<NamedTensor> weights, tensors = read_tensors(source);
  if (options.ema) {
    weights = ema_weights(tensors);
    if (weights.empty()) throw DataError(source, "has no averaged weights: train with \"ema\"");
  } else {
    for (NamedTensor& tensor : tensors) {
      if (tensor.name.rfind("optimizer.", 0) != 0) weights.push_back(std::move(tensor));
    }
  }
  save_tensors(options.out, weights, {{"format", "daybreak-weights 1"}});
  fmt::print("{}: {} tensors\n", options.out, weights.size());
  return 0;
}

}  // namespace

Command add_export(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* verb = add_verb(app, common, "export", "a run's weights for other programs");
  verb->add_option("format", options->format, "safetensors, or digest (prints it)")
      ->required()
      ->check(CLI::IsMember({"safetensors", "digest"}));
  verb->add_option("run", options->run, "a run folder")->required();
  verb->add_option("--weights", options->weights, "checkpoint (default: the run's best)");
  verb->add_option("--out", options->out, "file to write");
  verb->add_flag("--ema", options->ema, "the running mean of the weights (solver key ema)");
  return {verb, [options] { return run_export(*options); }};
}

}  // namespace daybreak
