package als

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// schedule tells when runs begin. It belongs to one goroutine.
type schedule struct {
	interval time.Duration // from start to start
	cron     cron.Schedule // nil for intervals
	last     time.Time     // when the last run was due
	now      func() time.Time
}

// parseSchedule reads a duration or a cron expression, in UTC unless it says
// otherwise, as the input generate does. Empty text is one run.
func parseSchedule(text string) (*schedule, error) {
	s := &schedule{now: time.Now}
	if text == "" {
		return s, nil
	}
	var err error
	if s.interval, err = time.ParseDuration(text); err == nil {
		if s.interval <= 0 {
			return nil, fmt.Errorf("%s is not a positive duration", text)
		}
		return s, nil
	}
	expression := text
	if !strings.HasPrefix(text, "TZ=") {
		expression = "TZ=UTC " + text
	}
	parser := cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	if s.cron, err = parser.Parse(expression); err != nil {
		return nil, fmt.Errorf(`%q is neither a duration such as 6h nor a cron expression such as "0 5 * * *": %w`, text, err)
	}
	return s, nil
}

// once reports whether there is one run.
func (s *schedule) once() bool { return s.cron == nil && s.interval == 0 }

// next is when the next run is due.
func (s *schedule) next(now time.Time) time.Time {
	switch {
	case s.cron != nil:
		return s.cron.Next(now)
	case s.last.IsZero() || s.once():
		return now
	}
	return s.last.Add(s.interval)
}

// wait waits until a run is due. What was due while another run took its time is
// due once.
func (s *schedule) wait(ctx context.Context) error {
	now := s.now()
	at := s.next(now)
	timer := time.NewTimer(at.Sub(now))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	if s.last = at; s.interval > 0 && s.now().Sub(at) > s.interval {
		s.last = s.now()
	}
	return nil
}
