#ifndef OCI_SYSTEMD_TESTING_FAKE_SYSTEMD_H_
#define OCI_SYSTEMD_TESTING_FAKE_SYSTEMD_H_

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "oci/systemd/dbus_wire.h"

namespace berth::oci {

// What stands behind systemd's socket in a test: it answers, fails or hangs as
// it is told. Serves one connection after the other. Thread-safe.
class FakeSystemd {
 public:
  struct Answer {
    std::string error = {};         // its name; its text is "refused"
    std::string result = "done";    // of the job that the call began
    bool early = false;             // the job ends before the call is answered
    bool hangs = false;             // nothing more is said, ever
    bool closes = false;            // the connection
    std::string garbage = {};       // said instead of an answer
    std::string signal_first = {};  // sender of a false report of the job's end
  };
  // By the member that is called.
  using Behaviour = std::function<Answer(const std::string& member)>;

  // `lines`: what it says to the authentication.
  FakeSystemd(const std::string& socket, Behaviour behaviour,
              std::string lines = "DATA\r\nOK 0123456789abcdef\r\n");
  ~FakeSystemd();

  // "Member word word", in their order.
  std::vector<std::string> calls() const;
  // The bytes of the last call of a member.
  std::string body(const std::string& member) const;

 private:
  void Serve();
  void Converse(int fd);
  // False: the conversation is over.
  bool Reply(int fd, const std::string& bytes);

  const Behaviour behaviour_;
  const std::string lines_;
  const UniqueFd listener_;
  UniqueFd stop_;  // readable: the end
  UniqueFd stopper_;
  mutable Mutex mutex_;
  std::vector<std::pair<std::string, std::string>> heard_ GUARDED_BY(mutex_);
  std::thread thread_;  // last member
};

}  // namespace berth::oci

#endif  // OCI_SYSTEMD_TESTING_FAKE_SYSTEMD_H_
