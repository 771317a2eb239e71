package configs

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAMovieEnteredByHTTPIsEverywhereWithinASecond: in the process that was told
// and in another one, in lists and estimates, over a restart, though the topic lost it.
func TestAMovieEnteredByHTTPIsEverywhereWithinASecond(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	other := m.startProcess("predict", "recommend", "movies", "items", "ingest")
	base, all := m.serveAPI("api", "movies")
	ask := func(method, path, body string, want int) string {
		t.Helper()
		status, answer := m.http(method, base+path, body)
		if status != want {
			t.Fatalf("%s %s: %d %s", method, path, status, answer)
		}
		return answer
	}
	const title = `"title":"Renamed (1994)"`
	ask("PATCH", "/api/item/296", `{"Comment":"Renamed (1994)"}`, 200)
	begun := time.Now()
	if answer := ask("GET", "/api/estimate/1/296", "", 200); !strings.Contains(answer, title) {
		t.Errorf("who changes it does not find it: %s", answer)
	}
	asked := 0
	m.until("the title in the other process", func() bool {
		asked++
		id := fmt.Sprint("title-", asked)
		m.produce("requests", strings.Replace(request, "%", id, 1))
		m.until("its reply", func() bool { return m.predictions()[id].RequestID == id })
		return m.predictions()[id].Title == "Renamed (1994)"
	})
	took := time.Since(begun)
	t.Logf("the other process knew it after %v", took)
	if took > time.Second {
		t.Errorf("it took %v", took)
	}

	list := ask("GET", "/api/popular?n=1000", "", 200)
	if !strings.Contains(list, `"318"`) {
		t.Fatalf("movie 318 is not in the list: %s", list)
	}
	ask("DELETE", "/api/item/318", "", 200)
	for _, path := range []string{"/api/popular?n=1000", "/api/recommend/99?n=1000", "/api/item/296/neighbors?n=1000"} {
		if answer := ask("GET", path, "", 200); strings.Contains(answer, `"318"`) {
			t.Errorf("a hidden movie in %s: %s", path, answer)
		}
	}
	begun = time.Now()
	m.until("the other process to hide it", func() bool {
		asked++
		id := fmt.Sprint("list-", asked)
		m.produce("requests", `{"request_id":"`+id+`","kind":"recommend","user_id":99,"n":1000}`)
		var reply string
		m.until("its list", func() bool {
			for _, r := range m.records("recommendations") {
				if strings.Contains(string(r.Value), `"`+id+`"`) {
					reply = string(r.Value)
				}
			}
			return reply != ""
		})
		return !strings.Contains(reply, `"movie_id":318,`)
	})
	t.Logf("the other process hid it after %v", time.Since(begun))
	if answer := ask("GET", "/api/estimate/1/318", "", 200); !strings.Contains(answer, `"prediction":`) {
		t.Errorf("no estimate of a hidden movie: %s", answer)
	}
	ask("POST", "/api/items", `[{"ItemId":"900001","Comment":"New (2026)","Categories":["Drama"]},{"ItemId":"900002","Comment":"Newer (2026)"}]`, 200)
	m.until("the store", func() bool { return m.count("ratings.db", "movies") == 4 })
	m.until("the topic", func() bool { return len(m.records("movies")) == 4 })
	if records := m.records("movies"); string(records[0].Key) != "296" || string(records[1].Key) != "318" {
		t.Errorf("keys %s, %s", records[0].Key, records[1].Key)
	}
	ask("GET", "/api/item/900003", "", http.StatusNotFound)
	all.stop()
	other.terminate()

	again, _ := m.serveAPI("api") // without the follower: the store has it
	base = again
	for path, want := range map[string]string{"/api/item/900001": `"Comment":"New (2026)"`, "/api/item/318": `"IsHidden":true`, "/api/estimate/1/296": title} {
		if answer := ask("GET", path, "", 200); !strings.Contains(answer, want) {
			t.Errorf("after a restart: %s: %s", path, answer)
		}
	}
	m.expectNoDeadLetters()
}
