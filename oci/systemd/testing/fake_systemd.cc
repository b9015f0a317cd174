#include "oci/systemd/testing/fake_systemd.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "base/sys/socket.h"

namespace berth::oci {
namespace {

constexpr char kUs[] = ":1.1";
constexpr char kJob[] = "/org/freedesktop/systemd1/job/7";

uint32_t SerialOf(const std::string& bytes) {
  uint32_t serial = 0;
  for (size_t i = 12; i-- > 8;) {
    serial = serial << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return serial;
}

void TextField(DbusWriter& writer, uint8_t field, const char* type,
               const std::string& text) {
  if (text.empty()) return;
  writer.Align(8);
  writer.Byte(field);
  writer.Signature(type);
  if (type[0] == 'g') {
    writer.Signature(text);
  } else {
    writer.String(text);
  }
}

struct Outgoing {
  uint8_t type = DbusMessage::kReply;
  uint32_t reply_to = 0;
  std::string error = {};
  std::string member = {};
  std::string sender = kUs;
  std::string signature = {};
  std::string body = {};
};

std::string Serialize(const Outgoing& message) {
  DbusWriter writer;
  writer.Byte('l');
  writer.Byte(message.type);
  writer.Byte(1);
  writer.Byte(1);
  writer.Uint32(static_cast<uint32_t>(message.body.size()));
  writer.Uint32(99);
  writer.Array(8, [&] {
    if (message.type == DbusMessage::kSignal) {
      TextField(writer, 1, "o", "/org/freedesktop/systemd1");
      TextField(writer, 2, "s", "org.freedesktop.systemd1.Manager");
    }
    TextField(writer, 3, "s", message.member);
    TextField(writer, 4, "s", message.error);
    if (message.reply_to != 0) {
      writer.Align(8);
      writer.Byte(5);
      writer.Signature("u");
      writer.Uint32(message.reply_to);
    }
    TextField(writer, 7, "s", message.sender);
    TextField(writer, 8, "g", message.signature);
  });
  writer.Align(8);
  return writer.bytes() + message.body;
}

std::string JobRemoved(const std::string& unit, const std::string& result,
                       const std::string& sender) {
  DbusWriter body;
  body.Uint32(7);
  body.String(kJob);
  body.String(unit);
  body.String(result);
  return Serialize({.type = DbusMessage::kSignal,
                    .member = "JobRemoved",
                    .sender = sender,
                    .signature = "uoss",
                    .body = body.bytes()});
}

std::string AnswerTo(uint32_t serial, const FakeSystemd::Answer& answer) {
  DbusWriter body;
  if (!answer.error.empty()) {
    body.String("refused");
    return Serialize({.type = DbusMessage::kError,
                      .reply_to = serial,
                      .error = answer.error,
                      .signature = "s",
                      .body = body.bytes()});
  }
  body.String(kJob);
  return Serialize(
      {.reply_to = serial, .signature = "o", .body = body.bytes()});
}

void Say(int fd, const std::string& bytes) {
  // The other end may be gone, which is its test's business.
  (void)!send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

bool StartsJob(const std::string& member) {
  return member == "StartTransientUnit" || member == "StopUnit";
}

}  // namespace

FakeSystemd::FakeSystemd(const std::string& socket, Behaviour behaviour,
                         std::string lines)
    : behaviour_(std::move(behaviour)),
      lines_(std::move(lines)),
      listener_(ListenUnix(socket, 0600).value()) {
  auto ends = SocketPair().value();
  stop_ = std::move(ends.first);
  stopper_ = std::move(ends.second);
  thread_ = std::thread([this] { Serve(); });
}

FakeSystemd::~FakeSystemd() {
  stopper_.reset();
  thread_.join();
}

std::vector<std::string> FakeSystemd::calls() const {
  MutexLock lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [call, bytes] : heard_) all.push_back(call);
  return all;
}

std::string FakeSystemd::body(const std::string& member) const {
  MutexLock lock(mutex_);
  std::string last;
  for (const auto& [call, bytes] : heard_) {
    if (call.substr(0, call.find(' ')) == member) last = bytes;
  }
  return last;
}

void FakeSystemd::Serve() {
  for (;;) {
    pollfd waiting[2] = {{listener_.get(), POLLIN, 0},
                         {stop_.get(), POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0) continue;
    if (waiting[1].revents != 0) return;
    const auto fd = AcceptUnix(listener_.get());
    if (fd.ok()) Converse(fd->get());
  }
}

void FakeSystemd::Converse(int fd) {
  std::string received;
  bool greeted = false;
  for (;;) {
    pollfd waiting[2] = {{fd, POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0) continue;
    if (waiting[1].revents != 0) return;
    char buffer[4096];
    const ssize_t size = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size <= 0) return;
    received.append(buffer, static_cast<size_t>(size));
    if (!greeted) {
      const size_t end = received.find("BEGIN\r\n");
      if (end == std::string::npos) continue;
      received.erase(0, end + 7);
      Say(fd, lines_);
      greeted = true;
    }
    for (;;) {
      const size_t length = DbusMessageSize(received).value();
      if (length == 0 || received.size() < length) break;
      const std::string message = received.substr(0, length);
      received.erase(0, length);
      if (!Reply(fd, message)) return;
    }
  }
}

bool FakeSystemd::Reply(int fd, const std::string& bytes) {
  const DbusMessage call = ParseDbusMessage(bytes).value();
  std::string text = call.member;
  for (const std::string& word : call.words) text += " " + word;
  {
    MutexLock lock(mutex_);
    heard_.emplace_back(text, bytes);
  }
  const Answer answer = behaviour_(call.member);
  if (answer.closes) return false;
  if (answer.hangs) return true;
  if (!answer.garbage.empty()) {
    Say(fd, answer.garbage);
    return true;
  }
  const bool job = StartsJob(call.member) && answer.error.empty();
  const std::string unit = call.words.empty() ? "" : call.words[0];
  const std::string end = JobRemoved(unit, answer.result, kUs);
  if (job && !answer.signal_first.empty()) {
    Say(fd, JobRemoved(unit, "done", answer.signal_first));
  }
  if (job && answer.early) Say(fd, end);
  Say(fd, AnswerTo(SerialOf(bytes), answer));
  if (job && !answer.early) Say(fd, end);
  return true;
}

}  // namespace berth::oci
