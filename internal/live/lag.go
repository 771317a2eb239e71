package live

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

const (
	keptGroups   = 200
	lagOutOfDate = 60_000 // milliseconds after which a group is forgotten that nobody tells of
)

// GroupLag is how far a consumer group is behind the end of a topic.
type GroupLag struct {
	Group   string `json:"group"`
	Topic   string `json:"topic"`
	Lag     int64  `json:"lag"`     // records
	Members int    `json:"members"` // processes that read, 0 where nobody does

	at int64
}

// Lag adds a message of the input kafka_lag. An error is about the message, which
// then changes nothing.
func (a *Aggregates) Lag(data []byte) error {
	var lag GroupLag
	if err := json.Unmarshal(data, &lag); err != nil {
		return fmt.Errorf("reading the lag of a consumer group: %w", err)
	}
	if lag.Group == "" || lag.Topic == "" || lag.Lag < 0 {
		return errors.New("reading the lag of a consumer group: it must have group, topic, and a lag from 0")
	}
	lag.Group, lag.Topic = cut(lag.Group, maxVersion), cut(lag.Topic, maxVersion)
	a.mu.Lock()
	defer a.mu.Unlock()
	lag.at = a.now().UnixMilli()
	at, known := slices.BinarySearchFunc(a.lags, lag, func(x, y GroupLag) int {
		return cmp.Or(cmp.Compare(x.Group, y.Group), cmp.Compare(x.Topic, y.Topic))
	})
	switch {
	case known:
		a.lags[at] = lag
	case len(a.lags) < keptGroups:
		a.lags = slices.Insert(a.lags, at, lag)
	}
	return nil
}

// takeLags returns the groups that somebody still tells of.
func (a *Aggregates) takeLags(now int64) []GroupLag {
	a.lags = slices.DeleteFunc(a.lags, func(lag GroupLag) bool { return lag.at < now-lagOutOfDate })
	return append([]GroupLag{}, a.lags...)
}
