"""Trains a version of recsys-benthos on a Spark cluster:

    spark-submit --master yarn spark/train_als.py --ratings-parquet hdfs:///ratings --registry s3a://bucket/registry

It is the joint biased `als` that the program trains in process, with the same parameters, starting factors and holdout,
and needs numpy beside PySpark 3.4 to 4. The version that it writes has no role: the gate, which gives roles, is Go's.
Each half-step prints one line of JSON on standard output. See docs/scaling.md.
"""
import argparse
import datetime
import json
import os
import sys
import tempfile
import time

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import als_blocks
import distributed_als
import mllib
import model_files
import ratings_source

MODULES = ("als_blocks.py", "distributed_als.py", "mllib.py")  # what executors need of this folder
RECEIVED = 1 << 30            # bytes that one block receives at a half-step at most: an element of Spark's has to stay below 2 GiB
MOST_PER_BLOCK = 16_000_000   # ratings
LAMBDAS = {"als": 1.25, "mllib": 0.12}  # by algorithm: MLlib's grows with a row's number of ratings, and 1.25 leaves nothing of its factors


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ratings_source.add_flags(parser)
    flag = parser.add_argument
    flag("--registry", metavar="URL", required=True, help="to write the version to: file:///folder, s3a://bucket/folder, or what else Hadoop opens")
    flag("--version", help="its name; default: time and checksum")
    flag("--algorithm", choices=list(LAMBDAS), default="als", help="mllib is Spark's own ALS on what biases leave, .004 to .006 stars worse; it needs --checkpoint")
    flag("--rank", type=int, default=64)
    flag("--lambda", dest="lam", type=float, help=f"default: {LAMBDAS['als']}, and {LAMBDAS['mllib']} of mllib, which multiplies it by the number of ratings")
    flag("--nu", type=float, default=0.5)
    flag("--iterations", type=int, default=10)
    flag("--seed", type=int, default=42)
    flag("--start", metavar="FILE", help="an earlier model.safetensors of the same rank, whose users the version starts from, with half the iterations")
    flag("--holdout", type=float, default=0.1, help="share of the pairs that a twin is not trained on, to measure by; 0 for none")
    flag("--without", type=float, default=0.0, help="share of the pairs that are not trained on at all")
    flag("--keep-twin", action="store_true", help="write the twin too, as the version NAME-twin")
    flag("--blocks", type=int, default=0, help="of users and of movies; default: one a core, or as many as keep what a block receives below 1 GiB if that is more")
    flag("--checkpoint", metavar="URL", help="a folder that all executors reach: what was learnt is written there every few iterations, so that a lost executor costs no more than these")
    flag("--checkpoint-every", type=int, default=3, metavar="ITERATIONS")
    args = parser.parse_args()
    args.lam = LAMBDAS[args.algorithm] if args.lam is None else args.lam
    args.bias_lam = args.lam if args.algorithm == "als" else LAMBDAS["als"]
    ranges = {"rank": (1, 1024), "lam": (1e-6, 1e6), "nu": (0, 2), "iterations": (1, 10_000), "checkpoint_every": (1, 10_000),
              "holdout": (0, 0.999), "without": (0, 0.999), "blocks": (0, 100_000)}
    for name, (least, most) in ranges.items():
        if not least <= getattr(args, name) <= most:
            parser.error(f"--{name.replace('lam', 'lambda').replace('_', '-')} is {getattr(args, name)}, want {least} to {most}")
    if args.algorithm == "mllib" and not args.checkpoint:
        parser.error("--algorithm mllib needs --checkpoint: MLlib's lineage of ten iterations overflows the stack of Java's threads; give a folder that all executors reach")
    return args


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def session(args):
    """ANSI mode fails on the first damaged line, where the program passes it over; times without a zone are UTC. Objects are
    not batched: they are whole blocks, and zip would pack them again at each half-step."""
    conf = SparkConf().setAppName("recsys-benthos training").set("spark.sql.ansi.enabled", "false").set("spark.sql.session.timeZone", "UTC")
    context = SparkContext(conf=conf, batchSize=1)
    for module in MODULES:
        context.addPyFile(os.path.join(os.path.dirname(os.path.abspath(__file__)), module))
    if args.checkpoint:
        context.setCheckpointDir(args.checkpoint)
    return SparkSession.builder.getOrCreate()


def describe(ratings, source):
    """registry.Data of internal/registry. The checksum does not depend on the order."""
    hashed = F.sum(F.xxhash64("user_id", "movie_id", "timestamp", "rating").cast("decimal(38,0)"))
    row = ratings.agg(F.count("*"), F.min("timestamp"), F.max("timestamp"), hashed).first()
    if not row[0]:
        raise SystemExit("there are no ratings to train on: look at the source and at --before")
    return {"source": source, "ratings": row[0], "from": rfc3339(row[1]), "until": rfc3339(row[2]), "revision": 0,
            "checksum": f"xxhash64-sum:{int(row[3]) % (1 << 64):016x}"}


def rfc3339(milliseconds):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds") + "Z"


