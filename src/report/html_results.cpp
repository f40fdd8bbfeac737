#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "detect/draw.h"
#include "report/canvas.h"
#include "report/html_parts.h"
#include "report/png_plot.h"
#include "report/svg_plot.h"
#include "report/text.h"

namespace daybreak::detail {
namespace {

constexpr int kMostTableClasses = 30;  // above: the matrix is a picture
constexpr int kMostPictureSide = 160;  // larger mistakes are reduced to keep the file small
constexpr std::size_t kMostConfusions = 10;

std::string matrix_cell(const ReportData& data, int label, int predicted) {
  const ClassificationResult& result = *data.metrics;
  const std::int64_t count = result.confused(label, predicted);
  const std::int64_t n = result.per_class[static_cast<std::size_t>(label)].n;
  const double share = n > 0 ? static_cast<double>(count) / static_cast<double>(n) : 0.0;
  const std::string title =
      fmt::format("true {}, predicted {}: {} of {} ({})", class_name(data.class_names, label),
                  class_name(data.class_names, predicted), with_separators(count),
                  with_separators(n), percent_text(share, 1));
  if (count == 0) {
    return fmt::format("<td class=\"zero\" title=\"{}\">0</td>", xml_escape(title));
  }
  // The square root keeps rare confusions visible.
  const double opacity = 0.06 + 0.8 * std::sqrt(std::min(share, 1.0));
  return fmt::format("<td{} style=\"background:rgba(var(--{}),{:.2f})\" title=\"{}\">{}</td>",
                     opacity > 0.6 ? " class=\"strong\"" : "",
                     label == predicted ? "right" : "wrong", opacity, xml_escape(title),
                     with_separators(count));
}

std::string matrix_table(const ReportData& data) {
  const int classes = data.metrics->classes;
  std::string html =
      "<div class=\"scroll\"><table class=\"matrix\"><thead><tr><th class=\"axis\">true "
      "\xE2\x86\x93 "
      "predicted \xE2\x86\x92</th>";
  for (int c = 0; c < classes; ++c) {
    html += "<th><span>" + xml_escape(class_name(data.class_names, c)) + "</span></th>";
  }
  html += "</tr></thead><tbody>\n";
  for (int label = 0; label < classes; ++label) {
    html += "<tr><th>" + xml_escape(class_name(data.class_names, label)) + "</th>";
    for (int predicted = 0; predicted < classes; ++predicted) {
      html += matrix_cell(data, label, predicted);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string confusion_pairs(const ReportData& data) {
  const std::vector<Confusion> pairs = top_confusions(*data.metrics, kMostConfusions);
  if (pairs.empty()) return "";
  std::string html =
      "<div><h3>Mixed up most often</h3>\n<div class=\"scroll\"><table><thead><tr><th "
      "class=\"l\">true"
      "</th><th class=\"l\">taken for</th><th>times</th><th>of its "
      "class</th></tr></thead><tbody>\n";
  for (const Confusion& pair : pairs) {
    const std::int64_t n = data.metrics->per_class[static_cast<std::size_t>(pair.label)].n;
    html += fmt::format(
        "<tr><td class=\"l\">{}</td><td class=\"l\">{}</td><td>{}</td><td>{}</td></tr>\n",
        xml_escape(class_name(data.class_names, pair.label)),
        xml_escape(class_name(data.class_names, pair.predicted)), with_separators(pair.count),
        percent_text(static_cast<double>(pair.count) / static_cast<double>(n), 1));
  }
  return html + "</tbody></table></div></div>\n";
}

std::string bar_cell(double share) {
  return fmt::format("<td><span class=\"bar\"><i style=\"width:{:.1f}%\"></i></span>{}</td>",
                     100.0 * std::clamp(share, 0.0, 1.0), percent_text(share, 1));
}

std::string shot(const ReportData& data, const MistakePicture& mistake) {
  const WrongSample& sample = mistake.sample;
  const Image& picture = mistake.picture;
  if (picture.w <= 0 || picture.h <= 0) return "";
  const int side = std::max(picture.w, picture.h);
  std::string uri;
  if (side > kMostPictureSide) {
    const auto reduced = [&](int length) {
      return std::max(1, static_cast<int>(std::int64_t{length} * kMostPictureSide / side));
    };
    uri = png_data_uri(resize_picture(picture.view(), reduced(picture.w), reduced(picture.h)));
  } else {
    uri = png_data_uri(picture);
  }
  const std::string truth = class_name(data.class_names, sample.label);
  const std::string said = class_name(data.class_names, sample.predicted);
  const std::string name =
      mistake.source.empty() ? fmt::format("no. {}", sample.index) : mistake.source;
  return fmt::format(
      "<figure class=\"shot\" title=\"{}\"><img{} alt=\"{}\" src=\"{}\"/>"
      "<div>is <span class=\"true\">{}</span></div>"
      "<div>said <span class=\"said\">{}</span></div>"
      "<div class=\"no\">{} sure · {}</div></figure>\n",
      xml_escape(fmt::format("{}: loss {}, right class had {}", name, metric_text(sample.loss),
                             percent_text(sample.label_probability))),
      side <= 96 ? " class=\"pixels\"" : "", xml_escape(truth), uri, xml_escape(truth),
      xml_escape(said), percent_text(sample.probability, 0), xml_escape(name));
}

}  // namespace

std::string html_confusion(const ReportData& data) {
  if (!data.metrics || data.metrics->confusion.empty()) return "";
  std::string html;
  if (data.metrics->classes <= kMostTableClasses) {
    html = matrix_table(data);
  } else {
    const Image picture = confusion_picture(*data.metrics, data.class_names);
    html = fmt::format("<img class=\"wide\" alt=\"confusion matrix\" src=\"{}\"/>\n",
                       png_data_uri(picture));
  }
  const std::string of = data.metrics_of.empty() ? "" : " " + data.metrics_of + ".";
  return section(
      "confusion", "Confusion matrix",
      fmt::format("{} pictures.{} A row is what the pictures are, a column what the "
                  "network took them for.",
                  with_separators(data.metrics->n), of),
      "<div class=\"beside\"><div>" + html + "</div>\n" + confusion_pairs(data) + "</div>\n");
}

std::string html_classes(const ReportData& data) {
  if (!data.metrics) return "";
  std::string html =
      "<div class=\"scroll tall\"><table class=\"full\"><thead><tr><th "
      "class=\"l\">class</th><th>pictures</th>"
      "<th>precision</th><th>recall</th><th>F1</th></tr></thead><tbody>\n";
  for (int c = 0; c < data.metrics->classes; ++c) {
    const ClassScore& score = data.metrics->per_class[static_cast<std::size_t>(c)];
    html += fmt::format("<tr><td class=\"l\">{}</td><td>{}</td>{}{}{}</tr>\n",
                        xml_escape(class_name(data.class_names, c)), with_separators(score.n),
                        bar_cell(score.precision), bar_cell(score.recall), bar_cell(score.f1));
  }
  return section("classes", "Classes",
                 "Precision: how many of those taken for a class are of it. Recall: how many of a "
                 "class were found.",
                 html + "</tbody></table></div>\n");
}

std::string html_mistakes(const ReportData& data) {
  std::string html;
  for (const MistakePicture& mistake : data.mistakes) html += shot(data, mistake);
  if (html.empty()) return "";
  return section("mistakes", "Worst mistakes",
                 "The pictures with the largest loss: wrong labels and hard cases show up here.",
                 "<div class=\"shots\">\n" + html + "</div>\n");
}

std::string html_found(const ReportData& data) {
  std::string html, legend;
  for (const FoundPicture& one : data.found) {
    html += fmt::format(
        "<figure class=\"found\"><img alt=\"{0}\" src=\"{1}\"/><div class=\"no\">{0}: {2} "
        "there, {3} found</div></figure>\n",
        xml_escape(one.source), png_data_uri(one.picture), one.truths, one.found);
  }
  if (html.empty()) return "";
  if (data.class_names.size() <= kMostLegendClasses) {
    for (std::size_t c = 0; c < data.class_names.size(); ++c) {
      legend += fmt::format("<span class=\"key\"><i style=\"background:#{:06x}\"></i>{}</span>\n",
                            category_colour(static_cast<int>(c)), xml_escape(data.class_names[c]));
    }
    legend = "<p class=\"note\">" + legend + "</p>\n";
  }
  return section("found", "Pictures",
                 "White: what is there. Colours: what was found with a score of at least 25 %.",
                 legend + "<div class=\"pictures\">\n" + html + "</div>\n");
}

std::string html_samples(const ReportData& data) {
  if (!data.training_samples || data.training_samples->w <= 0) return "";
  return section("samples", "Training samples", "Pictures as the network saw them, augmented.",
                 fmt::format("<div class=\"scroll\"><img class=\"wide\" alt=\"augmented training "
                             "samples\" src=\"{}\"/></div>\n",
                             png_data_uri(*data.training_samples)));
}

}  // namespace daybreak::detail

namespace daybreak {

Image mistakes_picture(const ReportData& data) {
  constexpr int kColumns = 6;
  std::vector<Image> pictures;
  std::vector<std::string> captions;
  for (const MistakePicture& mistake : data.mistakes) {
    if (mistake.picture.w <= 0 || mistake.picture.h <= 0) continue;
    pictures.push_back(mistake.picture);
    captions.push_back(fmt::format("is {}\nsaid {}\n{} sure",
                                   class_name(data.class_names, mistake.sample.label),
                                   class_name(data.class_names, mistake.sample.predicted),
                                   percent_text(mistake.sample.probability, 0)));
  }
  return picture_grid(pictures, captions, kColumns, /*scale=*/0);
}

}  // namespace daybreak
