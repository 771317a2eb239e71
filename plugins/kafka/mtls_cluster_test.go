//go:build cluster

package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// TestRealKafkaTakesACertificateInPlaceOfAPassword, and says what is missing without.
func TestRealKafkaTakesACertificateInPlaceOfAPassword(t *testing.T) {
	servers.ForTest(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	kafka, err := servers.StartKafka(ctx, servers.KafkaOptions{TLS: true, ClientAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kafka.Close() })
	connection := func(certificate string) string {
		return fmt.Sprintf("seed_brokers: [%s]\ntls: {enabled: true, root_cas_file: %s, client_certs: [%s]}\n", kafka.Addresses()[0], kafka.CAFile, certificate)
	}
	ours := connection(fmt.Sprintf("{cert_file: %s, key_file: %s}", kafka.CertFile, kafka.KeyFile))
	c, err := parseOutput(parse(t, outputSpec(), "", ours+"topic: certified\n"))
	if err != nil {
		t.Fatal(err)
	}
	createTopics(t, newClient(t, "", c.connection.opts...), map[string]int32{"certified": 1})
	o := startOutput(t, "", ours+"topic: certified\n")
	if err := o.WriteBatch(testContext(t), values([]string{"secret"})); err != nil {
		t.Fatal(err)
	}
	if r := readBatch(t, startInput(t, "", ours+"topics: [certified]\n")); r.values[0] != "secret" {
		t.Errorf("read %q", r.values)
	}
	checkConnectSays(t, connection(""), "the broker wants a certificate from this client; give it in field tls.client_certs")
}
