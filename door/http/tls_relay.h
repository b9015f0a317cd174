#ifndef DOOR_HTTP_TLS_RELAY_H_
#define DOOR_HTTP_TLS_RELAY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/io/event_loop.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace berth::door {

// PEM files of a TLS server that serves only clients with a certificate of its
// authority (dockerd's --tlsverify --tlscacert --tlscert --tlskey). Without an
// authority, clients need no certificate.
struct TlsFiles {
  std::string ca_cert;
  std::string cert;
  std::string key;
};

// What connections of such a server share: OpenSSL's SSL_CTX. Immutable,
// thread-safe.
class TlsServer {
 public:
  // An error if a file cannot be read, or the key is not the certificate's.
  static StatusOr<std::shared_ptr<const TlsServer>> Load(const TlsFiles& files);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

 private:
  friend class TlsRelay;
  struct Context;
  explicit TlsServer(std::unique_ptr<Context> context);
  const std::unique_ptr<Context> context_;
};

// The TLS of one connection, between its socket and a plain one, which the
// server reads and writes as if it were the client's. Ends of input pass
// through, and a side that does not read stops the other.
//
// Lives on an event loop; single-threaded.
class TlsRelay {
 public:
  // Takes the plain socket's other end once the client has proved who it is.
  using Take = std::function<void(UniqueFd)>;

  // `socket` is non-blocking. `ended` is called once, when nothing is left to
  // do, and may destroy this. Once the server has closed its end, a client that
  // takes nothing for `patience` is left.
  TlsRelay(EventLoop& loop, const TlsServer& server, UniqueFd socket,
           Duration patience, Take take, std::function<void()> ended);
  ~TlsRelay();
  TlsRelay(const TlsRelay&) = delete;
  TlsRelay& operator=(const TlsRelay&) = delete;

  Status Start();
  // Whether the client has yet to prove who it is.
  bool handshaking() const { return !plain_.valid(); }

 private:
  struct Session;
  // What became of a step: more may be done at once, nothing can be done
  // before an event, or the connection is broken or over.
  enum class Step { kMore, kWait, kEnd };

  void OnPlain(uint32_t events);
  void OnSocket(uint32_t events);
  void Run();
  void LimitLastWords();
  void End();
  Step Handshake();
  Step Refuse();
  Step Drain();    // until the client ends, or its time for a handshake does
  Step Receive();  // from the client
  Step Send();     // to the client
  Step After(int result, uint32_t& wanted);
  Status Watch();

  EventLoop& loop_;
  const std::unique_ptr<Session> session_;
  const UniqueFd socket_;
  const Duration patience_;
  UniqueFd plain_;
  const Take take_;
  const std::function<void()> ended_;
  std::string received_;  // for the server
  std::string sending_;   // for the client
  bool refused_ = false;
  bool client_ended_ = false;
  bool server_ended_ = false;
  bool plain_gone_ = false;  // the server has closed its end
  EventLoop::TimerId again_ = 0;
  EventLoop::TimerId patience_over_ = 0;
  // Of epoll: what each direction waits for on each side.
  uint32_t receive_wants_ = 0;
  uint32_t send_wants_ = 0;
  uint32_t plain_wants_ = 0;
};

}  // namespace berth::door

#endif  // DOOR_HTTP_TLS_RELAY_H_
