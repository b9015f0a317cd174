#ifndef DOOR_HTTP_EXCHANGE_H_
#define DOOR_HTTP_EXCHANGE_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "door/http/connection.h"
#include "door/http/http_server.h"
#include "door/http/upgrade.h"

namespace berth::door {

// The one implementation of HttpExchange: a request whose head the connection's
// parser holds. Single-threaded as its interface says.
class HttpServer::Exchange : public HttpExchange {
 public:
  // Asked before an answer that may last for ever. `upgrade`: the client may
  // shut its side down from now on and has not gone away.
  using TakePlace = std::function<Status(bool upgrade)>;

  Exchange(Connection& connection, const HttpServerOptions& options,
           TakePlace take_place)
      : ctx_(connection.context()),
        connection_(connection),
        options_(options),
        take_place_(std::move(take_place)),
        patience_(options.body_patience) {}

  const ServerRequest& request() const override {
    return connection_.parser().request();
  }
  bool answered() const override { return answered_; }
  StatusOr<std::string> ReadSome(size_t limit) override;
  StatusOr<std::string> ReadBody(size_t limit) override;
  bool body_too_long() const override { return body_too_long_; }
  void AddHeader(const std::string& name, const std::string& value) override;
  Status Respond(int status, const std::string& type,
                 std::string_view body) override;
  Status BeginStream(int status, const std::string& type) override;
  Status Write(std::string_view bytes) override;
  StatusOr<UpgradedConnection> Upgrade(const std::string& type) override;

  // What is left to do when the handler has returned. True if the connection
  // can take another request; else it has been ended, and can be closed.
  bool Finish();
  // The handler has failed: 500 if there is no answer yet, else the answer is
  // left as incomplete as it is. Finish comes after it.
  void Fail(const Status& status);
  // The answer to a head that cannot be read, and the end.
  void RefuseHead(const Status& status);

 private:
  std::string Head(int status, const std::string& type) const;
  Status Send(std::string_view bytes);
  // Waits for more of the body. DEADLINE_EXCEEDED if the client is too slow.
  StatusOr<bool> AwaitBody();
  // Reads what is left of the body. False if that is not worth it.
  bool SkipBody();

  const Context& ctx_;
  Connection& connection_;
  const HttpServerOptions& options_;
  const TakePlace take_place_;
  std::string headers_;
  bool continued_ = false;
  bool answered_ = false;
  bool streaming_ = false;
  bool upgraded_ = false;
  bool broken_ = false;       // nothing more can be sent
  bool broken_body_ = false;  // nothing more can be received
  bool body_too_long_ = false;
  Duration patience_;  // left for waiting for the body
};

}  // namespace berth::door

#endif  // DOOR_HTTP_EXCHANGE_H_
