package api

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
)

// gorseFeedback is what a user did, as Gorse has it.
type gorseFeedback struct {
	FeedbackType string
	UserID       string `json:"UserId"`
	ItemID       string `json:"ItemId"`
	Value        float32
	Timestamp    string
	Comment      string // the tag
	movie, time  int64
}

// feedbackOf is what one user did, by movies.
func (d *decoder) feedbackOf(user int64) ([]gorseFeedback, *Problem) {
	store, problem := d.store()
	if problem != nil {
		return nil, problem
	}
	directory, problem := d.directory()
	if problem != nil {
		return nil, problem
	}
	history, err := store.History(d.request.Context(), user)
	if err != nil {
		return nil, unavailable(err)
	}
	tags, views, err := directory.Choices(d.request.Context(), user)
	if err != nil {
		return nil, unavailable(err)
	}
	all := []gorseFeedback{}
	add := func(kind message.EventType, movie int64, value float32, tag string, time int64) {
		all = append(all, gorseFeedback{string(kind), idText(user), idText(movie), value, timeText(time), tag, movie, time})
	}
	for _, r := range history {
		add(message.Rate, r.Movie, r.Value, "", r.Time)
	}
	for _, t := range tags {
		add(message.TagMovie, t.Movie, 0, t.Tag, t.Time)
	}
	for _, v := range views {
		add(message.ViewMovie, v.Movie, 0, "", v.Time)
	}
	slices.SortStableFunc(all, func(a, b gorseFeedback) int { return cmp.Compare(a.movie, b.movie) })
	return all, nil
}

// feedbackType is that of the path, "" where it has none; read, click and watch are
// views.
func (d *decoder) feedbackType() (string, *Problem) {
	written := d.request.PathValue("type")
	if written == "" {
		return "", nil
	}
	kind, ok := feedbackTypes[strings.ToLower(written)]
	if strings.EqualFold(written, string(message.TagMovie)) {
		kind, ok = message.TagMovie, true
	}
	if !ok || kind == message.Unrate {
		return "", badRequest("the feedback type in the path is %s; give rate, tag or view", quote(written))
	}
	return string(kind), nil
}

// userFeedback is what the user of the path did: of the path's type, and with the
// path's movie, where it has them.
func (d *decoder) userFeedback() ([]gorseFeedback, *Problem) {
	user, problem := d.id("user")
	if problem != nil {
		return nil, problem
	}
	kind, problem := d.feedbackType()
	if problem != nil {
		return nil, problem
	}
	movie := int64(-1)
	if d.request.PathValue("movie") != "" {
		if movie, problem = d.id("movie"); problem != nil {
			return nil, problem
		}
	}
	all, problem := d.feedbackOf(user)
	return slices.DeleteFunc(all, func(f gorseFeedback) bool {
		return kind != "" && f.FeedbackType != kind || movie >= 0 && f.movie != movie
	}), problem
}

func (d *decoder) getUserFeedback() (any, *Problem) { return d.userFeedback() }

// oneFeedback is the newest of its type.
func (d *decoder) oneFeedback() (any, *Problem) {
	all, problem := d.userFeedback()
	if problem != nil {
		return nil, problem
	}
	if len(all) == 0 {
		return nil, Problemf(http.StatusNotFound, "the store has no feedback of type %s of user %s about movie %s",
			d.request.PathValue("type"), d.request.PathValue("user"), d.request.PathValue("movie"))
	}
	return slices.MaxFunc(all, func(a, b gorseFeedback) int { return cmp.Compare(a.time, b.time) }), nil
}

const (
	usersAtOnce = 100  // that a page of feedback asks the store for
	usersOfPage = 1000 // whose feedback one page looks through, if it is of other types
)

// allFeedback is a page of what all users did, user after user. Its cursor is the
// last user, and how much of this one was given.
func (d *decoder) allFeedback() (any, *Problem) {
	n, problem := d.n()
	if problem != nil {
		return nil, problem
	}
	kind, problem := d.feedbackType()
	if problem != nil {
		return nil, problem
	}
	after, given, problem := d.feedbackCursor()
	if problem != nil {
		return nil, problem
	}
	page := struct {
		Cursor   string
		Feedback []gorseFeedback
	}{Feedback: []gorseFeedback{}}
	take := func(user int64, from int) (full bool, problem *Problem) {
		all, problem := d.feedbackOf(user)
		if problem != nil {
			return true, problem
		}
		for i, f := range all {
			if i < from || kind != "" && f.FeedbackType != kind {
				continue
			}
			if len(page.Feedback) == n {
				return true, nil
			}
			page.Feedback = append(page.Feedback, f)
			page.Cursor = idText(user) + "." + strconv.Itoa(i+1)
		}
		return false, nil
	}
	if after != nil {
		if full, problem := take(*after, given); full {
			return page, problem
		}
	}
	for seen := 0; ; seen += usersAtOnce {
		if seen == usersOfPage {
			page.Cursor = idText(*after) + "." + strconv.Itoa(math.MaxInt32) // all of the user's
			return page, nil
		}
		users, problem := d.usersAfter(after, usersAtOnce)
		if problem != nil {
			return nil, problem
		}
		for _, user := range users {
			if full, problem := take(user, 0); problem != nil {
				return nil, problem
			} else if full {
				return page, nil
			}
		}
		if len(users) < usersAtOnce {
			page.Cursor = "" // it was the last page
			return page, nil
		}
		after = &users[len(users)-1]
	}
}

// feedbackCursor is USER.COUNT.
func (d *decoder) feedbackCursor() (user *int64, given int, problem *Problem) {
	text := d.query.Get("cursor")
	if text == "" {
		return nil, 0, nil
	}
	left, right, ok := strings.Cut(text, ".")
	id, err := strconv.ParseInt(left, 10, 64)
	given, counting := strconv.Atoi(right)
	if !ok || err != nil || counting != nil || id < 0 || given < 0 {
		return nil, 0, badRequest("the query parameter cursor is %s; give the Cursor of the page before, or none", quote(text))
	}
	return &id, given, nil
}

func (d *decoder) usersAfter(after *int64, n int) ([]int64, *Problem) {
	directory, problem := d.directory()
	if problem != nil {
		return nil, problem
	}
	users, err := directory.Users(d.request.Context(), after, n)
	if err != nil {
		return nil, unavailable(err)
	}
	return users, nil
}

// unrate takes the rating of the path back. Views and tags cannot be.
func (d *decoder) unrate() *Problem {
	kind, problem := d.feedbackType()
	if problem != nil {
		return problem
	}
	if kind != "" && kind != string(message.Rate) {
		return badRequest("feedback of type %s cannot be taken back, only ratings can; nothing was written", quote(kind))
	}
	user, problem := d.id("user")
	if problem != nil {
		return problem
	}
	movie, problem := d.id("movie")
	if problem != nil {
		return problem
	}
	return d.addEvent(user, map[string]any{"event_type": message.Unrate, "user_id": user, "movie_id": movie})
}
