package als

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/internal/training"
)

type trainer struct {
	store     string
	registry  *registry.Registry
	job       training.Job
	threshold int64
	patience  time.Duration
	warm      bool // start from the champion
	keep      int  // versions, 0 for all
	sample    int  // ratings that the gate judges an engine's versions by, 0 for all
	holder    string
	mgr       *service.Resources
	log       *service.Logger
	progress  *trainProgress

	recalled   bool                 // what the registry holds was looked at
	owed       []registry.Promotion // to be announced
	trained    int64                // the store's revision at the last training
	previous   int64                // the store's revision at the last trigger
	saidTooFew bool
	due        time.Time // since when a training is due, zero if it is not
}

func newTrainer(conf *service.ParsedConfig, mgr *service.Resources) (*trainer, error) {
	t := &trainer{mgr: mgr, log: mgr.Logger(), progress: newTrainProgress(mgr), holder: holder()}
	if err := t.parse(conf); err != nil {
		return nil, err
	}
	if err := build(mgr, t.store); err != nil {
		return nil, err
	}
	_, err := t.ratingStore()
	return t, err
}

func (t *trainer) ratingStore() (ratings.Store, error) {
	return resource[ratings.Store](t.mgr, ratings.StoreKey{Label: t.store}, t.store, "a rating store")
}

// Outcomes, as the metadata field als_train tells them.
const (
	outcomeIdle     = "idle"     // not enough new ratings: the trigger as it came
	outcomePromoted = "promoted" // the announcement of the champion
	outcomeShadow   = "shadow"   // the announcement of a challenger in shadow, about which the gate could not decide
	outcomeKept     = "kept"     // the manifest of a version that got no role
)

// Process trains if it is time to. While the store or the registry is away it
// waits and tries again.
func (t *trainer) Process(ctx context.Context, msg *service.Message) (service.MessageBatch, error) {
	if msg.GetError() != nil {
		return service.MessageBatch{msg}, nil
	}
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(200*time.Millisecond),
		backoff.WithMaxInterval(t.longestWait()), backoff.WithMaxElapsedTime(0))
	err := backoff.RetryNotify(func() error { return t.trigger(ctx, msg) }, backoff.WithContext(policy, ctx),
		func(err error, wait time.Duration) {
			t.log.Warnf("Training did not succeed, trying again in %s: %v", wait.Round(time.Millisecond), err)
		})
	if err != nil {
		return nil, err
	}
	return service.MessageBatch{msg}, nil
}

func (t *trainer) trigger(ctx context.Context, msg *service.Message) error {
	store, err := t.ratingStore()
	if err != nil {
		return backoff.Permanent(err)
	}
	msg.MetaSetMut("als_train", outcomeIdle)
	order, err := readOrder(msg)
	if err != nil {
		msg.SetError(message.Rejectf("als_train", "%v", err))
		return nil
	}
	revision, err := store.Revision(ctx)
	if err != nil {
		return err
	}
	if err := t.recall(revision); err != nil {
		return err
	}
	if len(t.owed) > 0 && order.isLook() {
		return t.announce(msg)
	}
	if !t.wants(order, revision) {
		return nil
	}
	return t.lead(ctx, func(ctx context.Context, fence int64) error {
		if t.done(order, revision) {
			return nil
		}
		outcome, err := t.train(ctx, store, revision, order, fence)
		if errors.Is(err, training.ErrTooFewRatings) {
			if !t.saidTooFew {
				t.log.Warnf("Not training yet: %v", err)
			}
			t.saidTooFew = true
			return nil
		}
		if err != nil {
			return err
		}
		return t.report(ctx, outcome, msg)
	})
}

// recall finds out, once, at which revision the newest version was trained, and
// which promotions gave the roles of now. These are announced again: the process
// that made one may have ended before its announcement was written.
func (t *trainer) recall(revision int64) error {
	if t.recalled {
		return nil
	}
	if err := t.recallTrained(revision); err != nil {
		return err
	}
	roles, err := t.registry.Roles()
	if err != nil {
		return err
	}
	t.owed, t.recalled = roles, true
	return nil
}

// recallTrained finds out at which revision the newest version was trained.
func (t *trainer) recallTrained(revision int64) error {
	versions, err := t.registry.List()
	if len(versions) == 0 && err != nil {
		return err
	}
	if len(versions) > 0 {
		t.trained = versions[len(versions)-1].Data.Revision
	}
	if t.trained > revision {
		t.trained = 0 // another store: its ratings are all new
	}
	return nil
}

// isDue reports whether enough ratings are new and the store has come to rest.
// While ratings pour in faster than a training's worth between two triggers, as
// they do when a history is loaded, it waits, but not longer than patience.
func (t *trainer) isDue(revision int64, now time.Time) bool {
	poured := revision - t.previous
	t.previous = revision
	if revision-t.trained < t.threshold {
		t.due = time.Time{}
		return false
	}
	if t.due.IsZero() {
		t.due = now
	}
	return poured < t.threshold || now.Sub(t.due) >= t.patience
}

