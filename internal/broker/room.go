package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bytes of the disk that stay free. Records are refused before there is no room for
// what consumers commit, and commits before a write could end in the middle: kfake
// acknowledges a commit that it could not write, and reads its log up to the first
// torn entry. It also takes a batch for written that it could not write when the
// same batch comes again.
const (
	recordsReserve = 2 << 20
	stateReserve   = 1 << 20
)

// guardRoom answers what would be written with errors that clients try again, for
// as long as the disk is full.
func (b *Broker) guardRoom(cluster *kfake.Cluster) {
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.OffsetCommit, kmsg.TxnOffsetCommit, kmsg.InitProducerID, kmsg.JoinGroup} {
		cluster.ControlKey(key.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			response := b.refuse(request)
			return response, nil, response != nil
		})
	}
}

// refuse returns the answer to a request for which there is no room, or nil.
func (b *Broker) refuse(request kmsg.Request) kmsg.Response {
	free, err := freeBytes(b.dataDir)
	if err != nil {
		return nil // kfake will find out
	}
	need := int64(stateReserve)
	if produce, ok := request.(*kmsg.ProduceRequest); ok {
		if need = recordsReserve + recordBytes(produce); produce.Acks == 0 {
			need = 0 // nobody waits for the answer
		}
	}
	if free >= need {
		b.reportFull(false, free)
		return nil
	}
	b.reportFull(true, free)
	switch r := request.(type) {
	case *kmsg.ProduceRequest:
		return refuseRecords(r)
	case *kmsg.OffsetCommitRequest:
		return refuseCommit(r)
	case *kmsg.TxnOffsetCommitRequest:
		return refuseTransactionCommit(r)
	case *kmsg.InitProducerIDRequest:
		response := r.ResponseKind().(*kmsg.InitProducerIDResponse)
		response.ProducerID, response.ErrorCode = -1, kerr.CoordinatorNotAvailable.Code
		return response
	case *kmsg.JoinGroupRequest:
		response := r.ResponseKind().(*kmsg.JoinGroupResponse)
		response.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return response
	}
	return nil
}

func recordBytes(r *kmsg.ProduceRequest) (bytes int64) {
	for _, topic := range r.Topics {
		for _, partition := range topic.Partitions {
			bytes += int64(len(partition.Records))
		}
	}
	return bytes
}

func refuseRecords(r *kmsg.ProduceRequest) kmsg.Response {
	response := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range r.Topics {
		answer := kmsg.NewProduceResponseTopic()
		answer.Topic, answer.TopicID = topic.Topic, topic.TopicID
		for _, partition := range topic.Partitions {
			p := kmsg.NewProduceResponseTopicPartition()
			p.Partition, p.BaseOffset, p.ErrorCode = partition.Partition, -1, kerr.KafkaStorageError.Code
			answer.Partitions = append(answer.Partitions, p)
		}
		response.Topics = append(response.Topics, answer)
	}
	return response
}

func refuseCommit(r *kmsg.OffsetCommitRequest) kmsg.Response {
	response := r.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, topic := range r.Topics {
		answer := kmsg.NewOffsetCommitResponseTopic()
		answer.Topic, answer.TopicID = topic.Topic, topic.TopicID
		for _, partition := range topic.Partitions {
			p := kmsg.NewOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = partition.Partition, kerr.CoordinatorNotAvailable.Code
			answer.Partitions = append(answer.Partitions, p)
		}
		response.Topics = append(response.Topics, answer)
	}
	return response
}

func refuseTransactionCommit(r *kmsg.TxnOffsetCommitRequest) kmsg.Response {
	response := r.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	for _, topic := range r.Topics {
		answer := kmsg.NewTxnOffsetCommitResponseTopic()
		answer.Topic = topic.Topic
		for _, partition := range topic.Partitions {
			p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = partition.Partition, kerr.CoordinatorNotAvailable.Code
			answer.Partitions = append(answer.Partitions, p)
		}
		response.Topics = append(response.Topics, answer)
	}
	return response
}

// reportFull says once that the disk is full, and once that it no longer is.
func (b *Broker) reportFull(full bool, free int64) {
	switch was := b.full.Swap(full); {
	case full && !was:
		b.log.Error(fmt.Sprintf("embedded broker: %d KiB are free in %s: producers wait; make room", free>>10, b.dataDir))
	case was && !full:
		b.log.Warn(fmt.Sprintf("embedded broker: %d KiB are free in %s again", free>>10, b.dataDir))
	}
}
