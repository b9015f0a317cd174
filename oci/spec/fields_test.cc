// Every field of config.json (OCI runtime specification 1.3, config.md and
// config-linux.md), one row each: it is honoured, refused by name, or has no
// meaning here. A field that is read and then forgotten has no row to hide in.
#include <string>

#include "base/json.h"
#include "base/testing/json.h"
#include "base/testing/status_matchers.h"
#include "oci/spec/parse.h"
#include "oci/spec/serialize.h"
#include "oci/spec/validate.h"

namespace berth::oci {
namespace {

using ::testing::HasSubstr;

enum class Verdict {
  kHonoured,  // comes back as it was: what the runtime acts upon
  kRefused,   // UNIMPLEMENTED, with the field's name
  kNothing,   // taken, and of no effect: see `why`
};
constexpr Verdict kHonoured = Verdict::kHonoured;
constexpr Verdict kRefused = Verdict::kRefused;
constexpr Verdict kNothing = Verdict::kNothing;

struct Field {
  const char* pointer;  // JSON pointer (RFC 6901)
  const char* value;    // JSON
  Verdict verdict;
  const char* why = "";
};

constexpr char kBase[] = R"json({
  "ociVersion": "1.2.0",
  "process": {"args": ["x"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
  "root": {"path": "rootfs"},
  "mounts": [{"destination": "/a", "type": "bind", "source": "/b"}],
  "linux": {
    "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
    "gidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
    "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network"},
                   {"type": "ipc"}, {"type": "uts"}, {"type": "user"}],
    "devices": [{"path": "/dev/x", "type": "c", "major": 1, "minor": 2}],
    "seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["x"], "action": "SCMP_ACT_ERRNO",
                              "args": [{"index": 1, "value": 2,
                                        "op": "SCMP_CMP_EQ"}]}]},
    "resources": {"blockIO": {}, "memory": {}, "cpu": {}, "network": {}}
  }
})json";

constexpr char kHook[] =
    R"([{"path": "/h", "args": ["h"], "env": ["A=b"], "timeout": 3}])";
constexpr char kThrottle[] = R"([{"major": 8, "minor": 0, "rate": 5}])";
constexpr char kOtherSystem[] = "of another kind of machine";
constexpr char kOldKernel[] = "the kernel has no such limit any more";

