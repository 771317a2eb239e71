package ratings

import (
	"errors"
	"strconv"
)

// ErrUnavailable says that a store cannot be reached or is busy: an outage, not
// bad input. What failed with it may be tried again.
var ErrUnavailable = errors.New("rating store unavailable")

// Reading MovieLens files.
var (
	// ErrNoFile says that a folder or archive holds no file of the wanted kind;
	// ML-100K and ML-1M, for example, come without tags.
	ErrNoFile = errors.New("no such MovieLens file")

	// ErrTooLarge says that an archive unpacks to more than 4 GiB, the largest
	// MovieLens file several times over: it is not what it says.
	ErrTooLarge = errors.New("unpacks to more than 4 GiB")
)

// FileError says what is wrong with a file, where, and what would mend it.
type FileError struct {
	File string // path as given, and for an archive the name in it
	Line int    // from 1; 0 if the file as a whole is wrong
	Err  error
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Err.Error()
	}
	return e.File + " line " + strconv.Itoa(e.Line) + ": " + e.Err.Error()
}

func (e *FileError) Unwrap() error { return e.Err }

// ErrClosed says that a store was closed: the process is stopping.
var ErrClosed = errors.New("rating store is closed")
