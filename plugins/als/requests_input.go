package als

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

const (
	requestsFieldOf       = "of"
	requestsFieldN        = "n"
	requestsFieldIDs      = "ids"
	requestsFieldSchedule = "schedule"
	requestsFieldBatch    = "batch_size"

	ofUsers  = "users"
	ofMovies = "movies"
)

func requestsSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Asks for the lists of all users, or the audiences of all movies, at set times.").
		Description(`
A run makes one request for each user, or movie, that the live model knows when the run begins, in ascending order of their ids: users of the champion's training and those whose ratings are remembered (see als_model). als_recommend, or als_audience, answers them as any other request:

`+"```json"+`
{"request_id": "all-users-20260102-150405-9f86d0-20260103-514", "kind": "recommend", "user_id": 514, "n": 10}
{"request_id": "all-movies-20260102-150405-9f86d0-20260103-318", "kind": "audience", "movie_id": 318, "n": 10}
`+"```"+`

request_id names the champion, the day of the run in UTC and the user or movie, so that a run that is done again the same day asks the same; an output that keeps one row or document for each id is then brought up to date, never doubled.

A run waits for a model and for the ratings of its store. The next batch is made when the pipeline takes it, so a slow output slows the run down and nothing piles up; what is rejected is sent again. A run that is cut off by a stop is not taken up again: what it had not reached stays as the run before it left it, until the next one. A run that takes longer than the schedule's interval delays the next.`).
		Field(modelField()).
		Field(service.NewStringAnnotatedEnumField(requestsFieldOf, map[string]string{
			ofUsers:  "Movies for each user: kind recommend.",
			ofMovies: "Users for each movie: kind audience.",
		}).Description("Who or what there shall be a list for.").Default(ofUsers)).
		Field(service.NewIntField(requestsFieldN).
			Description("How many items each list shall have at most, 1 to 1000.").Default(10).
			LintRule(`root = if this < 1 || this > 1000 { ["field n must lie between 1 and 1000"] }`)).
		Field(service.NewIntListField(requestsFieldIDs).
			Description("The only users, or movies, to ask for, whether the model knows them or not. Empty for all.").Default([]any{}).Example([]any{1, 514})).
		Field(service.NewStringField(requestsFieldSchedule).
			Description("When runs begin: a cron expression, in UTC unless it begins with `TZ=<location>`, or the time from start to start as a duration, the first being now. Empty for one run, after which the input ends.").
			Default("").Example("0 5 * * *").Example("TZ=Europe/Berlin 0 5 * * *").Example("6h")).
		Field(service.NewIntField(requestsFieldBatch).
			Description("Requests of a batch, which are answered by one version.").Default(256).Advanced().
			LintRule(`root = if this < 1 { ["field batch_size must be at least 1"] }`)).
		Field(service.NewAutoRetryNacksToggleField()).
		Example("The audience of every movie, as a file", "", `
input:
  als_requests:
    model: model
    of: movies
    n: 100

pipeline:
  processors:
    - als_audience:
        model: model

output:
  file:
    path: audiences.jsonl

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
`)
}

func init() {
	service.MustRegisterBatchInput("als_requests", requestsSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchInput, error) {
			in, err := newRequestsInput(conf, mgr)
			if err != nil {
				return nil, err
			}
			return service.AutoRetryNacksBatchedToggled(conf, in)
		})
}

// requestsInput makes runs of requests, one after the other.
type requestsInput struct {
	label    string
	of       string
	n, batch int
	ids      []int64 // nil for all
	schedule *schedule
	mgr      *service.Resources
	log      *service.Logger

	mu   sync.Mutex // held while a batch is made
	run  *requestsRun
	ends bool // after the run
}

// requestsRun is one run.
type requestsRun struct {
	prefix string // of the request ids
	left   []int64
	total  int
	began  time.Time
	acked  atomic.Int64
}

