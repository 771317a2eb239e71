"""One block of rows of the joint biased ALS of internal/als, by numpy alone.

Every half-step solves, for each row of one side while the other side is held
fixed, one ridge regression of the row's bias and factors together:

    argmin over (b, x) of  sum (r - mu - b_other - b - x.y)^2 + lambda * n^nu * (b^2 + |x|^2)

with n the row's number of ratings. A block is an equal share of the rows, chosen
by a hash of their ids; what it needs of the other side is told once, as the
OutBlocks of Spark's own ALS are, and only that is sent to it at each half-step.
"""
import sys
import zipimport
from collections import namedtuple

import numpy as np

# A worker of Spark has Python forget its caches before each task, which reads the index of pyspark.zip anew for each of
# its folders: a tenth of a second a task, more than the task. What is loaded once needs no finder any more.
for path, finder in list(sys.path_importer_cache.items()):
    if isinstance(finder, zipimport.zipimporter):
        del sys.path_importer_cache[path]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
USERS, MOVIES = 1, 2  # sides, as internal/als counts them among its random numbers
START_SPREAD = 0.3    # of the starting factors, over the root of the rank; see internal/als
HOLDOUT_SEED = 42     # of all versions; see internal/training
SCALE = (0.5, 5.0)    # stars that predictions are clamped to

BATCH = 1 << 15       # ratings that are packed at once
BATCH_ROWS = 512      # rows that are solved at once

# The ratings of the rows of one block: ids ascending [rows]; the ratings of row k are starts[k] to starts[k+1] of columns
# and values; columns count through the rows that needs lists: (block of the other side, ids there ascending), blocks
# ascending.
Ratings = namedtuple("Ratings", "ids starts columns values needs")

# What is learnt of one block: bias [rows], factors [rows, rank], sum of squared errors over its ratings.
State = namedtuple("State", "ids bias factors sse")


def mix(z):
    """The output function of SplitMix64 (Steele, Lea & Flood 2014), of an array of uint64."""
    z = z + GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _unsigned(numbers):
    return np.atleast_1d(np.asarray(numbers)).astype(np.int64).view(np.uint64)


def _uniform(hashes):
    return (hashes >> np.uint64(11)).astype(np.float64) / (1 << 53)


def in_holdout(users, movies, share, seed=HOLDOUT_SEED):
    """Tells which pairs are held out at this share: eval.InTest of internal/eval, bit by bit."""
    hashed = mix(mix(mix(_unsigned(seed)) ^ _unsigned(users)) ^ _unsigned(movies))
    return _uniform(hashed) < share


def start_factors(seed, side, ids, rank):
    """Starting factors [ids, rank], those of startFactors in internal/als, bit by bit."""
    width = START_SPREAD * np.sqrt(12 / rank)
    state = mix(mix(_unsigned(seed) ^ mix(_unsigned(side))) ^ mix(_unsigned(ids)))
    columns = np.arange(rank, dtype=np.uint64) * GOLDEN
    return (width * (_uniform(mix(state[:, None] + columns)) - 0.5)).astype(np.float32)


def regularization(lam, nu, counts):
    return lam * np.power(counts.astype(np.float64), nu)


def block_of_ratings(cells):
    """Ratings of cells (block of the other side, ids of rows, ids of the other side, values), in any order."""
    needs, columns, rows, values, base = [], [], [], [], 0
    for other, row_ids, other_ids, stars in sorted(cells, key=lambda cell: cell[0]):
        unique, inverse = np.unique(other_ids, return_inverse=True)
        needs.append((other, unique))
        columns.append(inverse.astype(np.int32) + np.int32(base))
        rows.append(row_ids)
        values.append(stars)
        base += len(unique)
    if not rows:
        return Ratings(np.empty(0, np.int64), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), [])
    ids, row = np.unique(np.concatenate(rows), return_inverse=True)
    order = np.argsort(row, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(ids)))]).astype(np.int64)
    return Ratings(ids, starts, np.concatenate(columns)[order], np.concatenate(values)[order].astype(np.float32), needs)


def positions(ids, wanted):
    """Where wanted are among ids, which are ascending; -1 for those that are not there."""
    at = np.minimum(np.searchsorted(ids, wanted), max(len(ids) - 1, 0))
    if len(ids) == 0:
        return np.full(len(wanted), -1, np.int32)
    return np.where(ids[at] == wanted, at, -1).astype(np.int32)


def pack(state, at):
    """What is sent of a block: a row each of bias and factors, zeros where the position is -1."""
    packed = np.column_stack([state.bias, state.factors]).astype(np.float32)
    if len(packed) == 0:
        return np.zeros((len(at), packed.shape[1]), np.float32)
    return np.where((at >= 0)[:, None], packed[np.maximum(at, 0)], np.float32(0))


