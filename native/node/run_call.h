#pragma once
#include "cpu/direct/run.h"
#include "cpu/head/run.h"
#include "cpu/run.h"
#include "node/call_arguments.h"

namespace warpdice {

/// Does a call on the CPU, by the engine that computes it.
inline LabelFault run_call(const BoundCall& bound) {
  if (bound.setup->direct != cpu::direct::Kind::none) {
    return cpu::direct::run(bound.call, {bound.setup->direct, bound.image});
  }
  return bound.call.head.channels ? cpu::head::run(bound.call) : cpu::run(bound.call);
}

}  // namespace warpdice
