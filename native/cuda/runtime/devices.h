#pragma once
// Which CUDA devices this process could use. Works on machines without a driver: then it says so.
#include <cstddef>
#include <string>
#include <vector>

namespace warpdice::cuda {

struct DeviceInfo {
  int index = 0;  // CUDA's: devices that cannot be asked are not in the list, and keep theirs
  std::string name;
  int major = 0, minor = 0;  // compute capability
  size_t memory_bytes = 0;
};

struct DeviceList {
  std::vector<DeviceInfo> devices;
  std::string error;        // why there is none, in CUDA's words; of no use when there are some
  int driver_version = 0;   // the newest CUDA that the driver supports, 13000 for 13.0; 0: no driver
  int runtime_version = 0;  // the CUDA that this addon was built with
};

DeviceList list_devices();

}  // namespace warpdice::cuda
