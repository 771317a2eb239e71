package recsystest

import (
	"reflect"
	"slices"
	"testing"
)

func TestLongTailedRatingsHaveTheShapeAskedFor(t *testing.T) {
	const users, movies, count = 600, 400, 30_000
	m, err := LongTailed(users, movies, count, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Users) != users || len(m.Movies) < movies*9/10 || m.Len() < count*9/10 || m.Len() > count*11/10 {
		t.Errorf("%d users, %d movies, %d ratings", len(m.Users), len(m.Movies), m.Len())
	}
	var counts []int
	for i := range m.Movies {
		_, values := m.Movie(i)
		counts = append(counts, len(values))
	}
	slices.Sort(counts)
	if middle, most := counts[len(counts)/2], counts[len(counts)-1]; most < 5*middle {
		t.Errorf("the most rated movie has %d ratings, the median one %d: no long tail", most, middle)
	}
	again, err := LongTailed(users, movies, count, 1)
	if err != nil || !reflect.DeepEqual(again, m) {
		t.Error("the same seed gave another matrix")
	}
}
