#pragma once

#include <string>
#include <string_view>

#include "report/plot.h"

namespace daybreak {

enum class SvgUse : unsigned char {
  file,    ///< a file of its own: with name space, style and ground
  inlined  ///< inside a page that carries plot_css()
};

/// The plot as SVG with light and dark colours. Where the pointer is, a line and the values there
/// appear (style sheet only, no script); the same text is each place's title.
std::string svg_plot(const Plot& plot, SvgUse use);

/// The style sheet of inlined plots.
std::string plot_css();

/// Text as XML character data or attribute value: escaped, valid UTF-8, no control characters.
std::string xml_escape(std::string_view text);

/// Writes the plot as an .svg file atomically.
void write_svg_plot(const std::string& path, const Plot& plot);

}  // namespace daybreak
