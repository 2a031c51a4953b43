"""A peer is timed at its best, or not at all: on a BLAS that has kernels for this processor.

Import it behind what brings the BLAS (numpy, torch, faiss). It says on standard error which library and
kernels run, and ends the program where none is known, as with the reference implementation, or where an
environment variable holds it to other kernels.
"""
import os
import sys

PINS = ["OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "MKL_CBWR", "BLIS_ARCH_TYPE"]


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
    for one in found:
        print(f"peer's BLAS: {one['internal_api']} {one['version']}, kernels: {one.get('architecture', 'its choice')}",
              file=sys.stderr)
