#include "oci/cgroup/device_filter.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/unique_fd.h"

namespace berth::oci {
namespace {

constexpr int64_t kAny = -1;

struct DefaultDevice {
  char type;
  int64_t major;
  int64_t minor;
  const char* access;
};

constexpr DefaultDevice kDefaults[] = {
    {'c', kAny, kAny, "m"},  {'b', kAny, kAny, "m"},  // nodes of no use
    {'c', 1, 3, "rwm"},                               // null
    {'c', 1, 5, "rwm"},                               // zero
    {'c', 1, 7, "rwm"},                               // full
    {'c', 1, 8, "rwm"},                               // random
    {'c', 1, 9, "rwm"},                               // urandom
    {'c', 5, 0, "rwm"},                               // tty
    {'c', 5, 2, "rwm"},                               // ptmx
    {'c', 136, kAny, "rwm"},                          // pts/*
    {'c', 10, 200, "rwm"},                            // net/tun
};

// What the kernel calls the bits of bpf_cgroup_dev_ctx.
uint32_t AccessBits(const std::string& access) {
  uint32_t bits = 0;
  for (const char c : access) {
    if (c == 'm') bits |= BPF_DEVCG_ACC_MKNOD;
    if (c == 'r') bits |= BPF_DEVCG_ACC_READ;
    if (c == 'w') bits |= BPF_DEVCG_ACC_WRITE;
  }
  return bits;
}

constexpr uint32_t kAllAccess =
    BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

std::string AccessText(uint32_t bits) {
  std::string text;
  if (bits & BPF_DEVCG_ACC_READ) text += 'r';
  if (bits & BPF_DEVCG_ACC_WRITE) text += 'w';
  if (bits & BPF_DEVCG_ACC_MKNOD) text += 'm';
  return text;
}

// A rule with the numbers told apart.
struct Match {
  char type = 'a';
  int64_t major = kAny;
  int64_t minor = kAny;
  uint32_t access = 0;

  explicit Match(const DeviceRule& rule)
      : type(rule.type),
        major(rule.major.value_or(kAny)),
        minor(rule.minor.value_or(kAny)),
        access(AccessBits(rule.access)) {
    if (major < 0) major = kAny;
    if (minor < 0) minor = kAny;
  }

  bool EveryDevice() const {
    return type == 'a' && major == kAny && minor == kAny;
  }
  // Every device of `other` is one of ours.
  bool Covers(const Match& other) const {
    return (type == 'a' || type == other.type) &&
           (major == kAny || major == other.major) &&
           (minor == kAny || minor == other.minor);
  }
  bool Meets(const Match& other) const {
    return (type == 'a' || other.type == 'a' || type == other.type) &&
           (major == kAny || other.major == kAny || major == other.major) &&
           (minor == kAny || other.minor == kAny || minor == other.minor);
  }
  bool SameDevices(const Match& other) const {
    return Covers(other) && other.Covers(*this);
  }
  std::string Line() const {
    const auto number = [](int64_t n) {
      return n == kAny ? std::string("*") : std::to_string(n);
    };
    return std::string(1, type) + " " + number(major) + ":" + number(minor) +
           " " + AccessText(access);
  }
};

// What a v1 devices cgroup holds: a default and exceptions from it.
struct DeviceState {
  bool default_allow = false;
  std::vector<Match> exceptions;

  Status Apply(const DeviceRule& rule) {
    const Match match(rule);
    if (match.EveryDevice() && match.access == kAllAccess) {
      default_allow = rule.allow;
      exceptions.clear();
      return OkStatus();
    }
    return rule.allow == default_allow ? Withdraw(match) : Except(match);
  }

 private:
  Status Except(const Match& match) {
    for (Match& exception : exceptions) {
      if (exception.SameDevices(match)) {
        exception.access |= match.access;
        return OkStatus();
      }
    }
    exceptions.push_back(match);
    return OkStatus();
  }

