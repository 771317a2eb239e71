package cassandra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
)

// isPassing says that what failed may succeed later: nodes are away, frozen,
// busy or starting, or it is not known whether the write was done. Writes are
// idempotent, so it is right to do them again.
//
// A session that was closed passes, since another takes its place; a closed
// component gives errClosed.
//
// All that is not known to be definite passes: waiting is loud and loses
// nothing, giving up on a row does.
func isPassing(err error) bool {
	switch {
	case err == nil, isEnded(err), errors.Is(err, errClosed):
		return false
	}
	var server gocql.RequestError
	if errors.As(err, &server) {
		return isPassingCode(server.Code(), server.Message())
	}
	var marshal gocql.MarshalError
	var unmarshal gocql.UnmarshalError
	switch {
	case errors.As(err, &marshal), errors.As(err, &unmarshal),
		errors.Is(err, gocql.ErrFrameTooBig), errors.Is(err, gocql.ErrTooManyStmts), errors.Is(err, gocql.ErrUseStmt), errors.Is(err, errCellSize):
		return false
	}
	return !slices.ContainsFunc(misuses, func(text string) bool { return strings.Contains(err.Error(), text) })
}

// misuses are texts of the driver's untyped errors that are about the request
// itself, which was not sent.
var misuses = []string{"values send got", "number of values does not match", "not enough columns to scan"}

func isPassingCode(code int, text string) bool {
	switch code {
	case gocql.ErrCodeInvalid:
		return isMissing(text)
	case gocql.ErrCodeServer:
		return !strings.Contains(text, "oversized mutation")
	case gocql.ErrCodeSyntax, gocql.ErrCodeUnauthorized, gocql.ErrCodeConfig, gocql.ErrCodeAlreadyExists,
		gocql.ErrCodeFunctionFailure, gocql.ErrCodeProtocol:
		return false
	}
	return true
}

// isMissing says that a keyspace or table is not there (yet). The server tells
// it from an invalid value by its text only.
func isMissing(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "unconfigured table") || strings.Contains(text, "no keyspace has been specified") ||
		(strings.Contains(text, "keyspace") || strings.Contains(text, "table")) && strings.Contains(text, "does not exist")
}

func isEnded(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// tooFew says what it means that not enough nodes answered, where that is why;
// other errors it returns as they are.
func tooFew(err error) error {
	var unavailable *gocql.RequestErrUnavailable
	var writing *gocql.RequestErrWriteTimeout
	var reading *gocql.RequestErrReadTimeout
	say := func(level gocql.Consistency, needed, answered int, state string) error {
		return fmt.Errorf("%s needs %d nodes that have the row, and %d %s; start the others (%w)", level, needed, answered, state, err)
	}
	switch {
	case errors.As(err, &unavailable):
		return say(unavailable.Consistency, unavailable.Required, unavailable.Alive, "is up")
	case errors.As(err, &writing):
		return say(writing.Consistency, writing.BlockFor, writing.Received, "answered in time")
	case errors.As(err, &reading):
		return say(reading.Consistency, reading.BlockFor, reading.Received, "answered in time")
	}
	return err
}

// isUnauthorized says that the role may not do what was asked.
func isUnauthorized(err error) bool {
	var server gocql.RequestError
	return errors.As(err, &server) && server.Code() == gocql.ErrCodeUnauthorized
}
