package chaos

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	_ "modernc.org/sqlite" // the driver
)

// repeats is how long before a fault a request may have been sent that is predicted
// again because of it: commit_period (1 s), a fetch, and a machine that is slow.
const repeats = 10 * time.Second

// recovery is what came of a fault.
type recovery struct {
	accounted, duplicates int
	longest               time.Duration // that a request of this time waited for its reply
	first, caughtUp       time.Duration // since the fault was over
}

// fault breaks something under load, mends it, waits until everything has recovered,
// and demands that the accounts close. The name is that of a row of the table.
func (s *system) fault(name string, harm, mend func()) {
	s.t.Helper()
	s.faultOf(nil, name, harm, mend)
}

// faultOf is a fault that happens to a member alone.
func (s *system) faultOf(m *member, name string, harm, mend func()) {
	s.t.Helper()
	s.faultBegan = time.Now()
	harm()
	mend()
	mended := time.Now()
	var r recovery
	s.eventually(func() error {
		first, ok := s.traffic.firstSince(mended)
		if !ok {
			return fmt.Errorf("%s: no request is answered", name)
		}
		r.first = first.Sub(mended)
		return nil
	})
	r.duplicates = s.check() - s.duplicatesBefore
	r.caughtUp = time.Since(mended)
	s.duplicatesBefore += r.duplicates
	s.traffic.mu.Lock()
	r.accounted = 2*s.traffic.n - s.accountedFor
	s.accountedFor += r.accounted
	for _, asked := range s.traffic.requests {
		if asked.sent.After(s.faultBegan) {
			r.longest = max(r.longest, asked.first.Sub(asked.sent))
		}
	}
	s.traffic.mu.Unlock()
	told := name
	if m != nil {
		told += ": " + m.name
	}
	s.t.Logf("%s: first reply after %.2f s, caught up after %.2f s, longest wait %.2f s, %d predicted again",
		told, r.first.Seconds(), r.caughtUp.Seconds(), r.longest.Seconds(), r.duplicates)
	if !s.t.Failed() { // a row says that nothing was lost
		table.add(name, r)
	}
}

// underLoad waits until predictions flow.
func (s *system) underLoad() {
	s.t.Helper()
	began := time.Now()
	s.eventually(func() error {
		if _, ok := s.traffic.firstSince(began); !ok {
			return fmt.Errorf("no request is answered")
		}
		return nil
	})
}

// check holds the traffic up until everything is there that was sent, demands that
// nothing else is, and returns how many predictions were made again.
func (s *system) check() (duplicates int) {
	s.t.Helper()
	s.traffic.pause(true)
	defer s.traffic.pause(false)
	s.eventually(s.missing)
	s.running()
	f := s.traffic
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.unexpected) > 0 {
		s.t.Fatalf("%d unexpected, such as %s", len(f.unexpected), f.unexpected[:min(3, len(f.unexpected))])
	}
	for _, r := range f.again {
		if early := s.faultBegan.Sub(r.sent); early > repeats {
			s.t.Errorf("request %s was sent %s before the fault and predicted again: it had been committed", r.id, early)
		}
	}
	f.again = nil
	s.sameStore()
	s.sameIndex()
	return f.duplicates
}

// missing says what has not arrived yet.
func (s *system) missing() error {
	if err := s.traffic.missing(); err != nil {
		return err
	}
	for _, group := range [][2]string{{"ingest", "events"}, {"fold_in", "events"}, {"predict", "requests"}, {"index", "predictions"}} {
		if err := s.traffic.lag(group[0], group[1]); err != nil {
			return err
		}
	}
	for _, topic := range []string{"predictions", "dead_letters"} {
		if err := s.traffic.unread(topic); err != nil {
			return err
		}
	}
	return nil
}

func (f *traffic) missing() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inFlight > 0 {
		return fmt.Errorf("%d records are not acknowledged", f.inFlight)
	}
	unanswered, last := 0, ""
	for id, r := range f.requests {
		if r.first.IsZero() {
			unanswered, last = unanswered+1, id
		}
	}
	if unanswered > 0 {
		return fmt.Errorf("%d of %d requests are not answered, such as %s", unanswered, len(f.requests), last)
	}
	for letter, times := range f.malformed {
		if times == 0 {
			return fmt.Errorf("no dead letter yet of %s", letter)
		}
	}
	return nil
}

// lag is an error while a group has records of a topic to acknowledge.
func (f *traffic) lag(group, topic string) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
	defer cancel()
	ends, err := f.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	committed, err := f.admin.FetchOffsets(ctx, group)
	if err != nil {
		return err
	}
	lag := int64(0)
	ends.Each(func(end kadm.ListedOffset) {
		at, _ := committed.Lookup(end.Topic, end.Partition)
		lag += end.Offset - max(at.At, 0)
	})
	if lag > 0 {
		return fmt.Errorf("group %s has %d records of %s before it", group, lag, topic)
	}
	return ends.Error()
}

// unread is an error while this traffic has not read a topic to its end.
func (f *traffic) unread(topic string) error {
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
	defer cancel()
	ends, err := f.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	ends.Each(func(end kadm.ListedOffset) {
		if next := f.read[topic][end.Partition]; next < end.Offset {
			err = fmt.Errorf("%d records of %s are not read", end.Offset-next, topic)
		}
	})
	return err
}

// sameStore demands that the rating store has of each pair the newest rating, once.
// The traffic's lock is held.
func (s *system) sameStore() {
	s.t.Helper()
	var want []string
	for pair, r := range s.traffic.ratings {
		want = append(want, fmt.Sprintf("%d|%d|%v|%d", pair[0], pair[1], r.value, r.time))
	}
	s.same("rating store", want, "ratings.db", "SELECT user_id || '|' || movie_id, rating, timestamp FROM ratings")
}

// sameIndex demands that the index has each request's prediction, once. The
// traffic's lock is held.
func (s *system) sameIndex() {
	s.t.Helper()
	var want []string
	for id, r := range s.traffic.requests {
		want = append(want, fmt.Sprintf("%s|%d|%d", id, r.user, r.movie))
	}
	s.same("prediction index", want, "predictions.db", "SELECT request_id, user_id, movie_id FROM predictions")
}

func (s *system) same(what string, want []string, file, query string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.storeDir, file)+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(query)
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	defer rows.Close()
	var got []string
	for rows.Next() {
		var a, b, c any
		if err := rows.Scan(&a, &b, &c); err != nil {
			s.t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%v|%v|%v", a, b, c))
	}
	if err := rows.Err(); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		known := map[string]bool{}
		for _, row := range got {
			known[row] = true
		}
		lost := slices.DeleteFunc(slices.Clone(want), func(row string) bool { return known[row] })
		s.t.Errorf("%s: %d rows instead of %d; %d are lost or wrong, such as %q", what, len(got), len(want), len(lost), lost[:min(5, len(lost))])
	}
}
