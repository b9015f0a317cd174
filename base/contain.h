// The end of every exception: errors are values (base/status.h), but the
// libraries below us and the allocator throw.
#ifndef BASE_CONTAIN_H_
#define BASE_CONTAIN_H_

#include <cxxabi.h>

#include <exception>
#include <new>
#include <string>

#include "base/status.h"

namespace berth {

// What `body` returns, a Status or a StatusOr; INTERNAL with the exception's
// text if one leaves it. For the boundary of a request.
template <typename Body>
auto Contain(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (abi::__forced_unwind&) {
    throw;  // pthread_exit(3) is no error
  } catch (const std::bad_alloc&) {
    return Internal("out of memory");
  } catch (const std::exception& e) {
    return Internal(std::string("an exception: ") + e.what());
  } catch (...) {
    return Internal("an exception of an unknown type");
  }
}

}  // namespace berth

#endif  // BASE_CONTAIN_H_
