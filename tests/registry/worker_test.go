// Package registry breaks registries: it kills who writes them at random moments,
// and has several processes race for them.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/als"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

// The test binary runs itself as the processes that it kills or lets race.
const (
	workerVariable = "RECSYS_REGISTRY_TEST_WORKER" // which of workers
	urlVariable    = "RECSYS_REGISTRY_TEST_URL"
	untilVariable  = "RECSYS_REGISTRY_TEST_UNTIL" // promotions in the log
)

// worker is what a process, or a goroutine, does with a registry of its own until the
// log has so many promotions or ctx ends. It tells each thing that it has done.
type worker func(ctx context.Context, r *registry.Registry, until int64, tell io.Writer) error

var workers = map[string]worker{"everything": everything, "trainer": trainer, "promoter": promoter}

func TestMain(m *testing.M) {
	name := os.Getenv(workerVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	until, err := strconv.ParseInt(os.Getenv(untilVariable), 10, 64)
	if err == nil {
		err = work(context.Background(), name, os.Getenv(urlVariable), until, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func work(ctx context.Context, name, url string, until int64, tell io.Writer) error {
	r, err := registry.Open(url)
	if err != nil {
		return err
	}
	return workers[name](ctx, r, until, tell)
}

// lease periods are short, so that the next need not wait long for one who died, and
// patience long enough for a busy machine.
var (
	quick   = registry.LeaseOptions{Beat: 5 * time.Millisecond, Patience: 30 * time.Millisecond}
	patient = registry.LeaseOptions{Beat: 10 * time.Millisecond, Patience: time.Minute}
)

var modelNumber atomic.Uint64

// publish publishes a model that no other process has, of some 100 KB, so that
// writing it takes a while.
func publish(ctx context.Context, r *registry.Registry, fence int64) (registry.Manifest, error) {
	f := &als.Factors{Rank: 16, Lambda: 1}
	random := rand.New(rand.NewPCG(uint64(os.Getpid()), modelNumber.Add(1)))
	for user := range int64(1500) {
		f.Users, f.UserBias, f.UserCounts = append(f.Users, user), append(f.UserBias, 0), append(f.UserCounts, 1)
		for range f.Rank {
			f.UserFactors = append(f.UserFactors, random.Float32())
		}
	}
	m, err := model.New(f, model.MovieLensScale)
	if err != nil {
		return registry.Manifest{}, err
	}
	return r.Publish(ctx, m, registry.Manifest{CreatedAt: time.Now(), Algorithm: "als", Fence: fence})
}

func always(string) (bool, string, error) { return true, "a test", nil }

// everything does all that changes a registry, in turn, under the lease.
func everything(ctx context.Context, r *registry.Registry, _ int64, tell io.Writer) error {
	fmt.Fprintln(tell, "ready")
	for k := 0; ; k++ {
		lease, err := r.AcquireLease(ctx, "train", strconv.Itoa(os.Getpid()), quick)
		if err != nil {
			return err
		}
		fmt.Fprintln(tell, "leased", lease.Number)
		m, err := publish(ctx, r, lease.Number)
		if err != nil {
			return err
		}
		fmt.Fprintln(tell, "published", m.Version)
		var p registry.Promotion
		if k%4 == 3 {
			p, err = r.Rollback(ctx, time.Now(), "a test", "")
		} else {
			p, _, _, err = r.Promote(ctx, m.Version, time.Now(), always)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(tell, "recorded", p.Sequence, p.Nonce, p.Previous)
		if err := lease.Release(ctx); err != nil {
			return err
		}
	}
}

// trainer publishes and promotes versions under the lease.
func trainer(ctx context.Context, r *registry.Registry, until int64, tell io.Writer) error {
	for {
		lease, err := r.AcquireLease(ctx, "train", strconv.Itoa(os.Getpid()), patient)
		if err != nil {
			return err
		}
		fmt.Fprintln(tell, "leased", lease.Number)
		m, err := publish(ctx, r, lease.Number)
		if err == nil {
			err = lease.Check(ctx)
		}
		var done bool
		if err == nil {
			done, err = promote(ctx, r, m.Version, until, tell)
		}
		if err := errors.Join(err, lease.Release(ctx)); err != nil || done {
			return err
		}
	}
}

// promoter promotes versions that are there.
func promoter(ctx context.Context, r *registry.Registry, until int64, tell io.Writer) error {
	for {
		all, err := r.List()
		if err != nil {
			return err
		}
		newest := all[max(0, len(all)-4):]
		for range 10 {
			done, err := promote(ctx, r, newest[rand.IntN(len(newest))].Version, until, tell)
			if err != nil || done {
				return err
			}
		}
	}
}

// promote promotes a version unless the log is long enough.
func promote(ctx context.Context, r *registry.Registry, version string, until int64, tell io.Writer) (done bool, err error) {
	asked := "nobody"
	p, ok, _, err := r.PromoteAs(ctx, version, time.Now(), func(next *registry.Promotion) (bool, error) {
		asked, done, next.Reason = next.Previous, next.Sequence > until, "a race"
		return !done, nil
	})
	if ok {
		fmt.Fprintf(tell, "recorded %d %s %q\n", p.Sequence, p.Nonce, asked)
	}
	return done, err
}
