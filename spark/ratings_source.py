"""Ratings as Spark reads them: columns user_id bigint, movie_id bigint, rating float, timestamp bigint (event time, ms)."""
import re

from pyspark.sql import functions as F

COLUMNS = ["user_id", "movie_id", "rating", "timestamp"]
DATE = r"^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?|T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))$"
MILLISECONDS_FROM = 100_000_000_000  # an epoch from here on is in milliseconds; see internal/message


def add_flags(parser):
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--cassandra", metavar="HOST[:PORT]", help="read the table ratings of Cassandra, by its Spark connector")
    source.add_argument("--ratings-parquet", metavar="URL", help="read parquet with user_id, movie_id, rating, timestamp")
    source.add_argument("--ratings-csv", metavar="URL", help="read CSV in this order: user, movie, rating, timestamp; with or without a header")
    source.add_argument("--kafka", metavar="BROKERS", help="read the topic of events from its beginning, by Spark's Kafka source")
    parser.add_argument("--keyspace", default="recsys", help="of Cassandra")
    parser.add_argument("--topic", default="events", help="of Kafka")
    parser.add_argument("--before", metavar="TIME,USER,MOVIE", help="only ratings before that one in the order of (event time, user, movie)")


def read(spark, args):
    """The current ratings, one of a pair, as a rating store has them."""
    if args.cassandra:
        found = from_cassandra(spark, args.cassandra, args.keyspace)  # whose primary key is the pair
    elif args.ratings_parquet:
        found = newest(typed(spark.read.parquet(args.ratings_parquet)))
    elif args.ratings_csv:
        found = newest(from_csv(spark, args.ratings_csv))
    else:
        found = from_kafka(spark, args.kafka, args.topic)
    found = found.select(*COLUMNS).dropna().filter(~F.isnan("rating"))
    return found if not args.before else before(found, args.before)


def before(ratings, boundary):
    if not re.fullmatch(r"-?\d+,-?\d+,-?\d+", boundary):
        raise SystemExit(f"--before {boundary} is not TIME,USER,MOVIE: give three whole numbers, the time in milliseconds")
    time, user, movie = (F.lit(int(part)).cast("bigint") for part in boundary.split(","))
    at = F.col("timestamp")
    return ratings.filter((at < time) | ((at == time) & ((F.col("user_id") < user) | ((F.col("user_id") == user) & (F.col("movie_id") < movie)))))


def typed(frame):
    """Any numbers, and timestamps of Spark or epochs in seconds or milliseconds, as the columns they are to be."""
    types = dict(frame.dtypes)
    missing = [name for name in COLUMNS if name not in types]
    if missing:
        raise SystemExit(f"the ratings have no column {', '.join(missing)}, only {', '.join(types)}: rename what they have to {', '.join(COLUMNS)}")
    if types["timestamp"].startswith("timestamp"):
        time = F.expr("unix_millis(cast(timestamp as timestamp))")  # whose function came with Spark 3.5
    else:
        time = milliseconds(F.col("timestamp").cast("bigint"))
    return frame.select(F.col("user_id").cast("bigint"), F.col("movie_id").cast("bigint"), F.col("rating").cast("float"), time.alias("timestamp"))


def milliseconds(epoch):
    return F.when(epoch < MILLISECONDS_FROM, epoch * 1000).otherwise(epoch)


def newest(ratings):
    """Of several ratings of a pair the newest, and of equally new ones the greatest."""
    last = F.max(F.struct("timestamp", "rating")).alias("last")
    return ratings.groupBy("user_id", "movie_id").agg(last).select("user_id", "movie_id", "last.rating", "last.timestamp")


def from_cassandra(spark, host, keyspace):
    host, _, port = host.partition(":")
    options = {"table": "ratings", "keyspace": keyspace, "spark.cassandra.connection.host": host}
    if port:
        options["spark.cassandra.connection.port"] = port
    return typed(spark.read.format("org.apache.spark.sql.cassandra").options(**options).load())


def from_csv(spark, url):
    # A line that is a header, or is damaged in another way, has no whole number first.
    frame = spark.read.schema("user_id string, movie_id string, rating string, timestamp string").option("mode", "PERMISSIVE").csv(url)
    return typed(frame.filter(F.col("user_id").rlike(r"^\d+$")))


def from_kafka(spark, brokers, topic):
    """What the topic says now: taken-back ratings and forgotten users are heeded, whatever the order of arrival."""
    records = (spark.read.format("kafka").option("kafka.bootstrap.servers", brokers).option("subscribe", topic)
               .option("startingOffsets", "earliest").option("endingOffsets", "latest").load())
    return of_events(records.select(F.col("value").cast("string").alias("value")))


def of_events(records):
    """Ratings of a column value of events as JSON; see internal/message."""
    schema = "event_type string, user_id string, movie_id string, value string, timestamp string"
    events = records.select(F.from_json("value", schema).alias("event")).select("event.*")
    whole = r"^\d{1,19}$"
    events = events.filter(F.col("user_id").rlike(whole)).select(
        "event_type", F.col("user_id").cast("bigint"), F.when(F.col("movie_id").rlike(whole), F.col("movie_id").cast("bigint")).alias("movie_id"),
        F.when(F.col("value").rlike(r"^[0-9.eE+-]+$"), F.col("value").cast("float")).alias("rating"), event_time("timestamp").alias("timestamp"))
    events = events.dropna(subset=["user_id", "timestamp"]).persist()
    halves = F.col("rating") * 2
    rated = newest(events.filter((F.col("event_type") == "rate") & F.col("movie_id").isNotNull()
                                 & F.col("rating").between(0.5, 5) & (halves == F.floor(halves))))
    unrated = events.filter("event_type = 'unrate' and movie_id is not null").groupBy("user_id", "movie_id").agg(F.max("timestamp").alias("unrated"))
    forgotten = events.filter("event_type = 'forget_user'").groupBy("user_id").agg(F.max("timestamp").alias("forgotten"))
    rated = rated.join(unrated, ["user_id", "movie_id"], "left").join(forgotten, ["user_id"], "left")
    return rated.filter("(unrated is null or timestamp > unrated) and (forgotten is null or timestamp > forgotten)")


def event_time(name):
    """Milliseconds of RFC 3339, "2026-01-02 15:04:05" in UTC, or an epoch; null of anything else."""
    text = F.trim(F.col(name))
    is_epoch, is_date = text.rlike(r"^\d{1,18}$"), text.rlike(DATE)
    return (F.when(is_epoch, milliseconds(F.when(is_epoch, text).cast("bigint")))
            .when(is_date, F.expr(f"unix_millis(cast(trim({name}) as timestamp))")))
