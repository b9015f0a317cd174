#include "oci/cgroup/unit_limits.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/strings.h"

namespace berth::oci {
namespace {

using Properties = std::vector<UnitProperty>;

constexpr uint64_t kInfinity = UINT64_MAX;
constexpr uint64_t kDefaultPeriod = 100'000;  // microseconds
constexpr uint64_t kSecond = 1'000'000;
constexpr uint64_t kPercent = kSecond / 100;
constexpr int64_t kMaxListed = 8191;  // CPUs or nodes: the kernel has no more

// Files of one number, or "max".
struct NumberFile {
  const char* file;
  const char* property;
};
constexpr NumberFile kNumbers[] = {
    {"memory.max", "MemoryMax"},
    {"memory.high", "MemoryHigh"},
    {"memory.low", "MemoryLow"},
    {"memory.min", "MemoryMin"},
    {"memory.swap.max", "MemorySwapMax"},
    {"cpu.weight", "CPUWeight"},
    {"pids.max", "TasksMax"},
    {"io.weight", "IOWeight"},
    // Of version 1.
    {"memory.limit_in_bytes", "MemoryLimit"},
    {"cpu.shares", "CPUShares"},
    {"blkio.weight", "BlockIOWeight"},
};

std::optional<uint64_t> NumberOf(std::string_view value) {
  if (value == "max" || StartsWith(value, "-")) return kInfinity;
  if (StartsWith(value, "default ")) value.remove_prefix(8);
  return ParseUint(value);
}

// "0-3,7", one bit each. Nothing for what is no list.
std::optional<std::vector<uint8_t>> Bits(const std::string& list) {
  std::vector<uint8_t> bits;
  for (const std::string& part : Split(list, ',')) {
    const size_t dash = part.find('-');
    const auto first = ParseInt(Trim(part.substr(0, dash)));
    const auto last = dash == std::string::npos
                          ? first
                          : ParseInt(Trim(part.substr(dash + 1)));
    if (!first || !last || *first < 0 || *last > kMaxListed) {
      return std::nullopt;
    }
    for (int64_t i = *first; i <= *last; ++i) {
      const auto byte = static_cast<size_t>(i / 8);
      if (bits.size() <= byte) bits.resize(byte + 1);
      bits[byte] = static_cast<uint8_t>(bits[byte] | 1 << (i % 8));
    }
  }
  return bits;
}

// What the files say of CPU time, until all are read.
struct Quota {
  std::optional<uint64_t> quota;  // kInfinity: none
  std::optional<uint64_t> period;

  void Read(const std::string& file, const std::string& value) {
    if (file == "cpu.max") {
      const size_t space = std::min(value.find(' '), value.size());
      quota = NumberOf(value.substr(0, space));
      if (space < value.size()) period = ParseUint(value.substr(space + 1));
    }
    if (file == "cpu.cfs_quota_us") quota = NumberOf(value);
    if (file == "cpu.cfs_period_us") period = ParseUint(value);
  }

  // Of a second, rounded up to what systemd can say.
  uint64_t PerSecond() const {
    const uint64_t divisor =
        std::max<uint64_t>(period.value_or(kDefaultPeriod), 1);
    if (*quota > kInfinity / kSecond - 1) return kInfinity;
    const uint64_t time = (*quota * kSecond + divisor - 1) / divisor;
    if (time > kInfinity - kPercent) return kInfinity;
    return (time + kPercent - 1) / kPercent * kPercent;
  }

  void AddTo(Properties& properties) const {
    if (quota) properties.push_back({"CPUQuotaPerSecUSec", PerSecond()});
    if (period) properties.push_back({"CPUQuotaPeriodUSec", *period});
  }
};

void AddLimit(const std::string& file, const std::string& value,
              Properties& properties) {
  for (const NumberFile& known : kNumbers) {
    if (file != known.file) continue;
    auto number = NumberOf(value);
    // systemd takes no 0 here; the file gets it all the same.
    if (number == 0u && file == "pids.max") number = 1;
    if (number) properties.push_back({known.property, *number});
  }
  if (file == "cpu.idle" && value == "1") {
    properties.push_back({"CPUWeight", uint64_t{0}});  // "idle"
  }
  if (file == "memory.oom.group" && value == "1") {
    properties.push_back({kOomPolicy, std::string("kill")});
  }
  if (file == "cpuset.cpus" || file == "cpuset.mems") {
    auto bits = Bits(value);
    if (!bits) return;  // the kernel will say what is wrong with it
    const bool cpus = file == "cpuset.cpus";
    properties.push_back(
        {cpus ? "AllowedCPUs" : "AllowedMemoryNodes", *std::move(bits)});
  }
}

// A later one of the same name wins, as a later write would.
void KeepLast(Properties& properties) {
  Properties kept;
  for (UnitProperty& property : properties) {
    std::erase_if(kept, [&](const UnitProperty& earlier) {
      return earlier.name == property.name;
    });
    kept.push_back(std::move(property));
  }
  properties = std::move(kept);
}

// "/dev/char/1:3", "char-136", "char-*".
std::string DeviceName(const char* type, const DeviceRule& rule) {
  const int64_t major = rule.major.value_or(-1);
  const int64_t minor = rule.minor.value_or(-1);
  if (major < 0) return std::string(type) + "-*";
  if (minor < 0) return std::string(type) + "-" + std::to_string(major);
  return "/dev/" + std::string(type) + "/" + std::to_string(major) + ":" +
         std::to_string(minor);
}

bool IsEverything(const DeviceRule& rule) {
  return rule.type == 'a' && rule.major.value_or(-1) < 0 &&
         rule.minor.value_or(-1) < 0;
}

void AddDevice(const DeviceRule& rule, DevicePermissions& allowed) {
  std::vector<const char*> types;
  if (rule.type != 'b') types.push_back("char");
  if (rule.type != 'c') types.push_back("block");
  for (const char* const type : types) {
    const std::pair<std::string, std::string> entry = {DeviceName(type, rule),
                                                       rule.access};
    std::erase(allowed, entry);
    allowed.push_back(entry);
  }
}

// A value in GVariant's text form; nothing for what we do not know.
class GvariantText {
 public:
  explicit GvariantText(std::string_view text) : left_(Trim(text)) {}

