package als

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
)

const answerFieldCatalog = "catalog"

// metaKind is the metadata with the kind of a request that is none of predict, and
// of its reply.
const metaKind = "recsys_kind"

// answerSpec is what the processors that answer with a list have in common.
func answerSpec(summary, description string) *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary(summary).
		Description(description + `

The reply names the request (request_id as it came, or topic-partition-offset), the one model_version that made it, the role of a challenger that serves this user, the head of the model that spoke ("preference", which learned what users choose, or "rating" of a model without that one), and in cold what the model does not know. Fields of the request that are not known pass through.

Messages of other kinds are left as they are, so that the processors for all kinds can stand one behind the other. A reply has its kind in the metadata recsys_kind too. A request that cannot be read is marked with an error that names the field, what stands there and what would do; it is never dropped. Requests wait while there is no model yet.`).
		Field(modelField()).
		Field(service.NewStringField(answerFieldCatalog).
			Description("The label of a movie_catalog resource, for titles, genres and years, and for which movies are hidden, which are in no list. Without one replies have none, and filters by genre and year are rejected.").
			Default(""))
}

// answerer answers the requests of one kind.
type answerer struct {
	component string
	kind      string
	answer    func(*answering, *message.RecommendRequest, *message.Recommendation) error
	label     string
	catalog   string // label, or empty
	mgr       *service.Resources
	answered  *service.MetricCounter
	cold      *service.MetricCounter
	shown     model.Shown            // of rotated lists
	stale     *service.MetricCounter // lists of users whose ratings could not be read
	told      atomic.Int64           // when the log told of that last, Unix milliseconds
	now       func() time.Time
}

func newAnswerer(conf *service.ParsedConfig, mgr *service.Resources, kind string, answer func(*answering, *message.RecommendRequest, *message.Recommendation) error) (*answerer, error) {
	component := "als_" + kind
	a := &answerer{
		component: component, kind: kind, answer: answer, mgr: mgr, now: time.Now,
		answered: mgr.Metrics().NewCounter(component + "_answered"), cold: mgr.Metrics().NewCounter(component + "_cold"),
		stale: mgr.Metrics().NewCounter(component + "_stale"),
	}
	var err error
	if a.label, err = conf.FieldString(fieldModel); err != nil {
		return nil, err
	}
	if err := build(mgr, a.label); err != nil {
		return nil, err
	}
	if _, err := a.live(); err != nil {
		return nil, err
	}
	if a.catalog, err = conf.FieldString(answerFieldCatalog); err != nil || a.catalog == "" {
		return a, err
	}
	if err := build(mgr, a.catalog); err != nil {
		return nil, err
	}
	_, err = a.movies()
	return a, err
}

func (a *answerer) live() (*model.Live, error) {
	return resource[*model.Live](a.mgr, model.LiveKey{Label: a.label}, a.label, "an als_model")
}

func (a *answerer) movies() (*catalog.Catalog, error) {
	return resource[*catalog.Catalog](a.mgr, catalog.Key{Label: a.catalog}, a.catalog, "a movie_catalog")
}

// answering is what the requests of one batch have in common.
type answering struct {
	component string
	lineUp    *model.LineUp
	users     *model.Users
	shown     *model.Shown
	history   func(user int64) ([]ratings.Rating, error) // nil without a store
	movies    *catalog.Catalog                           // nil without one
	now       int64                                      // Unix milliseconds
	texts     []byte                                     // of the movies of one reply; room, used again for each
	brief     bool                                       // of the reply that is made

	answered, cold int64 // replies; metrics are told once a batch, as that costs more than to count
}

// ProcessBatch answers the requests of its kind with one line-up.
func (a *answerer) ProcessBatch(ctx context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	var b *answering
	for _, msg := range batch {
		if msg.GetError() != nil {
			continue
		}
		data, err := msg.AsBytes()
		if err != nil {
			msg.SetError(message.Rejectf(a.component, "%v", err))
			continue
		}
		if kindOf(msg, data) != a.kind {
			continue
		}
		if b == nil { // batches without such requests wait for nothing
			if b, err = a.open(ctx); err != nil {
				return nil, err
			}
		}
		reply, err := a.reply(b, msg, data)
		if err != nil {
			msg.SetError(err)
			continue
		}
		msg.SetBytes(reply)
		msg.MetaSetMut(metaKind, a.kind)
	}
	if b != nil {
		a.answered.Incr(b.answered)
		a.cold.Incr(b.cold)
	}
	return []service.MessageBatch{batch}, nil
}

// kindOf is what a processor before has found out, or what the data say: replies of
// other kinds are long.
func kindOf(msg *service.Message, data []byte) string {
	if known, ok := msg.MetaGetMut(metaKind); ok {
		if kind, ok := known.(string); ok {
			return kind
		}
	}
	return message.KindOf(data)
}

