package message

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// Bounds of what is entered of a movie or user.
const (
	maxTitleBytes   = 1000
	maxLabelBytes   = 8 << 10
	maxCommentBytes = 4 << 10
)

// readState reads Item or Profile from the fields that other events do not have,
// and leaves the rest in Extra.
func (e *Event) readState() error {
	var extra []byte
	object := []byte("{}")
	if len(e.Extra) > 0 {
		object = append(append([]byte{'{'}, e.Extra[1:]...), '}')
	}
	read := e.itemField
	if e.Type == SetItem {
		e.Item = &ratings.Item{ID: e.Movie, Genres: []string{}, Added: e.Time, Time: e.Time}
	} else {
		e.Profile = &ratings.Profile{User: e.User, Time: e.Time}
		read = e.profileField
	}
	titled := false
	err := forEachField(object, func(key string, value jsonValue) error {
		titled = titled || key == "title"
		known, err := read(key, value)
		if !known {
			extra = appendRawField(extra, key, value.Raw)
		}
		return err
	})
	if err == nil && e.Item != nil && !titled {
		err = fieldErrorf("title", "is missing; an item event says all of a movie")
	}
	e.Extra = extra
	return err
}

func (e *Event) itemField(key string, value jsonValue) (known bool, err error) {
	item := e.Item
	switch key {
	case "title":
		item.Title, err = parseText(key, value, maxTitleBytes)
	case "genres":
		item.Genres, err = parseGenres(value)
	case "hidden":
		item.Hidden = value.Type == gjson.True
		if value.Type != gjson.True && value.Type != gjson.False {
			err = fieldErrorf(key, "%s is neither true nor false", excerpt(value.Raw))
		}
	case "imdb_id":
		item.IMDb, err = parseText(key, value, maxIDBytes)
	case "tmdb_id":
		item.TMDb, err = parseID(key, value)
	case "labels":
		item.Labels, err = parseLabels(value)
	case "added_at":
		item.Added, err = parseTime(key, value)
	default:
		return false, nil
	}
	return true, err
}

func (e *Event) profileField(key string, value jsonValue) (known bool, err error) {
	switch key {
	case "labels":
		e.Profile.Labels, err = parseLabels(value)
	case "comment":
		e.Profile.Comment, err = parseText(key, value, maxCommentBytes)
	default:
		return false, nil
	}
	return true, err
}

// parseGenres reads a list of texts, each of which it keeps once.
func parseGenres(value jsonValue) ([]string, error) {
	if value.Type != gjson.JSON || value.Raw[0] != '[' {
		return nil, fieldErrorf("genres", `%s is no list; give ["Comedy","Drama"]`, excerpt(value.Raw))
	}
	genres := []string{}
	for _, g := range gjson.Parse(value.Raw).Array() {
		switch {
		case g.Type != gjson.String || g.Str == "":
			return nil, fieldErrorf("genres", "%s is no genre; give a text", excerpt(g.Raw))
		case len(g.Str) > maxGenreBytes:
			return nil, fieldErrorf("genres", "%d bytes are too long for a genre; at most %d", len(g.Str), maxGenreBytes)
		case !slices.Contains(genres, g.Str):
			genres = append(genres, g.Str)
		}
	}
	if len(genres) > maxGenres {
		return nil, fieldErrorf("genres", "%d are too many; at most %d", len(genres), maxGenres)
	}
	return genres, nil
}

// parseLabels takes any JSON, without spaces between.
func parseLabels(value jsonValue) (string, error) {
	if value.Type == gjson.Null {
		return "", nil
	}
	var text bytes.Buffer
	if err := json.Compact(&text, []byte(value.Raw)); err != nil {
		return "", fieldErrorf("labels", "%s is malformed JSON", excerpt(value.Raw))
	}
	if text.Len() > maxLabelBytes {
		return "", fieldErrorf("labels", "%d bytes are too long; at most %d", text.Len(), maxLabelBytes)
	}
	return text.String(), nil
}

func appendItem(dst []byte, i *ratings.Item) []byte {
	dst = append(dst, `,"title":`...)
	dst = AppendString(dst, i.Title)
	dst = append(dst, `,"genres":[`...)
	for k, genre := range i.Genres {
		if k > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, genre)
	}
	dst = append(dst, ']')
	if i.Hidden {
		dst = append(dst, `,"hidden":true`...)
	}
	if i.IMDb != "" {
		dst = append(dst, `,"imdb_id":`...)
		dst = AppendString(dst, i.IMDb)
	}
	if i.TMDb != 0 {
		dst = append(dst, `,"tmdb_id":`...)
		dst = strconv.AppendInt(dst, i.TMDb, 10)
	}
	dst = appendLabels(dst, i.Labels)
	dst = append(dst, `,"added_at":`...)
	return appendTime(dst, i.Added)
}

func appendProfile(dst []byte, p *ratings.Profile) []byte {
	dst = appendLabels(dst, p.Labels)
	if p.Comment == "" {
		return dst
	}
	dst = append(dst, `,"comment":`...)
	return AppendString(dst, p.Comment)
}

func appendLabels(dst []byte, labels string) []byte {
	if labels == "" {
		return dst
	}
	return append(append(dst, `,"labels":`...), labels...)
}
