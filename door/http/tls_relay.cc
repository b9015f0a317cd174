#include "door/http/tls_relay.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/strings.h"
#include "base/sys/socket.h"

namespace berth::door {
namespace {

constexpr size_t kPiece = 16 << 10;  // a TLS record
// Pieces each way before other connections get their turn.
constexpr int kRounds = 16;

// With an errno if a file is there and cannot be opened: it may be good.
Status TlsError(const std::string& what) {
  const unsigned long error = ERR_get_error();
  char text[256];
  ERR_error_string_n(error, text, sizeof(text));
  ERR_clear_error();
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) == ERR_LIB_SYS && reason != ENOENT) {
    return Errno(reason, what);
  }
  return InvalidArgument(what + ": " + text);
}

// For a certificate of this authority.
Status AskClients(SSL_CTX* ssl, const std::string& authority) {
  if (SSL_CTX_load_verify_locations(ssl, authority.c_str(), nullptr) != 1) {
    return TlsError("read the authority " + Quoted(authority));
  }
  SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(authority.c_str()));
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     nullptr);
  return OkStatus();
}

}  // namespace

struct TlsServer::Context {
  SSL_CTX* const ssl = SSL_CTX_new(TLS_server_method());
  ~Context() { SSL_CTX_free(ssl); }
};

TlsServer::TlsServer(std::unique_ptr<Context> context)
    : context_(std::move(context)) {}
TlsServer::~TlsServer() = default;

StatusOr<std::shared_ptr<const TlsServer>> TlsServer::Load(
    const TlsFiles& files) {
  ERR_clear_error();  // what connections of this thread have left
  auto context = std::make_unique<Context>();
  SSL_CTX* const ssl = context->ssl;
  if (ssl == nullptr) return TlsError("make a TLS context");
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  // Nothing is resumed: each connection proves itself.
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ssl, 0);
  SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  if (!files.ca_cert.empty()) RETURN_IF_ERROR(AskClients(ssl, files.ca_cert));
  if (SSL_CTX_use_certificate_chain_file(ssl, files.cert.c_str()) != 1) {
    return TlsError("read the certificate " + Quoted(files.cert));
  }
  if (SSL_CTX_use_PrivateKey_file(ssl, files.key.c_str(), SSL_FILETYPE_PEM) !=
          1 ||
      SSL_CTX_check_private_key(ssl) != 1) {
    return TlsError("read the key " + Quoted(files.key));
  }
  return std::shared_ptr<const TlsServer>(new TlsServer(std::move(context)));
}

struct TlsRelay::Session {
  explicit Session(SSL_CTX* context) : ssl(SSL_new(context)) {}
  ~Session() { SSL_free(ssl); }
  SSL* const ssl;
};

TlsRelay::TlsRelay(EventLoop& loop, const TlsServer& server, UniqueFd socket,
                   Duration patience, Take take, std::function<void()> ended)
    : loop_(loop),
      session_(std::make_unique<Session>(server.context_->ssl)),
      socket_(std::move(socket)),
      patience_(patience),
      take_(std::move(take)),
      ended_(std::move(ended)) {}

TlsRelay::~TlsRelay() {
  loop_.CancelTimer(again_);
  loop_.CancelTimer(patience_over_);
  loop_.Remove(socket_.get());
  if (plain_.valid()) loop_.Remove(plain_.get());
}

Status TlsRelay::Start() {
  if (session_->ssl == nullptr ||
      SSL_set_fd(session_->ssl, socket_.get()) != 1) {
    return TlsError("begin TLS");
  }
  SSL_set_accept_state(session_->ssl);
  return loop_.Add(socket_.get(), EPOLLIN,
                   [this](uint32_t events) { OnSocket(events); });
}

void TlsRelay::OnSocket(uint32_t events) {
  // Nothing can be sent to a client that is gone altogether.
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) return End();
  Run();
}

void TlsRelay::OnPlain(uint32_t events) {
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    // What it has sent can still be read, and this event would not end.
    plain_gone_ = true;
    loop_.Remove(plain_.get());
    LimitLastWords();
  }
  Run();
}

void TlsRelay::LimitLastWords() {
  loop_.CancelTimer(patience_over_);
  patience_over_ = loop_.After(patience_, [this] { End(); });
}

void TlsRelay::End() {
  const std::function<void()> ended = ended_;
  ended();
}

void TlsRelay::Run() {
  Step step = Step::kMore;
  if (refused_) {
    step = Drain();
  } else if (handshaking()) {
    step = Handshake();
  }
  for (int round = 0; step == Step::kMore; ++round) {
    if (round == kRounds) {
      loop_.CancelTimer(again_);
      again_ = loop_.After(Duration(0), [this] { Run(); });
      break;
    }
    const Step received = Receive();
    const Step sent = received == Step::kEnd ? Step::kEnd : Send();
    if (sent == Step::kEnd) {
      step = Step::kEnd;
    } else if (received == Step::kWait && sent == Step::kWait) {
      step = Step::kWait;
    }
  }
  if (step == Step::kEnd || !Watch().ok()) End();
}

