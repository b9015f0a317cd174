#ifndef DAEMON_CONFIG_H_
#define DAEMON_CONFIG_H_

#include <string>
#include <vector>

#include "api/config/v1/config.pb.h"
#include "base/status.h"
#include "cri/pod_extras.h"

namespace berth::daemon {

using config::v1::Config;

inline constexpr char kDefaultConfigFile[] = "/etc/berth/berth.conf";

// The configuration in `text`; INVALID_ARGUMENT lists everything that cannot
// be read, as "NAME:LINE:COLUMN: what".
StatusOr<Config> ParseConfig(const std::string& text, const std::string& name);

// The file, and over it those of FILE.d/*.conf in the order of their names.
// NOT_FOUND if there is no such file; a missing folder is an empty one.
StatusOr<Config> LoadConfig(const std::string& file);

// What is wrong with the values, a line each that names the setting.
std::vector<std::string> CheckConfig(const Config& config);

// All settings with their defaults and manual, in the form that ParseConfig
// reads: made from config.proto itself, which is part of the program.
std::string DefaultConfigText();

// All settings as they are in force, in the form that ParseConfig reads:
// defaults and values that depend on others included. A configuration holds
// paths of keys and of folders with credentials, but no secret itself.
std::string EffectiveConfigText(const Config& config);

// ---- Values that depend on others, or on a list being empty ----

std::string CriSocket(const Config& config);
// Empty: that door stays closed.
std::string AdminSocket(const Config& config);
// Where NRI plugins connect; empty: nowhere.
std::string NriSocket(const Config& config);
std::vector<std::string> PluginFolders(const Config& config);
std::vector<std::string> CdiFolders(const Config& config);
// INVALID_ARGUMENT, which CheckConfig tells, too.
StatusOr<cri::PodExtras> PodExtrasOf(const config::v1::PodExtras& extras);
// "berth-shim" beside this program unless configured.
std::string ShimPath(const Config& config);
// Whether systemd makes the cgroups. AUTO follows a configured parent (a slice
// or a path), else the machine.
bool UsesSystemd(const Config& config);
// The default of the driver unless configured.
std::string CgroupParent(const Config& config);

}  // namespace berth::daemon

#endif  // DAEMON_CONFIG_H_
