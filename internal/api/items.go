package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// itemBody is the schema Item: Gorse's names, or those of an event. What is nil is
// not said.
type itemBody struct {
	GorseID    *ID             `json:"ItemId"`
	IsHidden   *bool           `json:"IsHidden"`
	Categories []string        `json:"Categories"`
	Added      *string         `json:"Timestamp"`
	Comment    *string         `json:"Comment"`
	Labels     json.RawMessage `json:"Labels"` // labels too

	EventID *string         `json:"event_id"`
	Type    *string         `json:"event_type"`
	Movie   *ID             `json:"movie_id"`
	Title   *string         `json:"title"`
	Genres  []string        `json:"genres"`
	Hidden  *bool           `json:"hidden"`
	IMDb    *string         `json:"imdb_id"`
	TMDb    *ID             `json:"tmdb_id"`
	AddedAt *string         `json:"added_at"`
	Time    json.RawMessage `json:"timestamp"`
}

func readItemBody(raw string) (b itemBody, problem string) {
	decoder := json.NewDecoder(strings.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return b, err.Error()
	}
	if b.Type != nil && *b.Type != string(message.SetItem) {
		return b, "event_type is " + quote(*b.Type) + "; give item, or leave it out"
	}
	if slices.Contains(b.Categories, "") || slices.Contains(b.Genres, "") { // null is one too
		return b, "a genre is empty; give a text, or leave it out"
	}
	if b.GorseID == nil {
		b.GorseID = b.Movie
	} else if b.Movie != nil && *b.Movie != *b.GorseID {
		return b, "ItemId and movie_id differ"
	}
	return b, ""
}

// change has the item say what the body says.
func (b *itemBody) change(item *ratings.Item) {
	for _, title := range []*string{b.Comment, b.Title} {
		if title != nil {
			item.Title = *title
		}
	}
	for _, genres := range [][]string{b.Categories, b.Genres} {
		if genres != nil {
			item.Genres = genres
		}
	}
	for _, hidden := range []*bool{b.IsHidden, b.Hidden} {
		if hidden != nil {
			item.Hidden = *hidden
		}
	}
	if b.IMDb != nil {
		item.IMDb = *b.IMDb
	}
	if b.TMDb != nil {
		item.TMDb = int64(*b.TMDb)
	}
	if said(b.Labels) {
		item.Labels = string(b.Labels)
	}
}

// said is false for null, which Gorse's clients send for what is to stay.
func said(raw json.RawMessage) bool { return raw != nil && string(raw) != "null" }

// addItem adds the event that says all of a movie. known is what the catalog has
// of it, which it follows.
func (d *decoder) addItem(item, known ratings.Item, b *itemBody) (wrong string) {
	if item.Genres == nil {
		item.Genres = []string{}
	}
	at := max(d.now.UnixMilli(), known.Time+1) // so that of two changes in one moment the second one holds
	fields := map[string]any{
		"event_type": message.SetItem, "movie_id": item.ID, "title": item.Title, "genres": item.Genres, "hidden": item.Hidden,
		"imdb_id": item.IMDb, "tmdb_id": item.TMDb, "added_at": eventTime(item.Added), "timestamp": eventTime(at),
	}
	if item.Labels != "" {
		fields["labels"] = json.RawMessage(item.Labels)
	}
	if said(b.Time) {
		fields["timestamp"] = b.Time
	}
	if b.EventID != nil {
		fields["event_id"] = *b.EventID
	}
	for _, added := range []*string{b.Added, b.AddedAt} {
		if added != nil && *added != "" && !strings.HasPrefix(*added, zeroTime[:10]) {
			fields["added_at"] = gorseTime(*added)
		}
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return err.Error()
	}
	rules := message.EventRules{Now: func() time.Time { return d.now }, MaxFuture: maxFuture}
	event, err := rules.DecodeEvent("api", raw)
	if err != nil {
		return reason(err)
	}
	d.call.Messages = append(d.call.Messages, event.AppendJSON(nil))
	d.call.Keys = append(d.call.Keys, event.Movie)
	d.call.Items = append(d.call.Items, *event.Item)
	return ""
}