func newRequestsInput(conf *service.ParsedConfig, mgr *service.Resources) (*requestsInput, error) {
	in := &requestsInput{mgr: mgr, log: mgr.Logger()}
	var err error
	if in.label, err = conf.FieldString(fieldModel); err != nil {
		return nil, err
	}
	if in.of, err = conf.FieldString(requestsFieldOf); err != nil {
		return nil, err
	}
	if in.n, err = conf.FieldInt(requestsFieldN); err != nil {
		return nil, err
	}
	if in.batch, err = conf.FieldInt(requestsFieldBatch); err != nil {
		return nil, err
	}
	switch {
	case in.of != ofUsers && in.of != ofMovies:
		return nil, fmt.Errorf("field %s: %q is neither users nor movies", requestsFieldOf, in.of)
	case in.n < 1 || in.n > message.MaxItems:
		return nil, fmt.Errorf("field %s: %d does not lie between 1 and %d", requestsFieldN, in.n, message.MaxItems)
	case in.batch < 1:
		return nil, fmt.Errorf("field %s: %d is less than 1", requestsFieldBatch, in.batch)
	}
	ids, err := conf.FieldIntList(requestsFieldIDs)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		in.ids = append(in.ids, int64(id))
	}
	text, err := conf.FieldString(requestsFieldSchedule)
	if err != nil {
		return nil, err
	}
	if in.schedule, err = parseSchedule(text); err != nil {
		return nil, fmt.Errorf("field %s: %w", requestsFieldSchedule, err)
	}
	if err := build(mgr, in.label); err != nil {
		return nil, err
	}
	_, err = in.live()
	return in, err
}

func (in *requestsInput) live() (*model.Live, error) {
	return resource[*model.Live](in.mgr, model.LiveKey{Label: in.label}, in.label, "an als_model")
}

func (in *requestsInput) Connect(context.Context) error { return nil }

// ReadBatch waits for the next run where there is none.
func (in *requestsInput) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.run == nil || len(in.run.left) == 0 {
		if in.ends {
			return nil, nil, service.ErrEndOfInput
		}
		if err := in.schedule.wait(ctx); err != nil {
			return nil, nil, err
		}
		if err := in.begin(ctx); err != nil {
			return nil, nil, err
		}
		in.ends = in.schedule.once()
	}
	run := in.run
	ids := run.left[:min(in.batch, len(run.left))]
	run.left = run.left[len(ids):]
	messages := make(service.MessageBatch, len(ids))
	for k, id := range ids {
		messages[k] = service.NewMessage(in.request(run, id))
	}
	return messages, func(_ context.Context, err error) error {
		if err == nil && run.acked.Add(int64(len(ids))) == int64(run.total) {
			in.log.Infof("The lists of all %d %s are written, after %s", run.total, in.of, time.Since(run.began).Round(time.Millisecond))
		}
		return nil
	}, nil
}

// begin makes the next run, once there is a model and the ratings are known.
func (in *requestsInput) begin(ctx context.Context) error {
	live, err := in.live()
	if err != nil {
		return err
	}
	lineUp, err := live.Wait(ctx)
	if err != nil {
		return err
	}
	if learned, ok := in.mgr.GetGeneric(learnedKey{in.label}); ok {
		select {
		case <-learned.(chan struct{}):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	of := model.Recommender{Version: lineUp.Champion, Users: live.Users}
	ids := in.ids
	switch {
	case ids != nil:
	case in.of == ofUsers:
		ids = of.AllUsers()
	default:
		ids = of.AllMovies()
	}
	now := in.schedule.now()
	in.run = &requestsRun{
		prefix: fmt.Sprintf("all-%s-%s-%s-", in.of, lineUp.Champion.Name, now.UTC().Format("20060102")), left: ids, total: len(ids), began: now,
	}
	in.log.Infof("Asking for the lists of %d %s, by version %s", len(ids), in.of, lineUp.Champion.Name)
	return nil
}

func (in *requestsInput) request(run *requestsRun, id int64) []byte {
	kind, name := message.KindRecommend, "user_id"
	if in.of == ofMovies {
		kind, name = message.KindAudience, "movie_id"
	}
	text := message.AppendString(append(make([]byte, 0, 160), `{"request_id":`...), fmt.Sprintf("%s%d", run.prefix, id))
	return fmt.Appendf(text, `,"kind":%q,%q:%d,"n":%d}`, kind, name, id, in.n)
}

func (in *requestsInput) Close(context.Context) error { return nil }
