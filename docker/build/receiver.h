#ifndef DOCKER_BUILD_RECEIVER_H_
#define DOCKER_BUILD_RECEIVER_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "base/context.h"
#include "base/digest.h"
#include "base/keyed_mutex.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "door/http/http_server.h"
#include "door/http/tcp_front.h"
#include "image/images.h"
#include "image/transfer/reception.h"

namespace berth::docker {

// What the builder is given to read and to write, as HTTP on a port of the
// loopback interface: as much of a registry (OCI distribution specification
// 1.1) as a push needs that sends each blob in one piece; the images of this
// node, to build on; the contexts of builds. Every path begins with a secret:
// whoever does not know it is told nothing.
//
//   /v2/<of a build>/image/...   push
//   /v2/<of this node>/...       pull, as a mirror of any registry
//   /context/<of a build>/...    the context
//
// Thread-safe.
class Receiver {
 public:
  // One build's part of it. Thread-safe.
  class Place {
   public:
    Place(image::Transfer& transfer, std::string address);

    // The name to push to, and what has been pushed.
    std::string image_name() const;
    image::Reception& reception() { return reception_; }
    // Where what is in the file can be read.
    std::string OfferContext(UniqueFd file);

    const std::string& secret() const { return secret_; }
    // While this build goes on, what a tag means is asked of its registry.
    void PreferRegistries() { registries_first_ = true; }
    bool registries_first() const { return registries_first_; }
    // The context from its beginning. NOT_FOUND.
    StatusOr<UniqueFd> OpenContext();

   private:
    const std::string address_;
    const std::string secret_;
    image::Reception reception_;
    std::atomic<bool> registries_first_ = false;
    Mutex mutex_;
    UniqueFd context_ GUARDED_BY(mutex_);
  };

  // `file` keeps the port and the secret of this node's images, so that a
  // builder that outlives this process finds them again. All must outlive it.
  Receiver(image::Transfer& transfer, const image::Images& images,
           std::string file);
  ~Receiver();

  // Begins to serve; nothing more to do the second time.
  Status Start(const Context& ctx);
  // For the builder's configuration: where to find this node's images.
  std::string mirror() const;
  // After Start. It is served for as long as somebody holds it.
  std::shared_ptr<Place> Open();

 private:
  struct Request;

  Status Listen(const std::string& address);
  StatusOr<std::string> Remembered();
  Status Serve(const Context& ctx, door::HttpExchange& http);
  Status ServePush(const Request& request, Place& place);
  Status ServePull(const Request& request);
  Status TakeBlob(const Request& request, Place& place);
  StatusOr<Digest> ManifestOf(const std::string& name) const;
  std::shared_ptr<Place> Find(const std::string& secret) EXCLUDES(mutex_);
  bool RegistriesFirst() EXCLUDES(mutex_);

  image::Transfer& transfer_;
  const image::Images& images_;
  const std::string file_;

  mutable Mutex mutex_;
  std::string address_ GUARDED_BY(mutex_);
  std::string secret_ GUARDED_BY(mutex_);
  std::map<std::string, std::weak_ptr<Place>> places_ GUARDED_BY(mutex_);
  KeyedMutex starting_;  // one key
  door::HttpServer server_;
  std::unique_ptr<door::TcpFront> front_;
};

}  // namespace berth::docker

#endif  // DOCKER_BUILD_RECEIVER_H_
