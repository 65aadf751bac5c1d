#include "node/errors.h"

#include <new>
#include <stdexcept>

#include "math/error.h"

namespace warpdice {

napi_value make_error(napi_env env, const char* code, const char* message) noexcept {
  napi_value code_text = nullptr, text = nullptr, error = nullptr;
  napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &code_text);
  napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text);
  napi_create_error(env, code_text, text, &error);
  return error;
}

namespace {

napi_value out_of_memory(napi_env env) { return make_error(env, "ERR_OUT_OF_MEMORY", "Out of memory"); }

}  // namespace

napi_value caught_error(napi_env env) noexcept {
  try {
    throw;
  } catch (const Napi::Error& error) {
    try {
      return error.Value();
    } catch (...) {  // the environment is closing
      return nullptr;
    }
  } catch (const Error& error) {
    return make_error(env, error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return out_of_memory(env);
  } catch (const std::length_error&) {  // of a container: more elements than any memory holds
    return out_of_memory(env);
  } catch (const std::exception& error) {
    return make_error(env, "ERR_ADDON", error.what());
  } catch (...) {
    return make_error(env, "ERR_ADDON", "The addon failed");
  }
}

Napi::Error label_error(Napi::Env env, const LabelFault& fault, const char* argument) {
  Napi::Error error(env, make_error(env, "ERR_LABEL_RANGE", "Values are out of range"));
  Napi::Object object = error.Value();
  object.Set("count", Napi::Number::New(env, static_cast<double>(fault.count)));
  object.Set("index", Napi::Number::New(env, static_cast<double>(fault.first_index)));
  object.Set("value", Napi::Number::New(env, fault.first_value));
  object.Set("argument", Napi::String::New(env, argument));
  return error;
}

}  // namespace warpdice
