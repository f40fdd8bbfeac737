#include "report/detection_report.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "demo_report.h"
#include "xml_check.h"

namespace daybreak {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Two classes with truths, of which the second is found half of the time, and one without.
DetectionMetrics demo_detection() {
  AveragePrecision precision(3);
  for (int i = 0; i < 10; ++i) {
    std::vector<FoundBox> found = {{{0, 0, 40, 40}, 0, 0.9}, {{0, 0, 9, 9}, 2, 0.3}};
    if (i % 2 == 0) found.push_back({{100, 0, 40, 40}, 1, 0.8});
    precision.add({{{0, 0, 40, 40}, 0}, {{100, 0, 40, 40}, 1}, {{200, 0, 40, 40}, 1}}, found);
  }
  return precision.coco();
}

const std::vector<std::string> kNames = {"cat & dog", "bird", "fish"};

TEST(DetectionReport, PlotHasTheMeanAndTheClassesWithTruths) {
  const Plot plot = precision_recall_plot(demo_detection(), kNames);
  ASSERT_EQ(plot.series.size(), 3u);
  EXPECT_EQ(plot.series[0].x.size(), 101u);
  EXPECT_THAT(plot.series[0].name, HasSubstr("all classes 0."));
  EXPECT_THAT(plot.series[1].name, HasSubstr("bird 0.25"));  // the most truths
  EXPECT_THAT(plot.series[2].name, HasSubstr("cat & dog 1.000"));
  EXPECT_NEAR(plot.series[1].y[20], 1.0, 1e-9);
  EXPECT_EQ(plot.series[1].y[30], 0.0);  // a quarter is found
  EXPECT_NEAR(plot.series[0].y[30], 0.5, 1e-9);
}

TEST(DetectionReport, TableOfClasses) {
  const std::string text = detection_table(demo_detection(), kNames).to_string();
  EXPECT_THAT(text, HasSubstr("class"));
  EXPECT_THAT(text, HasSubstr("cat & dog     10     10  1.0000  1.0000"));
  EXPECT_THAT(text, HasSubstr("fish           0     10       -       -"));
  EXPECT_THAT(text, HasSubstr("all           30"));
}

TEST(DetectionReport, PartOfThePage) {
  ReportData data = demo_report();
  EXPECT_THAT(html_report(data), Not(HasSubstr("id=\"detection\"")));
  data.metrics.reset();
  data.detection = demo_detection();
  data.class_names = kNames;
  const std::string page = html_report(data);
  EXPECT_EQ(XmlCheck(page).error(), "");
  EXPECT_THAT(page, HasSubstr("<section id=\"detection\">"));
  EXPECT_THAT(page, HasSubstr("cat &amp; dog"));
  EXPECT_THAT(page, HasSubstr("precision and recall at IoU 0.5"));
}

TEST(DetectionReport, EpochsAndHeadShowPrecisionInPlaceOfAccuracy) {
  ReportData data = demo_report();
  data.metrics.reset();
  data.class_names = kNames;
  for (EpochRow& row : data.epochs) {
    row.val_top1 = row.val_top5 = kNoValue;
    if (row.epoch % 2 == 0) row.val_map50 = 0.4 + 0.05 * row.epoch, row.val_map = 0.2;
  }
  FoundPicture one;
  one.picture = demo_picture(1, 32, 3);
  one.source = "a.jpg";
  data.found.push_back(std::move(one));
  const std::string page = html_report(data);
  EXPECT_EQ(XmlCheck(page).error(), "");
  EXPECT_THAT(page, HasSubstr("the mean average precision at IoU 0.5 is <b>70.00&#160;%</b>"));
  EXPECT_THAT(page, HasSubstr("<th>mAP at 0.5</th><th>0.50:0.95</th>"));
  EXPECT_THAT(page, Not(HasSubstr("5 guesses")));
  EXPECT_THAT(page, HasSubstr("<a href=\"#found\">"));
  EXPECT_THAT(page, HasSubstr("</i>cat &amp; dog</span>"));  // the legend
  // The epochs without an evaluation are not in the curve.
  const std::vector<Plot> plots = report_plots(data);
  const auto precision = std::find_if(plots.begin(), plots.end(), [](const Plot& plot) {
    return plot.title == "mean average precision by epoch";
  });
  ASSERT_NE(precision, plots.end());
  EXPECT_EQ(precision->series[0].x, (std::vector<double>{2, 4, 6}));
}

TEST(DetectionReport, NothingToFind) {
  const DetectionMetrics nothing = AveragePrecision(2).coco();
  EXPECT_TRUE(precision_recall_plot(nothing, kNames).series.empty());
  EXPECT_EQ(XmlCheck("<div>" + html_detection(nothing, kNames, "") + "</div>").error(), "");
}

}  // namespace
}  // namespace daybreak
