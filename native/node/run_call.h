#pragma once
#include "cpu/direct/run.h"
#include "cpu/head/run.h"
#include "cpu/one_ignored.h"
#include "cpu/run.h"
#include "node/call_arguments.h"

namespace warpdice {

/// Does the call of these arguments by the engine that computes it.
inline LabelFault run_call(const BoundCall& bound, const Call& call) {
  if (bound.setup->direct.kind != cpu::direct::Kind::none) {
    cpu::direct::Setup setup = bound.setup->direct;
    setup.image = bound.image;
    return cpu::direct::run(call, setup);
  }
  return call.head.channels ? cpu::head::run(call) : cpu::run(call);
}

/// Does a call on the CPU.
inline LabelFault run_call(const BoundCall& bound) {
  if (bound.call.in.more_ignored_count == 0) return run_call(bound, bound.call);
  Call call = bound.call;
  const cpu::OneIgnored target(call.in);
  return run_call(bound, call);
}

}  // namespace warpdice
