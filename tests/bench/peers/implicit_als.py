"""Implicit ALS by the package implicit, with its default solver (three steps of
conjugate gradients). Prints the milliseconds of each iteration after the first.

    implicit_als.py FILE RANK ITERATIONS
"""
import sys
import time

import implicit
import numpy as np
import scipy.sparse

path, rank, iterations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "rb") as file:
    users, movies, count = np.fromfile(file, np.int64, 3)
    start = np.fromfile(file, np.int64, users + 1)
    others = np.fromfile(file, np.int32, count)
    values = np.fromfile(file, np.float32, count)
ratings = scipy.sparse.csr_matrix((values, others, start), shape=(users, movies))
model = implicit.als.AlternatingLeastSquares(
    factors=rank, regularization=5, alpha=0.1, iterations=iterations + 1, num_threads=2, random_state=1)
last = None


def done(iteration, *_):
    global last
    now = time.perf_counter()
    if last is not None:
        print((now - last) * 1000, flush=True)
    last = now


model.fit(ratings, show_progress=False, callback=done)
