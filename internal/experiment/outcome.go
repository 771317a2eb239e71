package experiment

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// OutcomeConfig of Outcomes. The zero value is the default.
type OutcomeConfig struct {
	Replies int           // how many are remembered, the newest; 0 is 100,000
	Window  time.Duration // after which an action is no more of a reply; 0 is 24 hours
}

const (
	defaultReplies = 100_000
	defaultWindow  = 24 * time.Hour

	maxShownItems = 100 // of a list, that are remembered; nobody looks further
	maxVersions   = 256 // whose tallies are kept, in a role each
	maxPartitions = 4096
)

// Place is where a message stands in Kafka, by which a repetition is known. The
// zero value stands nowhere.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
}

// Reply is a list of movies that was shown to somebody.
type Reply struct {
	Place
	RequestID     string
	Version, Role string // that made it; "" is the champion's role
	User          int64
	HasUser       bool
	Movies        []int64 // best first
	At            int64   // when it was made known, Unix milliseconds
}

// Action is what somebody did with a movie of a list, and said so.
type Action struct {
	Place
	RequestID   string
	User, Movie int64
	Rated       bool  // the user rated it; otherwise the user opened it
	At          int64 // as of Reply
}

// Tally counts what came of the lists of a version in a role.
type Tally struct {
	Version, Role string
	Shown         int64 // lists
	Items         int64 // movies of those lists
	Hit           int64 // lists of which the user opened or rated a movie
	Clicked       int64 // movies of a list that were opened
	Rated         int64 // movies of a list that were rated
}

// Unattributed counts actions that name a reply, and count for none.
type Unattributed struct {
	Waiting int64 // whose reply has not been read yet
	Unknown int64 // whose reply is forgotten, or never was
	Late    int64 // after the window
	Other   int64 // of another user, or of a movie that the list does not have
}

// Outcomes attributes what users do to the lists that they were shown: who echoes a
// reply's request_id says which. Replies and actions may come in any order, as of two
// topics. Only the newest replies are remembered, and as many actions wait for a
// reply; what was counted stays counted. What is read again is counted once: a
// message at a place that was passed is left out, and so is a second action of the
// same kind with the same movie of a list. It is safe for concurrent use.
type Outcomes struct {
	replies int
	window  int64 // milliseconds

	mu      sync.Mutex
	passed  map[partition]passed
	shown   map[string]*shownReply
	order   ring // of shown
	waiting map[string][]Action
	queue   ring // of waiting
	tallies []*Tally
	rest    Unattributed
}

type partition struct {
	topic string
	id    int32
}

// passed is the newest message of a partition.
type passed struct{ offset, at int64 }

type shownReply struct {
	tally   *Tally
	user    int64
	hasUser bool
	at      int64
	movies  []int64
	done    []bool // clicked, and behind those rated, by movie
	hit     bool
}

// ring is the order in which names came, of a bounded number.
type ring struct {
	names []string
	next  int
}

// push adds a name and returns the one that makes room, "" if there is room.
func (r *ring) push(name string, most int) string {
	if len(r.names) < most {
		r.names = append(r.names, name)
		return ""
	}
	old := r.names[r.next]
	r.names[r.next] = name
	r.next = (r.next + 1) % most
	return old
}

// NewOutcomes returns Outcomes of nothing.
func NewOutcomes(c OutcomeConfig) *Outcomes {
	return &Outcomes{
		replies: cmp.Or(c.Replies, defaultReplies), window: cmp.Or(c.Window, defaultWindow).Milliseconds(),
		passed: map[partition]passed{}, shown: map[string]*shownReply{}, waiting: map[string][]Action{},
	}
}

// Show takes in a reply. It reports whether that counted anything.
func (o *Outcomes) Show(r *Reply) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.repeated(r.Place, r.At) || r.RequestID == "" || o.shown[r.RequestID] != nil {
		return false
	}
	tally := o.tally(r.Version, r.Role)
	tally.Shown++
	tally.Items += int64(len(r.Movies))
	movies := slices.Clone(r.Movies[:min(len(r.Movies), maxShownItems)])
	reply := &shownReply{tally: tally, user: r.User, hasUser: r.HasUser, at: r.At, movies: movies}
	o.shown[r.RequestID] = reply
	if old := o.order.push(r.RequestID, o.replies); old != "" {
		delete(o.shown, old)
	}
	for _, a := range o.waiting[r.RequestID] {
		o.rest.Waiting--
		o.attribute(reply, &a)
	}
	delete(o.waiting, r.RequestID)
	return true
}

// Act takes in an action. It reports whether that counted anything.
func (o *Outcomes) Act(a *Action) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.repeated(a.Place, a.At) || a.RequestID == "" {
		return false
	}
	if reply := o.shown[a.RequestID]; reply != nil {
		o.attribute(reply, a)
		return true
	}
	known := len(o.waiting[a.RequestID])
	if known >= 2*maxShownItems { // more than a list has room for
		o.rest.Unknown++
		return true
	}
	o.rest.Waiting++
	o.waiting[a.RequestID] = append(o.waiting[a.RequestID], *a)
	if known > 0 {
		return true
	}
	if old := o.queue.push(a.RequestID, o.replies); old != "" {
		gone := int64(len(o.waiting[old]))
		o.rest.Waiting -= gone
		o.rest.Unknown += gone
		delete(o.waiting, old)
	}
	return true
}

// repeated reports whether the message at a place was read before, and remembers it.
// A lower offset with a newer time is of a partition that began anew.
func (o *Outcomes) repeated(p Place, at int64) bool {
	if p.Topic == "" {
		return false
	}
	key := partition{p.Topic, p.Partition}
	last, known := o.passed[key]
	if known && p.Offset <= last.offset && at <= last.at {
		return true
	}
	if known || len(o.passed) < maxPartitions {
		o.passed[key] = passed{p.Offset, max(at, last.at)}
	}
	return false
}

// attribute counts an action for a reply.
func (o *Outcomes) attribute(reply *shownReply, a *Action) {
	place := slices.Index(reply.movies, a.Movie)
	switch {
	case a.At-reply.at > o.window:
		o.rest.Late++
		return
	case place < 0 || reply.hasUser && reply.user != a.User:
		o.rest.Other++
		return
	}
	if reply.done == nil {
		reply.done = make([]bool, 2*len(reply.movies))
	}
	count := &reply.tally.Clicked
	if a.Rated {
		place, count = place+len(reply.movies), &reply.tally.Rated
	}
	if reply.done[place] {
		return
	}
	reply.done[place] = true
	*count++
	if !reply.hit {
		reply.hit = true
		reply.tally.Hit++
	}
}

// tally returns the one of a version in a role. The one that began first makes room.
func (o *Outcomes) tally(version, role string) *Tally {
	version, role = version[:min(len(version), maxName)], role[:min(len(role), maxName)]
	for _, t := range o.tallies {
		if t.Version == version && t.Role == role {
			return t
		}
	}
	if len(o.tallies) == maxVersions {
		o.tallies = slices.Delete(o.tallies, 0, 1)
	}
	t := &Tally{Version: version, Role: role}
	o.tallies = append(o.tallies, t)
	return t
}

// Tallies returns what was counted until now, by when each version was seen first.
func (o *Outcomes) Tallies() ([]Tally, Unattributed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]Tally, len(o.tallies))
	for k, t := range o.tallies {
		all[k] = *t
	}
	return all, o.rest
}
