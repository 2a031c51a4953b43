"""Seconds of one CPU that faiss's flat index takes for a search: rows, queries, columns, k, rounds."""
import os
import sys
import time

for library in "OMP", "OPENBLAS", "MKL":
    os.environ[library + "_NUM_THREADS"] = "1"

import faiss
import numpy

import peer_blas

peer_blas.require()

rows, queries = (numpy.fromfile(path, numpy.float32).reshape(-1, int(sys.argv[3]))
                 for path in sys.argv[1:3])
k, rounds = (int(text) for text in sys.argv[4:6])
faiss.omp_set_num_threads(1)
index = faiss.IndexFlatL2(rows.shape[1])
index.add(rows)
times = []
for _ in range(rounds):
    begin = time.process_time()
    index.search(queries, k)
    times.append(time.process_time() - begin)
print(sorted(times)[rounds // 2])
