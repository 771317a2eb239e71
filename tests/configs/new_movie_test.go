package configs

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestAMovieThatNoVersionKnowsIsPredictedOnceSomebodyHasRatedIt, in both predicting
// processes, for users who have not rated it, and no more when the rating is taken
// back.
func TestAMovieThatNoVersionKnowsIsPredictedOnceSomebodyHasRatedIt(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.placed()
	m.startProcess("fold_in", "users")
	m.startProcess("predict", "users")
	m.startProcess("predict", "users")
	const movie = 777_001
	n := 0
	known := func(want bool) time.Duration {
		began := time.Now()
		m.until(fmt.Sprintf("the movie to be known: %v", want), func() bool {
			n++
			agreed := 0
			for partition := range int32(2) {
				id := fmt.Sprintf("%d-%d", n, partition)
				value := fmt.Sprintf(`{"request_id":"%s","user_id":2,"movie_id":%d}`, id, movie)
				if err := client.ProduceSync(m.Context(), &kgo.Record{Topic: "requests", Partition: partition, Value: []byte(value)}).FirstErr(); err != nil {
					m.Fatal(err)
				}
				m.until("the prediction of request "+id, func() bool { return m.predictions()[id].RequestID == id })
				if slices.Contains(m.predictions()[id].Cold, "movie") != want {
					agreed++
				}
			}
			return agreed == 2
		})
		return time.Since(began)
	}
	known(false)
	now := time.Now().Add(-time.Hour).Unix()
	m.did(1, `{"event_type":"rate","user_id":1,"movie_id":%d,"value":5,"timestamp":%d}`, movie, now)
	t.Logf("a new movie was known to both processes after %s", known(true).Round(time.Millisecond))
	m.did(1, `{"event_type":"unrate","user_id":1,"movie_id":%d,"timestamp":%d}`, movie, now+1)
	known(false)
	m.expectNoDeadLetters()
}
