package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// EventType says what a user did.
type EventType string

// The types of events that are read. Any other type is a Rejection.
const (
	Rate       EventType = "rate"        // a rating, in Value
	TagMovie   EventType = "tag"         // a tag, in Tag
	ViewMovie  EventType = "view"        // the user watched or opened the movie
	Unrate     EventType = "unrate"      // takes the rating back
	ForgetUser EventType = "forget_user" // erases the user
	SetItem    EventType = "item"        // all of a movie, in Item
	SetUser    EventType = "user"        // all of a user's profile, in Profile
)

const (
	maxTagBytes = 1000
	maxIDBytes  = 256
)

// Event is something a user did, or that somebody entered of a movie or user, as it
// travels on the topic events:
//
//	{"event_type": "rate", "user_id": "514", "movie_id": "318", "value": "4.5", "timestamp": "1533873124"}
type Event struct {
	ID    string // event_id; derived from the other fields where it is absent
	Type  EventType
	User  int64   // 0 for SetItem
	Movie int64   // 0 for ForgetUser and SetUser
	Value float32 // stars; of Rate only
	Tag   string  // of TagMovie only
	Time  int64   // event time, Unix milliseconds
	Extra []byte  // unknown fields as `,"name":value` in their order

	Item    *ratings.Item    // of SetItem only
	Profile *ratings.Profile // of SetUser only

	// Warning says what is odd about a rating that EventRules let pass.
	Warning string
}

// EventRules are the checks an event must pass.
type EventRules struct {
	// Scale is the range and step of ratings. The zero value is MovieLens's:
	// 0.5 to 5 in halves.
	Scale Scale
	// KeepInvalidRatings lets ratings off the scale pass with a Warning
	// instead of rejecting them.
	KeepInvalidRatings bool
	// Now is the clock against which event times are checked; nil is time.Now.
	Now func() time.Time
	// MaxFuture is how far an event may lie ahead of the clock.
	MaxFuture time.Duration
}

// Scale is the range and step of ratings, in stars.
type Scale struct{ Min, Max, Step float64 }

// MovieLensScale is half a star to five stars, in halves.
var MovieLensScale = Scale{Min: 0.5, Max: 5, Step: 0.5}

// check returns what is wrong with a rating, or "".
func (s Scale) check(value float64) string {
	if s == (Scale{}) {
		s = MovieLensScale
	}
	if value < s.Min || value > s.Max {
		return fmt.Sprintf("rating %v is outside %v to %v", value, s.Min, s.Max)
	}
	if steps := value / s.Step; steps != float64(int64(steps)) {
		return fmt.Sprintf("rating %v is not a multiple of %v", value, s.Step)
	}
	return ""
}

// eventFields are the raw fields of an event before their types are checked.
type eventFields struct {
	id, kind, user, movie, value, time jsonValue
	extra                              []byte
}

// read takes the fields of any JSON object.
func (f *eventFields) read(data []byte) error {
	var fields eventFields // a second one, because this one leaves the stack
	err := forEachField(data, func(key string, value jsonValue) error {
		fields.add(key, &value)
		return nil
	})
	*f = fields
	return err
}

func (f *eventFields) add(key string, value *jsonValue) {
	switch key {
	case "event_id":
		f.id = *value
	case "event_type":
		f.kind = *value
	case "user_id":
		f.user = *value
	case "movie_id":
		f.movie = *value
	case "value":
		f.value = *value
	case "timestamp":
		f.time = *value
	default:
		f.extra = appendRawField(f.extra, key, value.Raw)
	}
}

// DecodeEvent reads and checks one event. Every error is a *Rejection in the
// name of component.
func (r EventRules) DecodeEvent(component string, data []byte) (Event, error) {
	var fields eventFields
	object := readFlat(string(data))
	for object.next() {
		fields.add(object.key, &object.value)
	}
	if !object.complete {
		if err := fields.read(data); err != nil {
			return Event{}, Rejectf(component, "%v", err)
		}
	}
	event, err := r.event(&fields)
	if err != nil {
		return Event{}, Rejectf(component, "%v", err)
	}
	return event, nil
}

func (r EventRules) event(fields *eventFields) (Event, error) {
	event := Event{Extra: fields.extra}
	var err error
	if event.Type, err = parseEventType(fields.kind); err != nil {
		return event, err
	}
	if event.Type != SetItem {
		if !fields.user.Exists() {
			return event, fieldErrorf("user_id", "is missing")
		}
		if event.User, err = parseID("user_id", fields.user); err != nil {
			return event, err
		}
	}
	if event.Type != ForgetUser && event.Type != SetUser {
		if !fields.movie.Exists() {
			return event, fieldErrorf("movie_id", "is missing")
		}
		if event.Movie, err = parseID("movie_id", fields.movie); err != nil {
			return event, err
		}
	}
	if err = r.value(&event, fields.value); err != nil {
		return event, err
	}
	if err = r.time(&event, fields.time); err != nil {
		return event, err
	}
	if event.Type == SetItem || event.Type == SetUser {
		if err = event.readState(); err != nil {
			return event, err
		}
	}
	if fields.id.Exists() && fields.id.Type != gjson.Null {
		event.ID, err = parseText("event_id", fields.id, maxIDBytes)
	} else {
		event.ID = event.deriveID()
	}
	return event, err
}

