#include <fmt/format.h>

#include <set>
#include <string>
#include <utility>

#include "config/json_schema.h"
#include "config/solver_schema.h"

namespace daybreak {
namespace {

/// Tables of maps, each shown once.
class Reference {
 public:
  void table(const std::vector<FieldInfo>& fields, const std::string& short_key,
             const std::string& title, int level) {
    text_ += fmt::format("\n{} {}\n\n", std::string(static_cast<std::size_t>(level), '#'), title);
    if (!short_key.empty()) text_ += fmt::format("A value without a map is `{}`.\n\n", short_key);
    if (fields.empty()) text_ += "No keys.\n";
    if (!fields.empty()) text_ += "| key | value | default | |\n|---|---|---|---|\n";
    for (const FieldInfo& info : fields) {
      std::string start = info.default_text.empty() ? "" : fmt::format("`{}`", info.default_text);
      if (info.required) start = "required";
      text_ += fmt::format("| `{}` | {} | {} | {} |\n", info.key, cell(info.type.to_string()),
                           cell(start), cell(info.doc));
    }
    for (const FieldInfo& info : fields)
      nested(info.type, info.key, title + "." + info.key, level + 1);
  }

  std::string take() { return text_.substr(1); }

 private:
  static std::string cell(const std::string& text) {
    std::string result;
    for (const char c : text) {
      if (c == '|') result += '\\';
      result += c;
    }
    return result;
  }

  void nested(const TypeInfo& type, const std::string& key, const std::string& title, int level) {
    if (type.kind == TypeInfo::Kind::map && type.schema && !type.schema->keys().empty()) {
      if (shown_.emplace(type.schema, key).second)
        table(type.fields(), type.schema->short_key(), title, level);
    }
    for (std::size_t i = 0; i < type.parts.size(); ++i) {
      const bool tagged = type.kind == TypeInfo::Kind::tagged;
      const std::string& name = tagged ? type.names[i].name : key;
      nested(type.parts[i], name, tagged ? fmt::format("{}.{}", title, name) : title, level);
    }
  }

  std::string text_;
  std::set<std::pair<const SchemaBase*, std::string>> shown_;
};

}  // namespace

std::string markdown_reference(const SchemaBase& schema, const std::string& title) {
  Reference reference;
  reference.table(schema.fields(), schema.short_key(), title, 2);
  return reference.take();
}

std::string solver_markdown() {
  return markdown_reference(solver_schema(), "solver");
}

}  // namespace daybreak
