package als

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/experiment"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// What a message tells, as the metadata field als_compare says.
const (
	tellNothing    = "none"
	tellRolledBack = "rolled_back" // the announcement of the champion before as champion
	tellSettled    = "settled"     // the announcement that the champion before has no role any more
	tellFound      = "found"       // a comparison
)

// finding is what a comparison came to; it is told once.
type finding struct {
	champion, challenger, role string
	outcome                    string
}

type found struct {
	finding
	result experiment.Result
}

// Outcomes of findings beside experiment's.
const notBetter = "not better"

// judge says what a comparison has come to, "" if nothing yet.
func (c *comparer) judge(r experiment.Result) finding {
	f := finding{r.Champion, r.Challenger, r.Role, string(r.Settled)}
	if r.Role == registry.Previous && r.Settled != experiment.Better && r.Users >= c.config.MinUsers && r.High < c.margin {
		f.outcome = notBetter
	}
	if r.Role == registry.Previous && r.Settled == experiment.Worse {
		f.outcome = notBetter
	}
	return f
}

// tell turns the message into the oldest finding that was not told yet. While the
// registry is away it waits and tries again.
func (c *comparer) tell(ctx context.Context, follower *registry.Follower, msg *service.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.found) == 0 {
		return nil
	}
	next := c.found[0]
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(200*time.Millisecond),
		backoff.WithMaxInterval(10*time.Second), backoff.WithMaxElapsedTime(0))
	err := backoff.RetryNotify(func() error { return c.record(ctx, follower, next, msg) }, backoff.WithContext(policy, ctx),
		func(err error, wait time.Duration) {
			c.log.Warnf("Recording what a comparison found did not succeed, trying again in %s: %v", wait.Round(time.Millisecond), err)
		})
	if err == nil {
		c.found = c.found[1:]
	}
	return err
}

// record changes the role of the champion before, if that is to be done, and makes
// the message tell of it.
func (c *comparer) record(ctx context.Context, follower *registry.Follower, f found, msg *service.Message) error {
	if c.action != actionRollback || f.role != registry.Previous {
		c.log.Infof("%s", describe(f.result))
		msg.MetaSetMut("als_compare", tellFound)
		msg.MetaSetMut("role", f.role)
		return setJSON(msg, f.result)
	}
	log := c.registry
	if log == nil {
		log = follower.Registry
	}
	what := tellSettled
	if f.outcome == string(experiment.Better) {
		what = tellRolledBack
	}
	promotion, ok, err := log.Update(ctx, c.now(), func(next *registry.Promotion) (bool, error) {
		if next.Roles[registry.Champion] != f.champion || next.Roles[registry.Previous] != f.challenger {
			return false, nil // it is history
		}
		if what == tellRolledBack {
			next.RollBack(f.challenger)
		} else {
			next.Withdraw(registry.Previous)
		}
		next.Reason = describe(f.result)
		return true, nil
	})
	if err != nil {
		return err
	}
	if !ok {
		// Another process found it too, or this one did and ended before it could
		// be announced. To announce it twice does no harm.
		latest, _, err := log.Latest()
		if err != nil {
			return err
		}
		if !did(latest, what, f) {
			return nil
		}
		promotion = latest
	} else {
		c.log.Infof("Promotion %d: %s: %s", promotion.Sequence, promotion.Action, promotion.Reason)
	}
	announcement, err := log.Announcement(promotion)
	if err != nil {
		return err
	}
	msg.MetaSetMut("als_compare", what)
	msg.MetaSetMut("role", announcement.Role)
	return setJSON(msg, announcement)
}

// did reports whether a promotion is what a finding leads to.
func did(p registry.Promotion, what string, f found) bool {
	if what == tellRolledBack {
		return p.Action == registry.ActionRollback && p.Version == f.challenger && p.Previous == f.champion
	}
	return p.Action == registry.ActionWithdraw && p.Role == registry.Previous && p.Previous == f.challenger && p.Roles[registry.Champion] == f.champion
}

// describe says what a comparison found, with its figures.
func describe(r experiment.Result) string {
	how := "is better than"
	switch {
	case r.Settled == experiment.Worse:
		how = "is worse than"
	case r.Settled != experiment.Better:
		how = "is not better than"
	}
	return fmt.Sprintf("%s, version %s, %s the champion, version %s, on live ratings: its mean squared error is less by %.4f stars² (%.4f to %.4f), of %d users with %d ratings; e-value %.3g",
		r.Role, r.Challenger, how, r.Champion, r.Gain, r.Low, r.High, r.Users, r.Ratings, r.EValue)
}
