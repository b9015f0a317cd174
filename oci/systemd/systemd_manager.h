#ifndef OCI_SYSTEMD_SYSTEMD_MANAGER_H_
#define OCI_SYSTEMD_SYSTEMD_MANAGER_H_

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "oci/systemd/dbus_connection.h"
#include "oci/systemd/unit_property.h"

namespace berth::oci {

// Where systemd listens, and how long it may take.
struct SystemdAddress {
  std::string bus = "/run/dbus/system_bus_socket";
  // systemd's own socket, for machines without a message bus; root's alone.
  std::string direct = "/run/systemd/private";
  Duration limit = std::chrono::seconds(30);  // each verb, its job included
};

// Whether systemd is the manager of this machine. Source: sd_booted(3).
bool SystemdIsManager();

// The system instance of systemd, on the message bus: makes and ends the units
// that hold containers. Connects when it is first asked, for each object once.
//
// What cannot be had is UNAVAILABLE (nobody listens), DEADLINE_EXCEEDED (no
// answer within the limit) or FAILED_PRECONDITION with systemd's own words.
// Single-threaded. Source: org.freedesktop.systemd1(5).
class SystemdManager {
 public:
  explicit SystemdManager(SystemdAddress address = {});

  // Makes a transient unit and returns when it is active; one that has failed
  // and is still known by that name is forgotten first. ALREADY_EXISTS.
  Status Start(const std::string& unit,
               const std::vector<UnitProperty>& properties);
  // Returns when the unit has ended, and forgets it if it had failed.
  // NOT_FOUND.
  Status Stop(const std::string& unit);
  // Returns when they are in force, until the next boot. NOT_FOUND.
  Status SetProperties(const std::string& unit,
                       const std::vector<UnitProperty>& properties);
  // Forgets that the unit has failed. NOT_FOUND.
  Status ResetFailed(const std::string& unit);

 private:
  Status Connect(SteadyTime deadline);
  StatusOr<DbusMessage> Call(DbusCall call, SteadyTime deadline);
  // A call whose answer is the path of a job, until that is done.
  Status RunJob(DbusCall call, SteadyTime deadline);
  SteadyTime Deadline() const;

  const SystemdAddress address_;
  std::unique_ptr<DbusConnection> connection_;
  bool direct_ = false;
  std::vector<DbusMessage> removed_jobs_;  // heard while waiting for a reply
};

}  // namespace berth::oci

#endif  // OCI_SYSTEMD_SYSTEMD_MANAGER_H_
