#pragma once

#include <string>

#include "report/html_report.h"

// Pieces of report.html; nothing but html_*.cpp includes this.

namespace daybreak::detail {

std::string report_css();

std::string html_header(const ReportData& data);
std::string html_warnings(const ReportData& data);
std::string html_curves(const ReportData& data);
std::string html_epochs(const ReportData& data);
std::string html_confusion(const ReportData& data);
std::string html_classes(const ReportData& data);
std::string html_mistakes(const ReportData& data);
std::string html_samples(const ReportData& data);
std::string html_found(const ReportData& data);
std::string html_texts(const ReportData& data);
std::string html_machine(const ReportData& data);

/// A titled part of the page with an anchor; empty when `body` is.
std::string section(const std::string& id, const std::string& title, const std::string& note,
                    const std::string& body);

}  // namespace daybreak::detail