constexpr Field kFields[] = {
    {"/ociVersion", "\"1.0.2\"", kHonoured},
    {"/hostname", "\"h\"", kHonoured},
    {"/domainname", "\"d\"", kHonoured},
    {"/annotations", R"({"a": "b"})", kHonoured},
    {"/root/path", "\"/r\"", kHonoured},
    {"/root/readonly", "true", kHonoured},
    {"/mounts/0/destination", "\"/c\"", kHonoured},
    {"/mounts/0/type", "\"tmpfs\"", kHonoured},
    {"/mounts/0/source", "\"/d\"", kHonoured},
    {"/mounts/0/options", R"(["bind", "ro"])", kHonoured},
    {"/mounts/0",
     R"({"destination": "/a", "type": "bind", "source": "/b",
         "uidMappings": [{"containerID": 0, "hostID": 1, "size": 2}],
         "gidMappings": [{"containerID": 0, "hostID": 1, "size": 2}]})",
     kHonoured},
    {"/hooks/prestart", kHook, kHonoured},
    {"/hooks/createRuntime", kHook, kHonoured},
    {"/hooks/createContainer", kHook, kHonoured},
    {"/hooks/startContainer", kHook, kHonoured},
    {"/hooks/poststart", kHook, kHonoured},
    {"/hooks/poststop", kHook, kHonoured},

    {"/process/terminal", "true", kHonoured},
    {"/process/consoleSize", R"({"height": 4, "width": 5})", kHonoured},
    {"/process/cwd", "\"/c\"", kHonoured},
    {"/process/env", R"(["A=b"])", kHonoured},
    {"/process/args", R"(["y", "z"])", kHonoured},
    {"/process/commandLine", "\"x\"", kNothing, kOtherSystem},
    {"/process/user/uid", "7", kHonoured},
    {"/process/user/gid", "7", kHonoured},
    {"/process/user/umask", "7", kHonoured},
    {"/process/user/additionalGids", "[7, 8]", kHonoured},
    {"/process/user/username", "\"x\"", kNothing, kOtherSystem},
    {"/process/rlimits", R"([{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}])",
     kHonoured},
    {"/process/capabilities/bounding", R"(["CAP_KILL"])", kHonoured},
    {"/process/capabilities/effective", R"(["CAP_KILL"])", kHonoured},
    {"/process/capabilities/inheritable", R"(["CAP_KILL"])", kHonoured},
    {"/process/capabilities/permitted", R"(["CAP_KILL"])", kHonoured},
    {"/process/capabilities/ambient", R"(["CAP_KILL"])", kHonoured},
    {"/process/noNewPrivileges", "true", kHonoured},
    {"/process/oomScoreAdj", "-5", kHonoured},
    {"/process/apparmorProfile", "\"p\"", kHonoured},
    {"/process/selinuxLabel", "\"l\"", kHonoured},
    {"/process/scheduler", R"({"policy": "SCHED_BATCH"})", kHonoured},
    {"/process/ioPriority", R"({"class": "IOPRIO_CLASS_IDLE", "priority": 3})",
     kHonoured},
    {"/process/scheduler",
     R"({"policy": "SCHED_DEADLINE", "flags": ["SCHED_FLAG_RECLAIM"],
         "runtime": 1024, "deadline": 1025, "period": 18446744073709551615})",
     kHonoured},
    {"/process/scheduler", R"({"policy": "SCHED_OTHER", "nice": -20})",
     kHonoured},
    {"/process/scheduler", R"({"policy": "SCHED_RR", "priority": 99})",
     kHonoured},
    {"/process/execCPUAffinity", R"({"initial": "0", "final": "1-2,8191"})",
     kHonoured},

    {"/linux/namespaces/2/path", "\"/n\"", kHonoured},
    {"/linux/namespaces/6", R"({"type": "cgroup"})", kHonoured},
    {"/linux/namespaces/6", R"({"type": "time"})", kHonoured},
    {"/linux/namespaces/6", R"({"type": "time", "path": "/t"})", kHonoured},
    {"/linux/uidMappings/0/size", "3", kHonoured},
    {"/linux/gidMappings/0/hostID", "3", kHonoured},
    {"/linux/devices/0/fileMode", "438", kHonoured},
    {"/linux/devices/0/uid", "1", kHonoured},
    {"/linux/devices/0/gid", "1", kHonoured},
    {"/linux/netDevices", R"({"eth0": {"name": "x"}})", kHonoured},
    {"/linux/netDevices", R"({"eth0": {}})", kHonoured},
    {"/linux/cgroupsPath", "\"/c\"", kHonoured},
    {"/linux/sysctl", R"({"net.ipv4.ip_forward": "1"})", kHonoured},
    {"/linux/rootfsPropagation", "\"rshared\"", kHonoured},
    {"/linux/maskedPaths", R"(["/m"])", kHonoured},
    {"/linux/readonlyPaths", R"(["/r"])", kHonoured},
    {"/linux/mountLabel", "\"l\"", kHonoured},
    {"/linux/personality/domain", "\"LINUX32\"", kHonoured},
    {"/linux/personality/flags", R"(["x"])", kHonoured},
    {"/linux/intelRdt",
     R"({"closID": "x", "schemata": ["L3:0=f"], "enableMonitoring": true})",
     kHonoured},
    {"/linux/intelRdt",
     R"({"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=9"})", kHonoured},
    {"/linux/memoryPolicy",
     R"({"mode": "MPOL_BIND", "nodes": "0",
         "flags": ["MPOL_F_STATIC_NODES"]})",
     kHonoured},
    {"/linux/seccomp/listenerMetadata", "\"m\"", kHonoured},
    {"/linux/seccomp/architectures", R"(["SCMP_ARCH_X86"])", kHonoured},
    {"/linux/seccomp/flags", R"(["SECCOMP_FILTER_FLAG_LOG"])", kHonoured},
    {"/linux/seccomp/syscalls/0/errnoRet", "5", kHonoured},
    {"/linux/seccomp/berth.also",
     R"([{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5}])",
     kHonoured},
    {"/linux/seccomp/syscalls/0/args/0/valueTwo", "5", kHonoured},

    {"/linux/resources/unified", R"({"memory.high": "5"})", kHonoured},
    {"/linux/resources/devices",
     R"([{"allow": true, "type": "c", "major": 1, "minor": 3,
          "access": "rw"}])",
     kHonoured},
    {"/linux/resources/memory/limit", "5", kHonoured},
    {"/linux/resources/memory/reservation", "5", kHonoured},
    {"/linux/resources/memory/swap", "5", kHonoured},
    {"/linux/resources/memory/kernel", "5", kNothing, kOldKernel},
    {"/linux/resources/memory/kernelTCP", "5", kNothing, kOldKernel},
    {"/linux/resources/memory/swappiness", "5", kHonoured},
    {"/linux/resources/memory/disableOOMKiller", "true", kHonoured},
    {"/linux/resources/memory/useHierarchy", "true", kNothing,
     "the kernel knows nothing else any more"},
    {"/linux/resources/memory/checkBeforeUpdate", "true", kHonoured},
    {"/linux/resources/cpu/shares", "5", kHonoured},
    {"/linux/resources/cpu/quota", "5", kHonoured},
    {"/linux/resources/cpu/burst", "5", kHonoured},
    {"/linux/resources/cpu/period", "5", kHonoured},
    {"/linux/resources/cpu/realtimeRuntime", "5", kHonoured},
    {"/linux/resources/cpu/realtimePeriod", "5", kHonoured},
    {"/linux/resources/cpu/cpus", "\"0\"", kHonoured},
    {"/linux/resources/cpu/mems", "\"0\"", kHonoured},
    {"/linux/resources/cpu/idle", "1", kHonoured},
    {"/linux/resources/pids/limit", "5", kHonoured},
    {"/linux/resources/blockIO/weight", "50", kHonoured},
    {"/linux/resources/blockIO/leafWeight", "50", kHonoured},
    {"/linux/resources/blockIO/weightDevice",
     R"([{"major": 8, "minor": 0, "weight": 50, "leafWeight": 60}])",
     kHonoured},
    {"/linux/resources/blockIO/throttleReadBpsDevice", kThrottle, kHonoured},
    {"/linux/resources/blockIO/throttleWriteBpsDevice", kThrottle, kHonoured},
    {"/linux/resources/blockIO/throttleReadIOPSDevice", kThrottle, kHonoured},
    {"/linux/resources/blockIO/throttleWriteIOPSDevice", kThrottle, kHonoured},
    {"/linux/resources/hugepageLimits", R"([{"pageSize": "2MB", "limit": 5}])",
     kHonoured},
    {"/linux/resources/rdma", R"({"mlx5": {"hcaHandles": 1, "hcaObjects": 2}})",
     kHonoured},
    {"/linux/resources/network/classID", "5", kHonoured},
    {"/linux/resources/network/priorities",
     R"([{"name": "eth0", "priority": 1}])", kHonoured},

    {"/windows", "{}", kNothing, kOtherSystem},
    {"/solaris", "{}", kNothing, kOtherSystem},
    {"/freebsd", "{}", kNothing, kOtherSystem},
    {"/zos", "{}", kNothing, kOtherSystem},
    {"/vm", "{}", kNothing, kOtherSystem},
};

