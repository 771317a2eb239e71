// Package elasticsearch writes messages to Elasticsearch: the output
// elasticsearch_v8, and what `recsys-benthos setup` needs to prepare a cluster
// for it (Setup) and to find what would break it (Check).
//
// # Non-obvious invariants
//
//   - A message is acknowledged when the server named it in a bulk answer with a
//     status of success. A 200 whose items do not add up (cut off, or a proxy's
//     page) acknowledges nothing, and the documents are sent again.
//   - Everything may be sent twice: a time-out or a broken connection leaves open
//     what the server did. So every document has an id, and where the date names
//     the index it comes from the document, never from the clock.
//   - Documents of one id in one batch keep their order: when one has to be sent
//     again, the later ones are sent again after it.
//   - Only what can never succeed fails, message by message. A cluster that
//     refuses everything (wrong password, full disk, write block, no such index)
//     is an outage: the output waits, and says what an operator has to do.
//   - The bytes of a request are not used again before its body is closed:
//     net/http may read them after it has returned an error.
package elasticsearch
