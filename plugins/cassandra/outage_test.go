package cassandra

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func TestAnOutageIsToldOnceHoweverManyReadersItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		o := outage{log: service.NewLoggerFromSlog(slog.New(slog.NewTextHandler(&log, nil)))}
		said := func(what string) int { return strings.Count(log.String(), what) }
		away := errors.New("no hosts")

		o.over("answers again")
		for range 300 { // half a minute in which some readers succeed and some do not
			o.note("away: %v", away)
			time.Sleep(50 * time.Millisecond)
			o.over("answers again")
			time.Sleep(50 * time.Millisecond)
		}
		if n := said("away"); n != 3 || said("answers again") != n {
			t.Errorf("30 s of flapping were told so:\n%s", log.String())
		}

		log.Reset()
		time.Sleep(reopenedAfter)
		for range 150 { // two and a half minutes in which none does
			o.note("away: %v", away)
			time.Sleep(time.Second)
		}
		if n := said("away"); n != 3 {
			t.Errorf("150 s of an outage were told so:\n%s", log.String())
		}
		o.over("answers again")
		o.over("answers again")
		if said("answers again") != 1 {
			t.Errorf("its end was told so:\n%s", log.String())
		}
	})
}
