#include "oci/cli/flags.h"

#include "base/strings.h"

namespace berth::oci {
namespace {

constexpr FlagSpec kHelp = {"help", "h", false, "show help"};

const FlagSpec* FindFlag(const std::vector<FlagSpec>& known,
                         const std::string& name) {
  for (const FlagSpec& flag : known) {
    if (name == flag.name || (*flag.alias != 0 && name == flag.alias)) {
      return &flag;
    }
  }
  return nullptr;
}

}  // namespace

StatusOr<Flags> Flags::Parse(const std::vector<std::string>& args, size_t* next,
                             const std::vector<FlagSpec>& known,
                             bool interspersed) {
  Flags flags;
  for (; *next < args.size(); ++*next) {
    const std::string& arg = args[*next];
    if (arg.size() < 2 || arg[0] != '-') {
      if (!interspersed) return flags;
      flags.positional_.push_back(arg);
      continue;
    }
    if (arg == "--") {
      ++*next;
      break;
    }
    const size_t start = arg[1] == '-' ? 2 : 1;
    const size_t equals = arg.find('=');
    const std::string name = arg.substr(
        start, equals == std::string::npos ? equals : equals - start);
    const FlagSpec* flag = FindFlag(known, name);
    if (flag == nullptr && (name == "help" || name == "h")) flag = &kHelp;
    if (flag == nullptr) {
      return InvalidArgument("flag provided but not defined: -" + name);
    }
    std::string value = "true";
    if (equals != std::string::npos) {
      value = arg.substr(equals + 1);
    } else if (flag->takes_value) {
      if (*next + 1 >= args.size()) {
        return InvalidArgument("flag needs an argument: -" + name);
      }
      value = args[++*next];
    }
    flags.values_[flag->name].push_back(value);
  }
  if (!interspersed) return flags;
  for (; *next < args.size(); ++*next) flags.positional_.push_back(args[*next]);
  return flags;
}

bool Flags::On(const std::string& name) const {
  return Has(name) && Get(name) != "false";
}

std::string Flags::Get(const std::string& name,
                       const std::string& otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? otherwise : found->second.back();
}

std::vector<std::string> Flags::All(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

StatusOr<int64_t> Flags::Number(const std::string& name) const {
  if (!Has(name)) return int64_t{0};
  const auto number = ParseInt(Get(name));
  if (!number) {
    return InvalidArgument("--" + name +
                           ": not a number: " + Quoted(Get(name)));
  }
  return *number;
}

}  // namespace berth::oci
