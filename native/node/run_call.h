#pragma once
#include "cpu/direct/run.h"
#include "cpu/head/run.h"
#include "cpu/run.h"
#include "node/call_arguments.h"

namespace warpdice {

/// Does a call on the CPU, by the engine that computes it.
inline LabelFault run_call(const BoundCall& bound) {
  if (bound.setup->direct.kind != cpu::direct::Kind::none) {
    cpu::direct::Setup setup = bound.setup->direct;
    setup.image = bound.image;
    return cpu::direct::run(bound.call, setup);
  }
  return bound.call.head.channels ? cpu::head::run(bound.call) : cpu::run(bound.call);
}

}  // namespace warpdice
