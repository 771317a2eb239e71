package als

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/catalog"
	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/tracing"
)

const (
	predictFieldLearn    = "learn"
	predictFieldCatalog  = "catalog"
	predictFieldEvaluate = "evaluate"
)

// replyBytes is the memory for a reply; most take less.
const replyBytes = 384

// shadowBytes is what a version in shadow adds to it.
const shadowBytes = 112

// maxFuture is how far the time of a rating may lie ahead of this machine's
// clock for it to be learned.
const maxFuture = 5 * time.Minute

func predictSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Turns requests into predicted ratings.").
		Description(`
A request names a user and a movie:

`+"```json"+`
{"request_id": "r1", "user_id": 514, "movie_id": 318}
`+"```"+`

and becomes the prediction, which names the one model version that made it:

`+"```json"+`
{"request_id": "r1", "user_id": 514, "movie_id": 318, "prediction": 4.31, "model_version": "20260102-150405-9f86d0", "requested_at": "…", "predicted_at": "…", "cold": []}
`+"```"+`

A user or movie that the model does not know is named in cold. Such a movie counts as average; such a user is folded in from the ratings that are remembered, as training would have found factors and bias, and counts as average without any. Without a request_id it is topic-partition-offset of the request, or a random one if it did not come from Kafka. Fields that are not known pass through.
A rating event is a request too: its value comes back as actual, with the absolute_error beside it, and once the prediction is made the rating makes the user's bias more current (learn). If the model was trained on ratings as new as this one, and the request is not younger than the model, late is true: the prediction says nothing about accuracy.

A user whom a challenger serves gets its prediction, and role says so. Where there is an actual rating, shadows holds what each other version of the line-up predicts for it, all before the rating is learned, so that whoever reads the predictions can compare versions:

`+"```json"+`
{"…": "…", "prediction": 4.31, "model_version": "20260102-150405-9f86d0", "actual": 4.5, "absolute_error": 0.19, "shadows": [{"model_version": "20260101-090000-1b4f0e", "role": "challenger:previous", "prediction": 4.02}]}
`+"```"+`

With evaluate, a prediction with an actual rating says what it has to beat, and how sure the version is: baseline is what biases alone predict, kept current rating by rating; stddev is the standard deviation of the rating, from versions of the algorithms als_vb and als_bayes.

Metrics: als_predict_cold counts predictions with an unknown user or movie, als_predict_rated those with an actual rating that is not late, and als_predict_squared_error adds up the squares of their errors in stars: the root of the quotient of their rates is the live RMSE. als_predict_rmse is that of about the last 1,000 of this process. als_predict_delay is the time from a request's record to its prediction, of all in small batches and of one in 64 in large ones.

Requests of the kinds recommend, similar, explain and audience are left as they are, with their kind as the metadata recsys_kind: als_recommend, als_similar, als_explain and als_audience answer them, there or in a pipeline of their own.

Requests wait while there is no model yet. A request that cannot be read is marked with an error, never dropped.`).
		Field(modelField()).
		Field(service.NewBoolField(predictFieldLearn).
			Description("Whether the ratings that come as requests keep the users' biases current.").
			Default(true).Advanced()).
		Field(service.NewStringField(predictFieldCatalog).
			Description("The label of a movie_catalog resource. Predictions then have title and genres at once, as the processor movie_enrich would add them, which costs less than a processor of its own.").
			Default("").Advanced()).
		Field(service.NewBoolField(predictFieldEvaluate).
			Description("Whether predictions with an actual rating get baseline and stddev, which the live page shows. Costs about 1 µs each at rank 15, 7 µs at rank 64.").
			Default(false).Advanced()).
		Example("Predict what rating events say", "", `
pipeline:
  processors:
    - als_predict:
        model: model

cache_resources:
  - label: model
    als_model:
      registry: file://./recsys-data/registry
`)
}

func init() {
	service.MustRegisterBatchProcessor("als_predict", predictSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchProcessor, error) {
			return newPredictor(conf, mgr)
		})
}

type predictor struct {
	label   string
	catalog string // label, or empty
	learn   bool
	mgr     *service.Resources
	cold    *service.MetricCounter
	errors  *predictErrors
	traced  bool // spans go somewhere
	now     func() time.Time

	evaluate bool
	baseline model.Baseline
}

