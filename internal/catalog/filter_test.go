package catalog

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
)

func TestTheYearIsAtTheEndOfTheTitle(t *testing.T) {
	for title, want := range map[string]int{
		"Heat (1995)":                               1995,
		"Heat (1995) ":                              1995,
		"2001: A Space Odyssey (1968)":              1968,
		"Fawlty Towers (1975-1979)":                 1975,
		"Doctor Who (2005–)":                        2005,
		"Cité des enfants perdus, La (Lost) (1995)": 1995,
		"(1999) is no year":                         0,
		"Babylon 5":                                 0,
		"Number 23, The (23)":                       0,
		"":                                          0,
	} {
		if got := yearOf(title); got != want {
			t.Errorf("%q: %d, want %d", title, got, want)
		}
	}
}

func TestFiltersKeepWhatIsWanted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "movies.csv")
	write(t, path, "movieId,title,genres\n1,One (1990),Drama|War\n2,Two (1995),Comedy|Drama\n3,Three,Comedy\n4,Four (2000),(no genres listed)\n")
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		filter Filter
		want   []int64
	}{
		"all, also unknown ones":       {Filter{}, []int64{1, 2, 3, 4, 5}},
		"a genre in any case":          {Filter{Genres: []string{"drama"}}, []int64{1, 2}},
		"one of several genres":        {Filter{Genres: []string{"War", "Comedy"}}, []int64{1, 2, 3}},
		"without a genre":              {Filter{NotGenres: []string{"WAR", "none"}}, []int64{2, 3, 4, 5}},
		"with one and without another": {Filter{Genres: []string{"Drama"}, NotGenres: []string{"War"}}, []int64{2}},
		"from a year on":               {Filter{YearFrom: 1995}, []int64{2, 4}},
		"to a year":                    {Filter{YearTo: 1995}, []int64{1, 2}},
		"within years":                 {Filter{YearFrom: 1991, YearTo: 1999}, []int64{2}},
		"a genre that nobody knows":    {Filter{Genres: []string{"Dance"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			keep := c.Keep(test.filter)
			if keep == nil {
				keep = func(int64) bool { return true }
			}
			var got []int64
			for id := range int64(5) {
				if keep(id + 1) {
					got = append(got, id+1)
				}
			}
			if !slices.Equal(got, test.want) || test.filter.Empty() != (name == "all, also unknown ones") {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	for id, want := range map[int64]string{1: `"title":"One (1990)","genres":["Drama","War"],"year":1990`, 3: `"title":"Three","genres":["Comedy"]`, 5: `"title":"","genres":[]`} {
		if got := string(c.AppendFields([]byte("-"), id)); got != "-"+want {
			t.Errorf("movie %d: %s", id, got)
		}
	}
	if c.Year(2) != 1995 || c.Year(3) != 0 || c.Year(5) != 0 {
		t.Errorf("years %d, %d, %d", c.Year(2), c.Year(3), c.Year(5))
	}
	write(t, path, "movieId,title,genres\n1,One (1991),Drama\n")
	if err := c.Reload(context.Background()); err != nil || c.Year(1) != 1991 {
		t.Errorf("after a reload: %d, %v", c.Year(1), err)
	}
}
