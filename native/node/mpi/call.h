#pragma once
// A collective call that JavaScript makes: its array goes into the operation and the result comes back into it.
#include <napi.h>

#include <memory>

#include "mpi/operation.h"
#include "node/mpi/inbox.h"
#include "node/napi_util.h"

namespace warpdice::mpi {

/// The elements of an array, by the numbers of lib/mpi/native.ts. Halves are added in float32.
enum class Element { float64, float32, float16, bfloat16, int64, byte };

class Call final : public Operation, public Letter {
 public:
  using Operation::Operation;

  void read(Napi::Env env, napi_value array, Element element);
  /// Writes the result into the array, and returns the number that the call gives. Throws the operation's error.
  double write(Napi::Env env, napi_value array) const;

  /// The promise that finished() settles. It keeps the array.
  napi_value promise(Napi::Env env, napi_value array);

  void finished(const OperationPointer& self) noexcept override;
  napi_value open(Napi::Env env) override;

 private:
  Element element_ = Element::byte;
  size_t array_bytes_ = 0;
  std::shared_ptr<Inbox> inbox_;
  napi_ref array_ = nullptr;
};

}  // namespace warpdice::mpi
