package configs

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
)

// TestTheListsOfAllUsersAreWritten, of all 610 of ml-latest-small, as als_recommend
// answers who asks for one; a second run replaces them.
func TestTheListsOfAllUsersAreWritten(t *testing.T) {
	t.Parallel()
	const users = 610
	data := firstRatings(t, recsystest.DataDir(t))
	m := newMachine(t)
	m.environment["RECSYS_REGISTRY"] = "file://" + filepath.Join(m.state, "trained")
	m.environment["RECSYS_DATA"], m.environment["RECSYS_MOVIES"], m.environment["RECSYS_HISTORY"] = data, data, "1"
	if out, code := command(t, m.environment, "train", "--ratings", filepath.Join(data, "ratings.csv"), "--rank", "8", "--registry", m.environment["RECSYS_REGISTRY"]); code != 0 {
		t.Fatal(out)
	}
	loading := m.start("simulate", "ingest")
	m.until("the ratings", func() bool { return m.count("ratings.db", "ratings") == users*firstPerUser })
	loading.stop()

	var asked []string
	for user := 1; user <= users; user++ {
		asked = append(asked, fmt.Sprintf(`{"request_id":"%d","kind":"recommend","user_id":%d,"n":7}`, user, user))
	}
	m.produce("requests", asked...)
	recommending := m.start("recommend")
	said := map[int64]string{}
	for _, r := range m.awaitRecords("recommendations", users) {
		said[gjson.GetBytes(r.Value, "user_id").Int()] = sorted(t, gjson.GetBytes(r.Value, "items").Raw)
	}
	recommending.stop()

	m.environment["RECSYS_RECOMMEND_ALL_N"] = "7"
	m.environment["RECSYS_RECOMMEND_ALL_SCHEDULE"] = "24h"
	for n := range 2 {
		run := m.start("recommend_all")
		m.until("the lists", func() bool { return m.count("recommendations.db", "recommendations") == users })
		m.until("the end of the run", func() bool { return m.log.count("The lists of all 610 users are written") == n+1 })
		run.stop()
		if got := m.lists(); !maps.Equal(got, said) {
			for user := range said {
				if got[user] != said[user] {
					t.Fatalf("user %d of %d has\n%s, als_recommend says\n%s", user, len(got), got[user], said[user])
				}
			}
			t.Fatalf("%d users have lists, want %d", len(got), users)
		}
	}
	m.expectNoDeadLetters()
}

// firstPerUser is how many ratings every user of ml-latest-small has at least.
const firstPerUser = 20

// firstRatings is a copy of a MovieLens folder with the first ratings of each user:
// all users, in a fifth of the time.
func firstRatings(t *testing.T, data string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(data, "ratings.csv"))
	if err != nil {
		t.Fatal(err)
	}
	var kept strings.Builder
	of := map[string]int{}
	for line := range strings.Lines(string(text)) {
		user, _, _ := strings.Cut(line, ",")
		if of[user]++; of[user] <= firstPerUser {
			kept.WriteString(line)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "ratings.csv"), []byte(kept.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

// sorted is JSON with the fields of its objects in order.
func sorted(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(again)
}

// lists are the items of all users in the index.
func (m *machine) lists() map[int64]string {
	m.Helper()
	rows, err := m.open("recommendations.db", "?mode=ro").Query("SELECT user_id, items, request_id FROM recommendations")
	if err != nil {
		m.Fatal(err)
	}
	defer rows.Close()
	all := map[int64]string{}
	for rows.Next() {
		var user int64
		var items, request string
		if err := rows.Scan(&user, &items, &request); err != nil {
			m.Fatal(err)
		}
		if !strings.HasPrefix(request, "all-users-") || !strings.HasSuffix(request, fmt.Sprintf("-%d", user)) {
			m.Errorf("the request of user %d is %s", user, request)
		}
		all[user] = sorted(m.T, items)
	}
	if err := rows.Err(); err != nil {
		m.Fatal(err)
	}
	return all
}
