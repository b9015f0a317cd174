// Images, as convert.h does the rest.
#ifndef CRI_CONVERT_IMAGE_H_
#define CRI_CONVERT_IMAGE_H_

#include "api/cri/v1/image.pb.h"
#include "api/cri/v1/image_api.pb.h"
#include "image/image_service.h"

namespace berth::cri {

namespace v1 = ::runtime::v1;

v1::Image ToImage(const image::Image& image);

image::RegistryAuth FromAuth(const v1::AuthConfig& auth);

}  // namespace berth::cri

#endif  // CRI_CONVERT_IMAGE_H_
