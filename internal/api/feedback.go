package api

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// feedbackTypes are Gorse's types of feedback that have a meaning here.
var feedbackTypes = map[string]message.EventType{
	"rate": message.Rate, "rating": message.Rate,
	"view": message.ViewMovie, "read": message.ViewMovie, "click": message.ViewMovie, "watch": message.ViewMovie,
	"unrate": message.Unrate,
}

// readFeedback reads one element of FeedbackList: Gorse's shape, or an event's.
func (d *decoder) readFeedback(e gjson.Result) (message.Event, string) {
	raw := []byte(e.Raw)
	if !e.Get("event_type").Exists() {
		text, problem := d.gorseEvent(e)
		if problem != "" {
			return message.Event{}, problem
		}
		raw = text
	}
	rules := message.EventRules{Now: func() time.Time { return d.now }, MaxFuture: maxFuture}
	event, err := rules.DecodeEvent("api", raw)
	if err != nil {
		return event, reason(err)
	}
	return event, ""
}

// gorseEvent translates Gorse's feedback into an event, which is checked later.
func (d *decoder) gorseEvent(e gjson.Result) (event []byte, problem string) {
	kind, ok := feedbackTypes[strings.ToLower(e.Get("FeedbackType").String())]
	if !ok {
		return nil, "FeedbackType is " + quote(e.Get("FeedbackType").String()) + "; give rate (with Value), view or unrate, or events with event_type"
	}
	fields := map[string]any{"event_type": kind}
	for theirs, ours := range map[string]string{"UserId": "user_id", "ItemId": "movie_id", "Value": "value", "RequestId": "request_id"} {
		value := e.Get(theirs)
		if value.Exists() && (theirs != "Value" || kind == message.Rate) {
			fields[ours] = json.RawMessage(value.Raw)
		}
	}
	at := e.Get("Timestamp")
	fields["timestamp"] = json.RawMessage(at.Raw)
	switch text := at.String(); {
	case text == "" || strings.HasPrefix(text, zeroTime[:10]):
		fields["timestamp"] = eventTime(d.now.UnixMilli())
	case at.Type == gjson.String:
		fields["timestamp"] = gorseTime(text)
	}
	event, err := json.Marshal(fields)
	if err != nil {
		return nil, err.Error()
	}
	return event, ""
}

// addEvent adds an event of a user that happens now.
func (d *decoder) addEvent(user int64, fields map[string]any) *Problem {
	fields["timestamp"] = eventTime(d.now.UnixMilli())
	raw, err := json.Marshal(fields)
	if err != nil {
		return badRequest("%v; nothing was written", err)
	}
	rules := message.EventRules{Now: func() time.Time { return d.now }, MaxFuture: maxFuture}
	event, err := rules.DecodeEvent("api", raw)
	if err != nil {
		return badRequest("%s; nothing was written", reason(err))
	}
	d.call.Messages = append(d.call.Messages, event.AppendJSON(nil))
	d.call.Keys = append(d.call.Keys, user)
	return nil
}

// feedback makes each element an event. One that is wrong fails all, before
// anything is written.
func (d *decoder) feedback() *Problem {
	elements, problem := d.elements(MaxEvents)
	if problem != nil {
		return problem
	}
	for i, e := range elements {
		event, wrong := d.readFeedback(e)
		if wrong != "" {
			return badRequest("element %d: %s; nothing was written", i, wrong)
		}
		switch event.Type {
		case message.ForgetUser, message.SetItem, message.SetUser:
			return badRequest("element %d: event_type %s is not for feedback; nothing was written", i, event.Type)
		}
		d.call.Messages = append(d.call.Messages, event.AppendJSON(nil))
		d.call.Keys = append(d.call.Keys, event.User)
	}
	return nil
}

// session makes feedback the list of movies that somebody likes: what was
// viewed, and what was rated in the upper half of the scale.
func (d *decoder) session() *Problem {
	elements, problem := d.elements(MaxList)
	if problem != nil {
		return problem
	}
	var request recommendRequest
	for i, e := range elements {
		text, _ := json.Marshal(json.RawMessage(e.Get("ItemId").Raw))
		var movie ID
		if err := movie.UnmarshalJSON(text); err != nil {
			return badRequest("element %d: ItemId: %v", i, err)
		}
		if value := e.Get("Value"); value.Type == gjson.Number && value.Num > 0 && value.Num < likedFrom {
			request.Exclude = append(request.Exclude, movie)
			continue
		}
		request.Liked = append(request.Liked, movie)
	}
	if len(request.Liked) == 0 {
		return badRequest("the session has no movie that was liked; use /api/popular")
	}
	dst, err := d.appendPage(d.begin())
	if err != nil {
		return err
	}
	dst = appendIDs(dst, "liked", request.Liked)
	if request.Exclude != nil {
		dst = appendIDs(dst, "exclude", request.Exclude)
	}
	if dst, err = d.appendFilters(dst); err != nil {
		return err
	}
	return d.add(dst)
}

// likedFrom is the middle of MovieLens's scale: ratings below it say that a
// movie was not liked.
const likedFrom = 2.75
