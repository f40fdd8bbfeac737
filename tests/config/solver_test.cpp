#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "config/builtin.h"
#include "config/solver_config.h"
#include "config/spec_names.h"
#include "config/yaml_writer.h"

namespace daybreak {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kRest =
    "net: {input: {}, layers: [{conv: {filters: 8}}, flatten, {linear: 10}]}\n"
    "data: {sources: [synthetic]}\n";

SolverConfig load(const std::string& text, const std::vector<std::string>& sets = {}) {
  return load_solver_text(text + "\n" + kRest, "f.yaml", sets);
}

SolverSpec spec_of(const std::string& text, const std::vector<std::string>& sets = {}) {
  return load(text, sets).spec;
}

std::string error_of(const std::string& text, const std::vector<std::string>& sets = {}) {
  try {
    load(text, sets);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

/// A folder of files that is gone afterwards.
class Folder {
 public:
  Folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "daybreak-config-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return file.string();
  }
  std::string path(const std::string& name = "") const {
    return name.empty() ? path_ : path_ + "/" + name;
  }

 private:
  std::string path_;
};

// ---- the other keys
// -------------------------------------------------------------------------------

TEST(Solver, DefaultsAreThoseOfTheSpec) {
  const SolverSpec spec = spec_of("lr: 0.1\nlength: 1e");
  EXPECT_EQ(spec.name, "f");
  EXPECT_EQ(spec.batch, 128);
  EXPECT_EQ(spec.seed, 1u);
  EXPECT_EQ(spec.device, "auto");
  EXPECT_EQ(spec.optimizer, OptimizerSpec{});
  EXPECT_EQ(spec.data.workers, -1);
  EXPECT_EQ(spec.data.name, "f");
  EXPECT_THAT(spec.augment, IsEmpty());
}

TEST(Solver, OptimizersHaveTheirOwnDefaults) {
  const auto optimizer = [](const std::string& text) {
    return spec_of("lr: 0.1\nlength: 1e\noptimizer: " + text).optimizer;
  };
  EXPECT_EQ(optimizer("sgd").type, OptimizerType::sgd);
  EXPECT_EQ(optimizer("adagrad").eps, 1e-10);
  EXPECT_EQ(optimizer("adadelta").eps, 1e-6);
  EXPECT_EQ(optimizer("adam").decay, WeightDecayForm::l2);
  EXPECT_EQ(optimizer("adamw").decay, WeightDecayForm::decoupled);
  const OptimizerSpec sgd =
      optimizer("{sgd: {weight_decay: 1e-4, decay_on: all, nesterov: true, form: lr_in_slot}}");
  EXPECT_EQ(sgd.weight_decay, 1e-4);
  EXPECT_EQ(sgd.decay_on, DecayOn::all);
  EXPECT_TRUE(sgd.nesterov);
  EXPECT_TRUE(sgd.lr_in_slot);
}

TEST(Solver, Transforms) {
  const SolverSpec spec = spec_of(
      "lr: 0.1\nlength: 1e\n"
      "augment: [{pad_crop: {pad: 2, mode: reflect, compat: f0}}, flip, {flip: {p: 1, vertical: "
      "true}}, {rotate: 15},\n"
      "          {cutout: 6}, {random_resized_crop: {area: [0.5, 1]}}, {color_jitter: {hue: 0.1}}, "
      "resize, {center_crop: 24}]");
  ASSERT_EQ(spec.augment.size(), 9u);
  const PadCrop crop = std::get<PadCrop>(spec.augment[0]);
  EXPECT_EQ(crop.pad, 2);
  EXPECT_EQ(crop.mode, BorderMode::reflect);
  EXPECT_TRUE(crop.compat_f0);
  EXPECT_EQ(std::get<Flip>(spec.augment[1]).p, 0.5);
  EXPECT_TRUE(std::get<Flip>(spec.augment[2]).vertical);
  EXPECT_EQ(std::get<Rotate>(spec.augment[3]).degrees, 15);
  EXPECT_EQ(std::get<Cutout>(spec.augment[4]).size, 6);
  EXPECT_EQ(std::get<RandomResizedCrop>(spec.augment[5]).area[0], 0.5);
  EXPECT_EQ(std::get<ColorJitter>(spec.augment[6]).hue, 0.1);
  EXPECT_EQ(std::get<CenterCrop>(spec.augment[8]).size, 24);
}

TEST(Solver, OverridesReachEverything) {
  const SolverConfig config =
      load("one_cycle: {length: 30e, lr: 1}\noptimizer: sgd\naugment: [{flip: 0.5}]",
           {"batch=64", "optimizer.sgd.nesterov=true", "one_cycle.lr=0.5", "augment[0].flip=1",
            "net.layers[0].conv.filters=4", "data.workers=0", "data.classes=[yes, no]",
            "net.input.height=16", "device=cuda:1", "name=\"7\""});
  EXPECT_EQ(config.spec.batch, 64);
  EXPECT_TRUE(config.spec.optimizer.nesterov);
  EXPECT_EQ(config.spec.phases[0].lr->end, 0.5);
  EXPECT_EQ(std::get<Flip>(config.spec.augment[0]).p, 1.0);
  EXPECT_EQ(config.net.layers[0].options.find("filters")->text, "4");
  EXPECT_EQ(config.spec.data.workers, 0);
  EXPECT_THAT(config.spec.data.classes, ElementsAre("yes", "no"));
  EXPECT_EQ(config.net.input.height, 16);
  EXPECT_EQ(config.spec.device, "cuda:1");
  EXPECT_EQ(config.spec.name, "7");
}

TEST(Solver, OverridesReplaceASchedule) {
  const SolverSpec spec =
      spec_of("one_cycle: {length: 30e, lr: 1}", {"phases=[{until: 1e, lr: 0.1}]"});
  EXPECT_EQ(spec.phases.size(), 1u);
  EXPECT_THAT(error_of("one_cycle: {length: 30e, lr: 1}", {"lr=0.1"}),
              HasSubstr("\"lr\" and \"one_cycle\""));
}

TEST(Solver, AllErrorsOfAllFilesAtOnce) {
  Folder folder;
  folder.write("net.yaml", "input: {chanels: 3}\nlayers: [conv: {name: a}, conv: {name: a}]\n");
  folder.write("data.yaml", "sources: [synthetic]\nworkrs: 3\n");
  const std::string path =
      folder.write("s.yaml", "net: net.yaml\ndata: data.yaml\nbatch: many\nlr: 0.1\nlength: 1e\n");
  try {
    load_solver(path, {"seed=x"});
    FAIL();
  } catch (const ConfigError& error) {
    ASSERT_EQ(error.diagnostics().size(), 5u) << error.what();
    EXPECT_EQ(error.diagnostics()[0].mark.file, "--set seed");
    EXPECT_EQ(error.diagnostics()[1].mark.to_string(), folder.path("data.yaml:2:1"));
    EXPECT_EQ(error.diagnostics()[2].mark.to_string(), folder.path("net.yaml:1:9"));
    EXPECT_EQ(error.diagnostics()[3].mark.to_string(), folder.path("net.yaml:2:40"));
    EXPECT_EQ(error.diagnostics()[4].mark.to_string(), folder.path("s.yaml:3:8"));
  }
}

TEST(Solver, AtMostTwentyErrorsAreShown) {
  std::string text = "lr: 0.1\nlength: 1e\n";
  for (int i = 0; i < 30; ++i) text += "key" + std::to_string(i) + ": 1\n";
  EXPECT_THAT(error_of(text), HasSubstr("... and 10 more errors"));
}

TEST(Solver, NotesTellHowOthersReadIt) {
  EXPECT_THAT(error_of("lr: 0.1\nlength: 1e\nbatch: 010"),
              HasSubstr("numbers with a leading zero are not accepted (other tools read this as "
                        "8); write 10 or 8"));
  EXPECT_THAT(error_of("lr: 0.1\nlength: 1e\nbatch: 0x10"),
              HasSubstr("numbers are decimal; write 16"));
  EXPECT_THAT(error_of("lr: 0.1\nlength: 1e\nbatch: 1_000"), HasSubstr("write 1000 without \"_\""));
  EXPECT_THAT(error_of("lr: 0.1\nlength: 1e\nbatch: 1e3"), HasSubstr("write 1000"));
  EXPECT_THAT(error_of("lr: 0.1\nlength: 1e\nclip_norm: 1,5"),
              HasSubstr("the decimal sign is a point"));
  EXPECT_THAT(error_of("lr: 0.1\nlength: 1e\nbatch: \"32\""), HasSubstr("remove the quotes"));
  EXPECT_THAT(error_of("lr: 0.1\nlength: 10"), HasSubstr("write 10e for epochs, 10s for steps"));
}

// ---- files
// ----------------------------------------------------------------------------------------

TEST(SolverFiles, BaseFilesAreMerged) {
  Folder folder;
  folder.write(
      "base/a.yaml",
      "net: {input: {height: 8}, layers: [flatten]}\ndata: {sources: [idx: d]}\nbatch: 32\nseed: "
      "5\n"
      "one_cycle: {length: 30e, lr: 1}\noptimizer: {sgd: {weight_decay: 1e-4, nesterov: true}}\n"
      "checkpoint: {keep: 7}\naugment: [flip]\n");
  const std::string path =
      folder.write("b.yaml",
                   "_base_: base/a.yaml\nbatch: 64\none_cycle: {lr: 2}\ncheckpoint: {every: "
                   "2e}\noptimizer: {sgd: {nesterov: false}}\n"
                   "augment: [{cutout: 4}, flip]\n");
  const SolverSpec spec = load_solver(path).spec;
  EXPECT_EQ(spec.batch, 64);
  EXPECT_EQ(spec.seed, 5u);
  EXPECT_EQ(spec.phases[0].lr->end, 2.0);
  EXPECT_EQ(spec.phases.back().until.amount, 30);
  EXPECT_EQ(spec.checkpoint.keep, 7);
  EXPECT_EQ(spec.checkpoint.every.amount, 2);
  EXPECT_EQ(spec.optimizer.weight_decay, 1e-4);
  EXPECT_FALSE(spec.optimizer.nesterov);
  EXPECT_EQ(spec.augment.size(), 2u);
  EXPECT_EQ(spec.data.sources[0].dir, folder.path("base/d"))
      << "relative to the file that names it";
  EXPECT_EQ(spec.name, "b");
}

TEST(SolverFiles, AnotherChoiceReplacesTheOneOfTheBase) {
  Folder folder;
  folder.write("a.yaml",
               std::string(kRest) +
                   "optimizer: {sgd: {nesterov: true}}\nlr: 0.1\nlength: 1e\nmomentum: 0.8\n");
  const std::string path = folder.write(
      "b.yaml", "_base_: a.yaml\noptimizer: {adam: {eps: 1e-6}}\none_cycle: {length: 3e, lr: 1}\n");
  const SolverSpec spec = load_solver(path).spec;
  EXPECT_EQ(spec.optimizer.type, OptimizerType::adam);
  EXPECT_EQ(spec.phases.size(), 3u);
}

TEST(SolverFiles, ErrorsPointAtTheFileThatIsWrong) {
  Folder folder;
  folder.write("a.yaml", std::string(kRest) + "lr: 0.1\nlength: 1e\nbatch: many\n");
  const std::string path = folder.write("b.yaml", "_base_: a.yaml\nseed: x\n");
  try {
    load_solver(path);
    FAIL();
  } catch (const ConfigError& error) {
    ASSERT_EQ(error.diagnostics().size(), 2u);
    EXPECT_EQ(error.diagnostics()[0].mark.to_string(), folder.path("a.yaml:5:8"));
    EXPECT_EQ(error.diagnostics()[1].mark.to_string(), folder.path("b.yaml:2:7"));
  }
}

TEST(SolverFiles, BaseCyclesAndLongChainsAreErrors) {
  Folder folder;
  folder.write("a.yaml", "_base_: b.yaml\n");
  const std::string path = folder.write("b.yaml", "_base_: a.yaml\n");
  try {
    load_solver(path);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("form a cycle: " + path + " -> " + folder.path("a.yaml") +
                                        " -> " + path));
  }
  folder.write("c0.yaml", std::string(kRest) + "lr: 0.1\nlength: 1e\n");
  for (int i = 1; i <= 9; ++i) {
    folder.write("c" + std::to_string(i) + ".yaml",
                 "_base_: c" + std::to_string(i - 1) + ".yaml\n");
  }
  EXPECT_EQ(load_solver(folder.path("c8.yaml")).spec.batch, 128);
  EXPECT_THROW(load_solver(folder.path("c9.yaml")), ConfigError);
}

TEST(SolverFiles, DescriptorsAreMergedUnderTheSolversKeys) {
  Folder folder;
  folder.write(
      "data/set.yaml",
      "sources: [idx: {dir: here}, folder: /abs]\nworkers: 3\nclasses: [a, b]\ninstall: apt\n");
  const std::string path = folder.write("cfg/s.yaml",
                                        "net: {input: {}, layers: [flatten]}\ndata: {descriptor: "
                                        "../data/set.yaml, workers: 1}\nlr: 0.1\nlength: 1e\n");
  const DataSpec data = load_solver(path).spec.data;
  EXPECT_EQ(data.name, "set");
  EXPECT_EQ(data.workers, 1);
  EXPECT_EQ(data.install, "apt");
  ASSERT_EQ(data.sources.size(), 2u);
  EXPECT_EQ(data.sources[0].dir, folder.path("data/here"));
  EXPECT_EQ(data.sources[0].mark.to_string(), folder.path("data/set.yaml:1:11"));
  EXPECT_EQ(data.sources[1].dir, "/abs");
  EXPECT_EQ(load_solver(path, {"data.sources[0].idx.dir=/x"}).spec.data.sources[0].dir, "/x");
}

TEST(SolverFiles, VariablesInDirectories) {
  setenv("DAYBREAK_CONFIG_TEST", "/somewhere", 1);
  unsetenv("DAYBREAK_CONFIG_UNSET");
  const SolverSpec spec =
      load_solver_text(
          "net: {input: {}, layers: [flatten]}\nlr: 0.1\nlength: 1e\n"
          "data: {sources: [idx: {dir: \"${DAYBREAK_CONFIG_TEST}/a\"}, idx: {dir: "
          "\"${DAYBREAK_CONFIG_UNSET}/b\"}]}\n",
          "f.yaml")
          .spec;
  EXPECT_EQ(spec.data.sources[0].dir, "/somewhere/a");
  EXPECT_EQ(spec.data.sources[1].dir, "${DAYBREAK_CONFIG_UNSET}/b");
  unsetenv("DAYBREAK_CONFIG_TEST");
}

TEST(SolverFiles, SchemaKeysOfEditorsAreIgnored) {
  EXPECT_EQ(spec_of("$schema: https://example.org/x.json\nlr: 0.1\nlength: 1e").batch, 128);
}

TEST(SolverFiles, NetworksAndSolversAreToldApart) {
  Folder folder;
  EXPECT_TRUE(is_network_file(folder.write("n.yaml", "input: {}\nlayers: [flatten]\n")));
  EXPECT_FALSE(is_network_file(folder.write("s.yaml", "net: n.yaml\n")));
  EXPECT_EQ(load_network(folder.path("n.yaml"), {"input.width=7"}).input.width, 7);
  EXPECT_EQ(load_network(folder.path("n.yaml")).name, "n");
}

// ---- printing
// -------------------------------------------------------------------------------------

void expect_round_trip(const SolverConfig& config) {
  const std::string text = print_config(config);
  const SolverConfig again = load_solver_text(text, "/elsewhere/config.yaml");
  EXPECT_EQ(print_config(again), text);
  EXPECT_EQ(again.net.layers.size(), config.net.layers.size());
  EXPECT_EQ(again.spec.optimizer, config.spec.optimizer);
  EXPECT_EQ(again.spec.freeze, config.spec.freeze);
  EXPECT_EQ(again.spec.phases.size(), config.spec.phases.size());
  EXPECT_EQ(again.spec.name, config.spec.name);
  for (std::size_t i = 0; i < config.net.layers.size(); ++i) {
    EXPECT_EQ(again.net.layers[i].name, config.net.layers[i].name);
    EXPECT_TRUE(same_content(again.net.layers[i].options, config.net.layers[i].options));
  }
}

TEST(PrintConfig, ReadsBackAsTheSame) {
  const char* kTexts[] = {
      "one_cycle: {length: 30e, lr: 1.3}\nfreeze: [stem, \"g1.*\"]",
      "one_cycle: {length: 333s, lr: 1.3, shape: cosine, momentum: 0.9}",
      "sgdr: {cycles: 4, length: 0.7e, mult: 1.3, lr: 0.01}",
      "lr: 0.1\nlength: 10e\noptimizer: {rmsprop: {centered: true}}\nname: \"1e3\"",
      "policy: {steps: {length: 500200s, lr: 0.001, at: [400000, 450000], burn_in: 1000}}",
      "policy: {sigmoid: {length: 10e, lr: 0.001, center: 0, gamma: -0.5}}",
      "policy: {inv: {length: 10e, lr: 0.01, gamma: 1e-4, power: 0.75}}\nseed: "
      "18446744073709551615",
      "phases:\n  - {until: 2e, lr: [0.01, 0.1], image: 128, batch: 512, freeze: "
      "[\"backbone.*\"]}\n"
      "  - {length: 1.5e, lr: 0.1, curve: poly, power: 0.9, momentum: [0.9, 0.8], momentum_curve: "
      "cosine}\n"
      "  - {until: 14e, lr: 1e-4, curve: const, optimizer: {adam: {decay: decoupled}}, augment: "
      "[{flip: 0.5}]}\n"
      "  - {until: 15e, augment: [], freeze: [], power: 2}\n"
      "augment: [pad_crop, flip, random_resized_crop, color_jitter, rotate, cutout, resize, "
      "center_crop]",
      "lr: 0.1\nlength: 1e\nmulti_scale: [320, 352]\naugment: [{mosaic: {p: 0.5, scale: [0.4, "
      "1]}}, "
      "{jitter: 0.3}, {zoom: {scale: [1, 2], shift: 0}}, {hsv: {hue: 0.05}}]",
      "lr: 0.1\nlength: 1e\ndevice: cuda:0\ninit: w.safetensors\nprecision: bf16\nlast_batch: "
      "keep\nevaluate: 3s",
  };
  for (const char* text : kTexts) {
    SCOPED_TRACE(text);
    expect_round_trip(load(text));
  }
}

TEST(Solver, DetectionSources) {
  const SolverConfig config = load_solver_text(
      "net: {input: {channels: 1, height: 8, width: 8}, layers: [softmax_loss]}\n"
      "lr: 0.1\nlength: 1e\n"
      "data: {sources: [{yolo: {dir: /a, file: my.yaml, polygons: box}}, {voc: /b}, {coco: {dir: "
      "/c, "
      "val_images: pictures}}], on_bad_label: skip, min_visible: 0.5}\n",
      "f.yaml");
  const DataSpec& data = config.spec.data;
  ASSERT_EQ(data.sources.size(), 3u);
  EXPECT_EQ(data.sources[0].format, DataFormat::yolo);
  EXPECT_EQ(data.sources[0].file, "my.yaml");
  EXPECT_TRUE(data.sources[0].polygons);
  EXPECT_EQ(data.sources[1].format, DataFormat::voc);
  EXPECT_EQ(data.sources[1].train, "train");
  EXPECT_EQ(data.sources[2].train, "annotations/instances_train2017.json");
  EXPECT_EQ(data.sources[2].val_images, "pictures");
  EXPECT_EQ(data.on_bad_label, OnError::skip);
  EXPECT_EQ(data.min_visible, 0.5);
  expect_round_trip(config);
}

TEST(DataFile, IsReadAlone) {
  const Folder folder;
  const std::string path = folder.write("set.yaml", "sources: [{voc: pictures}]\n");
  EXPECT_TRUE(is_data_file(path));
  const DataSpec data = load_data(path, {"train_limit=7"});
  EXPECT_EQ(data.name, "set");
  EXPECT_EQ(data.train_limit, 7);
  EXPECT_EQ(data.sources[0].dir, folder.path("pictures"));
  const std::string bad = folder.write("bad.yaml", "sources: [{voc: pictures}]\nworkrs: 2\n");
  EXPECT_THROW(load_data(bad), ConfigError);
}

TEST(PrintConfig, ShowsEveryKey) {
  const std::string text = print_config(load("one_cycle: {length: 30e, lr: 1.3}"));
  for (const char* key :
       {"name: f", "recipe: supervised", "batch: 128", "accumulate: 1", "decay_on: weights",
        "workers: auto",
        "  - {until: 12e, lr: [0.065, 1.3], momentum: [0.95, 0.85], curve: linear}", "init: \"\"",
        "mean: measure", "on_error: error"}) {
    EXPECT_THAT(text, HasSubstr(key));
  }
}

TEST(PrintConfig, ShippedFilesReadBackAsTheSame) {
  int solvers = 0;
  for (const BuiltinFile& file : builtin_files()) {
    if (!file.path.starts_with("cfg/solver/")) continue;
    SCOPED_TRACE(std::string(file.path));
    const SolverConfig config = load_solver("builtin:" + std::string(file.path));
    expect_round_trip(config);
    const SolverConfig on_disk =
        load_solver(std::string(DAYBREAK_SOURCE_DIR) + "/" + std::string(file.path));
    EXPECT_EQ(on_disk.net.name, config.net.name);
    EXPECT_EQ(on_disk.spec.phases.size(), config.spec.phases.size());
    ++solvers;
  }
  EXPECT_GE(solvers, 5);
}

}  // namespace
}  // namespace daybreak
