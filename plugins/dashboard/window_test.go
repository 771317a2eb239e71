package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestAPageCanLookFurtherBack(t *testing.T) {
	d, url := startTest(t, minRefresh)
	random := rand.New(rand.NewPCG(1, 2))
	batch := service.MessageBatch{
		demoMessage(1, time.Now(), random), demoMessage(2, time.Now().Add(-2*time.Hour), random),
		withMeta(`{"group":"predict","topic":"requests","lag":7,"members":1}`, "recsys_kind", "consumer_lag"),
	}
	if err := d.WriteBatch(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int64{"": 1, "?window=900": 1, "?window=10800": 2, "?window=86400": 2} {
		_, body := get(t, url+"/live/snapshot"+query)
		var s struct {
			Series struct{ Count []int64 }
			Lags   []struct{ Lag int64 }
		}
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatal(err)
		}
		var n int64
		for _, count := range s.Series.Count {
			n += count
		}
		if n != want || len(s.Lags) != 1 || s.Lags[0].Lag != 7 {
			t.Errorf("%q shows %d predictions, want %d; lags %+v", query, n, want, s.Lags)
		}
	}
	for _, path := range []string{"/live/snapshot?window=5", "/live/events?window=x"} {
		if status, body := get(t, url+path); status != http.StatusBadRequest || !strings.Contains(body, "give seconds, one of 900, 10800, 86400") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestPredictionsAreSearchedByUserAndTitle(t *testing.T) {
	d, url := startTest(t, minRefresh)
	var batch service.MessageBatch
	for i := range 300 {
		batch = append(batch, withMeta(fmt.Sprintf(`{"request_id":"%d","user_id":%d,"movie_id":%d,"title":"<i>%d</i> \"%d\"","prediction":3,"predicted_at":%q}`,
			i, i%3, i%5, i%5, i%5, time.Now().Format(time.RFC3339Nano))))
	}
	if err := d.WriteBatch(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"":                                   "300 50",
		"?user=2":                            "100 50",
		"?user=2&limit=3":                    "100 3",
		"?user=2&title=%3CI%3E4":             "20 20",
		"?title=%223%22&limit=500":           "60 60",
		"?user=9":                            "0 0",
		"?user=x":                            `user="x" is not a whole number`,
		"?limit=501":                         `limit="501" is not a whole number from 1 to 500`,
		"?title=" + strings.Repeat("a", 201): "title has 201 bytes; give at most 200",
	} {
		status, body := get(t, url+"/live/predictions"+query)
		var found struct {
			Fit         int
			Predictions []struct{ Title string }
		}
		if status == http.StatusOK {
			if err := json.Unmarshal([]byte(body), &found); err != nil {
				t.Fatal(err)
			}
			body = fmt.Sprintf("%d %d", found.Fit, len(found.Predictions))
		}
		if strings.TrimSpace(body) != want {
			t.Errorf("%s: %s, want %s", query, body, want)
		}
	}
}

func TestAForgottenUserIsNotShown(t *testing.T) {
	d, url := startTest(t, minRefresh)
	prediction := func(id string) *service.Message {
		return withMeta(fmt.Sprintf(`{"request_id":%q,"user_id":514,"movie_id":1,"title":"Heat (1995)","prediction":3,"predicted_at":%q}`, id, time.Now().Add(-time.Second).Format(time.RFC3339Nano)))
	}
	found := func() string {
		_, body := get(t, url+"/live/predictions?user=514")
		_, latest := get(t, url+"/live/snapshot")
		return fmt.Sprint(strings.Count(body, "Heat"), " ", strings.Count(latest, `"user_id":514`))
	}
	write := func(batch ...*service.Message) {
		t.Helper()
		if err := d.WriteBatch(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
	}
	write(prediction("a"), withMeta(`{"event_type":"rate","user_id":514,"movie_id":1,"value":3,"timestamp":1}`, "kafka_topic", "events"), withMeta("no event", "kafka_topic", "events"))
	if got := found(); got != "1 1" {
		t.Errorf("rows before: %s", got)
	}
	write(withMeta(fmt.Sprintf(`{"event_type":"forget_user","user_id":"514","timestamp":%d}`, time.Now().Add(time.Minute).Unix()), "kafka_topic", "events"), prediction("b"))
	if got := found(); !strings.HasPrefix(got, "0 ") {
		t.Errorf("rows after: %s", got)
	}
}
