// Overlays of more layers than mount(2) takes: its options are one page of
// text. MountAt knows when to use them.
//
// Source: Documentation/filesystems/overlayfs.rst, "Multiple lower layers";
// fsconfig(2).
#ifndef BASE_SYS_OVERLAY_MOUNT_H_
#define BASE_SYS_OVERLAY_MOUNT_H_

#include <cstddef>

#include "base/status.h"
#include "base/sys/mount.h"

namespace berth {

// Bytes of options that mount(2) takes: a page less the end of the text.
inline constexpr size_t kMaxMountData = 4095;

// Mounts an overlay however long its options are: layer by layer, or where the
// kernel cannot do that, by relative paths.
Status MountLongOverlay(const Mount& overlay);

// One call for each layer ("lowerdir+", Linux 6.5). INVALID_ARGUMENT from an
// older kernel.
Status MountOverlayByLayer(const Mount& overlay);

// With the layers as relative paths of the folder that the topmost is in, seen
// from a thread that has gone there. RESOURCE_EXHAUSTED if it still is too
// long.
Status MountOverlayByFolder(const Mount& overlay);

}  // namespace berth

#endif  // BASE_SYS_OVERLAY_MOUNT_H_
