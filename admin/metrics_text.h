#ifndef ADMIN_METRICS_TEXT_H_
#define ADMIN_METRICS_TEXT_H_

#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace berth::admin {

// Writes Prometheus' text exposition format, version 0.0.4: families, each
// with its HELP and TYPE and then its samples. Values of labels may hold any
// UTF-8; names and help are ours. Single-threaded.
class MetricsText {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  // `type`: "counter", "gauge" or "summary". Once for each name.
  void Family(const std::string& name, const std::string& type,
              const std::string& help);
  // Of the family named last; `suffix` is "_sum" or "_count" in a summary.
  void Sample(const Labels& labels, double value,
              const std::string& suffix = "");
  template <std::integral T>
  void Sample(const Labels& labels, T value, const std::string& suffix = "") {
    Line(labels, std::to_string(value), suffix);
  }

  std::string Take() && { return std::move(text_); }

 private:
  void Line(const Labels& labels, const std::string& value,
            const std::string& suffix);

  std::string family_;
  std::string text_;
};

}  // namespace berth::admin

#endif  // ADMIN_METRICS_TEXT_H_
