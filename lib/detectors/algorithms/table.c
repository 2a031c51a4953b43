/* The library's own algorithms: one line each, in the alphabet's order. */
#include "detectors/registry.h"

/* clang-format off */
#define EACH_ALGORITHM(DO) \
    DO(anomalydino) \
    DO(bgad) \
    DO(cfa) \
    DO(csflow) \
    DO(cutpaste) \
    DO(devnet) \
    DO(dinomaly) \
    DO(dne) \
    DO(dra) \
    DO(draem) \
    DO(efficientad) \
    DO(fastflow) \
    DO(favae) \
    DO(gcad) \
    DO(graphcore) \
    DO(igd) \
    DO(mh_patchcore) \
    DO(padim) \
    DO(patchcore) \
    DO(prn) \
    DO(rad) \
    DO(rd4ad) \
    DO(regad) \
    DO(semirest) \
    DO(simplenet) \
    DO(softpatch) \
    DO(spade) \
    DO(stpm) \
    DO(subspacead) \
    DO(supersimplenet) \
    DO(uniad)
/* clang-format on */

#define DECLARE(name) extern const detector_ops name##_ops;
#define LIST(name)    &name##_ops,

EACH_ALGORITHM(DECLARE)

const detector_ops *const detector_table[] = {EACH_ALGORITHM(LIST) NULL};