func newPredictor(conf *service.ParsedConfig, mgr *service.Resources) (*predictor, error) {
	label, err := conf.FieldString(fieldModel)
	if err != nil {
		return nil, err
	}
	p := &predictor{label: label, mgr: mgr, cold: mgr.Metrics().NewCounter("als_predict_cold"), errors: newPredictErrors(mgr.Metrics()), now: time.Now}
	p.traced = tracing.On(mgr.OtelTracer())
	if p.learn, err = conf.FieldBool(predictFieldLearn); err != nil {
		return nil, err
	}
	if p.evaluate, err = conf.FieldBool(predictFieldEvaluate); err != nil {
		return nil, err
	}
	if err := build(mgr, label); err != nil {
		return nil, err
	}
	if p.catalog, err = conf.FieldString(predictFieldCatalog); err != nil {
		return nil, err
	}
	if p.catalog != "" {
		if err := build(mgr, p.catalog); err != nil {
			return nil, err
		}
		if _, err := p.movies(); err != nil {
			return nil, err
		}
	}
	_, err = p.live()
	return p, err
}

func (p *predictor) movies() (*catalog.Catalog, error) {
	return resource[*catalog.Catalog](p.mgr, catalog.Key{Label: p.catalog}, p.catalog, "a movie_catalog")
}

func (p *predictor) live() (*model.Live, error) {
	return resource[*model.Live](p.mgr, model.LiveKey{Label: p.label}, p.label, "an als_model")
}

// predicting is what the requests of one batch have in common.
type predicting struct {
	lineUp    *model.LineUp
	users     *model.Users
	movies    *catalog.Catalog   // nil without enrichment
	now       int64              // Unix milliseconds
	predicted []model.Prediction // by each version of a line-up of several; room, used again for each request
	shadows   []message.Shadow   // the same
	rated     int                // predictions with an actual rating that is not late
	squares   float64            // sum of the squares of their errors
	last      told               // of the prediction that was made last
	made      int                // predictions whose request has a time
	skip      int                // of their delays one in skip + 1 is told, a power of two
}

// ProcessBatch predicts a whole batch with one line-up.
func (p *predictor) ProcessBatch(ctx context.Context, batch service.MessageBatch) ([]service.MessageBatch, error) {
	live, err := p.live()
	if err != nil {
		return nil, err
	}
	b := predicting{users: live.Users, now: p.now().UnixMilli()}
	if b.lineUp, err = live.Wait(ctx); err != nil {
		return nil, err
	}
	if p.catalog != "" {
		if b.movies, err = p.movies(); err != nil {
			return nil, err
		}
		if err := b.movies.Wait(ctx); err != nil {
			return nil, err
		}
	}
	if len(batch) >= delaySample {
		b.skip = delaySample - 1
	}
	size := replyBytes
	if others := len(b.lineUp.Versions()) - 1; others > 0 {
		b.predicted = make([]model.Prediction, others+1)
		b.shadows = make([]message.Shadow, 0, others)
		size += others * shadowBytes
	}
	texts := make([]byte, 0, size*len(batch)) // of all replies, in one piece
	for _, msg := range batch {
		if msg.GetError() != nil {
			continue
		}
		begin := len(texts)
		if texts, err = p.predict(texts, &b, msg); err != nil {
			leaveOrReject(msg, err)
			continue
		}
		msg.SetBytes(texts[begin:len(texts):len(texts)])
		if p.traced {
			b.annotate(msg.Context(), len(batch))
		}
	}
	p.errors.count(b.rated, b.squares)
	return []service.MessageBatch{batch}, nil
}

// leaveOrReject leaves a request to those who answer its kind, or marks it with the
// error.
func leaveOrReject(msg *service.Message, err error) {
	var kind message.OtherKind
	if !errors.As(err, &kind) {
		msg.SetError(err)
		return
	}
	msg.MetaSetMut(metaKind, string(kind))
}

