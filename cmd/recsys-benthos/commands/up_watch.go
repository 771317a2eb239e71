package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/tidwall/gjson"
)

// summary is the line that up ends with.
type summary struct {
	Events       int64   `json:"events"`
	Requests     int64   `json:"requests"`
	Predictions  int64   `json:"predictions"`
	DeadLetters  int64   `json:"dead_letters"`
	Cold         int64   `json:"cold"`
	ModelVersion string  `json:"model_version"`
	RMSEHoldout  float64 `json:"rmse_holdout"`
	RMSELive     float64 `json:"rmse_live"`
	Seconds      float64 `json:"seconds"`
	Simulated    bool    `json:"simulated,omitempty"`
}

func (u *up) summary(m *monitor) summary {
	s := m.status()
	return summary{
		Events: s.events, Requests: s.requests, Predictions: s.predictions, DeadLetters: s.deadLetters, Cold: s.cold,
		ModelVersion: s.model.Version, RMSEHoldout: round4(s.model.Metrics.RMSE), RMSELive: round4(s.rmseLive),
		Seconds: math.Round(time.Since(u.started).Seconds()*10) / 10, Simulated: u.simulated,
	}
}

func round4(x float64) float64 { return math.Round(x*1e4) / 1e4 }

// watchEvery is how often counts are looked at.
const watchEvery = 200 * time.Millisecond

// drainTimeout is how long what is under way may take at the end.
const drainTimeout = 60 * time.Second

// watch reports progress until ctx ends or the run is over: enough predictions,
// or enough time. It then stops the simulation, waits until every request has
// its reply, and says whether the accounts close. Interrupted ends it early.
func (u *up) watch(ctx, interrupted context.Context, data dataSource, m *monitor) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-interrupted.Done():
			u.report.sayOnce("stopping")
			return u.askToStop(ctx)
		case <-ticker.C:
		}
		if err := m.refresh(ctx); err != nil && ctx.Err() == nil {
			u.report.warn(err)
			continue
		}
		s := m.status()
		u.report.progress(s, int64(u.history*float64(data.events)), u.started)
		enough := u.untilPredictions > 0 && s.predictions >= u.untilPredictions
		late := u.duration > 0 && time.Since(u.started) >= u.duration
		if !enough && u.untilPredictions > 0 && m.answered() && u.streamEnded(ctx, "simulate") {
			u.report.warn(fmt.Errorf("the data is played to its end: %d predictions, not %d", s.predictions, u.untilPredictions))
			enough = true
		}
		if late && s.model.Version == "" {
			return errors.New("there is no model yet: the requests wait for the next run (give --for more time)")
		}
		if enough || late {
			return u.drain(ctx, m)
		}
	}
}

// askToStop tells Benthos to drain and stop, for which it wants a signal, until
// ctx ends. It hears signals only once its pipelines are built, so an earlier
// one is repeated; later ones do nothing.
func (u *up) askToStop(ctx context.Context) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// drain stops the simulation and waits until what was requested is answered,
// stored and indexed.
func (u *up) drain(ctx context.Context, m *monitor) error {
	if err := u.stopStream(ctx, "simulate"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	ticker := time.NewTicker(watchEvery / 4)
	defer ticker.Stop()
	for {
		err := m.refresh(ctx)
		if err == nil && m.drained() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the accounts do not close: %s", m.imbalance())
		case <-ticker.C:
		}
	}
}

// stopStream stops one pipeline by the streams API.
func (u *up) stopStream(ctx context.Context, name string) error {
	_, err := u.streamsAPI(ctx, http.MethodDelete, name)
	if err != nil {
		return fmt.Errorf("stopping the pipeline %s: %w", name, err)
	}
	return nil
}

// streamEnded reports whether a pipeline has come to the end of its input.
func (u *up) streamEnded(ctx context.Context, name string) bool {
	body, err := u.streamsAPI(ctx, http.MethodGet, name)
	active := gjson.GetBytes(body, "active")
	return err == nil && active.Exists() && !active.Bool()
}

// streamsAPI asks Benthos's admin server about one pipeline, or stops it.
func (u *up) streamsAPI(ctx context.Context, method, name string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+u.admin+"/streams/"+name, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNotFound {
		err = fmt.Errorf("the admin server says %s", response.Status)
	}
	return body, err
}
