// Package message defines what travels through the topics: rating and tag
// events, prediction requests, predictions and model announcements; how each is
// read from JSON, checked, and written again.
//
// Reading is strict about what matters and lenient about form: ids may be JSON
// numbers or decimal strings, times may be RFC 3339, "2006-01-02 15:04:05" in
// UTC, or Unix seconds or milliseconds. Fields that are not known here pass
// through untouched. What cannot be used is a Rejection, whose reason names the
// field and how to mend it.
package message
