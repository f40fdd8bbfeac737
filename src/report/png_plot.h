#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image.h"
#include "report/classification_metrics.h"
#include "report/plot.h"

namespace daybreak {

/// Plots as one RGB picture on a light ground, `columns` side by side, twice their size in pixels.
Image plot_picture(const std::vector<Plot>& plots, int columns);

/// The confusion matrix as a heat map of shares of each row, with counts where they fit. A result
/// without a matrix gives an empty picture (w = 0).
Image confusion_picture(const ClassificationResult& result,
                        const std::vector<std::string>& class_names);

/// Pictures side by side in `columns`, each with a text below, `scale` times enlarged; with scale 0
/// small ones are enlarged and large ones reduced to be looked at with ease. Pictures may differ in
/// size; missing captions are empty. Lines of a caption are split by '\n'.
Image picture_grid(const std::vector<Image>& pictures, const std::vector<std::string>& captions,
                   int columns, int scale);

/// Encodes and writes a picture atomically.
void write_png(const std::string& path, const Image& image);

}  // namespace daybreak
