"""Trains and loads models with Apache Spark, and writes what it predicts and
recommends, for TestRoundTrips to compare with: one JVM for all.

argv: folder to work in, which has ratings.csv, pairs.csv and loaded/NAME, models to load
"""
import json
import os
import sys

from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import SparkSession
from pyspark.sql.functions import col

work = sys.argv[1]
N = 10

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.driver.memory", "2g")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.default.parallelism", "2")
    .config("spark.driver.extraJavaOptions", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")

ratings = spark.read.csv(os.path.join(work, "ratings.csv"), header=True, schema="user_id int, movie_id int, rating float, timestamp long").cache()
pairs = spark.read.csv(os.path.join(work, "pairs.csv"), header=True, schema="user_id int, movie_id int").cache()
some = pairs.select("user_id").distinct().orderBy("user_id").limit(5)


def tell(model, subset=False):
    """Predictions of all pairs, null for those it does not know, and lists."""
    predicted = model.transform(pairs).select("user_id", "movie_id", "prediction").collect()
    lists = model.recommendForUserSubset(some, N) if subset else model.recommendForAllUsers(N)
    return {
        "rank": model.rank,
        "users": model.userFactors.count(),
        "movies": model.itemFactors.count(),
        "predictions": [[u, m, None if p != p else p] for u, m, p in predicted],
        "lists": {str(row[0]): [[movie, score] for movie, score in row[1]] for row in lists.collect()},
    }


def train(name, codec, legacy=False, of=ratings, **parameters):
    """Trains a model, saves it, and tells what the saved one says."""
    spark.conf.set("spark.sql.parquet.compression.codec", codec)
    spark.conf.set("spark.sql.parquet.writeLegacyFormat", str(legacy).lower())
    als = ALS(rank=6, maxIter=2, seed=1, userCol="user_id", itemCol="movie_id", ratingCol="rating", **parameters)
    model = als.fit(of)
    model.save(os.path.join(work, "saved", name))
    return tell(model)


told = {
    "explicit, snappy": train("explicit, snappy", "snappy", numUserBlocks=3, numItemBlocks=4),
    "explicit, zstd, parts without rows": train("explicit, zstd, parts without rows", "zstd", of=ratings.where(col("user_id") % 4 == 0), numUserBlocks=4, numItemBlocks=2),
    "explicit, gzip, lists of two levels": train("explicit, gzip, lists of two levels", "gzip", legacy=True, numUserBlocks=1, numItemBlocks=1),
    "implicit, zstd": train("implicit, zstd", "zstd", implicitPrefs=True, alpha=1.0, numUserBlocks=2, numItemBlocks=3),
    "implicit, uncompressed": train("implicit, uncompressed", "uncompressed", implicitPrefs=True, alpha=4.0, numUserBlocks=1, numItemBlocks=1),
}
for name in sorted(os.listdir(os.path.join(work, "loaded"))):
    model = ALSModel.load(os.path.join(work, "loaded", name))
    # A model of others may name other columns and drop what it does not know.
    model = model.setUserCol("user_id").setItemCol("movie_id").setColdStartStrategy("nan")
    told[name] = tell(model, subset="some" in name)
with open(os.path.join(work, "told.json"), "w") as file:
    json.dump({"version": spark.version, "models": told}, file)