// eventTime writes Unix milliseconds as events have them.
func eventTime(milliseconds int64) string {
	return time.UnixMilli(milliseconds).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// gorseTime takes a date for its beginning, as Gorse's own examples have it.
func gorseTime(text string) string {
	if len(text) == len(time.DateOnly) && strings.Count(text, "-") == 2 {
		return text + "T00:00:00Z"
	}
	return text
}

// items makes each element all of a movie.
func (d *decoder) items() *Problem {
	movies, problem := d.movies()
	if problem != nil {
		return problem
	}
	elements, problem := d.entries()
	if problem != nil {
		return problem
	}
	for i, e := range elements {
		b, wrong := readItemBody(e.Raw)
		if wrong == "" && b.GorseID == nil {
			wrong = "ItemId is missing"
		}
		if wrong == "" {
			id := int64(*b.GorseID)
			known, exists := movies.Item(id)
			item := ratings.Item{ID: id, Added: known.Added}
			if !exists {
				item.Added = d.now.UnixMilli()
			}
			b.change(&item)
			wrong = d.addItem(item, known, &b)
		}
		if wrong != "" {
			return badRequest("element %d: %s; nothing was written", i, wrong)
		}
	}
	return nil
}

// known is the movie of the path.
func (d *decoder) known() (ratings.Item, *Problem) {
	movies, problem := d.movies()
	if problem != nil {
		return ratings.Item{}, problem
	}
	id, problem := d.id("movie")
	if problem != nil {
		return ratings.Item{}, problem
	}
	item, ok := movies.Item(id)
	if !ok {
		return item, Problemf(http.StatusNotFound, "there is no movie %d in the catalog; POST /api/item adds one", id)
	}
	return item, nil
}

// change writes the movie of the path as edit makes it.
func (d *decoder) change(b *itemBody, edit func(item *ratings.Item)) *Problem {
	known, problem := d.known()
	if problem != nil {
		return problem
	}
	item := known
	edit(&item)
	if wrong := d.addItem(item, known, b); wrong != "" {
		return badRequest("%s; nothing was written", wrong)
	}
	return nil
}

func (d *decoder) patchItem() *Problem {
	if problem := d.checkJSON(); problem != nil {
		return problem
	}
	root := gjson.ParseBytes(d.body)
	if !root.IsObject() {
		return badRequest("the body is %s; expected an object of the schema %s", quote(root.Raw), d.route.Body)
	}
	b, wrong := readItemBody(root.Raw)
	if wrong != "" {
		return badRequest("%s; nothing was written", wrong)
	}
	id, problem := d.id("movie")
	if problem != nil {
		return problem
	}
	if b.GorseID != nil && int64(*b.GorseID) != id {
		return badRequest("ItemId is %d and the path's movie %d; nothing was written", *b.GorseID, id)
	}
	return d.change(&b, b.change)
}

// hideItem is what deleting is here: ratings of the movie stay, and what is known
// by them.
func (d *decoder) hideItem() *Problem {
	return d.change(&itemBody{}, func(item *ratings.Item) { item.Hidden = true })
}

func (d *decoder) addCategory() *Problem {
	category := d.request.PathValue("category")
	return d.change(&itemBody{}, func(item *ratings.Item) {
		if !slices.Contains(item.Genres, category) {
			item.Genres = append(slices.Clone(item.Genres), category)
		}
	})
}

func (d *decoder) removeCategory() *Problem {
	category := d.request.PathValue("category")
	return d.change(&itemBody{}, func(item *ratings.Item) {
		item.Genres = slices.DeleteFunc(slices.Clone(item.Genres), func(genre string) bool { return genre == category })
	})
}

// gorseItem is a movie as Gorse has it, and its ids elsewhere.
type gorseItem struct {
	ItemID     string          `json:"ItemId"`
	IsHidden   bool            `json:"IsHidden"`
	Categories []string        `json:"Categories"`
	Timestamp  string          `json:"Timestamp"`
	Labels     json.RawMessage `json:"Labels"`
	Comment    string          `json:"Comment"`
	IMDb       string          `json:"imdb_id,omitempty"`
	TMDb       int64           `json:"tmdb_id,omitempty"`
}

func asGorse(i ratings.Item) gorseItem {
	g := gorseItem{
		ItemID: idText(i.ID), IsHidden: i.Hidden, Categories: i.Genres, Timestamp: timeText(i.Added),
		Labels: rawOrNull(i.Labels), Comment: i.Title, IMDb: i.IMDb, TMDb: i.TMDb,
	}
	if g.Categories == nil {
		g.Categories = []string{}
	}
	return g
}

func rawOrNull(text string) json.RawMessage {
	if text == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}

func (d *decoder) getItem() (any, *Problem) {
	item, problem := d.known()
	return asGorse(item), problem
}

// getItems is a page of all movies, hidden ones too.
func (d *decoder) getItems() (any, *Problem) {
	movies, problem := d.movies()
	if problem != nil {
		return nil, problem
	}
	n, problem := d.n()
	if problem != nil {
		return nil, problem
	}
	after, problem := d.cursor()
	if problem != nil {
		return nil, problem
	}
	from := int64(-1)
	if after != nil {
		from = *after
	}
	page := struct {
		Cursor string
		Items  []gorseItem
	}{Items: []gorseItem{}}
	for _, item := range movies.Page(d.query.Get("q"), from, n) {
		page.Items = append(page.Items, asGorse(item))
		page.Cursor = idText(item.ID)
	}
	if len(page.Items) < n {
		page.Cursor = ""
	}
	return page, nil
}

// cursor is where a page begins, as the page before said.
func (d *decoder) cursor() (after *int64, problem *Problem) {
	text := d.query.Get("cursor")
	if text == "" {
		return nil, nil
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 0 {
		return nil, badRequest("the query parameter cursor is %s; give the Cursor of the page before, or none", quote(text))
	}
	return &id, nil
}

// latest are the newest movies, with when they were entered as their score.
func (d *decoder) latest() (any, *Problem) {
	movies, problem := d.movies()
	if problem != nil {
		return nil, problem
	}
	n, problem := d.n()
	if problem != nil {
		return nil, problem
	}
	offset, _, problem := d.integer("offset")
	if problem != nil {
		return nil, problem
	}
	f, problem := d.filters()
	if problem != nil {
		return nil, problem
	}
	filter := catalog.Filter{Genres: f.Genres, NotGenres: f.NotGenres}
	if f.YearFrom != nil {
		filter.YearFrom = int(*f.YearFrom)
	}
	if f.YearTo != nil {
		filter.YearTo = int(*f.YearTo)
	}
	type scored struct {
		ID    string `json:"Id"`
		Score float64
	}
	list := []scored{}
	for _, item := range movies.Latest(filter, int(offset), n) {
		list = append(list, scored{idText(item.ID), float64(item.Added) / 1000})
	}
	return list, nil
}
