#include "docker/convert/healthcheck.h"

#include <utility>

#include "base/strings.h"

namespace berth::docker {
namespace {

constexpr char kMember[] = "Healthcheck";
constexpr int64_t kLeastDuration = 1000000;  // nanoseconds
constexpr size_t kLogged = 5;

std::vector<std::string> Texts(const Json* list) {
  std::vector<std::string> texts;
  if (list == nullptr) return texts;
  for (const Json& one : list->elements()) {
    if (one.AsText() != nullptr) texts.push_back(*one.AsText());
  }
  return texts;
}

void ReadDuration(const Json& check, const char* member, Duration& target) {
  const Json* const value = check.Find(member);
  if (value == nullptr) return;
  const int64_t nanos = value->AsInt().value_or(0);
  if (nanos > 0) target = Duration(nanos);
}

}  // namespace

std::optional<Healthcheck> Healthcheck::Of(const Json& config) {
  const Json* const json = config.Find(kMember);
  if (json == nullptr) return std::nullopt;
  std::vector<std::string> test = Texts(json->Find("Test"));
  if (test.size() < 2) return std::nullopt;
  Healthcheck check;
  if (test[0] == "CMD") {
    check.argv.assign(test.begin() + 1, test.end());
  } else if (test[0] == "CMD-SHELL") {
    check.argv = Texts(config.Find("Shell"));
    if (check.argv.empty()) check.argv = {"/bin/sh", "-c"};
    check.argv.push_back(test[1]);
  } else {
    return std::nullopt;
  }
  ReadDuration(*json, "Interval", check.interval);
  ReadDuration(*json, "Timeout", check.timeout);
  ReadDuration(*json, "StartPeriod", check.start_period);
  ReadDuration(*json, "StartInterval", check.start_interval);
  if (const Json* const retries = json->Find("Retries")) {
    const int64_t number = retries->AsInt().value_or(0);
    if (number > 0) check.retries = number;
  }
  return check;
}

Status CheckHealthcheck(const Json& config) {
  const Json* const json = config.Find(kMember);
  if (json == nullptr) return OkStatus();
  JsonReader reader(*json, kMember, JsonNames::kAnyCase);
  std::vector<std::string> test;
  reader.Get("Test", test);
  int64_t retries = 0;
  reader.Get("Retries", retries);
  for (const char* name :
       {"Interval", "Timeout", "StartPeriod", "StartInterval"}) {
    int64_t nanos = 0;
    reader.Get(name, nanos);
    if (nanos != 0 && nanos < kLeastDuration) {
      return InvalidArgument(std::string(name) +
                             " in Healthcheck cannot be less than 1ms");
    }
  }
  RETURN_IF_ERROR(reader.status());
  if (retries < 0) {
    return InvalidArgument("Retries in Healthcheck cannot be negative");
  }
  if (test.empty() || (test[0] == "NONE" && test.size() == 1) ||
      (test[0] == "CMD" && test.size() > 1) ||
      (test[0] == "CMD-SHELL" && test.size() == 2)) {
    return OkStatus();
  }
  return InvalidArgument(
      "Test in Healthcheck: it has to be empty, or to begin with NONE, CMD or "
      "CMD-SHELL and to name a command");
}

void InheritHealthcheck(const state::v1::Healthcheck& image, Json& config) {
  if (image.test_size() == 0) return;
  Json check = Json::object();
  if (const Json* const asked = config.Find(kMember)) check = *asked;
  if (Texts(check.Find("Test")).empty()) {
    check["Test"] =
        std::vector<std::string>(image.test().begin(), image.test().end());
  }
  const std::pair<const char*, int64_t> numbers[] = {
      {"Interval", image.interval()},
      {"Timeout", image.timeout()},
      {"StartPeriod", image.start_period()},
      {"StartInterval", image.start_interval()},
      {"Retries", image.retries()}};
  for (const auto& [name, value] : numbers) {
    const Json* const asked = check.Find(name);
    const bool open = asked == nullptr || asked->AsInt() == 0;
    if (open && value != 0) check[name] = value;
  }
  config[kMember] = std::move(check);
}

bool Health::Take(const Healthcheck& check, UnixNanos started, Result result) {
  const std::string before = status_;
  const bool early = status_ == "starting" &&
                     result.start - started < check.start_period.count();
  if (result.exit_code == 0) {
    failing_streak_ = 0;
    status_ = "healthy";
  } else if (!early && ++failing_streak_ >= check.retries) {
    status_ = "unhealthy";
  }
  log_.push_back(std::move(result));
  if (log_.size() > kLogged) log_.pop_front();
  return status_ != before;
}

Json Health::ToJson() const {
  Json log = Json::array();
  for (const Result& result : log_) {
    log.push_back({{"Start", FormatRfc3339(result.start)},
                   {"End", FormatRfc3339(result.end)},
                   {"ExitCode", result.exit_code},
                   {"Output", result.output}});
  }
  return {{"Status", status_},
          {"FailingStreak", failing_streak_},
          {"Log", std::move(log)}};
}

}  // namespace berth::docker
