// The option "tag" of docker's log drivers: a template of Go's, of which the
// fields alone are honoured ("{{.Name}}/{{.ID}}"). Pure.
#ifndef DOCKER_CONVERT_LOG_TAG_H_
#define DOCKER_CONVERT_LOG_TAG_H_

#include <string>

#include "base/status.h"

namespace berth::docker {

struct LogTagFields {
  std::string id;          // of the container, whole
  std::string name;        // without the slash
  std::string image_id;    // "sha256:..."
  std::string image_name;  // as the request has it
};

// INVALID_ARGUMENT for what no template is, or one with more than fields.
Status CheckLogTag(const std::string& text);

// Of a text that passes CheckLogTag.
std::string RenderLogTag(const std::string& text, const LogTagFields& fields);

}  // namespace berth::docker

#endif  // DOCKER_CONVERT_LOG_TAG_H_
