package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/recsys-benthos/recsys-benthos/internal/api"
)

// What tests/clients found with requests drawn from the document.

func refusal(t *testing.T, line, body string) string {
	t.Helper()
	_, _, problem := serve(t, newRequest(line, body), newBackend(t))
	if problem == nil {
		t.Errorf("%s %s was taken", line, body)
		return ""
	}
	if problem.Status != http.StatusBadRequest {
		t.Errorf("%s %s: %v", line, body, problem)
	}
	return problem.Detail
}

// TestAnOffsetOfMoreThanMessagesAllowWasDocumented: the pipeline refused it.
func TestAnOffsetOfMoreThanMessagesAllowWasDocumented(t *testing.T) {
	for _, line := range []string{"GET /api/recommend/1?offset=10001", "GET /api/item/1/audience?offset=100000"} {
		if detail := refusal(t, line, ""); !strings.Contains(detail, "from 0 to 10000") {
			t.Error(detail)
		}
	}
}

func TestANullBodyWasTakenForARequestWithoutFields(t *testing.T) {
	if detail := refusal(t, "POST /api/recommend/1", "null"); !strings.Contains(detail, `"null" is no object`) {
		t.Error(detail)
	}
}

func TestAnIdWithASignWasTaken(t *testing.T) {
	refusal(t, "POST /api/recommend/1", `{"exclude":["+5"]}`)
	refusal(t, "POST /api/item", `{"ItemId":"+5"}`)
	refusal(t, "POST /api/feedback", `{"event_type":"view","user_id":"+5","movie_id":1,"timestamp":1}`)
	refusal(t, "POST /api/estimate", `{"user_id":1,"movie_id":"+5"}`)
}

// TestANullAmongGenresWasAGenreWithoutAName: where genres stood beside Categories,
// of which only one was looked at.
func TestANullAmongGenresWasAGenreWithoutAName(t *testing.T) {
	refusal(t, "POST /api/item", `{"ItemId":5,"Comment":"x","Categories":[null],"genres":[]}`)
	refusal(t, "POST /api/item", `{"ItemId":5,"Comment":"x","genres":[null]}`)
}

// TestTheDocumentDidNotSayWhatShortRepliesToPOSTAre, nor that they may be refused
// for their encoding.
func TestTheDocumentDidNotSayWhatShortRepliesToPOSTAre(t *testing.T) {
	text, err := api.OpenAPI("test")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct{ Responses map[string]json.RawMessage }
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	responses := document.Paths["/api/recommend-to-many"]["post"].Responses
	if !strings.Contains(string(responses["200"]), "schemas/Ids") || responses["415"] == nil || responses["408"] == nil {
		t.Errorf("the document has %s", responses)
	}
}