// wants reports whether a trigger leads to a training.
func (t *trainer) wants(o order, revision int64) bool {
	switch {
	case o.isLook():
		if !t.isDue(revision, time.Now()) {
			return false
		}
	case revision == t.trained && !o.Force:
		t.log.Infof("Not training on the trigger %q: nothing is new since the last training", o.Trigger)
		return false
	}
	t.log.Infof("Training on the trigger %q", o.name())
	return true
}

func (t *trainer) train(ctx context.Context, store ratings.Store, revision int64, o order, fence int64) (training.Outcome, error) {
	offsets, err := store.Offsets(ctx) // before the ratings: these have all of the events before
	if err != nil {
		return training.Outcome{}, err
	}
	log, err := t.read(ctx, store)
	if err != nil {
		return training.Outcome{}, err
	}
	job := t.job
	job.Revision, job.Progress = revision, t.progress.report
	if t.warm {
		var why string
		if job, why, err = job.WarmStart(t.registry); err != nil {
			return training.Outcome{}, err
		}
		if why != "" {
			t.log.Debugf("Training from scratch: %s", why)
		}
	}
	t.progress.begin()
	defer t.progress.end()
	candidate, err := job.Train(ctx, log)
	if err != nil {
		return training.Outcome{}, err
	}
	candidate.Manifest.Data.EventsOffsets, candidate.Manifest.Trigger, candidate.Manifest.Fence = offsets, o.name(), fence
	outcome, err := job.Publish(ctx, t.registry, candidate)
	if err != nil {
		return outcome, err
	}
	t.trained, t.due = revision, time.Time{}
	t.progress.count(outcome)
	return outcome, nil
}

// read reads all that users did.
func (t *trainer) read(ctx context.Context, store ratings.Store) (log ratings.Log, err error) {
	sample := training.Sample{Limit: t.sample}
	if err := store.Scan(ctx, func(batch []ratings.Rating) error {
		sample.Add(batch)
		return nil
	}); err != nil {
		return log, fmt.Errorf("reading the ratings: %w", err)
	}
	if log.Ratings = sample.Ratings; sample.Share() < 1 {
		t.log.Infof("The gate judges by %d ratings, those of a share %g of the users", len(log.Ratings), sample.Share())
	}
	if t.job.Parameters.Preference == nil {
		return log, nil
	}
	if err := store.ScanChoices(ctx, func(batch []ratings.Choice) error {
		log.Choices = append(log.Choices, batch...)
		return nil
	}); err != nil {
		return log, fmt.Errorf("reading tags and views: %w", err)
	}
	return log, nil
}

// report turns the message into the announcement of a new champion, or into the
// manifest of a version that is none.
func (t *trainer) report(ctx context.Context, outcome training.Outcome, msg *service.Message) error {
	m := outcome.Manifest
	t.prune(ctx)
	t.log.Infof("Version %s, trained on %d ratings in %.2f s: holdout RMSE %.4f (biases alone %.4f); %s",
		m.Version, m.Metrics.Ratings, m.Seconds, m.Metrics.RMSE, m.Metrics.BiasRMSE, m.Verdict)
	if m.Gate != nil {
		for _, warning := range m.Gate.Warnings {
			t.log.Debugf("Version %s: %s", m.Version, warning)
		}
	}
	if !outcome.Promoted && !outcome.Shadowed {
		msg.MetaSetMut("als_train", outcomeKept)
		return setJSON(msg, m)
	}
	t.owed = slices.Insert(t.owed, 0, outcome.Promotion)
	return t.announce(msg)
}

// announce turns the message into the first announcement that is owed. It is owed
// until that succeeds, or never can.
func (t *trainer) announce(msg *service.Message) error {
	announcement, err := t.registry.Announcement(t.owed[0])
	if errors.Is(err, registry.ErrDamaged) || errors.Is(err, registry.ErrNotFound) {
		t.log.Errorf("Not announcing promotion %d: %v", t.owed[0].Sequence, err)
		t.owed = t.owed[1:]
		return nil
	}
	if err != nil {
		return err
	}
	t.owed = t.owed[1:]
	told := outcomePromoted
	if announcement.Role != registry.Champion {
		told = outcomeShadow
	}
	msg.MetaSetMut("als_train", told)
	msg.MetaSetMut("role", announcement.Role)
	return setJSON(msg, announcement)
}

func setJSON(msg *service.Message, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return backoff.Permanent(err)
	}
	msg.SetBytes(data)
	return nil
}

func (t *trainer) Close(context.Context) error { return nil }
