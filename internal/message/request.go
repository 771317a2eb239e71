package message

import (
	"strconv"
	"unsafe"

	"github.com/tidwall/gjson"
)

// Request asks what a user would rate a movie:
//
//	{"request_id": "r1", "user_id": 514, "movie_id": 318}
//
// A rating event is a valid request too: its value is the Actual rating, echoed
// beside the prediction.
type Request struct {
	ID        string // request_id, "" where absent: see Origin.RequestID
	User      int64
	Movie     int64
	Actual    float32 // stars; meaningful if HasActual
	HasActual bool
	Time      int64  // event time of the rating event, Unix milliseconds; 0 where absent
	Extra     []byte // unknown fields as `,"name":value` in their order
}

// OtherKind is the error of a request that is no prediction request, and no bad
// one either: it is of this kind.
type OtherKind string

func (k OtherKind) Error() string { return "a request of kind " + string(k) }

type requestFields struct {
	id, kind, eventType, user, movie, value, time jsonValue
	extra                                         []byte
}

// read takes the fields of any JSON object.
func (f *requestFields) read(data []byte) error {
	var fields requestFields // a second one, because this one leaves the stack
	err := forEachField(data, func(key string, value jsonValue) error {
		fields.add(key, &value)
		return nil
	})
	*f = fields
	return err
}

func (f *requestFields) add(key string, value *jsonValue) {
	switch key {
	case "request_id":
		f.id = *value
	case "kind":
		f.kind = *value
	case "event_type":
		f.eventType = *value
	case "user_id":
		f.user = *value
	case "movie_id":
		f.movie = *value
	case "value":
		f.value = *value
	case "timestamp":
		f.time = *value
	case "event_id", "n", "filters", // of no meaning to a prediction
		"prediction", "title", "genres", "model_version", "requested_at", "predicted_at", "cold", "actual", "absolute_error", "late", "baseline", "stddev", "role", "shadows": // the reply's own
	default:
		f.extra = appendRawField(f.extra, key, value.Raw)
	}
}

// DecodeRequest reads and checks one prediction request; scale is that of the
// ratings that rating events bring. The request's ID is a part of data, which
// must not change while it is in use. A request of a kind that others answer gives
// an OtherKind; every other error is a *Rejection in the name of component.
func DecodeRequest(component string, scale Scale, data []byte) (Request, error) {
	var fields requestFields
	object := readFlat(unsafe.String(unsafe.SliceData(data), len(data)))
	for object.next() {
		fields.add(object.key, &object.value)
	}
	if !object.complete {
		if err := fields.read(data); err != nil {
			return Request{}, Rejectf(component, "%v", err)
		}
	}
	request, err := fields.request(scale)
	if err != nil {
		if isOtherKind(fields.kind.Str) {
			return Request{}, OtherKind(fields.kind.Str)
		}
		return Request{}, Rejectf(component, "%v", err)
	}
	return request, nil
}

func (f *requestFields) request(scale Scale) (Request, error) {
	request := Request{Extra: f.extra}
	if f.kind.Exists() && f.kind.Str != "predict" {
		return request, fieldErrorf("kind", "%s is unknown; give predict, recommend, similar, explain or audience, or leave it out for predict", excerpt(f.kind.Raw))
	}
	if f.eventType.Exists() && EventType(f.eventType.Str) != Rate {
		return request, fieldErrorf("event_type",
			"%s is no request; of the events only rate is (leave the others out with the input's event_types)", excerpt(f.eventType.Raw))
	}
	var err error
	if f.id.Exists() && f.id.Type != gjson.Null {
		if request.ID, err = parseText("request_id", f.id, maxIDBytes); err != nil {
			return request, err
		}
	}
	if !f.user.Exists() {
		return request, fieldErrorf("user_id", "is missing")
	}
	if request.User, err = parseID("user_id", f.user); err != nil {
		return request, err
	}
	if !f.movie.Exists() {
		return request, fieldErrorf("movie_id", "is missing")
	}
	if request.Movie, err = parseID("movie_id", f.movie); err != nil {
		return request, err
	}
	return request, f.actual(&request, scale)
}

// actual reads the rating and the time of a rating event.
func (f *requestFields) actual(request *Request, scale Scale) error {
	if f.time.Exists() && f.time.Type != gjson.Null {
		milliseconds, err := parseTime("timestamp", f.time)
		if err != nil {
			return err
		}
		request.Time = milliseconds
	}
	if !f.value.Exists() || f.value.Type == gjson.Null {
		return nil
	}
	value, err := parseNumber("value", f.value)
	if err != nil {
		return err
	}
	if problem := scale.check(value); problem != "" {
		return fieldErrorf("value", "%s", problem)
	}
	request.Actual, request.HasActual = float32(value), true
	return nil
}

// RequestID is the id of a request that brings none: topic-partition-offset, so
// that a replay gives the same one.
func (o *Origin) RequestID() string {
	return string(o.appendRequestID(make([]byte, 0, len(o.Topic)+24)))
}

// appendRequestID appends what RequestID returns. No character of it, as topics are
// named, needs an escape in JSON.
func (o *Origin) appendRequestID(dst []byte) []byte {
	dst = append(append(dst, o.Topic...), '-')
	dst = append(strconv.AppendInt(dst, int64(o.Partition), 10), '-')
	return strconv.AppendInt(dst, o.Offset, 10)
}
