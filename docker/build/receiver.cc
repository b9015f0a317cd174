#include "docker/build/receiver.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/fs/atomic_file.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "docker/convert/http_status.h"
#include "door/listener.h"
#include "image/layer/byte_source.h"
#include "image/manifest.h"

namespace berth::docker {
namespace {

constexpr char kBytes[] = "application/octet-stream";
constexpr size_t kPiece = 256 << 10;

// The body of a request as a stream of bytes.
class Body : public image::ByteSource {
 public:
  explicit Body(door::HttpExchange& http) : http_(http) {}
  StatusOr<std::string_view> Next() override {
    ASSIGN_OR_RETURN(piece_, http_.ReadSome(kPiece));
    return std::string_view(piece_);
  }

 private:
  door::HttpExchange& http_;
  std::string piece_;
};

// The error of the distribution specification.
void RespondError(door::HttpExchange& http, const Status& status) {
  const Json error = {{"code", "UNKNOWN"}, {"message", Message(status)}};
  (void)http.Respond(HttpStatus(status), "application/json",
                     DumpJson({{"errors", Json::array({error})}}));
}

Status SendFile(const Context& ctx, door::HttpExchange& http, UniqueFd file,
                const std::string& type) {
  if (http.request().method == "HEAD") return http.Respond(200, type, "");
  RETURN_IF_ERROR(http.BeginStream(200, type));
  image::FileSource source(std::move(file));
  while (true) {
    RETURN_IF_ERROR(ctx.Check());
    ASSIGN_OR_RETURN(const std::string_view piece, source.Next());
    if (piece.empty()) return OkStatus();
    RETURN_IF_ERROR(http.Write(piece));
  }
}

Status SendManifest(door::HttpExchange& http, UniqueFd file,
                    const Digest& digest) {
  ASSIGN_OR_RETURN(const std::string bytes,
                   ReadAll(file.get(), image::kMaxManifestBytes, "manifest"));
  ASSIGN_OR_RETURN(const image::Document document,
                   image::ParseDocument(bytes, ""));
  http.AddHeader("Docker-Content-Digest", digest.str());
  return http.Respond(
      200, std::visit([](const auto& one) { return one.media_type; }, document),
      bytes);
}

// "sha256:..." or a tag.
bool IsDigest(const std::string& text) { return StartsWith(text, "sha256:"); }

}  // namespace

// "/v2/SECRET/REPOSITORY/blobs/..." in its parts.
struct Receiver::Request {
  const Context& ctx;
  door::HttpExchange& http;
  std::string root;  // v2, context
  std::string secret;
  std::string repository;  // may have slashes
  std::string kind;        // blobs, manifests
  std::string rest;        // a digest, a tag, "uploads/..."

  Request(const Context& context, door::HttpExchange& exchange)
      : ctx(context), http(exchange) {
    const std::vector<std::string> parts = Split(http.request().path, '/');
    if (parts.size() > 1) root = parts[1];
    if (parts.size() > 2) secret = parts[2];
    for (size_t i = 3; i < parts.size(); ++i) {
      if (parts[i] == "blobs" || parts[i] == "manifests") {
        kind = parts[i];
        rest = Join(
            {parts.begin() + static_cast<ptrdiff_t>(i) + 1, parts.end()}, "/");
        return;
      }
      repository += (repository.empty() ? "" : "/") + parts[i];
    }
  }

