"""The original's predictor on Spark Structured Streaming, as a programmer who
knows Spark writes it: what is small is cached and broadcast."""
import sys

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession
from pyspark.sql.functions import broadcast, coalesce, col, concat_ws, from_json, split, struct, to_json

jars, brokers, model_folder, movies_file, checkpoint = sys.argv[1:]

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.jars", jars)
    .config("spark.driver.memory", "3g")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")

model = ALSModel.load(model_folder).setColdStartStrategy("nan")
model.setUserCol("user_id").setItemCol("movie_id")
model.userFactors.cache().count()
model.itemFactors.cache().count()
movies = spark.read.csv(movies_file, header=True, escape='"').select(
    col("movieId").cast("int").alias("movie_id"), "title", split("genres", "\\|").alias("genres")
).cache()
movies.count()

events = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", brokers)
    .option("subscribe", "requests")
    .option("startingOffsets", "earliest")
    .option("maxOffsetsPerTrigger", "100000")
    .load()
)
schema = "request_id string, event_type string, user_id string, movie_id string, value string, timestamp string"
requests = events.select(
    concat_ws("-", "topic", "partition", "offset").alias("place"),
    col("timestamp").alias("requested_at"),
    from_json(col("value").cast("string"), schema).alias("event"),
).select(
    coalesce("event.request_id", "place").alias("request_id"), "requested_at",
    col("event.user_id").cast("int").alias("user_id"),
    col("event.movie_id").cast("int").alias("movie_id"),
    col("event.value").cast("float").alias("actual"),
)
predictions = model.transform(requests).join(broadcast(movies), "movie_id", "left")
(
    predictions.select(
        col("user_id").cast("string").alias("key"),
        to_json(struct("request_id", "user_id", "movie_id", "prediction", "requested_at", "actual", "title", "genres")).alias("value"),
    )
    .writeStream.format("kafka")
    .option("kafka.bootstrap.servers", brokers)
    .option("topic", "out")
    .option("checkpointLocation", checkpoint)
    .start()
    .awaitTermination()
)
