// Reads the files of Linux's control groups, both versions. What cannot be read or is not understood counts as no
// quota.
#include "cpu/quota.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace warpdice::cpu {
namespace {

constexpr double kNone = 1e9;  // of processors: no quota

std::string read(const std::string& path) {
  std::string text;
  if (std::FILE* file = std::fopen(path.c_str(), "r")) {
    char piece[512];
    size_t size;
    do {
      size = std::fread(piece, 1, sizeof piece, file);
      text.append(piece, size);
    } while (size == sizeof piece);
    std::fclose(file);
  }
  return text;
}

double ratio(const char* quota, const char* period) {
  const double time = std::strtod(quota, nullptr), of = std::strtod(period, nullptr);
  return time > 0 && of > 0 ? time / of : kNone;  // -1 and "max": no quota
}

/// Version 2: "200000 100000", or "max 100000".
double quota_v2(const std::string& folder) {
  const std::string text = read(folder + "/cpu.max");
  const size_t space = text.find(' ');
  return space == std::string::npos ? kNone : ratio(text.c_str(), text.c_str() + space);
}

double quota_v1(const std::string& folder) {
  const std::string quota = read(folder + "/cpu.cfs_quota_us"), period = read(folder + "/cpu.cfs_period_us");
  return ratio(quota.c_str(), period.c_str());
}

/// The smallest quota of a group and of those that it is in. Inside a container the group's own path may be that of the
/// host, which does not exist here: then the first folder that does is `mount`, the container's group.
double smallest(double (*quota)(const std::string& folder), const std::string& mount, std::string path) {
  double least = kNone;
  for (;;) {
    while (!path.empty() && path.back() == '/') path.pop_back();
    least = std::fmin(least, quota(mount + path));
    if (path.empty()) return least;
    path.erase(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
  }
}

/// Whether the comma-separated list names the controller "cpu".
bool has_cpu(const std::string& controllers) {
  std::string list = ",";
  list += controllers;
  list += ',';
  return list.find(",cpu,") != std::string::npos;
}

}  // namespace

int quota_processors(const std::string& root) {
  const std::string mount = root + "/sys/fs/cgroup", groups = read(root + "/proc/self/cgroup");
  double least = kNone;
  // A line for each hierarchy: "0::/path" for version 2, "4:cpu,cpuacct:/path" for version 1.
  for (size_t begin = 0; begin < groups.size();) {
    const size_t end = std::min(groups.find('\n', begin), groups.size());
    const std::string line = groups.substr(begin, end - begin);
    begin = end + 1;
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) {
      least = std::fmin(least, smallest(quota_v2, mount, path));
    } else if (has_cpu(controllers)) {
      std::string folder = mount;
      folder += '/';
      folder += controllers;
      least = std::fmin(least, smallest(quota_v1, folder, path));
      least = std::fmin(least, smallest(quota_v1, mount + "/cpu", path));  // often a link to the former
    }
  }
  return least == kNone ? 0 : std::max(1, static_cast<int>(std::ceil(least)));
}

}  // namespace warpdice::cpu