const eventTypes = "rate, tag, view, unrate, item, user or forget_user"

func parseEventType(value jsonValue) (EventType, error) {
	if !value.Exists() {
		return "", fieldErrorf("event_type", "is missing; give "+eventTypes)
	}
	kind := EventType(value.Str)
	switch kind {
	case Rate, TagMovie, ViewMovie, Unrate, ForgetUser, SetItem, SetUser:
		return kind, nil
	}
	return "", fieldErrorf("event_type", "%s is unknown; give "+eventTypes, excerpt(value.Raw))
}

func (r EventRules) value(event *Event, value jsonValue) (err error) {
	switch event.Type {
	case Rate:
		if !value.Exists() {
			return fieldErrorf("value", "is missing; a rate event needs the rating")
		}
		number, err := parseNumber("value", value)
		if err != nil {
			return err
		}
		event.Value = float32(number)
		if problem := r.Scale.check(number); problem != "" {
			if !r.KeepInvalidRatings {
				return fieldErrorf("value", "%s", problem)
			}
			event.Warning = problem
		}
	case TagMovie:
		if !value.Exists() {
			return fieldErrorf("value", "is missing; a tag event needs the tag")
		}
		if event.Tag, err = parseText("value", value, maxTagBytes); err != nil {
			return err
		}
		if event.Tag == "" {
			return fieldErrorf("value", "is empty; a tag event needs the tag")
		}
	}
	return nil
}

func (r EventRules) time(event *Event, value jsonValue) (err error) {
	if !value.Exists() {
		return fieldErrorf("timestamp", "is missing")
	}
	if event.Time, err = parseTime("timestamp", value); err != nil {
		return err
	}
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	if latest := now().Add(r.MaxFuture); event.Time > latest.UnixMilli() {
		return fieldErrorf("timestamp", "%s lies in the future; it is %s now (check the producer's clock)",
			formatTime(event.Time), formatTime(now().UnixMilli()))
	}
	return nil
}

// deriveID returns an id made of the event's other fields, so that the same
// event sent twice has the same id.
func (e *Event) deriveID() string {
	buffer := make([]byte, 0, 128)
	buffer = append(buffer, e.Type...)
	for _, number := range [...]int64{e.User, e.Movie, e.Time} {
		buffer = append(buffer, 0)
		buffer = strconv.AppendInt(buffer, number, 10)
	}
	buffer = append(buffer, 0)
	buffer = strconv.AppendFloat(buffer, float64(e.Value), 'g', -1, 32)
	buffer = append(buffer, 0)
	buffer = append(buffer, e.Tag...)
	switch {
	case e.Item != nil:
		buffer = append(buffer, e.Item.State()...)
	case e.Profile != nil:
		buffer = append(buffer, e.Profile.State()...)
	}
	sum := sha256.Sum256(buffer)
	return hex.EncodeToString(sum[:16])
}

// AppendJSON appends the event in its normal form: ids and ratings as numbers,
// the time as RFC 3339, unknown fields last.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"event_id":`...)
	dst = AppendString(dst, e.ID)
	dst = append(dst, `,"event_type":"`...)
	dst = append(dst, e.Type...)
	dst = append(dst, '"')
	if e.Type != SetItem {
		dst = append(dst, `,"user_id":`...)
		dst = strconv.AppendInt(dst, e.User, 10)
	}
	if e.Type != ForgetUser && e.Type != SetUser {
		dst = append(dst, `,"movie_id":`...)
		dst = strconv.AppendInt(dst, e.Movie, 10)
	}
	switch e.Type {
	case Rate:
		dst = append(dst, `,"value":`...)
		dst = strconv.AppendFloat(dst, float64(e.Value), 'f', -1, 32)
	case TagMovie:
		dst = append(dst, `,"value":`...)
		dst = AppendString(dst, e.Tag)
	case SetItem:
		dst = appendItem(dst, e.Item)
	case SetUser:
		dst = appendProfile(dst, e.Profile)
	}
	dst = append(dst, `,"timestamp":`...)
	dst = appendTime(dst, e.Time)
	dst = append(dst, e.Extra...)
	return append(dst, '}')
}
