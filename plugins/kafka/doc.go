// Package kafka gives Benthos the inputs and outputs kafka_franz and redpanda,
// which are one implementation under the two names of Redpanda Connect.
//
// # Non-obvious invariants
//
//   - At least once: an offset is committed only when every message before it is
//     acknowledged, or was skipped by event_types.
//   - A partition has at most one batch that is not acknowledged, and a rejected
//     batch keeps its turn. So the order of a partition holds through retries.
//   - Memory is bounded: a partition holds checkpoint_limit messages or
//     partition_buffer_bytes, whichever comes first, and one fetch more; franz-go
//     holds one fetch per broker beside that. While another partition has run dry
//     and has more, only the bytes count.
//   - Fetching stops because nobody polls, not by pausing: pausing makes franz-go
//     drop what it has fetched. A partition is paused only when another one has run
//     dry on its account.
//   - On a revoke nothing more of the partition is handed out, its batch in flight
//     is waited for (rebalance_timeout bounds that), and its offset is committed,
//     in this order. What was fetched and not handed out is forgotten, as if it had
//     never been fetched. An acknowledgement that comes later changes nothing.
//   - A poll and the queueing of what it returned are not interrupted by a revoke,
//     so that no stale record is queued for a partition that comes back.
//   - Close does not wait for acknowledgements unless its context has a deadline:
//     Benthos waits for them before it calls Close, and a batch that it read and
//     never sent is never acknowledged.
//   - An outage is no bad input: WriteBatch fails single messages only when they can
//     never be written, and everything only when its context ends.
//   - A record batch is never larger than its topic allows, because the broker
//     would refuse it whole. Where that happens nevertheless (the limit was lowered
//     meanwhile), its records are sent one by one, and only the large ones fail.
//   - With transactional_id one transaction is open at a time. It ends when all
//     that was polled is acknowledged, with a commit; or with an abort, and the
//     same records come again. What fails to be written makes the transaction fail
//     and never becomes a dead letter by itself, because the record may be written
//     yet; a record that the broker refuses is found by sending one by one, and
//     rejected when it comes again.
//   - A transaction that has ended takes no more records: outputs enter it before
//     they write, and its end waits until they have left.
//   - A message's Origin is its record as it was read; processors do not change it.
package kafka
