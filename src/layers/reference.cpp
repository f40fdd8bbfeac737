#include "layers/reference.h"

#include <fmt/format.h>

#include "config/json_schema.h"
#include "layers/options.h"
#include "layers/registry.h"

namespace daybreak {
namespace {

std::string inputs_text(const LayerType& type) {
  if (type.max_inputs == 1) return "";
  if (type.min_inputs == type.max_inputs) {
    return fmt::format(" Needs `from` with {} layers.", type.min_inputs);
  }
  return fmt::format(" Needs `from` with {} to {} layers.", type.min_inputs, type.max_inputs);
}

std::string words(const std::string& title, const TypeInfo& type) {
  std::string text = fmt::format("\n## {}\n\n| value | |\n|---|---|\n", title);
  for (const NameDoc& name : type.names)
    text += fmt::format("| `{}` | {} |\n", name.name, name.doc);
  return text;
}

}  // namespace

std::string layers_markdown() {
  std::string text =
      "# Layers\n\n"
      "What may stand under `layers:` of a network file. Every layer also takes `name` and `from` "
      "(the name of the layer it reads, or a list of names; the one before by default; `input` is "
      "the picture). `repeat: {count: 3, name: block, layers: [...]}` writes a list several times; "
      "its layers are called `block.1.NAME` and so on.\n";
  for (const LayerType& type : layer_types()) {
    const std::string table = markdown_reference(*type.schema, type.name);
    // The table starts with its title; what the layer does comes right below it.
    const std::size_t line = table.find('\n');
    std::string doc = type.doc + "." + inputs_text(type);
    if (type.conv_defaults) doc += " Takes `norm`, `act` and `init` from the defaults of `conv`.";
    if (type.loss) doc += " Ends the network.";
    text += fmt::format("\n{}\n{}\n{}", table.substr(0, line + 1), doc, table.substr(line + 1));
  }
  text += words("Values of `act`", config_union(Type<Activation>{}).type());
  text += words("Values of `norm`", config_union(Type<NormOptions>{}).type());
  text += words("Values of `init`", config_union(Type<Init>{}).type());
  return text;
}

}  // namespace daybreak
