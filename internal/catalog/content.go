package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

// content is what a catalog holds at one moment; it does not change. Changes are
// copied into recent, which is small, and only now and then into base, so that a
// change does not copy all movies.
type content struct {
	base, recent map[int64]*entry
	hidden, n    int

	sort  sync.Once
	byID  []*entry
	byAge []*entry
}

// maxRecent is how many changes are copied by each further one.
const maxRecent = 1024

func (c *content) find(id int64) *entry {
	if len(c.recent) > 0 {
		if e := c.recent[id]; e != nil {
			return e
		}
	}
	return c.base[id]
}

func (e *entry) hidden() bool { return e.item != nil && e.item.Hidden }

// Apply takes items over that are newer than what is known, in any order.
func (c *Catalog) Apply(items ...ratings.Item) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var changed []*entry
	for _, id := range c.learn(items) {
		e, err := itemEntry(c.news[id])
		if err != nil {
			return fmt.Errorf("movie %d: %w", id, err)
		}
		changed = append(changed, e)
	}
	if len(changed) > 0 {
		c.content.Store(c.content.Load().with(changed))
	}
	return nil
}

// learn keeps what is newer than what is known, and returns of which movies.
func (c *Catalog) learn(items []ratings.Item) (newer []int64) {
	for i := range items {
		if known := c.news[items[i].ID]; known == nil || items[i].Newer(*known) {
			c.news[items[i].ID] = &items[i]
			newer = append(newer, items[i].ID)
		}
	}
	slices.Sort(newer)
	return slices.Compact(newer)
}

// with is the content with entries in place of those of their movies.
func (c *content) with(changed []*entry) *content {
	next := &content{base: c.base, hidden: c.hidden, n: c.n}
	if len(c.recent)+len(changed) > maxRecent {
		next.base = maps.Clone(c.base)
		if next.base == nil {
			next.base = map[int64]*entry{}
		}
		maps.Copy(next.base, c.recent)
	} else {
		next.recent = make(map[int64]*entry, len(c.recent)+len(changed))
		maps.Copy(next.recent, c.recent)
	}
	for _, e := range changed {
		old := c.find(e.movie.ID)
		switch {
		case old == nil:
			next.n++
		case old.hidden():
			next.hidden--
		}
		if e.hidden() {
			next.hidden++
		}
		if next.recent != nil {
			next.recent[e.movie.ID] = e
		} else {
			next.base[e.movie.ID] = e
		}
	}
	return next
}

// Hidden reports whether a movie is to be in no list.
func (c *Catalog) Hidden(id int64) bool {
	content := c.content.Load()
	if content.hidden == 0 {
		return false
	}
	e := content.find(id)
	return e != nil && e.hidden()
}

// Item returns all that is known of a movie. One that was never entered has no
// times.
func (c *Catalog) Item(id int64) (ratings.Item, bool) {
	e := c.content.Load().find(id)
	if e == nil {
		return ratings.Item{ID: id}, false
	}
	return e.asItem(), true
}

func (e *entry) asItem() ratings.Item {
	if e.item != nil {
		return *e.item
	}
	return ratings.Item{ID: e.movie.ID, Title: e.movie.Title, Genres: e.movie.Genres, IMDb: e.link.IMDb, TMDb: e.link.TMDb}
}

// Page returns at most n movies, hidden ones too, in the order of their ids from
// the first above after on, whose titles have the words in them, in any case.
func (c *Catalog) Page(words string, after int64, n int) []ratings.Item {
	all := c.content.Load().sorted().byID
	from, found := slices.BinarySearchFunc(all, after, func(e *entry, id int64) int { return cmp.Compare(e.movie.ID, id) })
	if found {
		from++
	}
	var page []ratings.Item
	words = strings.ToLower(words)
	for _, e := range all[from:] {
		if len(page) == n {
			break
		}
		if words == "" || strings.Contains(strings.ToLower(e.movie.Title), words) {
			page = append(page, e.asItem())
		}
	}
	return page
}

// Latest returns at most n movies that the filter wants, after the offset first
// ones, the newest first: by when they were entered, then by year and id. Movies
// that were never entered stand behind all others.
func (c *Catalog) Latest(f Filter, offset, n int) []ratings.Item {
	keep := c.Keep(f)
	var page []ratings.Item
	for _, e := range c.content.Load().sorted().byAge {
		if keep != nil && !keep(e.movie.ID) {
			continue
		}
		if offset--; offset >= 0 {
			continue
		}
		if len(page) == n {
			break
		}
		page = append(page, e.asItem())
	}
	return page
}

// sorted makes the orders when somebody first asks: most contents are never asked.
func (c *content) sorted() *content {
	c.sort.Do(func() {
		c.byID = make([]*entry, 0, c.n)
		for id, e := range c.base {
			if c.recent[id] == nil {
				c.byID = append(c.byID, e)
			}
		}
		c.byID = slices.AppendSeq(c.byID, maps.Values(c.recent))
		slices.SortFunc(c.byID, func(a, b *entry) int { return cmp.Compare(a.movie.ID, b.movie.ID) })
		c.byAge = slices.Clone(c.byID)
		slices.SortFunc(c.byAge, func(a, b *entry) int {
			return cmp.Or(cmp.Compare(b.added(), a.added()), cmp.Compare(b.year, a.year), cmp.Compare(b.movie.ID, a.movie.ID))
		})
	})
	return c
}

func (e *entry) added() int64 {
	if e.item == nil {
		return 0
	}
	return e.item.Added
}