  std::optional<UnitProperty::Value> Parse() {
    auto value = left_.substr(0, 1) == "[" ? List() : Scalar();
    if (!left_.empty()) return std::nullopt;
    return value;
  }

 private:
  using Value = std::optional<UnitProperty::Value>;

  void Skip(size_t size) {
    left_.remove_prefix(std::min(size, left_.size()));
    left_ = Trim(left_);
  }

  // Without escapes, which no property needs.
  std::optional<std::string> Text() {
    const char quote = left_.empty() ? '\0' : left_[0];
    if (quote != '\'' && quote != '"') return std::nullopt;
    const size_t end = left_.find(quote, 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(left_.substr(1, end - 1));
    if (text.find('\\') != std::string::npos) return std::nullopt;
    Skip(end + 1);
    return text;
  }

  Value List() {
    std::vector<std::string> texts;
    Skip(1);
    while (left_.substr(0, 1) != "]") {
      auto text = Text();
      if (!text) return std::nullopt;
      texts.push_back(*std::move(text));
      if (left_.substr(0, 1) == ",") Skip(1);
    }
    Skip(1);
    return texts;
  }

  Value Scalar() {
    if (auto text = Text()) return *std::move(text);
    const std::string word(left_.substr(0, left_.find(' ')));
    Skip(word.size());
    if (word == "true" || word == "false") return word == "true";
    const std::string number = left_.empty() ? word : std::string(left_);
    const std::string type = left_.empty() ? "int32" : word;
    left_ = {};
    const auto plain = ParseInt(number);
    const auto positive = ParseUint(number);
    if (type == "uint64" && positive) return *positive;
    if (type == "int64" && plain) return *plain;
    if (type == "uint32" && positive && *positive <= UINT32_MAX) {
      return static_cast<uint32_t>(*positive);
    }
    const bool fits = plain && *plain >= INT32_MIN && *plain <= INT32_MAX;
    if (type == "int32" && fits) return static_cast<int32_t>(*plain);
    return std::nullopt;
  }

  std::string_view left_;
};

// "TimeoutStopSec" with 7 is "TimeoutStopUSec" with 7000000.
bool ToMicroseconds(UnitProperty& property) {
  int64_t seconds = -1;
  if (const auto* value = std::get_if<int32_t>(&property.value)) {
    seconds = *value;
  } else if (const auto* wide = std::get_if<int64_t>(&property.value)) {
    seconds = *wide;
  } else if (const auto* whole = std::get_if<uint64_t>(&property.value)) {
    seconds = static_cast<int64_t>(std::min<uint64_t>(*whole, INT64_MAX));
  }
  if (seconds < 0 || seconds > INT64_MAX / 1'000'000) return false;
  property.name.insert(property.name.size() - 3, "U");
  property.value = static_cast<uint64_t>(seconds) * kSecond;
  return true;
}

}  // namespace

std::vector<UnitProperty> LimitProperties(
    const std::vector<LimitWrite>& writes) {
  Properties properties;
  Quota quota;
  for (const LimitWrite& write : writes) {
    quota.Read(write.file, write.value);
    // systemd converts one weight of I/O into the other by itself.
    const bool bfq = write.other_file == "io.weight";
    if (bfq && !StartsWith(write.other_value, "default ")) continue;
    AddLimit(bfq ? write.other_file : write.file,
             bfq ? write.other_value : write.value, properties);
  }
  quota.AddTo(properties);
  KeepLast(properties);
  return properties;
}

std::vector<UnitProperty> DeviceProperties(
    const std::vector<DeviceRule>& rules) {
  bool everything = false;
  DevicePermissions allowed;
  for (const DeviceRule& rule : rules) {
    const bool all_of_it = rule.access.size() == 3;  // "rwm"
    if (IsEverything(rule) && (rule.allow || all_of_it)) {
      everything = rule.allow;
      allowed.clear();
    } else if (rule.allow) {
      AddDevice(rule, allowed);
    }
  }
  if (everything) allowed.clear();
  return {{"DevicePolicy", std::string(everything ? "auto" : "strict")},
          {"DeviceAllow", std::move(allowed)}};
}

StatusOr<std::vector<UnitProperty>> AnnotationProperties(
    const std::map<std::string, std::string>& annotations) {
  constexpr std::string_view kPrefix = "org.systemd.property.";
  Properties properties;
  for (const auto& [name, text] : annotations) {
    if (!StartsWith(name, kPrefix)) continue;
    UnitProperty property;
    property.name = name.substr(kPrefix.size());
    const bool letters =
        property.name.size() > 3 &&
        std::all_of(property.name.begin(), property.name.end(), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        });
    if (!letters) {
      return InvalidArgument("annotation " + Quoted(name) +
                             ": no name of a property");
    }
    const auto value = GvariantText(text).Parse();
    if (value) property.value = *value;
    const bool time =
        EndsWith(property.name, "Sec") && !EndsWith(property.name, "USec");
    if (!value || (time && !ToMicroseconds(property))) {
      return InvalidArgument("annotation " + Quoted(name) + ": " +
                             Quoted(text) + " is no value of a property");
    }
    properties.push_back(std::move(property));
  }
  return properties;
}

}  // namespace berth::oci
