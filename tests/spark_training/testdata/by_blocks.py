"""Trains on the ratings of a CSV file with spark/als_blocks.py alone, block after block in one process, and prints what it learnt.

by_blocks.py FOLDER-OF-SPARK RATINGS.csv RANK LAMBDA NU ITERATIONS SEED BLOCKS
"""
import json
import sys

import numpy as np

sys.path.insert(0, sys.argv[1])
import als_blocks as als  # noqa: E402

rows = np.loadtxt(sys.argv[2], delimiter=",", ndmin=2)
users, movies, values = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64), rows[:, 2].astype(np.float32)
rank, lam, nu, iterations, seed, blocks = int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]), *map(int, sys.argv[6:9])
mean = float(np.float32(values.mean(dtype=np.float64)))


def built(own, other):
    found = []
    for block in range(blocks):
        cells = []
        for theirs in range(blocks):
            mask = (own % blocks == block) & (other % blocks == theirs)
            if mask.any():
                cells.append((theirs, own[mask], other[mask], values[mask]))
        found.append(als.block_of_ratings(cells))
    return found


def half_step(rows, states, solve):
    result = []
    for block in rows:
        received = {other: als.pack(states[other], als.positions(states[other].ids, need)) for other, need in block.needs}
        result.append(solve(block, *als.unpack(block, received, states[0].factors.shape[1])))
    return result


by_user, by_movie = built(users, movies), built(movies, users)
empty = lambda block: als.State(block.ids, np.zeros(len(block.ids), np.float32), np.zeros((len(block.ids), 0), np.float32), 0.0)  # noqa: E731
user_states = [empty(block) for block in by_user]
for _ in range(10):
    movie_states = half_step(by_movie, user_states, lambda block, bias, _: als.solve_biases(block, bias, mean, lam, nu))
    user_states = half_step(by_user, movie_states, lambda block, bias, _: als.solve_biases(block, bias, mean, lam, nu))
user_states = [als.State(s.ids, s.bias, als.start_factors(seed, als.USERS, s.ids, rank), 0.0) for s in user_states]
for _ in range(iterations):
    movie_states = half_step(by_movie, user_states, lambda block, *other: als.solve(block, *other, mean, lam, nu))
    user_states = half_step(by_user, movie_states, lambda block, *other: als.solve(block, *other, mean, lam, nu))

learnt = {"mean": mean, "sse": sum(s.sse for s in user_states), "held": als.in_holdout(users, movies, 0.1).tolist()}
for side, states in (("users", user_states), ("movies", movie_states)):
    ids = np.concatenate([s.ids for s in states])
    order = np.argsort(ids)
    learnt[side] = {"ids": ids[order].tolist(), "bias": np.concatenate([s.bias for s in states])[order].astype(float).tolist(),
                    "factors": np.concatenate([s.factors for s in states])[order].astype(float).ravel().tolist()}
json.dump(learnt, sys.stdout)