def unpack(ratings, received, rank):
    """Bias and factors of the rows that ratings count through, of what each block of the other side sent."""
    if not ratings.needs:
        return np.zeros(0, np.float32), np.zeros((0, rank), np.float32)
    packed = np.concatenate([received[other] for other, _ in ratings.needs])
    return packed[:, 0], packed[:, 1:]


def solve_biases(ratings, other_bias, mean, lam, nu):
    """The biases alone, each minimizing sum (r - mu - b_other - b)^2 + lambda * n^nu * b^2."""
    counts = np.diff(ratings.starts)
    rows = np.repeat(np.arange(len(counts)), counts)
    rest = ratings.values.astype(np.float64) - mean - other_bias[ratings.columns]
    sums = np.bincount(rows, weights=rest, minlength=len(counts))
    bias = sums / (counts + regularization(lam, nu, counts)) if len(counts) else np.zeros(0)
    return State(ratings.ids, bias.astype(np.float32), np.zeros((len(counts), 0), np.float32), 0.0)


def solve(ratings, other_bias, other_factors, mean, lam, nu):
    """One half-step of a block: State of its rows."""
    counts = np.diff(ratings.starts)
    width = other_factors.shape[1] + 1
    joint = np.column_stack([other_factors, np.ones(len(other_factors), np.float32)])
    targets = (ratings.values - np.float32(mean) - other_bias[ratings.columns]).astype(np.float32)
    solution, sse = np.zeros((len(counts), width)), 0.0
    reg = regularization(lam, nu, counts)
    for rows in batches(counts):
        gram, right, squares = normal_equations(ratings, rows, counts[rows], joint, targets)
        system = gram + reg[rows, None, None] * np.eye(width)
        found = np.linalg.solve(system, right[:, :, None])[:, :, 0]
        solution[rows] = found
        # At the solution sum e^2 = sum t^2 - x.(Z't) - reg * |x|^2.
        errors = squares - (found * right).sum(1) - reg[rows] * (found * found).sum(1)
        sse += float(np.maximum(errors, 0).sum())
    solution = solution.astype(np.float32)
    return State(ratings.ids, solution[:, -1], solution[:, :-1], sse)


def batches(counts):
    """Rows in groups of about equal counts, since all of a group are padded to the greatest."""
    order = np.argsort(-counts, kind="stable")
    sorted_counts = counts[order]
    at = 0
    while at < len(order):
        most = int(sorted_counts[at])
        alike = int(np.searchsorted(-sorted_counts, -(most // 2), side="right"))
        end = min(at + min(max(1, BATCH // max(most, 1)), BATCH_ROWS), max(alike, at + 1))
        yield order[at:end]
        at = end


def normal_equations(ratings, rows, counts, joint, targets):
    """Z'Z [rows, width, width], Z't [rows, width] and t't [rows], in float64, of the rows of one group."""
    width = joint.shape[1]
    gram, right, squares = np.zeros((len(rows), width, width)), np.zeros((len(rows), width)), np.zeros(len(rows))
    # Sums within a part are float32, as long as internal/als lets them grow, and go to float64 between parts.
    for start in range(0, int(counts.max(initial=0)), BATCH):
        span = np.arange(start, min(start + BATCH, int(counts.max())))
        there = span < counts[:, None]
        at = np.where(there, ratings.starts[rows][:, None] + span, 0)
        z = joint[ratings.columns[at]]
        z[~there] = 0
        t = np.where(there, targets[at], np.float32(0))
        transposed = z.transpose(0, 2, 1)
        gram += transposed @ z
        right += (transposed @ t[:, :, None])[:, :, 0]
        squares += (t.astype(np.float64) ** 2).sum(1)
    return gram, right, squares


def squared_errors(ratings, state, other_bias, other_factors, mean):
    """Number of ratings and sum of squared errors of clamped predictions; who is unknown counts as zeros."""
    counts = np.diff(ratings.starts)
    own = np.repeat(positions(state.ids, ratings.ids), counts)
    known = own >= 0
    predicted = np.full(len(own), float(mean)) + other_bias[ratings.columns]
    if known.any():
        mine, theirs = own[known], ratings.columns[known]
        predicted[known] += state.bias[mine]
        predicted[known] += np.einsum("ij,ij->i", state.factors[mine], other_factors[theirs])
    errors = ratings.values - np.clip(predicted, *SCALE)
    return len(own), float((errors.astype(np.float64) ** 2).sum())
