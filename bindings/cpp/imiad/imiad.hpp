/* libimiad for C++17 and later: handles that free themselves, failures as exceptions, spans.
 *
 * Every class owns one handle of the C interface and hands it out with get(), so that whatever is
 * not here is one C call away (imiad::check turns its status into an exception). Classes can be
 * moved, not copied. What each call does, its units, errors and thread rules: the C headers. Guide:
 * docs/cpp.md. */
#ifndef IMIAD_IMIAD_HPP
#define IMIAD_IMIAD_HPP

#include "imiad/cpp/bank.hpp"
#include "imiad/cpp/base.hpp"
#include "imiad/cpp/data.hpp"
#include "imiad/cpp/dataset_plugin.hpp"
#include "imiad/cpp/detector.hpp"
#include "imiad/cpp/detector_plugin.hpp"
#include "imiad/cpp/image.hpp"
#include "imiad/cpp/measure.hpp"
#include "imiad/cpp/plugin.hpp"

#endif
