#include "report/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "report/svg_plot.h"
#include "xml_check.h"

namespace daybreak {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<std::string> labels(const std::vector<PlotTick>& ticks) {
  std::vector<std::string> out;
  for (const PlotTick& tick : ticks) out.push_back(tick.label);
  return out;
}

using testing::ElementsAre;

TEST(Ticks, AreRoundNumbers) {
  EXPECT_THAT(labels(nice_ticks(Scale::linear, 0.0, 1.0, 5, false)),
              ElementsAre("0", "0.2", "0.4", "0.6", "0.8", "1.0"));
  EXPECT_THAT(labels(nice_ticks(Scale::linear, 0.83, 0.94, 4, false)),
              ElementsAre("0.850", "0.875", "0.900", "0.925"));
  EXPECT_THAT(labels(nice_ticks(Scale::linear, -1.0, 1.0, 4, false)),
              ElementsAre("-1.0", "-0.5", "0", "0.5", "1.0"));
  EXPECT_THAT(labels(nice_ticks(Scale::linear, 0.0, 12000.0, 5, true)),
              ElementsAre("0", "2,500", "5,000", "7,500", "10,000"));
  EXPECT_THAT(labels(nice_ticks(Scale::linear, 1.0, 3.0, 10, true)), ElementsAre("1", "2", "3"));
}

TEST(Ticks, CountDecades) {
  EXPECT_THAT(labels(nice_ticks(Scale::log, 1e-7, 10.0, 9, false)),
              ElementsAre("1e-7", "1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1", "1", "10"));
  EXPECT_THAT(labels(nice_ticks(Scale::log, 1e-7, 10.0, 4, false)),
              ElementsAre("1e-6", "1e-4", "0.01", "1"));
  EXPECT_THAT(labels(nice_ticks(Scale::log, 0.1, 1.0, 6, false)),
              ElementsAre("0.1", "0.2", "0.5", "1"));
  EXPECT_GE(nice_ticks(Scale::log, 0.31, 0.39, 4, false).size(), 2u);
}

TEST(Ticks, SurviveOddRanges) {
  EXPECT_TRUE(nice_ticks(Scale::linear, 1.0, 1.0, 5, false).empty());
  EXPECT_TRUE(nice_ticks(Scale::linear, kNan, 1.0, 5, false).empty());
  EXPECT_TRUE(nice_ticks(Scale::linear, 0.0, kInf, 5, false).empty());
  EXPECT_TRUE(nice_ticks(Scale::log, -1.0, 1.0, 5, false).empty());
  EXPECT_LE(nice_ticks(Scale::linear, 1e300, 1.0001e300, 5, false).size(), 12u);
  EXPECT_LE(nice_ticks(Scale::linear, 1.0, 1.0 + 1e-15, 5, false).size(), 101u);
}

Plot two_curves() {
  Plot plot;
  plot.title = "loss <by> epoch & more";
  plot.x = {"epoch", Scale::linear, true, {}, {}};
  plot.y.label = "loss";
  plot.series = {{"train", {1, 2, 3}, {0.7, 0.4, 0.2}}, {"val", {1, 2, 3}, {0.6, kNan, 0.3}}};
  return plot;
}

TEST(Layout, PutsDataInsideTheFrame) {
  const Plot plot = two_curves();
  const PlotLayout at = layout_of(plot);
  EXPECT_TRUE(at.legend);
  for (const PlotSeries& series : plot.series) {
    for (const auto& piece : pieces_of(series, at)) {
      for (const PixelPoint& point : piece) {
        EXPECT_GE(point.x, at.left);
        EXPECT_LE(point.x, at.right);
        EXPECT_GT(point.y, at.top);
        EXPECT_LE(point.y, at.bottom);
      }
    }
  }
  EXPECT_EQ(pieces_of(plot.series[1], at).size(), 2u);  // NaN is a gap
  EXPECT_DOUBLE_EQ(at.x(1.0), at.left);
  EXPECT_DOUBLE_EQ(at.x(3.0), at.right);
  EXPECT_LT(at.y(0.7), at.y(0.2));  // up is less
}

TEST(Layout, MapsLogAxes) {
  const AxisMap map = {Scale::log, 0.001, 10.0, 0.0, 400.0};
  EXPECT_NEAR(map(0.001), 0.0, 1e-9);
  EXPECT_NEAR(map(0.1), 200.0, 1e-9);
  EXPECT_FALSE(map.shows(0.0));
  EXPECT_FALSE(map.shows(-1.0));
}

TEST(Layout, StepsAreDrawnAtRightAngles) {
  Plot plot;
  plot.series = {{"", {0, 1, 2}, {1, 1, 0}, LineKind::step}};
  const auto pieces = pieces_of(plot.series[0], layout_of(plot));
  ASSERT_EQ(pieces.size(), 1u);
  ASSERT_EQ(pieces[0].size(), 5u);
  for (std::size_t i = 1; i < pieces[0].size(); ++i) {
    const PixelPoint &a = pieces[0][i - 1], &b = pieces[0][i];
    EXPECT_TRUE(a.x == b.x || a.y == b.y);
  }
}

TEST(Thinning, KeepsSpikesAndEnds) {
  PlotSeries series;
  for (int i = 0; i < 10000; ++i) {
    series.x.push_back(i);
    series.y.push_back(i == 7777 ? 50.0 : i == 1234 ? -50.0 : std::sin(i * 0.01));
  }
  const PlotSeries thin = thinned(series, 200);
  EXPECT_EQ(thin.x.size(), 200u);
  EXPECT_THAT(thin.y, testing::Contains(50.0));
  EXPECT_THAT(thin.y, testing::Contains(-50.0));
  EXPECT_EQ(thin.x.front(), 0.0);
  EXPECT_EQ(thin.x.back(), 9999.0);
  EXPECT_TRUE(std::is_sorted(thin.x.begin(), thin.x.end()));
  EXPECT_EQ(thinned(series, 20000).x.size(), 10000u);
}

TEST(Smoothing, CorrectsItsStart) {
  const std::vector<double> out = smoothed({1.0, 3.0, kNan, 3.0}, 0.5);
  EXPECT_DOUBLE_EQ(out[0], 1.0);
  EXPECT_DOUBLE_EQ(out[1], (0.25 * 1.0 + 0.5 * 3.0) / 0.75);
  EXPECT_TRUE(std::isnan(out[2]));
  EXPECT_DOUBLE_EQ(out[3], (0.125 * 1.0 + 0.25 * 3.0 + 0.5 * 3.0) / 0.875);
}

std::size_t count_of(const std::string& text, const std::string& piece) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(piece, at)) != std::string::npos; ++at) ++count;
  return count;
}

