package dashboard

import (
	"fmt"
	"net"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/recsys-benthos/recsys-benthos/internal/origin"
)

const (
	fieldAddress = "address"
	fieldWindow  = "window"
	fieldTitle   = "title"
	fieldNotice  = "notice"
	fieldRefresh = "refresh"
	fieldPeriod  = "compare_period"
)

const (
	minWindow  = 3 * time.Minute
	minRefresh = 100 * time.Millisecond
	minPeriod  = time.Second
)

func dashboardSpec() *service.ConfigSpec {
	return service.NewConfigSpec().
		Version("0.1.0").
		Categories("Recommender").
		Summary("Serves a live page of predictions, model versions and dead letters.").
		Description(`The page shows the predicted rating and its error over time, genres, top movies, the latest predictions, the model versions, throughput
and dead letters. It needs nothing from the internet. Where `+"`recommend_http`"+` serves it, two views beside it ask that interface: `+"`#for-you`"+`, a user's list, with
reasons, stars to rate by and ratings to take back, and `+"`#models`"+`, where versions are compared, promoted and rolled back.

What a message is follows from its topic (metadata `+"`kafka_topic`"+`, else that of the record it began as): `+"`models`"+` holds model announcements, `+"`dead_letters`"+` holds dead
letters (their reason in the metadata `+"`error`"+`), `+"`events`"+` holds events, of which those of type forget_user take a user's rows away; any other topic, or none, holds predictions. Markers of a partition's end (metadata
`+"`kafka_end_of_partition`"+`) and tombstones are not counted. Messages of the input kafka_lag show how far consumer groups are behind. A message that cannot be read fails, and changes nothing.

Memory is bounded. The page starts empty at each start and is filled from the topics: read them from the earliest record and without a consumer group.

The data is public to whoever reaches the address: it has no authentication, and answers GET only. Data and page are at `+"`/`"+`, `+
			"`/live/snapshot` (JSON), `/live/events` (server-sent events) and `/live/health`"+`.`).
		Fields(
			service.NewStringField(fieldAddress).
				Description("Host and port to listen on. An input `recommend_http` of the same process and address serves the page in place of this output.").
				Default("127.0.0.1:4195"),
			service.NewDurationField(fieldWindow).
				Description("How far the charts over time reach back, at least 3m. On the page 12 and 96 times as much can be chosen: 3 hours and a day.").
				Default("15m"),
			service.NewStringField(fieldTitle).
				Description("The heading of the page.").
				Default("Movie recommender"),
			service.NewStringField(fieldNotice).
				Description("A text shown as a banner above everything, such as that ratings are simulated. None by default.").
				Default("").
				Example("Simulated ratings"),
			service.NewDurationField(fieldRefresh).
				Description("The page is updated at most this often, at least 100ms.").
				Default("750ms").
				Advanced(),
			service.NewDurationField(fieldPeriod).
				Description("Of how much time a user's ratings make one value where versions are compared; the same as als_compare's period.").
				Default("24h").
				Advanced(),
		).
		Example("A page for three topics",
			"Follows predictions, models and dead letters from their beginning at each start.", `
input:
  broker:
    inputs:
      - file:
          paths: [predictions.jsonl]
          scanner: {lines: {}}
        processors:
          - mapping: meta kafka_topic = "predictions"
      - file:
          paths: [models.jsonl]
          scanner: {lines: {}}
        processors:
          - mapping: meta kafka_topic = "models"

output:
  dashboard:
    address: 127.0.0.1:4195
    window: 15m
`)
}

func init() {
	service.MustRegisterBatchOutput("dashboard", dashboardSpec(), newDashboardFromConfig)
}

// config is what the YAML says.
type config struct {
	address         string
	window, refresh time.Duration
	period          time.Duration // of comparisons
	title, notice   string
}

func newDashboardFromConfig(conf *service.ParsedConfig, mgr *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
	c, err := parseConfig(conf)
	if err != nil {
		return nil, service.BatchPolicy{}, 0, err
	}
	origins, _ := mgr.GetOrSetGeneric(origin.Key{}, origin.New())
	return newDashboard(c, origins.(*origin.Origins)), service.BatchPolicy{}, 1, nil
}

func parseConfig(conf *service.ParsedConfig) (c config, err error) {
	if c.address, err = conf.FieldString(fieldAddress); err != nil {
		return c, err
	}
	if c.window, err = conf.FieldDuration(fieldWindow); err != nil {
		return c, err
	}
	if c.title, err = conf.FieldString(fieldTitle); err != nil {
		return c, err
	}
	if c.notice, err = conf.FieldString(fieldNotice); err != nil {
		return c, err
	}
	if c.refresh, err = conf.FieldDuration(fieldRefresh); err != nil {
		return c, err
	}
	if c.period, err = conf.FieldDuration(fieldPeriod); err != nil {
		return c, err
	}
	if _, _, err := net.SplitHostPort(c.address); err != nil {
		return c, fmt.Errorf("field %s: %w; give host and port such as 127.0.0.1:4195", fieldAddress, err)
	}
	if c.window < minWindow {
		return c, fmt.Errorf("field %s: %v is too short; give at least %v", fieldWindow, c.window, minWindow)
	}
	if c.refresh < minRefresh {
		return c, fmt.Errorf("field %s: %v is too often; give at least %v", fieldRefresh, c.refresh, minRefresh)
	}
	if c.period < minPeriod {
		return c, fmt.Errorf("field %s: %v is too short; give at least %v", fieldPeriod, c.period, minPeriod)
	}
	return c, nil
}
