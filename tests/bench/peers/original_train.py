"""The original's training job: reads ratings, trains on four fifths, evaluates on
the rest, trains on all with the same parameters, and saves.

    original_train.py RATINGS.csv MODEL-FOLDER
"""
import sys

from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

spark = (SparkSession.builder.master("local[2]").config("spark.driver.memory", "2g").config("spark.ui.enabled", "false")
         .config("spark.driver.host", "127.0.0.1").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
ratings = spark.read.csv(sys.argv[1], header=True, schema="userId int, movieId int, rating float, timestamp long")
train, test = ratings.randomSplit([0.8, 0.2])
als = ALS(maxIter=2, regParam=0.01, userCol="userId", itemCol="movieId", ratingCol="rating", coldStartStrategy="drop")
evaluator = RegressionEvaluator(metricName="rmse", labelCol="rating", predictionCol="prediction")
print("RMSE", evaluator.evaluate(als.fit(train).transform(test)))
als.fit(ratings).write().overwrite().save(sys.argv[2])
spark.stop()
