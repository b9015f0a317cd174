#include "image/profiles.h"

#include <algorithm>
#include <map>

#include "api/state/v1/image.pb.h"
#include "base/clock.h"
#include "base/error/word.h"
#include "base/strings.h"

namespace berth::image {
namespace {

using state::v1::ProfileRecord;

const Table<ProfileRecord> kProfiles("profiles");

constexpr uint64_t kMaxBytes = 1 << 20;
constexpr int kMaxNames = 100;  // of one profile

StatusOr<Reference> Pinned(std::string_view name) {
  ASSIGN_OR_RETURN(Reference reference, Reference::Parse(name));
  if (reference.has_digest()) return reference;
  return InvalidArgument(Quoted(name.substr(0, 300)) + ": has no digest");
}

// No other try brings anything else.
Status ForGood(const Status& status) {
  const bool lasting = status.code() == StatusCode::kInvalidArgument ||
                       status.code() == StatusCode::kDataLoss;
  return lasting ? WithWord(status, "SecurityProfileInvalid") : status;
}

bool HasName(const ProfileRecord& record, const std::string& name) {
  return std::find(record.names().begin(), record.names().end(), name) !=
         record.names().end();
}

// Whether it is here; by one more name, then.
StatusOr<bool> AddName(Transaction& tx, const Reference& reference) {
  const std::string key = reference.digest().str();
  StatusOr<ProfileRecord> record = kProfiles.Get(tx, key);
  if (IsNotFound(record.status())) return false;
  RETURN_IF_ERROR(record.status());
  if (HasName(*record, reference.str()) || record->names_size() >= kMaxNames) {
    return true;
  }
  record->add_names(reference.str());
  RETURN_IF_ERROR(kProfiles.Put(tx, key, *record));
  return true;
}

}  // namespace

StatusOr<bool> Profiles::Pull(
    const Context& ctx, std::string_view name, const RegistryAuth& auth,
    const std::function<Status(const std::string&)>& check) {
  const StatusOr<Reference> reference = Pinned(name);
  RETURN_IF_ERROR(ForGood(reference.status()));
  ASSIGN_OR_RETURN(const KeyedMutex::Lock lock,
                   pulls_.Acquire(ctx, reference->str()));
  bool here = false;
  RETURN_IF_ERROR(metadata_.Update([&](Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(here, AddName(tx, *reference));
    return OkStatus();
  }));
  if (here) return true;
  StatusOr<std::string> json =
      transfer_.FetchArtifact(ctx, *reference, auth, kMaxBytes);
  RETURN_IF_ERROR(ForGood(json.status()));
  RETURN_IF_ERROR(
      ForGood(Annotate(check(*json), "profile " + Quoted(reference->str()))));
  ProfileRecord record;
  record.add_names(reference->str());
  record.set_json(*json);
  record.set_created(Now());
  // Another registry may have brought it meanwhile.
  RETURN_IF_ERROR(metadata_.Update([&](Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(here, AddName(tx, *reference));
    if (here) return OkStatus();
    return kProfiles.Put(tx, reference->digest().str(), record);
  }));
  return here;
}

StatusOr<std::vector<Profiles::Profile>> Profiles::List() const {
  std::vector<Profile> list;
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    ASSIGN_OR_RETURN(const auto records, kProfiles.All(tx));
    for (const auto& [digest, record] : records) {
      list.push_back({digest,
                      {record.names().begin(), record.names().end()},
                      record.json().size()});
    }
    return OkStatus();
  }));
  return list;
}

StatusOr<std::string> Profiles::Read(std::string_view name) const {
  ASSIGN_OR_RETURN(const Reference reference, Pinned(name));
  StatusOr<ProfileRecord> record = NotFound("");
  RETURN_IF_ERROR(metadata_.View([&](const Transaction& tx) -> Status {
    record = kProfiles.Get(tx, reference.digest().str());
    return IgnoreNotFound(record.status());
  }));
  if (record.ok()) return record->json();
  return FailedPrecondition("security profile " + Quoted(reference.str()) +
                            ": not here, it has to be pulled");
}

Status Profiles::Remove(const std::string& digest) {
  return metadata_.Update(
      [&](Transaction& tx) { return kProfiles.Erase(tx, digest); });
}

}  // namespace berth::image
