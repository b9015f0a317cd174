#include "cni/attachment_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "base/strings.h"
#include "base/sys/file.h"
#include "base/unique_fd.h"

namespace berth::cni {
namespace {

constexpr char kTable[] = "attachments";
constexpr uint64_t kMaxFile = 8 << 20;

std::string KeyOf(const std::string& sandbox_id, const std::string& interface) {
  return sandbox_id + "/" + interface;
}

}  // namespace

StatusOr<std::string> AttachmentStore::Load(
    const std::string& sandbox_id, const std::string& interface) const {
  std::string text;
  RETURN_IF_ERROR(store_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(text, tx.Get(kTable, KeyOf(sandbox_id, interface)));
    return OkStatus();
  }));
  return text;
}

Status AttachmentStore::Save(const std::string& sandbox_id,
                             const std::string& interface,
                             const std::string& text) {
  return store_.Update([&](Transaction& tx) {
    return tx.Put(kTable, KeyOf(sandbox_id, interface), text);
  });
}

Status AttachmentStore::Forget(const std::string& sandbox_id,
                               const std::string& interface) {
  return store_.Update([&](Transaction& tx) {
    return tx.Erase(kTable, KeyOf(sandbox_id, interface));
  });
}

StatusOr<std::vector<std::string>> AttachmentStore::Interfaces(
    const std::string& sandbox_id) const {
  std::vector<std::string> interfaces;
  const std::string prefix = KeyOf(sandbox_id, "");
  RETURN_IF_ERROR(store_.View([&](const Transaction& tx) -> Status {
    using Records = std::map<std::string, std::string>;
    ASSIGN_OR_RETURN(const Records records, tx.All(kTable));
    for (auto at = records.lower_bound(prefix);
         at != records.end() && StartsWith(at->first, prefix); ++at) {
      interfaces.push_back(at->first.substr(prefix.size()));
    }
    return OkStatus();
  }));
  std::stable_sort(interfaces.begin(), interfaces.end(),
                   [](const std::string& a, const std::string& b) {
                     return a.size() < b.size();
                   });
  return interfaces;
}

StatusOr<std::vector<AttachmentStore::Record>> AttachmentStore::All() const {
  std::vector<Record> all;
  RETURN_IF_ERROR(store_.View([&](const Transaction& tx) -> Status {
    using Records = std::map<std::string, std::string>;
    ASSIGN_OR_RETURN(Records records, tx.All(kTable));
    for (auto& [key, text] : records) {
      const size_t slash = std::min(key.rfind('/'), key.size());
      all.push_back({key.substr(0, slash),
                     slash < key.size() ? key.substr(slash + 1) : "",
                     std::move(text)});
    }
    return OkStatus();
  }));
  return all;
}

StatusOr<std::set<std::string>> AttachmentStore::Sandboxes() const {
  std::set<std::string> ids;
  RETURN_IF_ERROR(store_.View([&](const Transaction& tx) -> Status {
    using Records = std::map<std::string, std::string>;
    ASSIGN_OR_RETURN(const Records records, tx.All(kTable));
    for (const auto& [key, text] : records) {
      ids.insert(key.substr(0, key.rfind('/')));
    }
    return OkStatus();
  }));
  return ids;
}

Status AttachmentStore::TakeOver(const std::string& folder,
                                 const std::string& interface) {
  const StatusOr<UniqueFd> dir = OpenFile(folder, O_RDONLY | O_DIRECTORY);
  if (IsNotFound(dir.status())) return OkStatus();
  RETURN_IF_ERROR(dir.status());
  ASSIGN_OR_RETURN(const std::vector<std::string> names,
                   ListDirectory(dir->get()));
  for (const std::string& name : names) {
    if (name.front() == '.' || !EndsWith(name, ".json")) continue;
    const std::string file = folder + "/" + name;
    const std::string id = name.substr(0, name.size() - 5);
    ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxFile));
    // A record that is there already is newer: we were killed between the two
    // steps.
    if (IsNotFound(Load(id, interface).status())) {
      RETURN_IF_ERROR(Save(id, interface, text));
    }
    if (unlink(file.c_str()) != 0) return Errno(errno, "unlink " + file);
  }
  return OkStatus();
}

}  // namespace berth::cni
