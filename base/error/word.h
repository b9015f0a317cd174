// Some clients know an error by a word, not by its code: kubelet by
// "RegistryUnavailable" or "ImageVolumeMountFailed". The word goes along with
// the error, beside its code and text, until a door tells it.
#ifndef BASE_ERROR_WORD_H_
#define BASE_ERROR_WORD_H_

#include <string>

#include "base/status.h"

namespace berth {

// OK stays OK. Survives Annotate; of two words the first counts.
Status WithWord(const Status& status, const std::string& word);
// "" if it has none.
std::string WordOf(const Status& status);

}  // namespace berth

#endif  // BASE_ERROR_WORD_H_
