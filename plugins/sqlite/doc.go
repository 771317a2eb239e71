// Package sqlite keeps ratings and predictions in SQLite files: the cache-type
// resource sqlite_ratings is a rating store, the output sqlite upserts rows
// into any table.
//
// Both use write-ahead logging with a sync at every commit, so that what was
// acknowledged survives a power loss, and other processes may read the file
// with any SQL tool while pipelines write.
package sqlite
