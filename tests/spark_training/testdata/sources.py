"""Reads events and damaged CSV as the job does, and writes a file through Hadoop: sources.py SPARK-FOLDER EVENTS.jsonl RATINGS.csv FOLDER

Prints {"events": rows, "csv": rows, "before": rows}, each [user, movie, rating, milliseconds].
"""
import json
import sys
from types import SimpleNamespace

sys.path.insert(0, sys.argv[1])
from pyspark.sql import SparkSession  # noqa: E402

import model_files  # noqa: E402
import ratings_source  # noqa: E402

spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "1")
         .config("spark.sql.ansi.enabled", "false").config("spark.sql.session.timeZone", "UTC").getOrCreate())


def rows(frame):
    return [list(row) for row in frame.select(*ratings_source.COLUMNS).collect()]


def read(**given):
    blank = {"cassandra": None, "ratings_parquet": None, "ratings_csv": None, "kafka": None, "before": None}
    return rows(ratings_source.read(spark, SimpleNamespace(**{**blank, **given})))


found = {"events": rows(ratings_source.of_events(spark.read.text(sys.argv[2]))), "csv": read(ratings_csv=sys.argv[3]),
         "before": read(ratings_csv=sys.argv[3], before="1500000002000,7,-1")}
model_files.HadoopBucket(spark, "file://" + sys.argv[4]).create("models/v/model.safetensors", sys.argv[3])
try:
    model_files.HadoopBucket(spark, "file://" + sys.argv[4]).create("models/v/model.safetensors", sys.argv[2])
    found["twice"] = "written"
except SystemExit as refused:
    found["twice"] = str(refused)
print(json.dumps(found))