def source_of(args):
    given = args.ratings_parquet or args.ratings_csv
    return given or (f"cassandra://{args.cassandra}/{args.keyspace}" if args.cassandra else f"kafka://{args.kafka}/{args.topic}")


def blocks_for(ratings, rank):
    """Each rating may be of another row of the other side, of which bias and factors are sent."""
    return -(-ratings // min(RECEIVED // (4 * (rank + 1)), MOST_PER_BLOCK))


def fit(spark, cells, held, args, blocks, label):
    """Trains on the cells. Returns the training and the RMSE of its biases alone on what is held out, if anything is."""
    problem = distributed_als.Problem(cells, blocks)
    training = distributed_als.Training(problem, args, bool(args.checkpoint), lambda **at: say("half_step", **at))
    training.biases()
    bias_rmse = training.rmse(held) if held is not None else 0.0
    if args.algorithm == "mllib":
        mllib.run(spark, training, cells, args, label)
        return training, bias_rmse
    earlier, iterations = None, args.iterations
    if args.start and label == "version":
        iterations = (iterations + 1) // 2  # as warm starts in process do
        tensors = model_files.read(args.start)
        if tensors["user_factors"].shape[1] != args.rank:
            raise SystemExit(f"{args.start} has rank {tensors['user_factors'].shape[1]}, want {args.rank}: give --rank, or leave --start out")
        earlier = distributed_als.blocks_of_users(spark.sparkContext, blocks, problem.rows["users"], tensors, problem.mean)
    training.start(earlier)
    training.run(label, iterations)
    return training, bias_rmse


def parameters(args):
    return {"algorithm": "als_mllib" if args.algorithm == "mllib" else "als", "rank": args.rank, "lambda": args.lam,
            "nu": 1.0 if args.algorithm == "mllib" else args.nu, "iterations": (args.iterations + 1) // 2 if args.start else args.iterations, "seed": args.seed}


def store(spark, args, training, manifest, version):
    """Writes the model beside the driver first, and then into the registry. Returns the version's name."""
    with tempfile.TemporaryDirectory(prefix="train-als-") as folder:
        path = os.path.join(folder, "model.safetensors")
        used = manifest["parameters"]
        users, movies = model_files.write_model(path, training, used["lambda"], used["nu"])
        manifest["data"].update(users=users, movies=movies)
        return model_files.publish(spark, args.registry, path, manifest, version)


def remove_checkpoints(context):
    """Spark leaves them behind, also of a job that ended well. Those of one that was killed are for people to remove."""
    folder = context.getCheckpointDir()
    if folder:
        path = context._jvm.org.apache.hadoop.fs.Path(folder)
        path.getFileSystem(context._jsc.hadoopConfiguration()).delete(path, True)


def main():
    args, began = arguments(), time.monotonic()
    spark = session(args)
    say("started", master=spark.sparkContext.master, spark=spark.version, application=spark.sparkContext.applicationId)
    ratings = ratings_source.read(spark, args).persist(distributed_als.KEPT)
    data = describe(ratings, source_of(args))
    blocks = args.blocks or max(spark.sparkContext.defaultParallelism, blocks_for(data["ratings"], args.rank))
    say("read", blocks=blocks, **data)
    cells = distributed_als.cells_of(ratings, blocks).persist(distributed_als.KEPT)
    cells.count()
    ratings.unpersist()
    if args.without:
        cells = distributed_als.part(cells, args.without, held=False)
    metrics = {"rmse": 0.0, "bias_rmse": 0.0, "ratings": 0, "holdout": 0}
    manifest = {"algorithm": parameters(args)["algorithm"], "parameters": parameters(args), "data": data, "metrics": metrics,
                "holdout": {"seed": als_blocks.HOLDOUT_SEED, "share": args.without},
                "verdict": "trained on Spark; the gate has not seen it", "tool": f"train_als.py on Spark {spark.version}"}
    twin = None
    if args.holdout:
        held = distributed_als.part(cells, args.holdout, held=True).persist(distributed_als.KEPT)
        metrics["holdout"] = held.map(lambda cell: len(cell[4])).sum()
        twin, metrics["bias_rmse"] = fit(spark, distributed_als.part(cells, args.holdout, held=False), held, args, blocks, "twin")
        metrics["rmse"], manifest["holdout"]["share"] = twin.rmse(held), args.holdout
        say("measured", rmse=metrics["rmse"], bias_rmse=metrics["bias_rmse"], holdout=metrics["holdout"])
        if not args.keep_twin:
            twin.free()
    version, _ = fit(spark, cells, None, args, blocks, "version")
    metrics["ratings"] = version.problem.count
    now = datetime.datetime.now(datetime.timezone.utc)
    manifest.update(created_at=now, seconds=round(time.monotonic() - began, 3))
    name = store(spark, args, version, manifest, args.version)
    if args.keep_twin and twin is not None:
        manifest.update(created_at=now, verdict=f"the twin of {name}, to measure it by")
        store(spark, args, twin, manifest, name + "-twin")
    remove_checkpoints(spark.sparkContext)
    say("published", version=name, registry=args.registry, seconds=round(time.monotonic() - began, 3), **metrics)
    spark.stop()


if __name__ == "__main__":
    sys.exit(main())
