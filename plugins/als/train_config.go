package als

import (
	"fmt"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

const (
	trainFieldStore      = "store"
	trainFieldRegistry   = "registry"
	trainFieldAlgorithm  = "algorithm"
	trainFieldParameters = "parameters"
	trainFieldRank       = "rank"
	trainFieldLambda     = "lambda"
	trainFieldNu         = "nu"
	trainFieldIterations = "iterations"
	trainFieldBurnIn     = "burn_in"
	trainFieldSeed       = "seed"
	trainFieldPreference = "preference"
	trainFieldAlpha      = "alpha"
	trainFieldBeta       = "beta"
	trainFieldTagWeight  = "tag_weight"
	trainFieldViewWeight = "view_weight"
	trainFieldHalfLife   = "half_life_days"
	trainFieldEarlyStop  = "early_stop"
	trainFieldShare      = "share"
	trainFieldWarmStart  = "warm_start"
	trainFieldThreads    = "threads"
	trainFieldHoldout    = "holdout"
	trainFieldMinNew     = "min_new_ratings"
	trainFieldPatience   = "patience"
	trainFieldGate       = "gate"
	trainFieldTolerance  = "tolerance"
	trainFieldSource     = "source"
	trainFieldSimulated  = "simulated"
	trainFieldKeep       = "keep"
	trainFieldEngine     = "engine"
)

func trainSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommending").
		Summary("Trains a model version when it is asked to or there are enough new ratings, and promotes it if the gate lets it pass.").
		Description(`
Every message is a trigger. `+"`{\"trigger\": \"interval\"}`"+`, and what is no JSON object, asks to look whether the rating store has at least min_new_ratings more than at the last training. Any other name, such as schedule, http, kafka or skill, asks for a training at once if anything is new, and `+"`\"force\": true`"+` also if nothing is; the manifest keeps the name. Then all ratings are read. The version is trained on all of them; what is measured is a twin, made in the same way without a part of the pairs, which a hash of user and movie chooses. The gate compares with the champion, and the version is published in the registry with the verdict in its manifest, and promoted if it passes.

The metadata field als_train says what happened: idle (the message is the trigger as it came), promoted or shadow (the message is the announcement of the new champion, or of a challenger in shadow about which the gate could not decide; the metadata field role is its key for the topic models) or kept (the message is the manifest of a version that got no role).
The first triggers after a start announce who has each role, since the announcement may have been lost when the process ended.
While the store or the registry is away it waits and tries again.

Of all processes with the same registry one trains at a time, under a lease in the registry. Another waits for it, takes over when the holder has given no sign of life for 15 s, and trains only if there is still something new.

Tags and views in the store count for the head that ranks.

Metrics: als_train_running is 1 while a model is trained; als_train_iteration of als_train_iterations, als_train_rmse (stars, over the training ratings, of the head that rates) and als_train_eta_seconds (of the head at work) tell how far it is; als_train_seconds is how long the last training took; als_train_versions counts versions by outcome: promoted, shadow or kept. The log tells of the same every ten seconds, and of each iteration at level DEBUG.`).
		Fields(
			service.NewStringField(trainFieldStore).Description("The label of the rating store resource.").Default("rating_store"),
			service.NewURLField(trainFieldRegistry).Description("The registry of versions: file:///path, file://relative/path, or s3://bucket/folder?region=REGION with credentials as AWS's tools take them."),
			service.NewStringEnumField(trainFieldAlgorithm, als.Algorithms()...).Description("als_vb: explicit ratings with biases, by variational Bayes. als_bayes: the same by Gibbs sampling. als: the same by alternating least squares, without a measure of how sure it is. als_implicit: what users choose. als_spark: what Spark's ALS computes.").Default(als.Default),
			parametersField(),
			service.NewObjectField(trainFieldEarlyStop,
				service.NewFloatField(trainFieldShare).Description("Share of the training ratings to measure on, 0 to take all iterations.").Default(0.0).
					LintRule(`root = if this < 0 || this >= 1 { ["field share must lie between 0 and 1, 1 excluded"] }`),
				service.NewIntField(trainFieldPatience).Description("Iterations without a gain of 0.0001 stars after which training stops.").Default(2),
			).Description("Find out first, on a part of the training ratings, after how many iterations predictions are best, and then train on all for so many. Not for als_bayes and als_implicit.").Advanced(),
			service.NewBoolField(trainFieldWarmStart).Description("Start from the champion's factors, where algorithm and rank are the same, and take half the iterations. The manifest says which version that was. Of als_vb and als_bayes only the head that ranks does.").Default(true).Advanced(),
			service.NewFloatField(trainFieldHoldout).Description("Share of the ratings that a twin of the version is not trained on, to measure it by. The version itself is trained on all.").Default(0.1).
				LintRule(`root = if this < 0 || this >= 1 { ["field holdout must lie between 0 and 1, 1 excluded"] }`),
			service.NewIntField(trainFieldMinNew).Description("New ratings that make a training due.").Default(2000).
				LintRule(`root = if this < 1 { ["field min_new_ratings must be at least 1"] }`),
			service.NewDurationField(trainFieldPatience).Description("How long a training that is due may be put off while more than min_new_ratings arrive between two triggers, as when a history is being loaded.").Default("30s").Advanced(),
			service.NewObjectField(trainFieldGate,
				service.NewFloatField(trainFieldTolerance).Description("RMSE in stars by which a new champion may be worse than the present one, if it was made by the same recipe of newer data: the lower end of the 90 % interval of its gain must be above that. One of another recipe must be better.").Default(0.005),
			).Description("What a version must pass to become champion.").Advanced(),
			service.NewStringField(trainFieldSource).Description("Where the ratings come from, for the manifest.").Default(""),
			service.NewBoolField(trainFieldSimulated).Description("Whether the ratings are generated, for the manifest.").Default(false),
			service.NewIntField(trainFieldKeep).Description("Versions to keep in the registry: after a training older ones are removed, but for those that a role in so many of the last promotions names. 0 keeps all.").Default(0).
				LintRule(`root = if this < 0 { ["field keep must be at least 0"] }`),
			engineField(),
		).
		Example("Look every second whether to train", "", `
input:
  generate:
    interval: 1s
    mapping: root = {}
pipeline:
  processors:
    - als_train:
        store: rating_store
        registry: file://./recsys-data/registry
        min_new_ratings: 2000
output:
  switch:
    cases:
      - check: '@als_train == "promoted" || @als_train == "shadow"'
        output:
          kafka_franz:
            seed_brokers: [127.0.0.1:9092]
            topic: models
            key: '${! @role }'
      - output:
          drop: {}

cache_resources:
  - label: rating_store
    sqlite_ratings:
      path: ./recsys-data/ratings.db
`)
}

