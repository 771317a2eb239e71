// Package deadletter gives Benthos the processor dead_letter, which turns a
// message that could not be handled back into the record it was, with what went
// wrong, and where, as metadata.
//
// # Non-obvious invariants
//
//   - The bytes come from the message's Origin, which no processor changes, and not
//     from what is left of the message.
//   - A dead letter always fits: value and headers are cut to known bounds. A dead
//     letter that is too large to write would block its partition for ever.
//   - The batch keeps its length and order, and each message its context: that is
//     how Benthos finds the message that an error belongs to.
package deadletter