  bool reads() const {
    return http.request().method == "GET" || http.request().method == "HEAD";
  }
};

Receiver::Place::Place(image::Transfer& transfer, std::string address)
    : address_(std::move(address)), secret_(RandomId()), reception_(transfer) {}

std::string Receiver::Place::image_name() const {
  return address_ + "/" + secret_ + "/image:latest";
}

std::string Receiver::Place::OfferContext(UniqueFd file) {
  MutexLock lock(mutex_);
  context_ = std::move(file);
  return "http://" + address_ + "/context/" + secret_ + "/context.tar";
}

StatusOr<UniqueFd> Receiver::Place::OpenContext() {
  MutexLock lock(mutex_);
  if (!context_.valid()) return NotFound("this build has no context");
  // A descriptor with an offset of its own.
  return OpenFile("/proc/self/fd/" + std::to_string(context_.get()), O_RDONLY);
}

Receiver::Receiver(image::Transfer& transfer, const image::Images& images,
                   std::string file)
    : transfer_(transfer),
      images_(images),
      file_(std::move(file)),
      server_([this](const Context& ctx, door::HttpExchange& http) {
        const Status status = Serve(ctx, http);
        if (!status.ok() && !http.answered()) RespondError(http, status);
      }) {}

Receiver::~Receiver() {
  server_.Shutdown();
  if (front_ != nullptr) front_->Stop();
}

Status Receiver::Listen(const std::string& address) {
  ASSIGN_OR_RETURN(door::Listener listener, door::Listener::OnTcp(address));
  ASSIGN_OR_RETURN(std::string bound, listener.Address());
  ASSIGN_OR_RETURN(front_, door::TcpFront::Start(std::move(listener), nullptr,
                                                 {}, [this](UniqueFd s) {
                                                   server_.Take(std::move(s));
                                                 }));
  MutexLock lock(mutex_);
  address_ = std::move(bound);
  return OkStatus();
}

// "ADDRESS SECRET" as an earlier process left it in the file; "" without the
// file.
StatusOr<std::string> Receiver::Remembered() {
  const StatusOr<std::string> text = ReadFile(file_, 1 << 10);
  if (IsNotFound(text.status())) return std::string();
  return text;
}

Status Receiver::Start(const Context& ctx) {
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock, starting_.Acquire(ctx, ""));
  if (front_ != nullptr) return OkStatus();
  RETURN_IF_ERROR(server_.Start());
  ASSIGN_OR_RETURN(const std::string text, Remembered());
  const std::vector<std::string> words = Split(std::string(Trim(text)), ' ');
  const bool known = words.size() == 2 && words[1].size() == 64;
  // The port may be another's by now: the builder is then started anew.
  const bool again = known && Listen(words[0]).ok();
  if (!again) RETURN_IF_ERROR(Listen("127.0.0.1:0"));
  std::string line;
  {
    MutexLock state(mutex_);
    secret_ = again ? words[1] : RandomId();
    line = address_ + " " + secret_ + "\n";
  }
  if (again) return OkStatus();
  RETURN_IF_ERROR(MakeDirectories(file_.substr(0, file_.rfind('/')), 0700));
  return WriteFileAtomically(file_, line, 0600);
}

std::string Receiver::mirror() const {
  MutexLock lock(mutex_);
  return address_ + "/" + secret_;
}

std::shared_ptr<Receiver::Place> Receiver::Open() {
  MutexLock lock(mutex_);
  auto place = std::make_shared<Place>(transfer_, address_);
  std::erase_if(places_, [](const auto& one) { return one.second.expired(); });
  places_[place->secret()] = place;
  return place;
}

std::shared_ptr<Receiver::Place> Receiver::Find(const std::string& secret) {
  MutexLock lock(mutex_);
  const auto found = places_.find(secret);
  return found == places_.end() ? nullptr : found->second.lock();
}

bool Receiver::RegistriesFirst() {
  // Whose last holder this may be, so it is not let go of under the lock.
  std::vector<std::shared_ptr<Place>> places;
  {
    MutexLock lock(mutex_);
    for (const auto& [secret, place] : places_) places.push_back(place.lock());
  }
  return std::any_of(places.begin(), places.end(), [](const auto& place) {
    return place != nullptr && place->registries_first();
  });
}

