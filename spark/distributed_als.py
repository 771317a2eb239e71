"""The joint biased ALS over blocks on Spark. Each RDD of blocks has one element a partition: that of the block of its number."""
import time

import numpy as np
from pyspark import StorageLevel
from pyspark.sql import functions as F

import als_blocks as als

START_SWEEPS = 10  # of biases before factors; see internal/als
KEPT = StorageLevel.MEMORY_AND_DISK
OTHER = {"users": "movies", "movies": "users"}


def own_number(key):
    return key


def cells_of(ratings, blocks):
    """Ratings by (block of users, block of movies): tuples (user block, movie block, users, movies, values)."""
    def block(name):
        return F.pmod(F.xxhash64(name), F.lit(blocks)).cast("int")

    lists = [F.collect_list(name).alias(name) for name in ("user_id", "movie_id", "rating")]
    grouped = ratings.groupBy(block("user_id").alias("user_block"), block("movie_id").alias("movie_block")).agg(*lists)
    return grouped.rdd.map(lambda row: (row[0], row[1], np.array(row[2], np.int64), np.array(row[3], np.int64), np.array(row[4], np.float32)))


def part(cells, share, held):
    """The pairs that are held out at this share, or the others."""
    def select(cell):
        mask = als.in_holdout(cell[2], cell[3], share)
        mask = mask if held else ~mask
        return (*cell[:2], *(column[mask] for column in cell[2:]))

    return cells.map(select)


def rows_of(cells, side, blocks):
    """als_blocks.Ratings of each block of one side."""
    def by_user(cell):
        return cell[0], (cell[1], cell[2], cell[3], cell[4])

    def by_movie(cell):
        return cell[1], (cell[0], cell[3], cell[2], cell[4])

    def build(pairs):
        return [als.block_of_ratings([cell for _, cell in pairs if len(cell[1])])]

    return cells.map(by_user if side == "users" else by_movie).partitionBy(blocks, own_number).mapPartitions(build)


def links_to(rows, ids, blocks):
    """What each block of the other side, whose ids are given, sends: a list of (block of rows, positions among its ids)."""
    def wanted(number, elements):
        return [(other, (number, need)) for element in elements for other, need in element.needs]

    def locate(pair):
        own, wants = pair
        return [(number, als.positions(own, need)) for number, need in wants]

    asked = rows.mapPartitionsWithIndex(wanted).partitionBy(blocks, own_number).mapPartitions(lambda pairs: [[want for _, want in pairs]])
    return ids.zip(asked).map(locate)


def received(states, links, blocks):
    """For each block of rows what the blocks of the other side send it, by their numbers."""
    def send(number, pairs):
        return [(to, (number, als.pack(state, at))) for state, link in pairs for to, at in link]

    return states.zip(links).mapPartitionsWithIndex(send).partitionBy(blocks, own_number).mapPartitions(lambda pairs: [dict(sent for _, sent in pairs)])


class Problem:
    """The ratings of one training, and what each block of the one side needs of the other."""

    def __init__(self, cells, blocks):
        self.blocks = blocks
        self.count, total = cells.map(lambda cell: (len(cell[4]), float(cell[4].sum(dtype=np.float64)))).fold((0, 0.0), _add)
        if not self.count:
            raise SystemExit("there are no ratings to train on: look at the source, and at --before and --without")
        self.mean = float(np.float32(total / self.count))
        self.rows = {side: rows_of(cells, side, blocks).persist(KEPT) for side in OTHER}
        self.links = {side: links_to(self.rows[side], self.rows[OTHER[side]].map(lambda rows: rows.ids), blocks).persist(KEPT) for side in OTHER}

    def half_step(self, side, states, solve):
        """The State of each block of a side, from those of the other."""
        sent = received(states, self.links[side], self.blocks)
        return self.rows[side].zip(sent).map(lambda pair: solve(*pair))


def _add(a, b):
    return tuple(x + y for x, y in zip(a, b))


