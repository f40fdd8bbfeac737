#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace daybreak {

enum class Align : unsigned char { left, right };

/// A column of a text table. Cells wider than `max_width` are cut and end in "~" (0: no limit).
struct TableColumn {
  std::string title;
  Align align = Align::left;
  std::size_t max_width = 0;
};

/// Text in aligned columns, two spaces apart, for terminals and log files.
class Table {
 public:
  explicit Table(std::vector<TableColumn> columns);

  /// Adds a row; missing cells are empty. More cells than columns are our own mistake (assertion).
  void add_row(std::vector<std::string> cells);
  /// Adds a line of dashes.
  void add_rule();
  std::size_t rows() const { return rows_.size(); }

  /// Title line (left out when all titles are empty), rows and rules; every line ends in a line
  /// feed, none in a space.
  std::string to_string() const;

 private:
  std::vector<std::size_t> widths() const;

  std::vector<TableColumn> columns_;
  std::vector<std::vector<std::string>> rows_;  // an empty row is a rule
};

}  // namespace daybreak