Status Receiver::Serve(const Context& ctx, door::HttpExchange& http) {
  const Request request(ctx, http);
  // What a client asks first.
  if (http.request().path == "/v2/") return http.Respond(200, "", "");
  std::string ours;
  {
    MutexLock lock(mutex_);
    ours = secret_;
  }
  if (request.root == "v2" && request.secret == ours) return ServePull(request);
  const std::shared_ptr<Place> place = Find(request.secret);
  if (place == nullptr) return NotFound("no such place");
  if (request.root == "v2") return ServePush(request, *place);
  if (request.root != "context" || !request.reads()) {
    return NotFound("no such place");
  }
  ASSIGN_OR_RETURN(UniqueFd file, place->OpenContext());
  return SendFile(request.ctx, http, std::move(file), "application/x-tar");
}

Status Receiver::ServePull(const Request& request) {
  if (!request.reads()) return Unimplemented("images are only read here");
  StatusOr<Digest> digest = Digest::Parse(request.rest);
  if (request.kind == "manifests" && !IsDigest(request.rest)) {
    // Another build may be told so too: it finds the same there.
    if (RegistriesFirst()) return NotFound("a registry is to be asked");
    // A mirror is told whom it stands for.
    const std::string domain = request.http.request().Query("ns");
    digest = ManifestOf((domain.empty() ? "docker.io" : domain) + "/" +
                        request.repository + ":" + request.rest);
  }
  RETURN_IF_ERROR(digest.status());
  ASSIGN_OR_RETURN(UniqueFd file, images_.OpenBlob(*digest));
  if (request.kind == "manifests") {
    return SendManifest(request.http, std::move(file), *digest);
  }
  return SendFile(request.ctx, request.http, std::move(file), kBytes);
}

// What cannot be had whole here is fetched where its name leads: NOT_FOUND.
StatusOr<Digest> Receiver::ManifestOf(const std::string& name) const {
  ASSIGN_OR_RETURN(const image::Image image, images_.Resolve(name));
  for (const std::string& layer : image.record.layer_digests()) {
    RETURN_IF_ERROR(images_.BlobSize(layer).status());
  }
  return Digest::Parse(image.record.manifest_digest());
}

Status Receiver::ServePush(const Request& request, Place& place) {
  door::HttpExchange& http = request.http;
  const std::string& method = http.request().method;
  if (request.kind == "blobs" && request.reads()) {
    ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(request.rest));
    RETURN_IF_ERROR(place.reception().Find(digest).status());
    http.AddHeader("Docker-Content-Digest", digest.str());
    return http.Respond(200, kBytes, "");
  }
  if (request.kind == "blobs" && method == "POST") {
    http.AddHeader("Location", http.request().path + "one");
    return http.Respond(202, "", "");
  }
  if (request.kind == "blobs" && method == "PUT") {
    return TakeBlob(request, place);
  }
  if (request.kind == "manifests" && method == "PUT") {
    ASSIGN_OR_RETURN(const std::string bytes,
                     http.ReadBody(image::kMaxManifestBytes));
    ASSIGN_OR_RETURN(const Digest digest,
                     place.reception().PutManifest(
                         http.request().Header("content-type"), bytes));
    http.AddHeader("Docker-Content-Digest", digest.str());
    return http.Respond(201, "", "");
  }
  return NotFound("nothing is here to be read");
}

Status Receiver::TakeBlob(const Request& request, Place& place) {
  const door::ServerRequest& head = request.http.request();
  const std::optional<uint64_t> size = ParseUint(head.Header("content-length"));
  if (!size.has_value()) {
    return InvalidArgument("a blob comes in one piece of a known size");
  }
  image::Descriptor blob;
  ASSIGN_OR_RETURN(blob.digest, Digest::Parse(head.Query("digest")));
  blob.size = *size;
  Body body(request.http);
  RETURN_IF_ERROR(place.reception().PutBlob(request.ctx, blob, body));
  request.http.AddHeader("Docker-Content-Digest", blob.digest.str());
  return request.http.Respond(201, "", "");
}

}  // namespace berth::docker
