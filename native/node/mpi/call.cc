#include "node/mpi/call.h"

#include <cstring>

#include "math/error.h"
#include "mpi/half.h"

namespace warpdice::mpi {
namespace {

bool is_half(Element element) { return element == Element::float16 || element == Element::bfloat16; }

Type type_of(Element element) {
  switch (element) {
    case Element::float64:
      return Type::float64;
    case Element::int64:
      return Type::int64;
    case Element::byte:
      return Type::byte;
    default:
      return Type::float32;
  }
}

size_t size_of(Element element) {
  if (is_half(element)) return 2;
  return element == Element::float32 ? 4 : element == Element::byte ? 1 : 8;
}

}  // namespace

void Call::read(Napi::Env env, napi_value array, Element element) {
  const Memory memory = memory_of(env, array, "array");
  if (memory.size_bytes % size_of(element)) throw Napi::RangeError::New(env, "Expected whole elements for array");
  element_ = element;
  array_bytes_ = memory.size_bytes;
  type = type_of(element);
  count = memory.size_bytes / size_of(element);
  if (count == 0) return;
  if (!is_half(element)) {
    const auto* bytes = static_cast<const char*>(memory.data);
    data.assign(bytes, bytes + memory.size_bytes);
    return;
  }
  data.resize(count * sizeof(float));
  const auto* halves = static_cast<const uint16_t*>(memory.data);
  auto* floats = reinterpret_cast<float*>(data.data());
  for (size_t i = 0; i < count; ++i) {
    floats[i] = element == Element::float16 ? from_float16(halves[i]) : from_bfloat16(halves[i]);
  }
}

double Call::write(Napi::Env env, napi_value array) const {
  if (failed()) throw Error(error_code, error_message);
  if (array) {
    const Memory memory = memory_of(env, array, "array");
    if (memory.size_bytes != array_bytes_) {
      throw Napi::TypeError::New(
          env, "Expected the memory of array until the call has ended but it was detached or resized");
    }
    if (count > 0 && !is_half(element_)) std::memcpy(memory.data, data.data(), array_bytes_);
    if (is_half(element_)) {
      auto* halves = static_cast<uint16_t*>(memory.data);
      const auto* floats = reinterpret_cast<const float*>(data.data());
      for (size_t i = 0; i < count; ++i) {
        halves[i] = element_ == Element::float16 ? to_float16(floats[i]) : to_bfloat16(floats[i]);
      }
    }
  }
  return kind == Kind::split ? part : frame.extra();
}

napi_value Call::promise(Napi::Env env, napi_value array) {
  inbox_ = Inbox::of(env);
  if (array && napi_create_reference(env, array, 1, &array_) != napi_ok) throw Napi::Error::New(env);
  return inbox_->expect(*this);
}

void Call::finished(const OperationPointer& self) noexcept {
  if (inbox_) inbox_->post(std::static_pointer_cast<Call>(self));
}

napi_value Call::open(Napi::Env env) {
  napi_value array = nullptr;
  if (array_) {
    napi_get_reference_value(env, array_, &array);
    napi_delete_reference(env, array_);
  }
  return Napi::Number::New(env, write(env, array));
}

}  // namespace warpdice::mpi
