package configs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/ratings"
	"github.com/recsys-benthos/recsys-benthos/internal/recsystest"
	"github.com/recsys-benthos/recsys-benthos/internal/registry"
	"github.com/recsys-benthos/recsys-benthos/plugins/sqlite"
)

// request asks for user 1 and movie 296: 4.75 by the champion of the fixture,
// 4.25 by its next version.
const request = `{"request_id":"%","user_id":1,"movie_id":296}`

// ask sends a request and returns its prediction.
func (m *machine) ask(id string) prediction {
	m.Helper()
	m.produce("requests", strings.Replace(request, "%", id, 1))
	m.until("the prediction of request "+id, func() bool { return m.predictions()[id].RequestID == id })
	return m.predictions()[id]
}

func (m *machine) expectPrediction(id, version string, value float64) {
	m.Helper()
	if p := m.ask(id); p.Version != version || p.Prediction != value {
		m.Errorf("prediction %v by %s, want %v by %s", p.Prediction, p.Version, value, version)
	}
}

// TestModelsChangeWhileTrafficFlowsAndBadOnesDoNot: predict and models run in
// one process and share the live model. What the registry cannot give becomes a
// dead letter; after mending, the same announcement is followed.
func TestModelsChangeWhileTrafficFlowsAndBadOnesDoNot(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	all := m.startProcess("predict", "models")
	m.expectPrediction("before", championVersion, 4.75)

	m.produce("models", announcement(nextVersion, 7))
	m.until("the swap", func() bool { return m.log.contains("Model version " + nextVersion + " serves now (promotion 7)") })
	m.expectPrediction("after", nextVersion, 4.25)

	m.produce("models", announcement(damagedVersion, 8))
	letter := m.awaitRecords("dead_letters", 1)[0]
	reason := headers(letter)["error"]
	if !strings.Contains(reason, "reading version "+damagedVersion+": damaged in the registry") ||
		!strings.HasSuffix(reason, "; version "+nextVersion+" goes on serving") ||
		headers(letter)["component"] != "model_load" || headers(letter)["topic"] != "models" ||
		string(letter.Value) != announcement(damagedVersion, 8) {
		t.Errorf("dead letter %s with %v", letter.Value, headers(letter))
	}
	m.expectPrediction("still", nextVersion, 4.25)

	damage(t, filepath.Join(m.state, "registry"), damagedVersion) // changes the byte back
	m.produce("models", announcement(damagedVersion, 8))
	m.until("the mended version", func() bool { return m.log.contains("Model version " + damagedVersion + " serves now (promotion 8)") })
	m.expectPrediction("mended", damagedVersion, 4.75)
	all.terminate()
	if n := len(m.records("dead_letters")); n != 1 {
		t.Errorf("%d dead letters: %v", n, m.deadLetters())
	}
}

func announcement(version string, sequence int64) string {
	text, err := json.Marshal(map[string]any{"role": "champion", "version": version, "sequence": sequence})
	if err != nil {
		panic("configs: " + err.Error())
	}
	return string(text)
}