func parametersField() *service.ConfigField {
	return service.NewObjectField(trainFieldParameters,
		service.NewIntField(trainFieldRank).Description("Number of factors. Default: the algorithm's own.").Optional(),
		service.NewFloatField(trainFieldLambda).Description("Regularization λ of λ·n^ν. Default: the algorithm's own.").Optional(),
		service.NewFloatField(trainFieldNu).Description("Regularization ν of λ·n^ν, n being the row's number of ratings. Default: the algorithm's own.").Optional(),
		service.NewIntField(trainFieldIterations).Description("Sweeps over both sides. Default: the algorithm's own.").Optional(),
		service.NewIntField(trainFieldBurnIn).Description("Of the iterations of als_bayes, the first that are forgotten. Default: the algorithm's own.").Optional(),
		service.NewIntField(trainFieldSeed).Description("Of the starting factors.").Default(int(als.DefaultParameters(als.Default).Seed)),
		service.NewIntField(trainFieldThreads).Description("Threads; 0 is one for each CPU. The result does not depend on it.").Default(0),
		service.NewObjectField(trainFieldPreference,
			service.NewIntField(trainFieldRank).Description("Number of factors, 0 to train no such head.").Default(als.DefaultPreference().Rank),
			service.NewFloatField(trainFieldAlpha).Description("What speaks for a choice with r stars gives it the confidence 1 + α·r.").Default(als.DefaultPreference().Alpha),
			service.NewFloatField(trainFieldLambda).Description("Regularization, the same for every row.").Default(als.DefaultPreference().Lambda),
			service.NewIntField(trainFieldIterations).Description("Sweeps over both sides.").Default(als.DefaultPreference().Iterations),
			service.NewFloatField(trainFieldBeta).Description("Share of the predicted rating in the ranking score. Default: chosen at each training, on a part of the training ratings.").Optional(),
			service.NewFloatField(trainFieldTagWeight).Description("How much a movie's being tagged by a user speaks for it, in stars; a rating counts as its stars.").Default(als.DefaultPreference().TagWeight),
			service.NewFloatField(trainFieldViewWeight).Description("How much each view speaks for a movie, in stars.").Default(als.DefaultPreference().ViewWeight),
			service.NewFloatField(trainFieldHalfLife).Description("Days after which an event counts half, against the newest event; 0 for never.").Default(als.DefaultPreference().HalfLife),
		).Description("Of the head that ranks, implicit ALS (Hu, Koren & Volinsky 2008).").Advanced(),
	).Description("Of the algorithm.").Advanced()
}

func init() {
	service.MustRegisterProcessor("als_train", trainSpec(),
		func(conf *service.ParsedConfig, mgr *service.Resources) (service.Processor, error) {
			return newTrainer(conf, mgr)
		})
}

