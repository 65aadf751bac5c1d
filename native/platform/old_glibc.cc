// What the static libstdc++ and libgcc of today's GCC ask of a C library newer than the one that the addon is linked
// against (WARPDICE_SYSROOT). The symbols are the addon's own: the process's C library keeps its own.
#include <link.h>
#include <pthread.h>
#include <cerrno>
#include <ctime>

namespace {

/// Of <bits/dl_find_object.h>, glibc 2.35.
struct FoundObject {
  unsigned long long flags;
  void *begin, *end;
  link_map* map;
  void* unwind_table;
  unsigned long long reserved[7];
};

struct Search {
  ElfW(Addr) address;
  FoundObject* found;
};

/// Whether the object holds the address. Fills in what the unwinder reads.
int visit(dl_phdr_info* object, size_t, void* argument) {
  const auto* search = static_cast<const Search*>(argument);
  const ElfW(Phdr)* table = nullptr;
  ElfW(Addr) begin = 0, end = 0;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr)& part = object->dlpi_phdr[i];
    const ElfW(Addr) at = object->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && search->address >= at && search->address < at + part.p_memsz) {
      begin = at;
      end = at + part.p_memsz;
    }
    if (part.p_type == PT_GNU_EH_FRAME) table = &part;
  }
  if (end == 0 || table == nullptr) return 0;
  *search->found = {};
  search->found->begin = reinterpret_cast<void*>(begin);
  search->found->end = reinterpret_cast<void*>(end);
  search->found->unwind_table = reinterpret_cast<void*>(object->dlpi_addr + table->p_vaddr);
  return 1;
}

constexpr long kSecond = 1000000000;  // nanoseconds

}  // namespace

extern "C" {

/// libstdc++ counts references without atomic operations where this is true.
char __libc_single_threaded = 0;

/// glibc 2.35. libgcc's unwinder calls it for each frame of an exception.
int warpdice_find_object(void* address, FoundObject* found) __asm__("_dl_find_object");
int warpdice_find_object(void* address, FoundObject* found) {
  Search search{reinterpret_cast<ElfW(Addr)>(address), found};
  return dl_iterate_phdr(visit, &search) == 1 ? 0 : -1;
}

/// glibc 2.30. std::condition_variable calls it to wait by the steady clock, and looks at that clock again afterwards.
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* until) {
  timespec now, then;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &then);
  const long left = (until->tv_sec - now.tv_sec) * kSecond + until->tv_nsec - now.tv_nsec;
  if (left <= 0) return ETIMEDOUT;
  then.tv_sec += (then.tv_nsec + left) / kSecond;
  then.tv_nsec = (then.tv_nsec + left) % kSecond;
  return pthread_cond_timedwait(condition, mutex, &then);
}

}  // extern "C"
