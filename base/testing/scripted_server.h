#ifndef BASE_TESTING_SCRIPTED_SERVER_H_
#define BASE_TESTING_SCRIPTED_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace berth {

// A loopback server that answers each HTTP request with exactly the bytes that
// a test wants, right or wrong, and closes the connection after each.
class ScriptedServer {
 public:
  // Gets the request's head and body; returns the raw response. Called on the
  // server's own threads, one a connection.
  using Handler = std::function<std::string(const std::string& request)>;

  explicit ScriptedServer(Handler handler);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  // From now on a reply is sent in pieces of that many bytes, with a pause
  // behind each; 0 bytes: the connection stays open and silent.
  void Pace(size_t bytes, std::chrono::milliseconds pause);

  uint16_t port() const { return port_; }
  // "127.0.0.1:PORT"
  std::string address() const;
  // "http://127.0.0.1:PORT" + path
  std::string Url(const std::string& path) const;
  // All requests so far.
  std::vector<std::string> requests() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
  uint16_t port_ = 0;
};

// "HTTP/1.1 200 OK", with Content-Length and the given header lines.
std::string HttpReply(int status, const std::string& body,
                      const std::vector<std::string>& headers = {});

// The value of a header in a request's head; empty: none.
std::string RequestHeader(const std::string& request, const std::string& name);

}  // namespace berth

#endif  // BASE_TESTING_SCRIPTED_SERVER_H_
