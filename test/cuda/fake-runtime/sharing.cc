#include "sharing.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace fake {

std::shared_ptr<Shared> Shared::map(int descriptor) {
  struct stat found;
  if (descriptor < 0 || fstat(descriptor, &found) != 0) return nullptr;
  const auto size_bytes = static_cast<size_t>(found.st_size);
  void* data = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (data != MAP_FAILED) return std::shared_ptr<Shared>(new Shared(descriptor, data, size_bytes));
  close(descriptor);
  return nullptr;
}

std::shared_ptr<Shared> Shared::make(size_t size_bytes) {
  const int descriptor = memfd_create("device memory", MFD_CLOEXEC);
  if (descriptor >= 0 && ftruncate(descriptor, static_cast<off_t>(size_bytes)) == 0) return map(descriptor);
  if (descriptor >= 0) close(descriptor);
  return nullptr;
}

std::shared_ptr<Shared> Shared::open(const SharedName& name) {
  const std::string path = "/proc/" + std::to_string(name.process) + "/fd/" + std::to_string(name.descriptor);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat found;
  if (descriptor < 0) return nullptr;
  if (fstat(descriptor, &found) == 0 && static_cast<int64_t>(found.st_ino) == name.inode) return map(descriptor);
  close(descriptor);  // the number was given to something else meanwhile
  return nullptr;
}

Shared::~Shared() {
  munmap(data_, size_bytes_);
  close(descriptor_);
}

SharedName Shared::name() const {
  struct stat found = {};
  fstat(descriptor_, &found);
  return {getpid(), descriptor_, static_cast<int64_t>(found.st_ino), 0};
}

bool is_own(const SharedName& name) { return name.process == getpid(); }

}  // namespace fake
