#pragma once
// Lists the CUDA devices that this process can use. Works without a driver too: the list then says that there is none.
#include <cstddef>
#include <string>
#include <vector>

namespace warpdice::cuda {

struct DeviceInfo {
  int index = 0;  // CUDA's number of the device; the list leaves out devices that give an error
  std::string name;
  int major = 0, minor = 0;  // compute capability
  size_t memory_bytes = 0;
};

struct DeviceList {
  std::vector<DeviceInfo> devices;
  std::string error;        // why the list is empty, in CUDA's words; meaningless when it is not
  int driver_version = 0;   // the newest CUDA that the driver supports, 13000 for 13.0; 0: no driver
  int runtime_version = 0;  // the CUDA that this addon was built with
};

DeviceList list_devices();

}  // namespace warpdice::cuda