StatusOr<Json> ThereAndBack(const Json& config) {
  ASSIGN_OR_RETURN(const Spec spec, ParseSpec(DumpJson(config)));
  RETURN_IF_ERROR(Validate(spec));
  return ParseJson(SerializeSpec(spec), "config.json");
}

TEST(FieldsTest, EachHasAVerdict) {
  for (const Field& field : kFields) {
    SCOPED_TRACE(field.pointer);
    const Json config = With(Parsed(kBase), field.pointer, Parsed(field.value));
    const StatusOr<Json> back = ThereAndBack(config);
    if (field.verdict == kRefused) {
      // What is wrong is named by the field, or by the value that it has.
      EXPECT_THAT(back, StatusIs(StatusCode::kUnimplemented,
                                 HasSubstr("not supported")));
      continue;
    }
    ASSERT_OK(back);
    if (field.verdict == kNothing) {
      EXPECT_NE(std::string(field.why), "");
      EXPECT_EQ(At(*back, field.pointer), Json());
      continue;
    }
    EXPECT_EQ(At(*back, field.pointer), At(config, field.pointer));
    EXPECT_NE(At(*back, field.pointer), Json());
  }
}

TEST(FieldsTest, RefusalsNameTheField) {
  for (const Field& field : kFields) {
    if (field.verdict != kRefused) continue;
    const Json config = With(Parsed(kBase), field.pointer, Parsed(field.value));
    const std::string message = Message(ThereAndBack(config).status());
    const std::string path = field.pointer;
    const std::string name = path.substr(path.rfind('/') + 1);
    const bool named = message.find(name) != std::string::npos;

    EXPECT_TRUE(named) << field.pointer << ": " << message;
  }
}