// predict appends the prediction of a request to dst.
func (p *predictor) predict(dst []byte, b *predicting, msg *service.Message) ([]byte, error) {
	data, err := msg.AsBytes()
	if err != nil {
		return dst, message.Rejectf("als_predict", "%v", err)
	}
	request, err := message.DecodeRequest("als_predict", message.MovieLensScale, data)
	if err != nil {
		return dst, err
	}
	requestedAt, asked := b.now, int64(0) // without a record it may have been asked long before
	origin := message.OriginFrom(msg.Context())
	if origin != nil {
		requestedAt = origin.Time.UnixMilli()
		asked = requestedAt
		if b.made++; b.made&b.skip == 0 {
			p.errors.took(b.now - requestedAt)
		}
	} else if request.ID == "" { // it did not come from Kafka: no place to name it by
		request.ID = rand.Text()
	}
	// A rating from the future would outlive every later one of its pair.
	learn := p.learn && request.HasActual && request.Time <= b.now+maxFuture.Milliseconds()
	r := ratings.Rating{User: request.User, Movie: request.Movie, Value: request.Actual, Time: request.Time}
	version, role := b.lineUp.Champion, ""
	var predicted model.Prediction
	var shadows []message.Shadow
	switch {
	case len(b.predicted) > 0:
		version, role, predicted, shadows = b.ask(r, asked, request.HasActual, learn)
	case learn:
		predicted = b.users.PredictAndLearn(version.Model, r)
	default:
		predicted = b.users.Predict(version.Model, r.User, r.Movie)
	}
	reply := message.Prediction{
		RequestID: request.ID, Origin: origin, User: request.User, Movie: request.Movie, Value: predicted.Value,
		ModelVersion: version.Name, Role: role, RequestedAt: requestedAt, PredictedAt: b.now,
		ColdUser: predicted.ColdUser, ColdMovie: predicted.ColdMovie,
		Actual: request.Actual, HasActual: request.HasActual, Late: version.MayKnow(request.Time, asked), Shadows: shadows, Extra: request.Extra,
	}
	if p.evaluate && reply.HasActual && !reply.Late {
		reply.Evaluation = p.evaluation(b.lineUp.Champion, version, r)
	}
	if predicted.ColdUser || predicted.ColdMovie {
		p.cold.Incr(1)
	}
	if reply.HasActual && !reply.Late {
		b.rated++
		b.squares += float64(reply.Value-reply.Actual) * float64(reply.Value-reply.Actual)
	}
	b.last = told{version: version.Name, role: role, coldUser: predicted.ColdUser, coldMovie: predicted.ColdMovie}
	dst = reply.AppendJSON(dst)
	if b.movies != nil {
		fields, _ := b.movies.JSON(request.Movie)
		dst[len(dst)-1] = ','
		dst = append(append(dst, fields...), '}')
	}
	return dst, nil
}

// evaluation is of a rating that the serving version predicted.
func (p *predictor) evaluation(champion, serving *model.Version, r ratings.Rating) *message.Evaluation {
	deviation, err := serving.Model.StdDev(r.User, r.Movie)
	if err != nil { // a version that does not know it
		deviation = math.NaN()
	}
	return &message.Evaluation{Baseline: p.baseline.Observe(champion.Model, r), StdDev: deviation}
}

// ask returns the version of a line-up of several that serves the user, in which
// role, and what it says; and, where there is an actual rating to compare with,
// what the others say. After that the rating is learned, if learn is true.
func (b *predicting) ask(r ratings.Rating, asked int64, hasActual, learn bool) (serving *model.Version, role string, predicted model.Prediction, shadows []message.Shadow) {
	versions := b.lineUp.Versions()
	at, role := b.lineUp.Serving(r.User)
	serving = versions[at]
	if !hasActual {
		return serving, role, b.users.Predict(serving.Model, r.User, r.Movie), nil
	}
	b.users.PredictEach(versions, r, learn, b.predicted)
	b.shadows = b.shadows[:0]
	for i, v := range versions {
		if i != at {
			b.shadows = append(b.shadows, message.Shadow{
				ModelVersion: v.Name, Role: b.lineUp.Role(i), Value: b.predicted[i].Value, Late: v.MayKnow(r.Time, asked),
			})
		}
	}
	return serving, role, b.predicted[at], b.shadows
}

func (p *predictor) Close(context.Context) error { return nil }
