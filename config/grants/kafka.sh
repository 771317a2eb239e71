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

# reads PRINCIPAL TOPIC…
reads() {
  reader=$1
  shift
  for topic; do grant "$reader" --operation Read --topic "$topic"; done
}

# writes PRINCIPAL TOPIC…: who writes asks how large a record may be
writes() {
  writer=$1
  shift
  for topic; do grant "$writer" --operation Write --operation DescribeConfigs --topic "$topic"; done
}

# joins PRINCIPAL GROUP…: commits offsets of a consumer group
joins() {
  member=$1
  shift
  for group; do grant "$member" --operation Read --group "$group"; done
}

# setup: makes topics and compares their settings
for topic in events requests predictions recommendations dead_letters train user_factors models movies; do
  grant recsys-setup --operation Create --operation Describe --operation DescribeConfigs --topic "$topic"
done
grant recsys-setup --operation DescribeConfigs --cluster

# load writes to Cassandra only.

# ingest.yaml, items.yaml
reads recsys-ingest events
joins recsys-ingest ingest items
writes recsys-ingest movies dead_letters

# fold_in.yaml, users.yaml
reads recsys-fold-in events user_factors
joins recsys-fold-in fold_in
writes recsys-fold-in user_factors dead_letters

# index.yaml
reads recsys-index predictions
joins recsys-index index
writes recsys-index dead_letters

# forget.yaml
reads recsys-forget events
joins recsys-forget forget
writes recsys-forget dead_letters

# train.yaml, probation.yaml, outcomes.yaml, models.yaml
reads recsys-train train models predictions recommendations events
joins recsys-train train
writes recsys-train train models dead_letters

# predict.yaml, recommend.yaml, models.yaml, users.yaml, movies.yaml. Topics that the
# header reply_topic may name (RECSYS_REPLY_TOPICS) want writes as well.
reads recsys-predict requests models user_factors movies
joins recsys-predict predict recommend
writes recsys-predict predictions recommendations dead_letters
# RECSYS_TRANSACTIONAL_ID, if it is set, begins so
grant recsys-predict --operation Write --operation Describe --transactional-id predict --resource-pattern-type prefixed

# recommend_all.yaml
writes recsys-lists dead_letters

# dashboard.yaml shows how far all groups are behind, and writes nothing
reads recsys-dashboard predictions models dead_letters events
grant recsys-dashboard --operation Describe --topic requests
grant recsys-dashboard --operation Describe --topic train
for group in predict recommend ingest items fold_in index forget train; do
  grant recsys-dashboard --operation Describe --group "$group"
done

# api.yaml, models.yaml, users.yaml, movies.yaml
reads recsys-api models user_factors movies
writes recsys-api events recommendations dead_letters

# programs of yours that send events and requests and read replies, with consumer
# groups whose names begin with client-
writes recsys-client events requests
reads recsys-client predictions recommendations
grant recsys-client --operation Read --group client- --resource-pattern-type prefixed
