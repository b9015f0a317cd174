#include "admin/metrics_text.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace berth::admin {
namespace {

TEST(MetricsTextTest, WritesFamilies) {
  MetricsText text;
  text.Family("a_total", "counter", "One.");
  text.Sample({}, 7);
  text.Family("b", "summary", "Two.");
  text.Sample({{"x", "1"}, {"y", ""}}, 0.25, "_sum");
  text.Sample({{"x", "1"}, {"y", ""}}, UINT64_MAX, "_count");
  EXPECT_EQ(std::move(text).Take(),
            "# HELP a_total One.\n"
            "# TYPE a_total counter\n"
            "a_total 7\n"
            "# HELP b Two.\n"
            "# TYPE b summary\n"
            "b_sum{x=\"1\",y=\"\"} 0.25\n"
            "b_count{x=\"1\",y=\"\"} 18446744073709551615\n");
}

TEST(MetricsTextTest, EscapesWhatWouldEndALabel) {
  MetricsText text;
  text.Family("a", "gauge", "One.");
  text.Sample({{"x", "\"} 1\nb{y=\"\\\xc3\xa4"}}, 1);
  EXPECT_EQ(std::move(text).Take(),
            "# HELP a One.\n# TYPE a gauge\n"
            "a{x=\"\\\"} 1\\nb{y=\\\"\\\\\xc3\xa4\"} 1\n");
}

}  // namespace
}  // namespace berth::admin