// TestAnUnreadableRegistryLeavesTheModelServing: the folder is away when the
// announcement comes, and the log of promotions is followed when it is back.
func TestAnUnreadableRegistryLeavesTheModelServing(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	all := m.startProcess("predict", "models")
	m.expectPrediction("before", championVersion, 4.75)
	folder := filepath.Join(m.state, "registry")
	m.rename(folder, folder+".away")
	if err := os.WriteFile(folder, []byte("no folder"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.produce("models", announcement(nextVersion, 2))
	reason := headers(m.awaitRecords("dead_letters", 1)[0])["error"]
	if !strings.Contains(reason, "reading version "+nextVersion) || !strings.HasSuffix(reason, "; version "+championVersion+" goes on serving") {
		t.Errorf("dead letter says %q", reason)
	}
	m.expectPrediction("meanwhile", championVersion, 4.75)

	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	m.rename(folder+".away", folder)
	m.promote(nextVersion)
	m.until("the promotion in the log", func() bool { return m.log.contains("Model version " + nextVersion + " serves now (promotion 2)") })
	m.expectPrediction("after", nextVersion, 4.25)
	all.terminate()
}

func (m *machine) rename(from, to string) {
	m.Helper()
	if err := os.Rename(from, to); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) registry() *registry.Registry {
	m.Helper()
	r, err := registry.Open(m.environment["RECSYS_REGISTRY"])
	if err != nil {
		m.Fatal(err)
	}
	return r
}

func (m *machine) promote(version string) {
	m.Helper()
	r := m.registry()
	manifest, err := r.Manifest(version)
	if err == nil {
		_, _, _, err = r.Promote(m.Context(), version, manifest.CreatedAt, func(string) (bool, string, error) { return true, "by hand", nil })
	}
	if err != nil {
		m.Fatal(err)
	}
}

// fillStore puts ratings into the store.
func (m *machine) fillStore() {
	m.Helper()
	store, err := sqlite.OpenStore(m.Context(), filepath.Join(m.state, "ratings.db"))
	if err != nil {
		m.Fatal(err)
	}
	if err := store.Apply(m.Context(), ratings.Changes{Ratings: recsystest.Ratings(60, 20, 0.9, 3)}); err != nil {
		m.Fatal(err)
	}
	if err := store.Close(); err != nil {
		m.Fatal(err)
	}
}

// trainOften has train look at the store often, and train on few new ratings.
func (m *machine) trainOften() {
	m.environment["RECSYS_TRAIN_INTERVAL"] = "20ms"
	m.environment["RECSYS_RETRAIN"] = "100"
}

// announced waits for an announcement of the promotion with this number.
func (m *machine) announced(sequence int64) message.Announcement {
	m.Helper()
	var found message.Announcement
	m.until("an announcement", func() bool {
		for _, r := range m.records("models") {
			a, err := message.DecodeAnnouncement("test", r.Value)
			if err != nil || string(r.Key) != "champion" {
				m.Fatalf("announcement %s with key %q: %v", r.Value, r.Key, err)
			}
			if a.Sequence == sequence {
				found = a
			}
		}
		return found.Sequence == sequence
	})
	return found
}

// TestEnoughRatingsAreTrainedOnAndTheNewChampionAnnounced: the champion of the
// fixture knows nobody of these ratings, and loses.
func TestEnoughRatingsAreTrainedOnAndTheNewChampionAnnounced(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.fillStore()
	m.trainOften()
	all := m.start("train")
	if a := m.announced(1); a.Version != championVersion {
		t.Errorf("the first announcement is %+v, want that of %s", a, championVersion)
	}
	a := m.announced(2)
	all.stop()
	manifest, err := m.registry().Manifest(a.Version)
	if err != nil || manifest.Parent != championVersion || manifest.SHA256 != a.SHA256 || manifest.Metrics.Ratings < 300 || manifest.Metrics.Holdout == 0 {
		t.Errorf("announced %+v of %+v, %v", a, manifest, err)
	}
	m.expectNoDeadLetters()
}

// TestATrainingCanBeAskedFor: by a message, by the clock and by HTTP, though too few ratings are new for the interval.
func TestATrainingCanBeAskedFor(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.fillStore()
	m.environment["RECSYS_RETRAIN"] = "1000000"
	train := m.start("train")
	m.announced(1)

	m.produce("train", `{"trigger":`, `{"trigger":"kafka"}`)
	a := m.announced(2)
	if manifest, err := m.registry().Manifest(a.Version); err != nil || manifest.Trigger != "kafka" {
		t.Errorf("trained by kafka: %+v, %v", manifest, err)
	}
	letter := m.awaitRecords("dead_letters", 1)[0]
	if string(letter.Value) != `{"trigger":` || !strings.HasPrefix(headers(letter)["error"], "reading a trigger: ") {
		t.Errorf("dead letter %s: %v", letter.Value, headers(letter))
	}

	ask := func(body string) map[string]any {
		t.Helper()
		w := httptest.NewRecorder()
		train[0].mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/train", strings.NewReader(body)))
		var reply map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &reply); w.Code != http.StatusOK || err != nil {
			t.Fatalf("POST /train %s: %d %s", body, w.Code, w.Body)
		}
		return reply
	}
	if reply := ask(""); reply["trigger"] != "http" || reply["version"] != nil {
		t.Errorf("asked by HTTP with nothing new: %v", reply)
	}
	if reply := ask(`{"force":true}`); reply["version"] == nil {
		t.Errorf("forced by HTTP: %v", reply)
	}
	train.stop()
}

// TestATrainingFollowsItsSchedule: every second, if anything is new.
func TestATrainingFollowsItsSchedule(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.fillStore()
	m.environment["RECSYS_RETRAIN"] = "1000000"
	m.environment["RECSYS_TRAIN_SCHEDULE"] = "* * * * * *"
	train := m.start("train")
	a := m.announced(2)
	train.stop()
	if manifest, err := m.registry().Manifest(a.Version); err != nil || manifest.Trigger != "schedule" {
		t.Errorf("%+v, %v", manifest, err)
	}
	m.expectNoDeadLetters()
}

// TestATrainingWaitsOutItsRegistry: where its folder should be is a file.
func TestATrainingWaitsOutItsRegistry(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.fillStore()
	m.trainOften()
	folder := filepath.Join(m.state, "registry")
	m.rename(folder, folder+".away")
	if err := os.WriteFile(folder, []byte("no folder"), 0o644); err != nil {
		t.Fatal(err)
	}
	all := m.start("train")
	m.until("the pipeline's notice", func() bool { return m.log.contains("Training did not succeed, trying again in") })
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	m.rename(folder+".away", folder)
	m.announced(2)
	all.stop()
	m.expectNoDeadLetters()
}

// TestAChampionPromotedWhileTheBrokerIsAwayIsAnnouncedAfterAStop: the training
// has ended, its announcement could not be written when the process ended.
func TestAChampionPromotedWhileTheBrokerIsAwayIsAnnouncedAfterAStop(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.trainOften()
	first := m.startProcess("train")
	m.announced(1)
	m.closeBroker()
	m.fillStore()
	m.environment["RECSYS_RETRAIN"] = "2000" // of the second process: it shall announce only
	m.until("a promotion", func() bool {
		latest, _, err := m.registry().Latest()
		return err == nil && latest.Sequence == 2
	})
	first.terminate()
	m.openBroker()
	second := m.startProcess("train")
	m.announced(2)
	second.terminate()
	m.expectNoDeadLetters()
}
