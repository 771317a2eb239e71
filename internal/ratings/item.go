package ratings

import (
	"encoding/json"
	"fmt"
)

// Item is all that somebody entered of a movie. Of two items of a movie the newer
// one holds, as a whole.
type Item struct {
	ID     int64    `json:"-"`
	Title  string   `json:"title"`
	Genres []string `json:"genres"`
	Hidden bool     `json:"hidden,omitempty"` // in no list
	IMDb   string   `json:"imdb_id,omitempty"`
	TMDb   int64    `json:"tmdb_id,omitempty"`
	Labels string   `json:"labels,omitempty"` // a client's own, as JSON
	Added  int64    `json:"added_at"`         // when the movie came in, Unix milliseconds
	Time   int64    `json:"timestamp"`        // event time, Unix milliseconds
}

// State is the item without its id, as text. Stores keep it as one value, so that
// of items with one time one wins as a whole: the greater text.
func (i Item) State() string {
	if i.Genres == nil {
		i.Genres = []string{}
	}
	text, err := json.Marshal(i)
	if err != nil {
		panic("ratings: an item is text and numbers: " + err.Error())
	}
	return string(text)
}

// ParseItem reads the State of the movie with this id.
func ParseItem(id int64, state string) (Item, error) {
	item := Item{ID: id}
	if err := json.Unmarshal([]byte(state), &item); err != nil {
		return item, fmt.Errorf("reading the state of movie %d: %w", id, err)
	}
	return item, nil
}

// Newer reports whether the item holds against another one of its movie.
func (i Item) Newer(other Item) bool {
	if i.Time != other.Time {
		return i.Time > other.Time
	}
	return i.State() > other.State()
}

// Profile is all that somebody entered of a user. Of two profiles of a user the
// newer one holds, as a whole; a forgotten user has none.
type Profile struct {
	User    int64  `json:"-"`
	Labels  string `json:"labels,omitempty"` // a client's own, as JSON
	Comment string `json:"comment,omitempty"`
	Time    int64  `json:"timestamp"` // event time, Unix milliseconds
}

// State is the profile without the user's id, as Item.State.
func (p Profile) State() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic("ratings: a profile is text and numbers: " + err.Error())
	}
	return string(text)
}

// ParseProfile reads the State of the user with this id.
func ParseProfile(user int64, state string) (Profile, error) {
	profile := Profile{User: user}
	if err := json.Unmarshal([]byte(state), &profile); err != nil {
		return profile, fmt.Errorf("reading the profile of user %d: %w", user, err)
	}
	return profile, nil
}

// Newer reports whether the profile holds against another one of its user.
func (p Profile) Newer(other Profile) bool {
	if p.Time != other.Time {
		return p.Time > other.Time
	}
	return p.State() > other.State()
}
