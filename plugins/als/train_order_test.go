package als

import (
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func TestATriggerSaysWhatItAsksFor(t *testing.T) {
	for content, want := range map[string]order{
		`tick`:                                  {},
		``:                                      {},
		`{}`:                                    {},
		`{"trigger":"interval"}`:                {Trigger: "interval"},
		` {"trigger":"schedule"}`:               {Trigger: "schedule"},
		`{"trigger":"http","force":true,"x":1}`: {Trigger: "http", Force: true},
	} {
		got, err := readOrder(service.NewMessage([]byte(content)))
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", content, got, err, want)
		}
		if look := want.Trigger == "" || want.Trigger == "interval"; got.isLook() != look {
			t.Errorf("%s: is a look: %v", content, got.isLook())
		}
	}
	for content, want := range map[string]string{
		`{"trigger":7}`:                                 "cannot unmarshal number",
		`{"trigger":`:                                   "unexpected end of JSON input",
		`{"trigger":"kafka","force":"yes"}`:             "cannot unmarshal string",
		`{"trigger":"` + strings.Repeat("x", 65) + `"}`: "its name has 65 bytes, more than 64",
	} {
		if _, err := readOrder(service.NewMessage([]byte(content))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want …%s…", content, err, want)
		}
	}
}