// Values that no kernel takes, each refused with the name of its field.
TEST(FieldsTest, BadValuesNameTheField) {
  constexpr struct {
    const char* pointer;
    const char* value;
    const char* named;
  } kBad[] = {
      {"/process/scheduler", "{}", "process.scheduler.policy"},
      {"/process/scheduler", R"({"policy": "SCHED_X"})", "scheduler.policy"},
      {"/process/scheduler", R"({"policy": "SCHED_OTHER", "nice": 20})",
       "scheduler.nice"},
      {"/process/scheduler", R"({"policy": "SCHED_BATCH", "nice": -21})",
       "scheduler.nice"},
      {"/process/scheduler", R"({"policy": "SCHED_OTHER", "priority": 1})",
       "scheduler.priority"},
      {"/process/scheduler", R"({"policy": "SCHED_RR", "period": 1})",
       "SCHED_DEADLINE"},
      {"/process/scheduler", R"({"policy": "SCHED_RR", "flags": ["X"]})",
       "scheduler.flags"},
      {"/process/ioPriority", R"({"class": "X"})", "ioPriority.class"},
      {"/process/ioPriority", R"({"class": "IOPRIO_CLASS_BE", "priority": 8})",
       "ioPriority.priority"},
      {"/process/execCPUAffinity", R"({"initial": "a"})", "initial"},
      {"/process/execCPUAffinity", R"({"initial": "3-1"})", "initial"},
      {"/process/scheduler",
       R"({"policy": "SCHED_DEADLINE", "runtime": 9000, "deadline": 8000})",
       "scheduler.runtime"},
      {"/process/execCPUAffinity", R"({"final": "1-"})", "final"},
      {"/process/execCPUAffinity", R"({"final": "8192"})", "final"},
      {"/linux/memoryPolicy", R"({"mode": "X"})", "memoryPolicy.mode"},
      {"/linux/netDevices", R"({"eth0": {"name": "a/b"}})", "netDevices"},
      {"/linux/netDevices", R"({"0123456789abcdef": {}})", "netDevices"},
      {"/linux/netDevices", R"({"": {}})", "netDevices"},
      {"/linux/netDevices", R"({"eth0": {"name": ".."}})", "netDevices"},
      {"/linux/memoryPolicy", R"({"mode": "MPOL_BIND"})", "memoryPolicy.nodes"},
      {"/linux/memoryPolicy", R"({"mode": "MPOL_LOCAL", "nodes": "0"})",
       "memoryPolicy.nodes"},
      {"/linux/memoryPolicy",
       R"({"mode": "MPOL_BIND", "nodes": "0", "flags": ["X"]})",
       "memoryPolicy.flags"},
  };
  for (const auto& bad : kBad) {
    const Json config = With(Parsed(kBase), bad.pointer, Parsed(bad.value));
    EXPECT_THAT(ThereAndBack(config),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(bad.named)))
        << bad.pointer << " " << bad.value;
  }
}

TEST(FieldsTest, TimeOffsetsNeedANewTimeNamespace) {
  const Json offsets = Parsed(
      R"({"boottime": {"secs": -5, "nanosecs": 999999999},
          "monotonic": {"secs": 7, "nanosecs": 0}})");
  const Json config = With(Parsed(kBase), "/linux/timeOffsets", offsets);
  EXPECT_THAT(ThereAndBack(config),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("timeOffsets")));
  const char kEntry[] = "/linux/namespaces/6";
  const Json good = With(config, kEntry, Parsed(R"({"type": "time"})"));
  const auto back = ThereAndBack(good);
  ASSERT_OK(back);
  EXPECT_EQ(At(*back, "/linux/timeOffsets"), offsets);
  for (const Json& bad :
       {With(config, kEntry, Parsed(R"({"type": "time", "path": "/t"})")),
        With(good, "/linux/timeOffsets", Parsed(R"({"realtime": {}})")),
        With(good, "/linux/timeOffsets/boottime/nanosecs",
             Parsed("1000000000"))}) {
    EXPECT_THAT(ThereAndBack(bad), StatusIs(StatusCode::kInvalidArgument,
                                            HasSubstr("timeOffsets")));
  }
}

TEST(FieldsTest, NotificationsNeedAListener) {
  const char kAction[] = "/linux/seccomp/syscalls/0/action";
  const char kPath[] = "/linux/seccomp/listenerPath";
  const Json plain = With(Parsed(kBase), kAction, "SCMP_ACT_NOTIFY");
  const Json good = With(plain, kPath, "/s");
  const auto back = ThereAndBack(good);
  ASSERT_OK(back);
  EXPECT_EQ(At(*back, kPath), Json("/s"));
  const char kFlags[] = "/linux/seccomp/flags";
  const Json waiting = Json::array({"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"});
  EXPECT_OK(ThereAndBack(With(good, kFlags, waiting)));
  for (const Json& bad :
       {plain, With(good, "/linux/seccomp/defaultAction", "SCMP_ACT_NOTIFY"),
        With(good, "/linux/seccomp/syscalls/0/names",
             Json::array({"read", "write"})),
        With(Parsed(kBase), kFlags, waiting)}) {
    EXPECT_THAT(ThereAndBack(bad),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr("seccomp")));
  }
}

TEST(FieldsTest, ListsOfNumbersAreBounded) {
  std::string all;
  while (all.size() < 10 * kMaxListBytes) all += "0-8191,";
  EXPECT_THAT(ParseNumberList(all), StatusIs(StatusCode::kInvalidArgument));
  const auto mask = ParseNumberList("0-1,, 64");
  ASSERT_OK(mask);
  EXPECT_EQ(*mask, (std::vector<unsigned long>{3, 1}));
}

}  // namespace
}  // namespace berth::oci
