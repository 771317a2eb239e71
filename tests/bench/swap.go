package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/tidwall/gjson"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/internal/model"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
)

const (
	swaps       = 20
	swapSeconds = 60
	swapRate    = 5000 // requests a second
)

// swapTable promotes versions in turns under steady traffic. Every request
// must have a reply, and every reply the prediction of the one version it names.
func swapTable(ctx context.Context, b *bench) (table, error) {
	s, err := b.openStage(ctx)
	if err != nil {
		return table{}, err
	}
	c, err := b.newChanging(ctx)
	if err != nil {
		return table{}, err
	}
	run := func(l load) (p50, p99 float64, err error) {
		p, err := b.startPredicting(ctx, s, "RECSYS_REGISTRY="+c.registry.URL())
		if err != nil {
			return 0, 0, err
		}
		return b.latency(ctx, s, p, l)
	}
	steady := load{topic: "predictions", perSecond: swapRate, duration: swapSeconds * time.Second, reply: c.check}
	changing := steady
	changing.during = func(ctx context.Context) error { return c.promoteInTurns(ctx, s) }
	if _, _, err := run(load{topic: "predictions", perSecond: swapRate, duration: b.duration}); err != nil {
		return table{}, err
	}
	var with50, with99, without50, without99 []float64
	for round := range b.rounds {
		turns := []func() error{func() error {
			p50, p99, err := run(changing)
			with50, with99 = append(with50, p50), append(with99, p99)
			return err
		}, func() error {
			p50, p99, err := run(steady)
			without50, without99 = append(without50, p50), append(without99, p99)
			return err
		}}
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		if err := errors.Join(turns[0](), turns[1]()); err != nil {
			return table{}, err
		}
		progressf("round %d: p99 %.2f ms with %d swaps, %.2f without; %d replies, %d of no one version", round+1, with99[round], swaps, without99[round], c.replies, c.wrong)
	}
	if c.wrong > 0 {
		return table{}, fmt.Errorf("%d of %d replies are not the prediction of the version they name, such as %s", c.wrong, c.replies, c.example)
	}
	for _, v := range c.versions {
		if v.replies == 0 {
			return table{}, fmt.Errorf("version %s was promoted and never replied", v.name)
		}
	}
	note := fmt.Sprintf("with %d swaps in %d s at %s requests/s in each round; of %d replies none was lost, and each was the prediction of the version it names",
		swaps, swapSeconds, digits(swapRate), c.replies)
	return table{note: note, rows: []row{
		{what: "p99 with swaps against without", unit: "ms", ours: with99, yardstick: without99, floor: 2, less: true},
		{what: "p50 with swaps against without", unit: "ms", ours: with50, yardstick: without50, less: true},
	}}, nil
}

// changing is a registry whose champion changes.
type changing struct {
	registry *registry.Registry
	versions []*changingVersion

	replies, wrong int
	example        []byte
}

type changingVersion struct {
	name    string
	model   *model.Model
	replies int
}

// newChanging trains three versions that predict differently: of two each would
// stay in memory as the one before.
func (b *bench) newChanging(ctx context.Context) (*changing, error) {
	versions, err := registry.Open("file://" + filepath.Join(b.dir, "changing"))
	if err != nil {
		return nil, err
	}
	c := &changing{registry: versions}
	for _, how := range [][]string{{"--algorithm", "als"}, {"--algorithm", "als_vb"}, {"--algorithm", "als", "--rank", "32"}} {
		if err := b.run(ctx, b.binary, append([]string{"train", "--ratings", b.data, "--registry", versions.URL()}, how...)...); err != nil {
			return nil, err
		}
	}
	manifests, err := versions.List()
	if err != nil {
		return nil, err
	}
	for _, manifest := range manifests {
		m, _, err := versions.Model(manifest.Version)
		if err != nil {
			return nil, err
		}
		c.versions = append(c.versions, &changingVersion{name: manifest.Version, model: m})
	}
	if len(c.versions) != 3 {
		return nil, fmt.Errorf("%d versions were trained, want 3", len(c.versions))
	}
	return c, nil
}

// promoteInTurns promotes and announces as the pipeline train does.
func (c *changing) promoteInTurns(ctx context.Context, s *stage) error {
	for k := range swaps {
		version := c.versions[(k+1)%3].name
		promotion, _, _, err := c.registry.Promote(ctx, version, time.Now(), func(string) (bool, string, error) { return true, "bench", nil })
		if err != nil {
			return err
		}
		announcement, err := c.registry.Announcement(promotion)
		if err != nil {
			return err
		}
		text, err := json.Marshal(announcement)
		if err != nil {
			return err
		}
		if err := s.client.ProduceSync(ctx, &kgo.Record{Topic: "models", Key: []byte(announcement.Role), Value: text}).FirstErr(); err != nil {
			return err
		}
		if err := pause(ctx, swapSeconds*time.Second/swaps); err != nil {
			return err
		}
	}
	return nil
}

// check compares a reply with what the version that it names predicts.
func (c *changing) check(value []byte) {
	fields := gjson.GetManyBytes(value, "model_version", "user_id", "movie_id", "prediction")
	c.replies++
	for _, v := range c.versions {
		if v.name != fields[0].Str {
			continue
		}
		v.replies++
		want := v.model.Predict(fields[1].Int(), fields[2].Int()).Value
		if math.Abs(float64(want)-fields[3].Num) < 1e-5 {
			return
		}
	}
	c.wrong++
	c.example = append(c.example[:0], value...)
}
