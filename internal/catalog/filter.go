package catalog

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// yearAtEnd is the year, or the first of a span of years, that MovieLens puts behind
// a title: "Heat (1995)", "Fawlty Towers (1975-1979)".
var yearAtEnd = regexp.MustCompile(`\((\d{4})(?:[-–]\d{0,4})?\)\s*$`)

// yearOf returns the year in a title, 0 if there is none.
func yearOf(title string) int {
	found := yearAtEnd.FindStringSubmatch(title)
	if found == nil {
		return 0
	}
	year, _ := strconv.Atoi(found[1]) // four digits
	return year
}

// Year returns the year of a movie, 0 where it is not known.
func (c *Catalog) Year(id int64) int {
	if e := c.content.Load().find(id); e != nil {
		return e.year
	}
	return 0
}

// AppendFields appends JSON and, where it is known, the movie's year.
func (c *Catalog) AppendFields(dst []byte, id int64) []byte {
	e := c.content.Load().find(id)
	if e == nil {
		return append(dst, unknown...)
	}
	dst = append(dst, e.json...)
	if e.year > 0 {
		dst = append(dst, `,"year":`...)
		dst = strconv.AppendInt(dst, int64(e.year), 10)
	}
	return dst
}

// Filter says which movies are wanted. The zero value wants all.
type Filter struct {
	Genres    []string // at least one of these
	NotGenres []string // none of these
	YearFrom  int      // 0 for any
	YearTo    int      // 0 for any
}

// Empty reports whether the filter wants all movies.
func (f Filter) Empty() bool {
	return len(f.Genres) == 0 && len(f.NotGenres) == 0 && f.YearFrom == 0 && f.YearTo == 0
}

// Keep returns whether the filter wants a movie, by the catalog's content at this
// moment, or nil where it wants all that there are: it never wants what is hidden.
// Genres are compared without regard to case. Of a movie that is not in
// the catalog neither genres nor year are known: it is wanted only if none is
// asked for.
func (c *Catalog) Keep(f Filter) func(movie int64) bool {
	content := c.content.Load()
	if f.Empty() && content.hidden == 0 {
		return nil
	}
	return func(id int64) bool {
		e := content.find(id)
		if e == nil {
			e = &entry{}
		}
		if e.hidden() {
			return false
		}
		if len(f.Genres) > 0 && !shares(e.movie.Genres, f.Genres) || shares(e.movie.Genres, f.NotGenres) {
			return false
		}
		if f.YearFrom == 0 && f.YearTo == 0 {
			return true
		}
		return e.year > 0 && e.year >= f.YearFrom && (f.YearTo == 0 || e.year <= f.YearTo)
	}
}

func shares(genres, names []string) bool {
	return slices.ContainsFunc(genres, func(genre string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(genre, name) })
	})
}