  // Back to the default: of whole exceptions only.
  Status Withdraw(const Match& match) {
    for (Match& exception : exceptions) {
      if (!match.Meets(exception) || !(match.access & exception.access)) {
        continue;
      }
      if (!match.Covers(exception)) {
        return Unimplemented("device rule \"" + match.Line() +
                             "\" takes a part out of \"" + exception.Line() +
                             "\", which cgroup v1 cannot hold");
      }
      exception.access &= ~match.access;
    }
    std::erase_if(exceptions, [](const Match& m) { return m.access == 0; });
    return OkStatus();
  }
};

// ---- the v2 program --------------------------------------------------------

constexpr uint8_t kContext = BPF_REG_1;  // bpf_cgroup_dev_ctx
constexpr uint8_t kType = BPF_REG_2;
constexpr uint8_t kAsked = BPF_REG_3;  // accesses not yet decided
constexpr uint8_t kMajor = BPF_REG_4;
constexpr uint8_t kMinor = BPF_REG_5;

bpf_insn Instruction(int code, uint8_t target, uint8_t source, int16_t offset,
                     int32_t immediate) {
  bpf_insn instruction = {};
  instruction.code = static_cast<uint8_t>(code);
  instruction.dst_reg = target & 0xf;
  instruction.src_reg = source & 0xf;
  instruction.off = offset;
  instruction.imm = immediate;
  return instruction;
}

bpf_insn Load32(uint8_t target, int16_t offset) {
  return Instruction(BPF_LDX | BPF_MEM | BPF_W, target, kContext, offset, 0);
}

bpf_insn Calculate(int operation, uint8_t target, int32_t value) {
  return Instruction(BPF_ALU | BPF_K | operation, target, 0, 0, value);
}

// The offset is set when the end of the rule is known.
bpf_insn JumpUnless(uint8_t reg, int64_t value) {
  return Instruction(BPF_JMP | BPF_K | BPF_JNE, reg, 0, 0,
                     static_cast<int32_t>(value));
}

bpf_insn Return(std::vector<bpf_insn>& program, bool allow) {
  program.push_back(
      Instruction(BPF_ALU64 | BPF_K | BPF_MOV, BPF_REG_0, 0, 0, allow ? 1 : 0));
  return Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

// One rule; the accesses that it does not decide fall through to the next.
void AddRule(const DeviceRule& rule, std::vector<bpf_insn>& program) {
  const Match match(rule);
  const size_t start = program.size();
  if (match.type != 'a') {
    program.push_back(JumpUnless(
        kType, match.type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK));
  }
  if (match.major != kAny) program.push_back(JumpUnless(kMajor, match.major));
  if (match.minor != kAny) program.push_back(JumpUnless(kMinor, match.minor));
  const size_t tests = program.size();
  if (rule.allow) {
    program.push_back(
        Calculate(BPF_AND, kAsked, static_cast<int32_t>(~match.access)));
    // Anything left to decide?
    program.push_back(Instruction(BPF_JMP | BPF_K | BPF_JNE, kAsked, 0, 2, 0));
  } else {
    program.push_back(
        Instruction(BPF_ALU64 | BPF_X | BPF_MOV, BPF_REG_0, kAsked, 0, 0));
    program.push_back(
        Calculate(BPF_AND, BPF_REG_0, static_cast<int32_t>(match.access)));
    program.push_back(
        Instruction(BPF_JMP | BPF_K | BPF_JEQ, BPF_REG_0, 0, 2, 0));
  }
  program.push_back(Return(program, rule.allow));
  for (size_t i = start; i < tests; ++i) {
    program[i].off = static_cast<int16_t>(program.size() - i - 1);
  }
}

// ---- bpf(2) ----------------------------------------------------------------

int Bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(
      syscall(SYS_bpf, command, &attributes, sizeof(attributes)));
}

StatusOr<UniqueFd> LoadProgram(const std::vector<bpf_insn>& program) {
  bpf_attr attributes;
  memset(&attributes, 0, sizeof(attributes));
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<uint64_t>(program.data());
  attributes.insn_cnt = static_cast<uint32_t>(program.size());
  attributes.license = reinterpret_cast<uint64_t>("Apache-2.0");
  UniqueFd fd(Bpf(BPF_PROG_LOAD, attributes));
  if (!fd.valid()) return Errno(errno, "bpf: load device filter");
  return fd;
}

// The ids of what is attached to this very directory.
StatusOr<std::vector<uint32_t>> AttachedPrograms(int cgroup_dir) {
  std::vector<uint32_t> ids(64);
  bpf_attr attributes;
  memset(&attributes, 0, sizeof(attributes));
  attributes.query.target_fd = static_cast<uint32_t>(cgroup_dir);
  attributes.query.attach_type = BPF_CGROUP_DEVICE;
  attributes.query.prog_ids = reinterpret_cast<uint64_t>(ids.data());
  attributes.query.prog_cnt = static_cast<uint32_t>(ids.size());
  if (Bpf(BPF_PROG_QUERY, attributes) != 0) {
    return Errno(errno, "bpf: query device filters");
  }
  ids.resize(attributes.query.prog_cnt);
  return ids;
}

Status DetachProgram(int cgroup_dir, uint32_t id) {
  bpf_attr attributes;
  memset(&attributes, 0, sizeof(attributes));
  attributes.prog_id = id;
  const UniqueFd program(Bpf(BPF_PROG_GET_FD_BY_ID, attributes));
  if (!program.valid()) return Errno(errno, "bpf: open old device filter");
  memset(&attributes, 0, sizeof(attributes));
  attributes.target_fd = static_cast<uint32_t>(cgroup_dir);
  attributes.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  if (Bpf(BPF_PROG_DETACH, attributes) != 0) {
    return Errno(errno, "bpf: detach old device filter");
  }
  return OkStatus();
}

}  // namespace

std::vector<DeviceRule> ContainerDeviceRules(const Linux& linux) {
  std::vector<DeviceRule> rules;
  if (linux.resources.has_value()) rules = linux.resources->devices;
  for (const DefaultDevice& device : kDefaults) {
    rules.push_back({.allow = true,
                     .type = device.type,
                     .major = device.major,
                     .minor = device.minor,
                     .access = device.access});
  }
  return rules;
}

Resources WithoutDevices(Resources resources) {
  resources.devices.clear();
  return resources;
}

Resources ContainerResources(const Linux& linux) {
  Resources resources = linux.resources.value_or(Resources());
  resources.devices = ContainerDeviceRules(linux);
  return resources;
}

StatusOr<std::vector<DeviceLine>> DeviceLines(
    const std::vector<DeviceRule>& rules) {
  DeviceState state;
  for (const DeviceRule& rule : rules) RETURN_IF_ERROR(state.Apply(rule));
  std::vector<DeviceLine> lines;
  lines.push_back({.allow = state.default_allow, .line = "a"});
  for (const Match& exception : state.exceptions) {
    lines.push_back({.allow = !state.default_allow, .line = exception.Line()});
  }
  return lines;
}

std::vector<bpf_insn> DeviceProgram(const std::vector<DeviceRule>& rules) {
  std::vector<bpf_insn> program = {
      Load32(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
      Instruction(BPF_ALU | BPF_X | BPF_MOV, kAsked, kType, 0, 0),
      Calculate(BPF_AND, kType, 0xffff),
      Calculate(BPF_RSH, kAsked, 16),
      Load32(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      Load32(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    const Match match(*rule);
    if (match.EveryDevice() && match.access == kAllAccess) {
      // Decides all: the verifier refuses what could never be reached.
      program.push_back(Return(program, rule->allow));
      return program;
    }
    AddRule(*rule, program);
  }
  program.push_back(Return(program, false));
  return program;
}

Status AttachDeviceFilter(int cgroup_dir,
                          const std::vector<DeviceRule>& rules) {
  ASSIGN_OR_RETURN(const std::vector<uint32_t> old,
                   AttachedPrograms(cgroup_dir));
  ASSIGN_OR_RETURN(const UniqueFd program, LoadProgram(DeviceProgram(rules)));
  bpf_attr attributes;
  memset(&attributes, 0, sizeof(attributes));
  attributes.target_fd = static_cast<uint32_t>(cgroup_dir);
  attributes.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (Bpf(BPF_PROG_ATTACH, attributes) != 0) {
    return Errno(errno, "bpf: attach device filter");
  }
  for (const uint32_t id : old) {
    RETURN_IF_ERROR(DetachProgram(cgroup_dir, id));
  }
  return OkStatus();
}

}  // namespace berth::oci
