/* Compiled once: libtorch's headers take most of the time of every source of the bridge. */
#ifndef BRIDGE_PCH_LIBTORCH_H
#define BRIDGE_PCH_LIBTORCH_H

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/cuda.h>
#include <torch/version.h>

#endif
