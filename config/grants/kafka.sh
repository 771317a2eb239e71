#!/bin/sh
# What each kind of process may do in Kafka, and no more. An administrator runs it
# once, and after an upgrade; what is granted already stays. The argument is how
# Kafka's tool is called here:
#
#   sh config/grants/kafka.sh "kafka-acls.sh --bootstrap-server kafka-1:9092 --command-config admin.properties"
#
# The brokers need an authorizer (authorizer.class.name=
# org.apache.kafka.metadata.authorizer.StandardAuthorizer), and each principal a
# password or a certificate. Where one process runs pipelines of several kinds, give
# its principal the rights of all of them. Brokers older than 3.0 also want
# `--operation IdempotentWrite --cluster` for whoever writes.
set -eu
tool=$1

# grant PRINCIPAL ARGUMENTS…
grant() {
  principal=$1
  shift
  $tool --add --allow-principal "User:$principal" "$@"
}

# setup: makes topics and compares their settings
for topic in events requests predictions recommendations dead_letters train user_factors models movies; do
  grant recsys-setup --operation Create --operation Describe --operation DescribeConfigs --topic "$topic"
done
grant recsys-setup --operation DescribeConfigs --cluster

# load writes to Cassandra only.

# ingest.yaml, items.yaml
grant recsys-ingest --operation Read --topic events
grant recsys-ingest --operation Read --group ingest
grant recsys-ingest --operation Read --group items
grant recsys-ingest --operation Write --topic movies
grant recsys-ingest --operation Write --topic dead_letters

# fold_in.yaml, users.yaml
grant recsys-fold-in --operation Read --topic events
grant recsys-fold-in --operation Read --group fold_in
grant recsys-fold-in --operation Read --operation Write --topic user_factors
grant recsys-fold-in --operation Write --topic dead_letters

# index.yaml
grant recsys-index --operation Read --topic predictions
grant recsys-index --operation Read --group index
grant recsys-index --operation Write --topic dead_letters

# forget.yaml
grant recsys-forget --operation Read --topic events
grant recsys-forget --operation Read --group forget
grant recsys-forget --operation Write --topic dead_letters

# train.yaml, probation.yaml, outcomes.yaml, models.yaml
grant recsys-train --operation Read --operation Write --topic train
grant recsys-train --operation Read --group train
grant recsys-train --operation Read --operation Write --topic models
grant recsys-train --operation Read --topic predictions
grant recsys-train --operation Read --topic recommendations
grant recsys-train --operation Read --topic events
grant recsys-train --operation Write --topic dead_letters

# predict.yaml, recommend.yaml, models.yaml, users.yaml, movies.yaml. Topics that the
# header reply_topic may name (RECSYS_REPLY_TOPICS) want Write as well.
grant recsys-predict --operation Read --topic requests
grant recsys-predict --operation Read --group predict
grant recsys-predict --operation Read --group recommend
grant recsys-predict --operation Read --topic models
grant recsys-predict --operation Read --topic user_factors
grant recsys-predict --operation Read --topic movies
grant recsys-predict --operation Write --topic predictions
grant recsys-predict --operation Write --topic recommendations
grant recsys-predict --operation Write --topic dead_letters
# RECSYS_TRANSACTIONAL_ID, if it is set, begins so
grant recsys-predict --operation Write --operation Describe --transactional-id predict --resource-pattern-type prefixed

# recommend_all.yaml
grant recsys-lists --operation Write --topic dead_letters

# dashboard.yaml shows how far all groups are behind, and writes nothing
grant recsys-dashboard --operation Read --topic predictions
grant recsys-dashboard --operation Read --topic models
grant recsys-dashboard --operation Read --topic dead_letters
grant recsys-dashboard --operation Read --topic events
grant recsys-dashboard --operation Describe --topic requests
grant recsys-dashboard --operation Describe --topic train
for group in predict recommend ingest items fold_in index forget train; do
  grant recsys-dashboard --operation Describe --group "$group"
done

# api.yaml, models.yaml, users.yaml, movies.yaml
grant recsys-api --operation Write --topic events
grant recsys-api --operation Write --topic recommendations
grant recsys-api --operation Read --topic models
grant recsys-api --operation Read --topic user_factors
grant recsys-api --operation Read --topic movies
grant recsys-api --operation Write --topic dead_letters

# programs of yours that send events and requests and read replies, with consumer
# groups whose names begin with client-
grant recsys-client --operation Write --topic events
grant recsys-client --operation Write --topic requests
grant recsys-client --operation Read --topic predictions
grant recsys-client --operation Read --topic recommendations
grant recsys-client --operation Read --group client- --resource-pattern-type prefixed
