"""Explicit ALS by Spark, in one warm JVM. Prints the milliseconds of one
iteration, so many times: the difference between fits of 11 and of 1.

    spark_als.py FILE RANK TIMES
"""
import sys
import time

import numpy as np
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

path, rank, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "rb") as file:
    users, movies, count = (int(n) for n in np.fromfile(file, np.int64, 3))
    start = np.fromfile(file, np.int64, users + 1)
    others = np.fromfile(file, np.int32, count)
    values = np.fromfile(file, np.float32, count)
spark = (SparkSession.builder.master("local[2]").config("spark.driver.memory", "6g").config("spark.ui.enabled", "false")
         .config("spark.sql.shuffle.partitions", "2").config("spark.driver.host", "127.0.0.1").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
rows = np.repeat(np.arange(users, dtype=np.int32), np.diff(start))
csv = path + ".csv"
np.savetxt(csv, np.stack([rows, others, values], 1), fmt=("%d", "%d", "%g"), delimiter=",")
ratings = spark.read.csv(csv, schema="user int, item int, rating float").repartition(2).cache()
ratings.count()


def fit(iterations):
    als = ALS(rank=rank, maxIter=iterations, regParam=0.05, numUserBlocks=2, numItemBlocks=2, checkpointInterval=-1)
    began = time.perf_counter()
    als.fit(ratings).userFactors.count()
    return time.perf_counter() - began


fit(3)
for _ in range(times):
    print((fit(11) - fit(1)) * 100, flush=True)
spark.stop()
