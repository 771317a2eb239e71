"""Spark's own ALS on what biases leave. It knows one factorization only, without biases of its own, so that these are
learnt first and stay as they are: .004 to .006 stars of RMSE worse than solving both together."""
import numpy as np
from pyspark.ml.recommendation import ALS

import als_blocks

LARGEST_ID = (1 << 31) - 1  # of MLlib, whose ids are 32 bits


def run(spark, training, cells, args, label):
    """Fits and takes over the factors, into the blocks of the training."""
    known = {}
    for side in ("users", "movies"):
        known[side] = training.ids(side)
        if len(known[side]) and (known[side].min() < 0 or known[side].max() > LARGEST_ID):
            raise SystemExit(f"MLlib takes ids of {side} up to {LARGEST_ID} only, and one is {known[side].max()}: take --algorithm als")
    rest = spark.createDataFrame(residuals(training, cells), "user int, movie int, rating float")
    fitted = ALS(rank=args.rank, maxIter=args.iterations, regParam=args.lam, seed=args.seed, userCol="user", itemCol="movie", ratingCol="rating",
                 numUserBlocks=training.problem.blocks, numItemBlocks=training.problem.blocks, checkpointInterval=args.checkpoint_every).fit(rest)
    for side, frame in (("users", fitted.userFactors), ("movies", fitted.itemFactors)):
        learnt = frame.rdd.map(lambda row: (row[0], np.array(row[1], np.float32)))
        training.replace(side, taken_over(training, side, learnt, args.rank), True)
    training.rank = args.rank
    training.report(training=label, iteration=args.iterations, total=args.iterations, side="users", rmse=None, seconds=None)


def residuals(training, cells):
    """Rows (user, movie, rating less what mean and biases say)."""
    bias = {}
    for side in ("users", "movies"):
        ids, values = zip(*((state.ids, state.bias) for state in training.states[side].toLocalIterator()))
        ids, values = np.concatenate(ids), np.concatenate(values)
        order = np.argsort(ids)
        bias[side] = (ids[order], values[order])
    shared = cells.context.broadcast((bias, training.mean))

    def rows(cell):
        (users, movies), mean = (shared.value[0]["users"], shared.value[0]["movies"]), shared.value[1]
        rest = cell[4] - mean - users[1][als_blocks.positions(users[0], cell[2])] - movies[1][als_blocks.positions(movies[0], cell[3])]
        return zip(cell[2].tolist(), cell[3].tolist(), rest.tolist())

    return cells.flatMap(rows)


def taken_over(training, side, learnt, rank):
    """The states of the training's blocks with MLlib's factors in them."""
    blocks = training.problem.blocks
    places = training.states[side].mapPartitionsWithIndex(lambda number, states: [(int(one), number) for state in states for one in state.ids])
    placed = places.join(learnt).map(lambda pair: (pair[1][0], (pair[0], pair[1][1]))).partitionBy(blocks, lambda key: key)

    def merge(pair):
        state, found = pair
        factors = np.zeros((len(state.ids), rank), np.float32)
        if found:
            ids, rows = zip(*found)
            factors[als_blocks.positions(state.ids, np.array(ids, np.int64))] = np.stack(rows)
        return als_blocks.State(state.ids, state.bias, factors, 0.0)

    return training.states[side].zip(placed.mapPartitions(lambda pairs: [[one for _, one in pairs]])).map(merge)