class Training:
    """What is learnt, and how far it is. report is called with a dictionary after each half-step."""

    def __init__(self, problem, args, checkpoint, report):
        self.problem, self.args, self.checkpoint, self.report = problem, args, checkpoint, report
        self.states, self.rank, self.mean, self.began = {}, 0, problem.mean, time.monotonic()

    def replace(self, side, states, cut):
        """Makes the new states before the old ones go. Returns the sum of their squared errors."""
        states.persist(KEPT)
        if cut:
            states.checkpoint()  # else lineage grows by two shuffles an iteration
        sse = states.map(lambda state: state.sse).sum()
        if side in self.states:
            self.states[side].unpersist()
        self.states[side] = states
        return sse

    def biases(self):
        """The biases alone: what training starts from, and the baseline that factors have to beat."""
        mean, lam, nu = self.mean, self.args.bias_lam, self.args.nu
        states = {"users": self.problem.rows["users"].map(
            lambda rows: als.State(rows.ids, np.zeros(len(rows.ids), np.float32), np.zeros((len(rows.ids), 0), np.float32), 0.0))}

        def solve(rows, sent):
            return als.solve_biases(rows, als.unpack(rows, sent, 0)[0], mean, lam, nu)

        # All sweeps are one job of Spark's: nobody looks at what is between, and asking for it takes longer than the sweep.
        for _ in range(START_SWEEPS):
            for side in ("movies", "users"):
                states[side] = self.problem.half_step(side, states[OTHER[side]], solve)
        for side in ("movies", "users"):
            self.replace(side, states[side], False)

    def start(self, earlier):
        """Small random user factors beside the biases, or those of an earlier model: RDD of blocks (ids, bias, factors)."""
        rank, seed = self.args.rank, self.args.seed

        def begin(state):
            return als.State(state.ids, state.bias, als.start_factors(seed, als.USERS, state.ids, rank), 0.0)

        def inherit(pair):
            state, (ids, bias, factors) = begin(pair[0]), pair[1]
            at = als.positions(ids, state.ids)
            known = at >= 0
            state.bias[known], state.factors[known] = bias[at[known]], factors[at[known]]
            return state

        users = self.states["users"]
        self.replace("users", users.map(begin) if earlier is None else users.zip(earlier).map(inherit), self.checkpoint)
        self.rank = rank

    def run(self, label, total):
        mean, lam, nu, rank = self.mean, self.args.lam, self.args.nu, self.rank

        def solve(rows, sent):
            return als.solve(rows, *als.unpack(rows, sent, rank), mean, lam, nu)

        for iteration in range(1, total + 1):
            for side in ("movies", "users"):
                cut = self.checkpoint and iteration % self.args.checkpoint_every == 0
                sse = self.replace(side, self.problem.half_step(side, self.states[OTHER[side]], solve), cut)
                self.report(training=label, iteration=iteration, total=total, side=side,
                            rmse=float(np.sqrt(sse / self.problem.count)), seconds=round(time.monotonic() - self.began, 3))

    def rmse(self, cells):
        """Root mean squared error of clamped predictions of other ratings."""
        rows, mean, rank = rows_of(cells, "users", self.problem.blocks), self.mean, self.rank
        links = links_to(rows, self.states["movies"].map(lambda state: state.ids), self.problem.blocks)
        sent = received(self.states["movies"], links, self.problem.blocks)

        def errors(triple):
            (held, own), got = triple
            return als.squared_errors(held, own, *als.unpack(held, got, rank), mean)

        count, sse = rows.zip(self.states["users"]).zip(sent).map(errors).fold((0, 0.0), _add)
        return float(np.sqrt(sse / count)) if count else 0.0

    def ids(self, side):
        found = self.states[side].map(lambda state: state.ids).toLocalIterator()
        return np.concatenate(list(found))

    def blocks(self, side):
        """Block by block (ids, numbers of ratings, bias, factors)."""
        together = self.problem.rows[side].map(lambda rows: np.diff(rows.starts)).zip(self.states[side])
        for counts, state in together.toLocalIterator():
            yield state.ids, counts, state.bias, state.factors

    def free(self):
        for rdd in (*self.states.values(), *self.problem.rows.values(), *self.problem.links.values()):
            rdd.unpersist()


def blocks_of_users(context, blocks, rows, tensors, mean):
    """Users of an earlier model, in the blocks that rows are in: (ids, bias, factors). Its biases are made relative to mean."""
    ids, shift = np.array(tensors["user_ids"]), float(tensors["mean"][0]) - mean

    def matching(number, elements):
        return [(number, element.ids) for element in elements]

    def found():
        for number, wanted in rows.mapPartitionsWithIndex(matching).toLocalIterator():
            at = als.positions(ids, wanted)
            known = np.sort(at[at >= 0])
            yield number, (ids[known], np.array(tensors["user_bias"][known]) + np.float32(shift), np.array(tensors["user_factors"][known]))

    placed = context.parallelize(list(found()), blocks)
    return placed.partitionBy(blocks, own_number).mapPartitions(lambda pairs: [pair[1] for pair in pairs]).persist(KEPT)
