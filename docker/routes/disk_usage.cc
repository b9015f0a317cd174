// docker system df, and what makes room: docker image prune.
#include "docker/routes/disk_usage.h"

#include <fcntl.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/fs/tree_size.h"
#include "base/strings.h"
#include "base/sys/file.h"
#include "docker/build/builder.h"
#include "docker/build/builds.h"
#include "docker/call.h"
#include "docker/convert/go_time.h"
#include "docker/lifecycle.h"
#include "docker/routes/image_names.h"
#include "docker/routes/volume_json.h"
#include "image/image_service.h"

namespace berth::docker {
namespace {

using image::Image;

Json ImagesJson(const Call& call, const std::vector<Image>& images,
                const SharedSizes& shared, const std::vector<View>& views) {
  const std::map<std::string, int> counts = ContainersByImage(views);
  Json list = Json::array();
  for (const Image& image : images) {
    Json& row = list.push_back(ImageSummary(call, image));
    row["SharedSize"] = shared.Of(image);
    const auto found = counts.find(image.id());
    row["Containers"] = found == counts.end() ? 0 : found->second;
  }
  return list;
}

Json ContainersJson(const Engine& engine, const std::vector<View>& views) {
  Json list = Json::array();
  for (const View& view : views) {
    if (IsBuilder(view)) continue;
    Json& row = list.push_back(SummaryJson(view, SurroundingsOf(engine, view)));
    AddSizes(engine, view, row);
  }
  return list;
}

StatusOr<Json> VolumesJson(const Engine& engine) {
  ASSIGN_OR_RETURN(const std::vector<Volume> volumes, engine.volumes.List());
  Json list = Json::array();
  for (const Volume& volume : volumes) {
    Json& row = list.push_back(VolumeJson(volume));
    row["UsageData"] = {{"Size", VolumeSize(volume)},
                        {"RefCount", UsersOf(engine, volume.name).size()}};
  }
  return list;
}

std::string TimeOf(const google::protobuf::Timestamp& time) {
  return TimeText(time.seconds() * 1000000000 + time.nanos());
}

StatusOr<Json> BuildCacheJson(Engine& engine, const Context& ctx) {
  Json list = Json::array();
  StatusOr<std::vector<bk::UsageRecord>> records =
      engine.builds->DiskUsage(ctx);
  // What cannot be built with cannot be asked either; the rest is known.
  if (records.status().code() == StatusCode::kFailedPrecondition) return list;
  RETURN_IF_ERROR(records.status());
  for (const bk::UsageRecord& record : *records) {
    Json& row = list.push_back({{"ID", record.id()},
                                {"Type", record.recordtype()},
                                {"Description", record.description()},
                                {"InUse", record.inuse()},
                                {"Shared", record.shared()},
                                {"Size", record.size()},
                                {"CreatedAt", TimeOf(record.createdat())},
                                {"LastUsedAt", nullptr},
                                {"UsageCount", record.usagecount()}});
    row["Parents"] = std::vector<std::string>(record.parents().begin(),
                                              record.parents().end());
    if (record.has_lastusedat()) {
      row["LastUsedAt"] = TimeOf(record.lastusedat());
    }
  }
  return list;
}

struct Usage {
  int64_t active = 0;
  int64_t total = 0;
  int64_t reclaimable = 0;
  int64_t bytes = 0;

