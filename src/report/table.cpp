#include "report/table.h"

#include <algorithm>

#include "core/error.h"
#include "report/text.h"

namespace daybreak {
namespace {

constexpr std::size_t kGap = 2;

std::string line_of(const std::vector<std::string>& cells, const std::vector<TableColumn>& columns,
                    const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t pad = widths[i] - std::min(widths[i], display_width(cells[i]));
    if (i > 0) line.append(kGap, ' ');
    if (columns[i].align == Align::right) line.append(pad, ' ');
    line += cells[i];
    if (columns[i].align == Align::left) line.append(pad, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

}  // namespace

Table::Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {
  DAYBREAK_ASSERT(!columns_.empty());
}

void Table::add_row(std::vector<std::string> cells) {
  DAYBREAK_ASSERT(cells.size() <= columns_.size());
  cells.resize(columns_.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    cells[i] = clean_text(cells[i]);
    if (columns_[i].max_width > 0) cells[i] = fit_columns(cells[i], columns_[i].max_width);
  }
  rows_.push_back(std::move(cells));
}

void Table::add_rule() {
  rows_.emplace_back();
}

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths;
  for (const TableColumn& column : columns_) widths.push_back(display_width(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  return widths;
}

std::string Table::to_string() const {
  const std::vector<std::size_t> width = widths();
  std::size_t total = kGap * (width.size() - 1);
  for (const std::size_t w : width) total += w;

  std::string text;
  std::vector<std::string> titles;
  for (const TableColumn& column : columns_) titles.push_back(column.title);
  const bool titled = std::any_of(titles.begin(), titles.end(),
                                  [](const std::string& title) { return !title.empty(); });
  if (titled) text += line_of(titles, columns_, width);
  for (const auto& row : rows_) {
    text += row.empty() ? std::string(total, '-') + '\n' : line_of(row, columns_, width);
  }
  return text;
}

}  // namespace daybreak