func (a *answerer) open(ctx context.Context) (*answering, error) {
	live, err := a.live()
	if err != nil {
		return nil, err
	}
	b := &answering{component: a.component, users: live.Users, shown: &a.shown, now: a.now().UnixMilli()}
	if live.History != nil {
		b.history = func(user int64) ([]ratings.Rating, error) {
			ctx, cancel := context.WithTimeout(ctx, historyPatience)
			defer cancel()
			return live.History(ctx, user)
		}
	}
	if b.lineUp, err = live.Wait(ctx); err != nil || a.catalog == "" {
		return b, err
	}
	if b.movies, err = a.movies(); err != nil {
		return nil, err
	}
	return b, b.movies.Wait(ctx)
}

func (a *answerer) reply(b *answering, msg *service.Message, data []byte) ([]byte, error) {
	request, err := message.DecodeRecommendRequest(a.component, data)
	if err != nil {
		return nil, err
	}
	reply := message.Recommendation{
		RequestID: request.ID, Kind: request.Kind, User: request.User, HasUser: request.HasUser, Users: request.Users,
		RequestedAt: b.now, PredictedAt: b.now, Extra: request.Extra,
	}
	if origin := message.OriginFrom(msg.Context()); origin != nil {
		reply.RequestedAt = origin.Time.UnixMilli()
		if reply.RequestID == "" {
			reply.RequestID = origin.RequestID()
		}
	}
	if reply.RequestID == "" { // it did not come from Kafka: no place to name it by
		reply.RequestID = rand.Text()
	}
	if request.HasUser && b.history != nil {
		a.refresh(b, request.User)
	}
	if b.history != nil {
		for _, user := range request.Users {
			a.refresh(b, user)
		}
	}
	b.texts, b.brief = b.texts[:0], request.Brief
	if err := a.answer(b, &request, &reply); err != nil {
		return nil, err
	}
	b.answered++
	if reply.ColdUser || reply.ColdMovie {
		b.cold++
	}
	size := itemBytes
	if b.brief {
		size = briefItemBytes
	}
	return reply.AppendJSON(make([]byte, 0, 320+size*len(reply.Items))), nil
}

// What an item of a reply takes, about.
const (
	itemBytes      = 160
	briefItemBytes = 40
)

// historyPatience bounds the wait for a user's ratings. A list from what is
// remembered is better than one that comes too late.
const historyPatience = 2 * time.Second

// refresh brings what is remembered of a user up to date. Where that fails the list
// is made from what is remembered.
func (a *answerer) refresh(b *answering, user int64) {
	err := b.users.Refresh(user, b.now, func() ([]ratings.Rating, error) { return b.history(user) })
	if err == nil {
		return
	}
	a.stale.Incr(1)
	if now := a.now(); now.Sub(time.UnixMilli(a.told.Load())) >= time.Minute {
		a.told.Store(now.UnixMilli())
		a.mgr.Logger().Warnf("Answering from what is remembered: %v", err)
	}
}

// query takes over what all kinds have in common, and finds the version that
// serves the user.
func (b *answering) query(request *message.RecommendRequest, reply *message.Recommendation) (model.Recommender, *model.Query, error) {
	of := model.Recommender{Version: b.lineUp.Champion, Users: b.users}
	if request.HasUser {
		var at int
		at, reply.Role = b.lineUp.Serving(request.User)
		of.Version = b.lineUp.Versions()[at]
	}
	reply.ModelVersion = of.Version.Name
	q := &model.Query{
		User: request.User, Users: request.Users, Anonymous: !request.HasUser && request.Users == nil, Liked: request.Liked, Movie: request.Movie,
		N: request.N, Offset: request.Offset, Exclude: request.Exclude, Candidates: request.Candidates,
		WithSeen: request.WithSeen, MinCount: request.Filters.MinCount,
		Popularity: request.Popularity, Diversity: request.Diversity, Reasons: request.Reasons, Brief: request.Brief,
	}
	filter := catalog.Filter{
		Genres: request.Filters.Genres, NotGenres: request.Filters.NotGenres,
		YearFrom: request.Filters.YearFrom, YearTo: request.Filters.YearTo,
	}
	switch {
	case b.movies != nil:
		q.Keep = b.movies.Keep(filter)
	case !filter.Empty():
		return of, nil, message.Rejectf(b.component, `field "filters": genres and years are not known here; give this processor a catalog`)
	}
	return of, q, nil
}

// fields are title, genres and year of a movie, nil without a catalog or where they
// are not wanted.
func (b *answering) fields(movie int64) []byte {
	if b.movies == nil || b.brief {
		return nil
	}
	begin := len(b.texts)
	b.texts = b.movies.AppendFields(b.texts, movie)
	return b.texts[begin:len(b.texts):len(b.texts)]
}

// hidden reports whether a movie is to be in no list.
func (b *answering) hidden(movie int64) bool { return b.movies != nil && b.movies.Hidden(movie) }

// asks tells of which movie the reply is.
func (b *answering) asks(request *message.RecommendRequest, reply *message.Recommendation) {
	reply.Movie, reply.HasMovie = request.Movie, true
	reply.MovieFields = b.fields(request.Movie)
}

func (a *answerer) Close(context.Context) error { return nil }
