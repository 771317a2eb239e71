package ratings

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// timedEvent is one event of the timeline: a rating (tag empty) or a tag.
type timedEvent struct {
	rating ratings.Rating
	tag    string
	isTag  bool
}

// timeline is what the movielens input plays: either events made of ratings and
// tags, in the order of (time, user, movie), or raw lines in the order of their
// file.
type timeline struct {
	events  []timedEvent
	lines   [][]byte
	history int // events before this index belong to the history
}

func (t *timeline) len() int { return len(t.events) + len(t.lines) }

// readTimeline reads ratings and tags at path and puts the first share of them
// into the history. Times outside [from, until) are left out; zero is unbounded.
func readTimeline(path string, share float64, from, until time.Time) (*timeline, error) {
	rated, err := ratings.ReadRatings(path)
	if err != nil {
		return nil, err
	}
	tags, err := readTagsIfAny(path)
	if err != nil {
		return nil, err
	}
	t := &timeline{events: make([]timedEvent, 0, len(rated)+len(tags))}
	inside := func(milliseconds int64) bool {
		at := time.UnixMilli(milliseconds)
		return (from.IsZero() || !at.Before(from)) && (until.IsZero() || at.Before(until))
	}
	for _, r := range rated {
		if inside(r.Time) {
			t.events = append(t.events, timedEvent{rating: r})
		}
	}
	for _, tag := range tags {
		if inside(tag.Time) {
			t.events = append(t.events, timedEvent{
				rating: ratings.Rating{User: tag.User, Movie: tag.Movie, Time: tag.Time}, tag: tag.Tag, isTag: true,
			})
		}
	}
	slices.SortStableFunc(t.events, func(a, b timedEvent) int {
		return cmp.Or(cmp.Compare(a.rating.Time, b.rating.Time), cmp.Compare(a.rating.User, b.rating.User),
			cmp.Compare(a.rating.Movie, b.rating.Movie), strings.Compare(a.tag, b.tag))
	})
	t.history = int(share * float64(len(t.events)))
	return t, nil
}

// readTagsIfAny returns the tags beside the ratings; data without tags is fine.
func readTagsIfAny(path string) ([]ratings.Tag, error) {
	if !ratings.IsCollection(path) {
		return nil, nil // one file of ratings
	}
	tags, err := ratings.ReadTags(path)
	if errors.Is(err, ratings.ErrNoFile) {
		return nil, nil
	}
	return tags, err
}

// maxLineBytes bounds one line of an event file.
const maxLineBytes = 16 << 20

// readLines reads a file of events, one JSON object a line, passed on as they
// are, whatever they are.
func readLines(path string) (*timeline, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	defer file.Close()
	t := &timeline{}
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, maxLineBytes)
	for scanner.Scan() {
		if line := bytes.TrimSpace(scanner.Bytes()); len(line) > 0 {
			t.lines = append(t.lines, bytes.Clone(line))
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("reading events: %s line %d: %w", path, len(t.lines)+1, err)
	}
	return t, nil
}

// appendEvent appends event i as JSON in the original system's form, in which
// every value but the type is a string.
func (t *timeline) appendEvent(dst []byte, i int) []byte {
	if t.lines != nil {
		return append(dst, t.lines[i]...)
	}
	e := &t.events[i]
	dst = append(dst, `{"event_type":"`...)
	if e.isTag {
		dst = append(dst, `tag`...)
	} else {
		dst = append(dst, `rate`...)
	}
	dst = append(dst, `","user_id":"`...)
	dst = strconv.AppendInt(dst, e.rating.User, 10)
	dst = append(dst, `","movie_id":"`...)
	dst = strconv.AppendInt(dst, e.rating.Movie, 10)
	dst = append(dst, `","value":`...)
	if e.isTag {
		dst = message.AppendString(dst, e.tag)
	} else {
		dst = append(dst, '"')
		dst = strconv.AppendFloat(dst, float64(e.rating.Value), 'f', 1, 32)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"timestamp":"`...)
	dst = strconv.AppendInt(dst, e.rating.Time/1000, 10)
	return append(dst, `"}`...)
}
