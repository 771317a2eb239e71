// Package broker is the embedded Kafka broker: franz-go's kfake with a data
// directory, for running the whole system on one machine with nothing
// installed. It speaks the real protocol to any Kafka client.
//
// # Non-obvious invariants
//
//   - One process per folder: an advisory lock is held from Open to Close, and
//     dies with the process. A second Open gets ErrLocked.
//   - An acknowledged record survives a SIGKILL of the process. It is in the
//     page cache by then; a loss of power may lose the last seconds, as with
//     Kafka's own defaults.
//   - A record that a consumer group has yet to commit is never deleted, even
//     where that breaks MaxBytes. kfake forgets the offsets of a group that was
//     empty for seven days, so an abandoned group does not hold records forever.
//   - The newest segment of a partition is never deleted: an emptied partition
//     would start again at offset 0 after a SIGKILL.
//   - kfake's own retention and compaction stay off. Its retention would apply
//     seven days to every topic once any topic has a limit, and a SIGKILL during
//     compaction can lose the topic.
//   - A full disk is an outage: records, commits and new group members are refused
//     with errors that clients try again, before kfake could write half of them.
//   - It listens on loopback only: there is no authentication.
package broker