// parse reads the configuration into t.
func (t *trainer) parse(conf *service.ParsedConfig) (err error) {
	if t.store, err = conf.FieldString(trainFieldStore); err != nil {
		return err
	}
	url, err := conf.FieldString(trainFieldRegistry)
	if err != nil {
		return err
	}
	if t.registry, err = registry.Open(url); err != nil {
		return err
	}
	minNew, err := conf.FieldInt(trainFieldMinNew)
	if err != nil {
		return err
	}
	if minNew < 1 {
		return fmt.Errorf("field %s: %d is less than 1", trainFieldMinNew, minNew)
	}
	t.threshold = int64(minNew)
	if t.patience, err = conf.FieldDuration(trainFieldPatience); err != nil {
		return err
	}
	if t.keep, err = conf.FieldInt(trainFieldKeep); err != nil {
		return err
	}
	if t.keep < 0 {
		return fmt.Errorf("field %s: %d is less than 0", trainFieldKeep, t.keep)
	}
	return t.parseJob(conf)
}

func (t *trainer) parseJob(conf *service.ParsedConfig) (err error) {
	job := &t.job
	job.Tool = "recsys-benthos " + t.mgr.EngineVersion()
	algorithm, err := conf.FieldString(trainFieldAlgorithm)
	if err != nil {
		return err
	}
	if job.Parameters, err = parseParameters(algorithm, conf.Namespace(trainFieldParameters)); err != nil {
		return err
	}
	if job.Holdout, err = conf.FieldFloat(trainFieldHoldout); err != nil {
		return err
	}
	if job.Holdout < 0 || job.Holdout >= 1 {
		return fmt.Errorf("field %s: %v does not lie between 0 and 1", trainFieldHoldout, job.Holdout)
	}
	if job.EarlyStop.Share, err = conf.FieldFloat(trainFieldEarlyStop, trainFieldShare); err != nil {
		return err
	}
	if job.EarlyStop.Patience, err = conf.FieldInt(trainFieldEarlyStop, trainFieldPatience); err != nil {
		return err
	}
	if err := job.EarlyStop.Validate(algorithm); err != nil {
		return fmt.Errorf("field %s: %w", trainFieldEarlyStop, err)
	}
	if t.warm, err = conf.FieldBool(trainFieldWarmStart); err != nil {
		return err
	}
	if job.Tolerance, err = conf.FieldFloat(trainFieldGate, trainFieldTolerance); err != nil {
		return err
	}
	if job.Source, err = conf.FieldString(trainFieldSource); err != nil {
		return err
	}
	if job.Simulated, err = conf.FieldBool(trainFieldSimulated); err != nil {
		return err
	}
	return t.parseEngine(conf)
}

func parseParameters(algorithm string, conf *service.ParsedConfig) (p als.Parameters, err error) {
	p = als.DefaultParameters(algorithm)
	for name, to := range map[string]*int{trainFieldRank: &p.Rank, trainFieldIterations: &p.Iterations, trainFieldBurnIn: &p.BurnIn} {
		if !conf.Contains(name) {
			continue
		}
		if *to, err = conf.FieldInt(name); err != nil {
			return p, err
		}
	}
	for name, to := range map[string]*float64{trainFieldLambda: &p.Lambda, trainFieldNu: &p.Nu} {
		if !conf.Contains(name) {
			continue
		}
		if *to, err = conf.FieldFloat(name); err != nil {
			return p, err
		}
	}
	seed, err := conf.FieldInt(trainFieldSeed)
	if err != nil {
		return p, err
	}
	p.Seed = uint64(seed)
	if p.Threads, err = conf.FieldInt(trainFieldThreads); err != nil {
		return p, err
	}
	if p.Preference, err = parsePreference(conf.Namespace(trainFieldPreference)); err != nil {
		return p, err
	}
	if err := p.Validate(); err != nil {
		return p, fmt.Errorf("field %s: %w", trainFieldParameters, err)
	}
	return p, nil
}

// parsePreference returns nil where no head that ranks is wanted.
func parsePreference(conf *service.ParsedConfig) (*als.PreferenceParameters, error) {
	p := als.DefaultPreference()
	var err error
	for name, to := range map[string]*int{trainFieldRank: &p.Rank, trainFieldIterations: &p.Iterations} {
		if *to, err = conf.FieldInt(name); err != nil {
			return nil, err
		}
	}
	p.ChooseBeta = !conf.Contains(trainFieldBeta)
	if !p.ChooseBeta {
		if p.Beta, err = conf.FieldFloat(trainFieldBeta); err != nil {
			return nil, err
		}
	}
	for name, to := range map[string]*float64{
		trainFieldAlpha: &p.Alpha, trainFieldLambda: &p.Lambda,
		trainFieldTagWeight: &p.TagWeight, trainFieldViewWeight: &p.ViewWeight, trainFieldHalfLife: &p.HalfLife,
	} {
		if *to, err = conf.FieldFloat(name); err != nil {
			return nil, err
		}
	}
	if p.Rank == 0 {
		return nil, nil
	}
	return &p, nil
}
