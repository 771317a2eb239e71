package recsystest

import (
	"reflect"
	"slices"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// checkDirectory tests a store's ratings.Directory, which every store has.
func checkDirectory(t *testing.T, open func(t *testing.T) ratings.Store) {
	items := []ratings.Item{
		{ID: 1, Title: "Uno (1999)", Genres: []string{"Drama", "Comedy"}, Added: 5, Time: 10},
		{ID: 1, Title: "One (1999)", Genres: []string{}, IMDb: "0114709", TMDb: 862, Labels: `{"a":[1]}`, Added: 5, Time: 20},
		{ID: 1, Title: "One more (1999)", Genres: []string{"War"}, Added: 6, Time: 20}, // the greater of two with one time
		{ID: 2, Title: "", Genres: []string{}, Hidden: true, Added: 7, Time: 7},
	}
	profiles := []ratings.Profile{{User: 7, Comment: "old", Time: 10}, {User: 7, Labels: `["x"]`, Time: 20}, {User: 8, Comment: "gone", Time: 30}}
	wanted := map[int64]ratings.Item{2: items[3], 1: items[1]}
	if items[2].Newer(items[1]) {
		wanted[1] = items[2]
	}
	for name, order := range map[string]func(changes []ratings.Changes){
		"in order": func([]ratings.Changes) {}, "in reverse": func(c []ratings.Changes) { slices.Reverse(c) },
	} {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			changes := []ratings.Changes{rate(9, 1, 4, 1), rate(3, 1, 4, 1), forget(8, 30)}
			for _, i := range items {
				changes = append(changes, ratings.Changes{Items: []ratings.Item{i}})
			}
			for _, p := range profiles {
				changes = append(changes, ratings.Changes{Profiles: []ratings.Profile{p}})
			}
			changes = append(changes, ratings.Changes{
				Tags: []ratings.Tag{{User: 3, Movie: 1, Tag: "dark", Time: 2}}, Views: []ratings.View{{User: 3, Movie: 2, Time: 3}},
			})
			order(changes)
			for _, c := range changes {
				apply(t, store, c)
			}
			checkContent(t, store.(ratings.Directory), wanted, profiles[1])
		})
	}
}

func checkContent(t *testing.T, d ratings.Directory, items map[int64]ratings.Item, profile ratings.Profile) {
	t.Helper()
	got, err := d.Items(t.Context())
	if err != nil || len(got) != len(items) {
		t.Fatalf("items %+v, %v", got, err)
	}
	for _, i := range got {
		if !reflect.DeepEqual(i, items[i.ID]) {
			t.Errorf("got %+v, want %+v", i, items[i.ID])
		}
	}
	if p, ok, err := d.Profile(t.Context(), 7); err != nil || !ok || p != profile {
		t.Errorf("got %+v, %v, %v", p, ok, err)
	}
	if p, ok, err := d.Profile(t.Context(), 8); err != nil || ok {
		t.Errorf("of a forgotten user: %+v, %v", p, err)
	}
	tags, views, err := d.Choices(t.Context(), 3)
	if err != nil || len(tags) != 1 || tags[0].Tag != "dark" || len(views) != 1 || views[0].Movie != 2 {
		t.Errorf("got %+v, %+v, %v", tags, views, err)
	}
	var users []int64
	for after := (*int64)(nil); ; {
		page, err := d.Users(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if users = append(users, page...); len(page) < 2 {
			break
		}
		after = &page[1]
	}
	if slices.Sort(users); !slices.Equal(users, []int64{3, 7, 9}) {
		t.Errorf("users %v", users)
	}
}
