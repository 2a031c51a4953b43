/* libimiad: industrial image anomaly detection. This header includes every other one. */
#ifndef IMIAD_IMIAD_H
#define IMIAD_IMIAD_H

#include "imiad/common.h"
#include "imiad/limits.h"
#include "imiad/image.h"
#include "imiad/dataset.h"
#include "imiad/split.h"
#include "imiad/backbone.h"
#include "imiad/bank.h"
#include "imiad/detector.h"
#include "imiad/plugin.h"
#include "imiad/calibration.h"
#include "imiad/regions.h"
#include "imiad/metrics.h"
#include "imiad/protocol.h"
#include "imiad/continual.h"
#include "imiad/results.h"
#include "imiad/report.h"
#include "imiad/synthesis.h"

#endif