  // `items`: all of them, if they are asked for.
  Json ToJson(const Json* items) const {
    Json json = {{"ActiveCount", active},
                 {"TotalCount", total},
                 {"Reclaimable", reclaimable},
                 {"TotalSize", bytes}};
    if (items != nullptr) json["Items"] = *items;
    return json;
  }
};

int64_t NumberIn(const Json& row, std::string_view member) {
  const Json* const found = row.Find(member);
  return found == nullptr ? 0 : found->AsInt().value_or(0);
}

// Counts rows that take `size` bytes, and are used or not.
void Count(bool used, int64_t size, Usage& usage) {
  ++usage.total;
  usage.active += used ? 1 : 0;
  usage.bytes += size;
  if (!used) usage.reclaimable += size;
}

Usage ContainerUsage(const Json& rows) {
  Usage usage;
  for (const Json& row : rows.elements()) {
    const std::string state = row.Text("State");
    Count(state == "running" || state == "paused" || state == "restarting",
          NumberIn(row, "SizeRw"), usage);
  }
  return usage;
}

// `bytes`: of all images, each layer once.
Usage ImageUsage(const Json& rows, uint64_t bytes) {
  Usage usage;
  for (const Json& row : rows.elements()) {
    Count(NumberIn(row, "Containers") > 0,
          NumberIn(row, "Size") - NumberIn(row, "SharedSize"), usage);
  }
  usage.bytes = static_cast<int64_t>(bytes);
  return usage;
}

Usage VolumeUsage(const Json& rows) {
  Usage usage;
  for (const Json& row : rows.elements()) {
    const Json* const data = row.Find("UsageData");
    if (data == nullptr) continue;
    const int64_t size = NumberIn(*data, "Size");
    // What cannot be measured counts as used.
    Count(size < 0 || NumberIn(*data, "RefCount") > 0,
          std::max<int64_t>(size, 0), usage);
  }
  return usage;
}

Usage BuildCacheUsage(const Json& rows) {
  Usage usage;
  for (const Json& row : rows.elements()) {
    const bool used = row.Find("InUse")->AsBool() == true;
    const bool shared = row.Find("Shared")->AsBool() == true;
    Count(used, NumberIn(row, "Size"), usage);
    if (shared && !used) usage.reclaimable -= NumberIn(row, "Size");
  }
  return usage;
}

// The answer before API 1.52, which is also a part of the one after it unless
// `verbose` is asked for: some clients name no version.
class DfAnswer {
 public:
  explicit DfAnswer(const Call& call)
      : verbose_(call.version >= 52 && call.Flag("verbose")),
        legacy_(!verbose_),
        usage_(call.version >= 52) {
    if (!legacy_) return;
    json_ = {{"LayersSize", 0},       {"Images", nullptr},
             {"Containers", nullptr}, {"Volumes", nullptr},
             {"BuildCache", nullptr}, {"BuilderSize", 0}};
  }

  void Add(const std::string& rows_name, const std::string& usage_name,
           const Usage& usage, Json rows) {
    if (usage_) json_[usage_name] = usage.ToJson(verbose_ ? &rows : nullptr);
    if (legacy_) json_[rows_name] = std::move(rows);
  }
  void AddLayersSize(uint64_t bytes) {
    if (legacy_) json_["LayersSize"] = bytes;
  }
  const Json& json() const { return json_; }

