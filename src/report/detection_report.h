#pragma once

#include <string>
#include <vector>

#include "detect/average_precision.h"
#include "report/plot.h"
#include "report/table.h"

namespace daybreak {

/// Precision over recall at IoU 0.5: the mean over the classes, and the classes with the most
/// truths as far as the palette goes.
Plot precision_recall_plot(const DetectionMetrics& metrics, const std::vector<std::string>& names);

/// Class, truths, detections, AP at IoU 0.5 and over 0.50:0.95, and a line of means below.
Table detection_table(const DetectionMetrics& metrics, const std::vector<std::string>& names);

/// The same as parts of report.html: the figures in a line, the curve, the table of classes. `of`
/// says what was evaluated.
std::string html_detection(const DetectionMetrics& metrics, const std::vector<std::string>& names,
                           const std::string& of);

}  // namespace daybreak