// What OpenSSL says of an operation that did not succeed.
TlsRelay::Step TlsRelay::After(int result, uint32_t& wanted) {
  switch (SSL_get_error(session_->ssl, result)) {
    case SSL_ERROR_WANT_READ:
      wanted = EPOLLIN;
      return Step::kWait;
    case SSL_ERROR_WANT_WRITE:
      wanted = EPOLLOUT;
      return Step::kWait;
    default:
      return Step::kEnd;
  }
}

TlsRelay::Step TlsRelay::Handshake() {
  ERR_clear_error();
  receive_wants_ = 0;
  const int result = SSL_do_handshake(session_->ssl);
  if (result != 1) {
    const Step step = After(result, receive_wants_);
    return step == Step::kEnd ? Refuse() : step;
  }
  StatusOr<std::pair<UniqueFd, UniqueFd>> ends = SocketPair();
  if (!ends.ok() || !SetNonBlocking(ends->first.get()).ok() ||
      !SetNonBlocking(ends->second.get()).ok() ||
      !loop_
           .Add(ends->first.get(), EPOLLIN,
                [this](uint32_t events) { OnPlain(events); })
           .ok()) {
    return Step::kEnd;
  }
  plain_ = std::move(ends->first);
  take_(std::move(ends->second));
  return Step::kMore;
}

// OpenSSL has sent the alert. Closing now, with a request of the client unread,
// would reset the connection, and the client would never see why.
TlsRelay::Step TlsRelay::Refuse() {
  refused_ = true;
  shutdown(socket_.get(), SHUT_WR);
  return Drain();
}

TlsRelay::Step TlsRelay::Drain() {
  receive_wants_ = EPOLLIN;
  char bytes[kPiece];
  for (int round = 0; round < kRounds; ++round) {
    const ssize_t n = recv(socket_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n > 0) continue;
    return n < 0 && errno == EAGAIN ? Step::kWait : Step::kEnd;
  }
  return Step::kWait;
}

TlsRelay::Step TlsRelay::Receive() {
  receive_wants_ = 0;
  plain_wants_ &= ~uint32_t{EPOLLOUT};
  if (received_.empty() && !client_ended_) {
    char bytes[kPiece];
    ERR_clear_error();
    const int n = SSL_read(session_->ssl, bytes, sizeof(bytes));
    if (n > 0) {
      received_.assign(bytes, static_cast<size_t>(n));
    } else if (SSL_get_error(session_->ssl, n) == SSL_ERROR_ZERO_RETURN) {
      client_ended_ = true;
      shutdown(plain_.get(), SHUT_WR);
    } else {
      return After(n, receive_wants_);
    }
  }
  if (received_.empty()) return Step::kWait;
  const ssize_t n = send(plain_.get(), received_.data(), received_.size(),
                         MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0) {
    received_.erase(0, static_cast<size_t>(n));
    return Step::kMore;
  }
  if (errno == EAGAIN) {
    plain_wants_ |= EPOLLOUT;
    return Step::kWait;
  }
  // The server reads no more; its last words may still have to be sent.
  received_.clear();
  client_ended_ = true;
  return Step::kWait;
}

TlsRelay::Step TlsRelay::Send() {
  send_wants_ = 0;
  plain_wants_ &= ~uint32_t{EPOLLIN};
  if (sending_.empty() && !server_ended_) {
    char bytes[kPiece];
    const ssize_t n = recv(plain_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n > 0) {
      sending_.assign(bytes, static_cast<size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      plain_wants_ |= EPOLLIN;
      return Step::kWait;
    } else {
      server_ended_ = true;
    }
  }
  ERR_clear_error();
  if (!sending_.empty()) {
    const int n = SSL_write(session_->ssl, sending_.data(),
                            static_cast<int>(sending_.size()));
    if (n <= 0) return After(n, send_wants_);
    sending_.erase(0, static_cast<size_t>(n));
    if (plain_gone_) LimitLastWords();
    return Step::kMore;
  }
  // The end of the answers.
  if ((SSL_get_shutdown(session_->ssl) & SSL_SENT_SHUTDOWN) == 0) {
    const int result = SSL_shutdown(session_->ssl);
    if (result < 0) return After(result, send_wants_);
  }
  return client_ended_ || plain_gone_ ? Step::kEnd : Step::kWait;
}

Status TlsRelay::Watch() {
  RETURN_IF_ERROR(loop_.Modify(socket_.get(), receive_wants_ | send_wants_));
  if (handshaking() || plain_gone_) return OkStatus();
  return loop_.Modify(plain_.get(), plain_wants_);
}

}  // namespace berth::door
