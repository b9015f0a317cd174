#include "base/testing/temp_dir.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace berth {
namespace {

void Require(bool ok, const std::string& what) {
  if (ok) return;
  perror(what.c_str());
  abort();
}

}  // namespace

TempDir::TempDir() : path_("/tmp/berth.XXXXXX") {
  Require(mkdtemp(path_.data()) != nullptr, "mkdtemp " + path_);
  fd_.reset(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Require(fd_.valid(), "open " + path_);
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::Path(std::string_view name) const {
  return name.empty() ? path_ : path_ + "/" + std::string(name);
}

void TempDir::Write(std::string_view name, std::string_view contents) const {
  std::ofstream file(Path(name), std::ios::binary | std::ios::trunc);
  file << contents;
  file.close();
  Require(!file.fail(), "write " + Path(name));
}

std::string TempDir::Read(std::string_view name) const {
  std::ifstream file(Path(name), std::ios::binary);
  Require(file.is_open(), "read " + Path(name));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void TempDir::MakeDirectory(std::string_view name) const {
  std::filesystem::create_directories(Path(name));
}

bool TempDir::Exists(std::string_view name) const {
  struct stat ignored {};
  return lstat(Path(name).c_str(), &ignored) == 0;
}

std::vector<std::string> TempDir::Names(std::string_view directory) const {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(Path(directory))) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace berth
