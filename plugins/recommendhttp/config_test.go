package recommendhttp

import (
	"strings"
	"testing"

	"github.com/redpanda-data/benthos/v4/public/service"
)

func TestAWrongConfigurationSaysWhatIsWrong(t *testing.T) {
	key := writeFile(t, "empty", "\n")
	for yaml, want := range map[string]string{
		"address: localhost":                              "field address: address localhost: missing port in address; give host and port such as 127.0.0.1:4195",
		"limits: {body_bytes: lots}":                      `field limits.body_bytes: "lots" is not a size from 1B to 1GiB; write it as 1MiB`,
		"limits: {batch: 0}":                              "field limits.batch: 0 is less than 1",
		"limits: {rate: -1}":                              "field limits.rate: -1 is negative",
		"timeouts: {write: 1s}":                           "field timeouts.write: 1s is shorter than request, 5s, so that nobody would be told of it",
		"timeouts: {read: 0s}":                            "field timeouts: 0s is not positive",
		"cors: {allowed_origins: [example.com]}":          `field cors.allowed_origins: "example.com" is not an origin such as https://example.com: `,
		"tls: {cert_file: cert.pem}":                      "field tls: give both cert_file and key_file, or none",
		"tls: {cert_file: /no/cert, key_file: /no/key}":   "field tls: open /no/cert: no such file or directory",
		"auth: [{name: a, key: x, scopes: [everything]}]": `field auth.0.scopes: "everything" is unknown; give read, write or admin`,
		"auth: [{name: a, key: x, key_file: y}]":          "field auth.0: fields key, key_file and key_variable exclude each other: leave one",
		"auth: [{name: a, key_file: /no/key}]":            "field auth.0: field key_file: open /no/key: no such file or directory",
		"auth: [{name: a, key_file: " + key + "}]":        "field auth.0: field key_file: " + key + " is empty",
	} {
		conf, err := inputSpec().ParseYAML(yaml, nil)
		if err != nil {
			t.Errorf("%s: %v", yaml, err)
			continue
		}
		if _, err := parseConfig(conf); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", yaml, err, want)
		}
	}
}

func TestLabelsMustBeOfTheRightResources(t *testing.T) {
	for yaml, want := range map[string]string{
		"model: other":   "the resource other is not an als_model",
		"catalog: other": "the resource other is not a movie_catalog",
	} {
		conf, err := inputSpec().ParseYAML(yaml, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseConfig(conf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newInput(c, service.MockResources(service.MockResourcesOptAddCache("other"))); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", yaml, err, want)
		}
	}
}

func TestOnlyThisMachineReachesALoopbackAddress(t *testing.T) {
	for address, open := range map[string]bool{
		"127.0.0.1:1": false, "[::1]:1": false, "localhost:1": false, "0.0.0.0:1": true, ":1": true, "192.0.2.1:1": true, "example.com:1": true,
	} {
		if c := (&config{address: address}); c.isOpen() != open {
			t.Errorf("%s: open is %v", address, !open)
		}
	}
}
