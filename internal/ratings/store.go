package ratings

import "context"

// Store keeps the newest rating of every (user, movie) pair, whatever the
// order in which ratings arrive. All methods are safe for concurrent use.
//
// Newest means greatest event time; on equal event time the greater value
// wins (as Cassandra does cell by cell), so that any order of arrival, and any
// number of repetitions, leads to the same content.
type Store interface {
	// Apply makes the changes durable before it returns nil. It is idempotent.
	// An error that wraps ErrUnavailable may succeed later; Apply may then
	// have been done in part, and doing it again is right.
	Apply(ctx context.Context, changes Changes) error

	// Scan calls fn with all current ratings in batches, in no particular
	// order; fn must not keep the slice. A nil error means that every rating
	// was given: a scan cut short returns an error.
	Scan(ctx context.Context, fn func([]Rating) error) error

	// ScanChoices is Scan of all tags and views: for a tag or a view each a Choice.
	ScanChoices(ctx context.Context, fn func([]Choice) error) error

	// History returns one user's current ratings in the order of movie ids.
	History(ctx context.Context, user int64) ([]Rating, error)

	// Forgotten returns who was forgotten, each user once with the newest time, in no
	// particular order: a model that was trained before may know them still.
	Forgotten(ctx context.Context) ([]Forgotten, error)

	// Revision is a number that grows by at least one for every rating
	// written (new, newer or taken back), and when a user with ratings is
	// forgotten. A store may also count rewrites, of what is there already or
	// is older, where telling them apart would need a read before each write;
	// its documentation says so. It never shrinks, and survives restarts.
	Revision(ctx context.Context) (int64, error)

	// Offsets returns up to where topics of events were taken in: what Changes
	// brought so far, the greatest offset of each partition. A Scan that begins
	// after it has what these events brought, and perhaps more.
	Offsets(ctx context.Context) (Offsets, error)
}

// Changes are writes to a Store, in no particular order.
type Changes struct {
	Ratings   []Rating
	Tags      []Tag
	Views     []View
	Unrated   []Unrated
	Forgotten []Forgotten
	Items     []Item
	Profiles  []Profile

	// Offsets say where the changes come from: with them every event before is
	// taken in. They are stored not before the changes are.
	Offsets Offsets
}

// Unrated takes a user's rating of a movie back, if it is not newer than Time.
type Unrated struct {
	User  int64
	Movie int64
	Time  int64 // event time, Unix milliseconds
}

// Forgotten erases all that a user did up to and including Time, also what
// arrives later with an older event time.
type Forgotten struct {
	User int64
	Time int64 // event time, Unix milliseconds
}

// StoreKey is the key of a Store among the generic values of a Benthos
// resource manager; Label is the label of the resource.
type StoreKey struct{ Label string }
