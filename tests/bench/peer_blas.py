"""A peer is timed at its best, or not at all: on a BLAS that runs the best of its kernels for this processor.

Import it behind what brings the BLAS (numpy, torch, faiss). It says on standard error which library and
kernels run, and ends the program where none is known, as with the reference implementation, or where the
kernels are those of an older processor. An OpenBLAS that is older than the processor may take such by
itself; OPENBLAS_CORETYPE then asks for better ones.
"""
import os
import sys

PINS = ["MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "MKL_CBWR", "BLIS_ARCH_TYPE"]
# what the processor can do, from the newest on, and OpenBLAS's kernels for it, the first to be asked for
KERNELS = [("avx512f", ["SkylakeX", "Cooperlake", "SapphireRapids"]), ("avx2", ["Haswell", "Zen"])]


def best_kernels():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        flags = next((line.split() for line in file if line.startswith("flags")), [])
    return next((names for flag, names in KERNELS if flag in flags), None)


def require():
    pinned = [name for name in PINS if name in os.environ]
    if pinned:
        sys.exit(f"the peer would not run at its best: {', '.join(pinned)} is set")
    try:
        import threadpoolctl
    except ImportError:
        sys.exit("which BLAS the peer runs is not known: install python3-threadpoolctl")
    found = [one for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
    if not found:
        sys.exit("the peer's BLAS is the reference implementation: install libopenblas0-pthread")
    best = best_kernels()
    for one in found:
        kernels = one.get("architecture", "its choice")
        print(f"peer's BLAS: {one['internal_api']} {one['version']}, kernels: {kernels}", file=sys.stderr)
        if one["internal_api"] == "openblas" and best and kernels.lower() not in [name.lower() for name in best]:
            sys.exit(f"the peer would not run at its best: its kernels are {kernels}'s: set OPENBLAS_CORETYPE={best[0]}")