TEST(SvgPlot, IsWellFormedAndHoldsTheValues) {
  Plot plot = two_curves();
  plot.markers = {{2.0, "phase \"2\"", 0.4, 1}};
  for (const SvgUse use : {SvgUse::file, SvgUse::inlined}) {
    const std::string svg = svg_plot(plot, use);
    EXPECT_EQ(XmlCheck(svg).error(), "");
    EXPECT_NE(svg.find("loss &lt;by&gt; epoch &amp; more</text>"), std::string::npos);
    EXPECT_NE(svg.find("<title>epoch 1  ·  train 0.7  ·  val 0.6</title>"), std::string::npos);
    EXPECT_NE(svg.find("<title>epoch 2  ·  train 0.4</title>"), std::string::npos);
    EXPECT_NE(svg.find("phase &quot;2&quot;"), std::string::npos);
    EXPECT_EQ(count_of(svg, "<path "), 3u);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("<script"), std::string::npos);
  }
  EXPECT_NE(svg_plot(plot, SvgUse::file).find("xmlns=\"http://www.w3.org/2000/svg\""),
            std::string::npos);
}

TEST(SvgPlot, SurvivesOddData) {
  Plot empty;
  EXPECT_EQ(XmlCheck(svg_plot(empty, SvgUse::file)).error(), "");
  Plot odd;
  odd.x.scale = Scale::log;
  odd.y.scale = Scale::log;
  odd.series = {{"a", {0.0, -1.0, kNan, 1e-300, 1e300}, {1.0, 1.0, 1.0, 1e300, kInf}},
                {"b", {1.0, 2.0}, {1.0}},
                {"c", {5.0}, {0.0}}};
  odd.markers = {{0.0, "not on a log axis", {}, 0}, {1.0, "x", kNan, 0}};
  const std::string svg = svg_plot(odd, SvgUse::file);
  EXPECT_EQ(XmlCheck(svg).error(), "");
  for (const char* bad : {"nan", "inf"}) EXPECT_EQ(svg.find(bad), std::string::npos) << bad;
  EXPECT_EQ(svg.find("not on a log axis"), std::string::npos);
}

TEST(SvgPlot, LongCurvesStaySmall) {
  Plot plot;
  PlotSeries series;
  for (int i = 0; i < 200000; ++i) {
    series.x.push_back(i);
    series.y.push_back(std::sin(i * 0.001));
  }
  plot.series = {series};
  EXPECT_LT(svg_plot(plot, SvgUse::inlined).size(), 100'000u);
}

TEST(XmlCheckTest, FindsWhatIsWrong) {
  EXPECT_EQ(XmlCheck("<a b=\"1\"><c/>x &amp; y</a>").error(), "");
  for (const char* bad : {"<a>", "<a></b>", "<a b=1/>", "<a b=\"1\" b=\"2\"/>", "<a>&</a>",
                          "<a/><b/>", "x<a/>", "<a b=\"<\"/>", "<a></a></a>", "<a>\x01</a>", ""}) {
    EXPECT_NE(XmlCheck(bad).error(), "") << bad;
  }
}

}  // namespace
}  // namespace daybreak
