#include "oci/systemd/systemd_manager.h"

#include <sys/stat.h>

#include <chrono>
#include <memory>
#include <utility>

#include "base/strings.h"

namespace berth::oci {
namespace {

constexpr char kSystemd[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr char kBus[] = "org.freedesktop.DBus";
constexpr char kBusPath[] = "/org/freedesktop/DBus";
constexpr char kJobs[] =
    "type='signal',sender='org.freedesktop.systemd1',"
    "interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

DbusCall ManagerCall(const char* member, const char* signature,
                     const DbusWriter& body) {
  return {.destination = kSystemd,
          .path = kManagerPath,
          .interface = kManager,
          .member = member,
          .signature = signature,
          .body = body.bytes()};
}

void AddProperties(const std::vector<UnitProperty>& properties,
                   DbusWriter& body) {
  body.Array(8, [&] {
    for (const UnitProperty& property : properties) body.Property(property);
  });
}

// What systemd, or the bus, says of a call that it refuses.
Status ErrorOf(const DbusMessage& message) {
  const std::string text =
      message.words.empty() ? message.error : message.words[0];
  const std::string said = "systemd: " + text;
  if (EndsWith(message.error, ".NoSuchUnit")) return NotFound(said);
  if (EndsWith(message.error, ".UnitExists")) return AlreadyExists(said);
  if (EndsWith(message.error, ".ServiceUnknown")) return Unavailable(said);
  return FailedPrecondition(said + " (" + message.error + ")");
}

bool IsJobRemoved(const DbusMessage& message) {
  return message.type == DbusMessage::kSignal &&
         message.interface == kManager && message.member == "JobRemoved" &&
         message.words.size() >= 3;
}

// The words of JobRemoved: the job's path, the unit, the result.
bool Ends(const DbusMessage& removed, const DbusMessage& started) {
  // On a bus anybody may send a signal; nobody in the name of another.
  return removed.sender == started.sender &&
         removed.words[0] == started.words[0];
}

Status ResultOf(const DbusMessage& removed) {
  const std::string& result = removed.words[2];
  if (result == "done") return OkStatus();
  return FailedPrecondition("systemd: the job of " + removed.words[1] +
                            " ended as " + Quoted(result));
}

}  // namespace

bool SystemdIsManager() {
  struct stat st;
  return lstat("/run/systemd/system", &st) == 0 && S_ISDIR(st.st_mode);
}

SystemdManager::SystemdManager(SystemdAddress address)
    : address_(std::move(address)) {}

SteadyTime SystemdManager::Deadline() const {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<SteadyTime::duration>(address_.limit);
}

Status SystemdManager::Connect(SteadyTime deadline) {
  if (connection_ != nullptr) return OkStatus();
  auto connection = DbusConnection::Open(address_.bus, deadline);
  direct_ = !connection.ok() &&
            connection.status().code() != StatusCode::kDeadlineExceeded;
  if (direct_) {
    auto direct = DbusConnection::Open(address_.direct, deadline);
    if (!direct.ok()) {
      // The bus is what people know, so its failure is told.
      return Unavailable("connect to systemd: " + Message(connection.status()));
    }
    connection = std::move(direct);
  }
  RETURN_IF_ERROR_AS(connection.status(), "connect to systemd");
  connection_ = std::make_unique<DbusConnection>(*std::move(connection));
  // On its own socket systemd tells everybody of its jobs.
  if (direct_) return OkStatus();
  DbusWriter rule;
  rule.String(kJobs);
  RETURN_IF_ERROR(Call({.destination = kBus,
                        .path = kBusPath,
                        .interface = kBus,
                        .member = "Hello"},
                       deadline)
                      .status());
  return Call({.destination = kBus,
               .path = kBusPath,
               .interface = kBus,
               .member = "AddMatch",
               .signature = "s",
               .body = rule.bytes()},
              deadline)
      .status();
}

StatusOr<DbusMessage> SystemdManager::Call(DbusCall call, SteadyTime deadline) {
  const std::string what = "systemd: " + call.member;
  if (direct_) call.destination.clear();
  const auto converse = [&]() -> StatusOr<DbusMessage> {
    ASSIGN_OR_RETURN(const uint32_t serial, connection_->Send(call, deadline));
    for (;;) {
      ASSIGN_OR_RETURN(DbusMessage message, connection_->Receive(deadline));
      if (message.reply_to == serial) return message;
      if (IsJobRemoved(message)) removed_jobs_.push_back(std::move(message));
    }
  };
  StatusOr<DbusMessage> message = converse();
  if (!message.ok()) {
    // Where a conversation stands is not known any more.
    connection_.reset();
    return Annotate(message.status(), what);
  }
  if (message->type == DbusMessage::kError) return ErrorOf(*message);
  return message;
}

Status SystemdManager::RunJob(DbusCall call, SteadyTime deadline) {
  removed_jobs_.clear();
  const std::string what = "systemd: job of " + call.member;
  ASSIGN_OR_RETURN(const DbusMessage started, Call(std::move(call), deadline));
  if (started.words.empty()) return DataLoss(what + ": told no job");
  for (const DbusMessage& removed : removed_jobs_) {
    if (Ends(removed, started)) return ResultOf(removed);
  }
  for (;;) {
    auto message = connection_->Receive(deadline);
    if (!message.ok()) {
      connection_.reset();
      return Annotate(message.status(), what);
    }
    if (IsJobRemoved(*message) && Ends(*message, started)) {
      return ResultOf(*message);
    }
  }
}

Status SystemdManager::Start(const std::string& unit,
                             const std::vector<UnitProperty>& properties) {
  const SteadyTime deadline = Deadline();
  RETURN_IF_ERROR(Connect(deadline));
  DbusWriter body;
  body.String(unit);
  body.String("fail");  // if a job of this unit is under way
  AddProperties(properties, body);
  body.Array(8, [] {});  // no other units
  const DbusCall call =
      ManagerCall("StartTransientUnit", "ssa(sv)a(sa(sv))", body);
  Status started = RunJob(call, deadline);
  if (started.code() == StatusCode::kAlreadyExists) {
    RETURN_IF_ERROR(IgnoreNotFound(ResetFailed(unit)));
    started = RunJob(call, deadline);
  }
  return Annotate(started, "start " + Quoted(unit));
}

Status SystemdManager::Stop(const std::string& unit) {
  const SteadyTime deadline = Deadline();
  RETURN_IF_ERROR(Connect(deadline));
  DbusWriter body;
  body.String(unit);
  body.String("replace");
  RETURN_IF_ERROR_AS(RunJob(ManagerCall("StopUnit", "ss", body), deadline),
                     "stop " + Quoted(unit));
  return IgnoreNotFound(ResetFailed(unit));
}

Status SystemdManager::SetProperties(
    const std::string& unit, const std::vector<UnitProperty>& properties) {
  const SteadyTime deadline = Deadline();
  RETURN_IF_ERROR(Connect(deadline));
  DbusWriter body;
  body.String(unit);
  body.Uint32(1);  // until the next boot
  AddProperties(properties, body);
  RETURN_IF_ERROR_AS(
      Call(ManagerCall("SetUnitProperties", "sba(sv)", body), deadline)
          .status(),
      "set properties of " + Quoted(unit));
  // systemd answers before it has written them; it has when it answers again.
  return Call({.destination = kSystemd,
               .path = kManagerPath,
               .interface = "org.freedesktop.DBus.Peer",
               .member = "Ping"},
              deadline)
      .status();
}

Status SystemdManager::ResetFailed(const std::string& unit) {
  const SteadyTime deadline = Deadline();
  RETURN_IF_ERROR(Connect(deadline));
  DbusWriter body;
  body.String(unit);
  return Annotate(
      Call(ManagerCall("ResetFailedUnit", "s", body), deadline).status(),
      "reset " + Quoted(unit));
}

}  // namespace berth::oci
