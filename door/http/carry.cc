#include "door/http/carry.h"

#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread.h"

namespace berth::door {
namespace {

constexpr size_t kPiece = 64 << 10;

void CarryBack(const Context& ctx, int socket, UpgradedConnection& client) {
  std::vector<char> buffer(kPiece);
  while (AwaitReadable(ctx, socket).ok()) {
    const ssize_t size = recv(socket, buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) return;
    const std::string_view bytes(buffer.data(), static_cast<size_t>(size));
    if (!client.Write(ctx, bytes).ok()) return;
  }
}

}  // namespace

Status Carry(const Context& ctx, UpgradedConnection& client, int socket) {
  const Context work = ctx.WithCancel();
  ASSIGN_OR_RETURN(const Thread back, StartThread("carry", [&] {
                     CarryBack(work, socket, client);
                     work.Cancel();
                   }));
  while (true) {
    const StatusOr<std::string> piece = client.Read(work, kPiece);
    if (!piece.ok() || piece->empty()) break;
    if (!WriteToSocket(work, socket, *piece).ok()) break;
  }
  work.Cancel();
  return ctx.Check();
}

}  // namespace berth::door
