#include "config/diagnostics.h"

#include <algorithm>
#include <utility>

namespace daybreak {

void Diagnostics::add(Mark mark, std::string text, std::vector<std::string> notes,
                      std::string group) {
  if (group.empty()) group = text;
  if (!seen_.emplace(mark.file, mark.line, mark.column, std::move(group)).second) return;
  items_.push_back({std::move(mark), std::move(text), std::move(notes)});
}

void Diagnostics::add(const ConfigError& error) {
  for (const Diagnostic& item : error.diagnostics()) add(item.mark, item.text, item.notes);
}

std::vector<Diagnostic> Diagnostics::sorted() const {
  std::vector<Diagnostic> result = items_;
  std::stable_sort(result.begin(), result.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.mark.file, a.mark.line, a.mark.column) <
           std::tie(b.mark.file, b.mark.line, b.mark.column);
  });
  return result;
}

void Diagnostics::throw_if_any() const {
  if (!items_.empty()) throw ConfigError(sorted());
}

}  // namespace daybreak