 private:
  const bool verbose_;
  const bool legacy_;
  const bool usage_;
  Json json_ = Json::object();
};

StatusOr<std::set<std::string>> WantedKinds(const Call& call) {
  static const auto& kinds =
      *new std::set<std::string>{"container", "image", "volume", "build-cache"};
  std::set<std::string> wanted;
  for (const std::string& kind : QueryList(call, "type")) {
    if (kinds.count(kind) == 0) {
      return InvalidArgument("unknown object type: " + kind);
    }
    wanted.insert(kind);
  }
  return wanted.empty() ? kinds : wanted;
}

Status SystemDf(Engine& engine, Call& call) {
  ASSIGN_OR_RETURN(const std::set<std::string> wanted, WantedKinds(call));
  const std::vector<View> views = AllViews(engine);
  DfAnswer answer(call);
  if (wanted.count("image") > 0) {
    ASSIGN_OR_RETURN(const std::vector<Image> images, engine.images.List({}));
    const SharedSizes shared(engine, images);
    answer.AddLayersSize(shared.total());
    Json rows = ImagesJson(call, images, shared, views);
    const Usage usage = ImageUsage(rows, shared.total());
    answer.Add("Images", "ImageUsage", usage, std::move(rows));
  }
  if (wanted.count("container") > 0) {
    Json rows = ContainersJson(engine, views);
    const Usage usage = ContainerUsage(rows);
    answer.Add("Containers", "ContainerUsage", usage, std::move(rows));
  }
  if (wanted.count("volume") > 0) {
    ASSIGN_OR_RETURN(Json rows, VolumesJson(engine));
    const Usage usage = VolumeUsage(rows);
    answer.Add("Volumes", "VolumeUsage", usage, std::move(rows));
  }
  if (wanted.count("build-cache") > 0) {
    ASSIGN_OR_RETURN(Json rows, BuildCacheJson(engine, call.ctx));
    const Usage usage = BuildCacheUsage(rows);
    answer.Add("BuildCache", "BuildCacheUsage", usage, std::move(rows));
  }
  return call.Reply(200, answer.json());
}

// Images without a tag, or all, that no container uses.
Status PruneImages(Engine& engine, Call& call) {
  static const auto& known =
      *new std::set<std::string>{"dangling", "label", "label!", "until"};
  ASSIGN_OR_RETURN(const Filters filters,
                   Filters::Parse(call.Query("filters"), known));
  ASSIGN_OR_RETURN(const UnixNanos until, UntilOf(filters));
  const bool dangling = filters.Any("dangling", [](const std::string& word) {
    return word == "true" || word == "1";
  });
  ASSIGN_OR_RETURN(const auto before, engine.images.StoreUsageNow());
  ASSIGN_OR_RETURN(const std::vector<Image> images, engine.images.List({}));
  const std::map<std::string, int> used = ContainersByImage(AllViews(engine));
  Json deleted = Json::array();
  for (const Image& image : images) {
    if ((dangling && !image.repo_tags.empty()) || image.pinned ||
        used.count(image.id()) > 0 || !filters.MatchLabels(LabelsOf(image)) ||
        (until > 0 && image.record.created() >= until)) {
      continue;
    }
    RETURN_IF_ERROR(engine.images.Remove(image.id()));
    for (const std::string& name : Familiar(NamesOf(image))) {
      deleted.push_back({{"Untagged", name}});
      engine.events.Publish("image", "untag", image.id(), {{"name", name}});
    }
    deleted.push_back({{"Deleted", image.id()}});
    engine.events.Publish("image", "delete", image.id(),
                          {{"name", image.id()}});
  }
  uint64_t reclaimed = 0;
  if (!deleted.empty()) {
    // Some of it may have been collected by now, behind our back.
    RETURN_IF_ERROR(engine.images.CollectGarbage(call.ctx).status());
    ASSIGN_OR_RETURN(const auto after, engine.images.StoreUsageNow());
    reclaimed =
        before.usage.bytes - std::min(before.usage.bytes, after.usage.bytes);
  }
  engine.events.Publish("image", "prune", "",
                        {{"reclaimed", std::to_string(reclaimed)}});
  return call.Reply(
      200, {{"ImagesDeleted", deleted.empty() ? Json() : std::move(deleted)},
            {"SpaceReclaimed", reclaimed}});
}

}  // namespace

std::map<std::string, int> ContainersByImage(const std::vector<View>& views) {
  std::map<std::string, int> counts;
  for (const View& view : views) {
    ++counts[view.container->config().image_id()];
  }
  return counts;
}

int64_t VolumeSize(const Volume& volume) {
  if (volume.mounted()) return -1;  // not of our disk
  const StatusOr<UniqueFd> directory =
      OpenFile(volume.mountpoint, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory.ok()) return -1;
  const StatusOr<TreeSize> size = MeasureTree(directory->get());
  return size.ok() ? static_cast<int64_t>(size->bytes) : -1;
}

uint64_t WrittenBy(const Engine& engine, const View& view) {
  const StatusOr<image::DiskUsage> usage =
      engine.rootfs.Usage(view.container->snapshot_key());
  return usage.ok() ? usage->bytes : 0;
}

void AddSizes(const Engine& engine, const View& view, Json& json) {
  const uint64_t written = WrittenBy(engine, view);
  const StatusOr<Image> image =
      engine.images.Resolve(view.container->config().image_id());
  json["SizeRw"] = written;
  json["SizeRootFs"] = written + (image.ok() ? image->record.size() : 0);
}

StatusOr<UnixNanos> UntilOf(const Filters& filters) {
  if (!filters.Has("until")) return 0;
  if (filters.Of("until").size() > 1) {
    return InvalidArgument("more than one until filter specified");
  }
  const std::string& text = *filters.Of("until").begin();
  const std::optional<UnixNanos> moment = ParseMoment(text, Now());
  if (!moment) return InvalidArgument("invalid filter 'until=" + text + "'");
  return *moment;
}

SharedSizes::SharedSizes(const Engine& engine, const std::vector<Image>& images)
    : engine_(engine) {
  for (const Image& image : images) {
    const auto layers = engine.images.LayersOf(image);
    if (!layers.ok()) continue;
    uint64_t layers_bytes = 0;
    for (const auto& layer : *layers) {
      if (++users_[layer.chain] == 1) total_ += layer.bytes;
      layers_bytes += layer.bytes;
    }
    // Its documents, which its size counts too.
    const auto size = static_cast<uint64_t>(image.record.size());
    total_ += size - std::min(size, layers_bytes);
  }
}

uint64_t SharedSizes::Of(const Image& image) const {
  uint64_t shared = 0;
  const auto layers = engine_.images.LayersOf(image);
  if (!layers.ok()) return 0;
  for (const auto& layer : *layers) {
    const auto users = users_.find(layer.chain);
    if (users != users_.end() && users->second > 1) shared += layer.bytes;
  }
  return shared;
}

std::vector<Route> DiskUsageRoutes() {
  return {{"GET", "/system/df", SystemDf},
          {"POST", "/images/prune", PruneImages}};
}

}  // namespace berth::docker
