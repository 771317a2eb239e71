//go:build cluster

package cassandra

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

func TestTLSWorksAndItsTroublesAreTold(t *testing.T) {
	cluster := ownCluster(t, servers.CassandraOptions{Nodes: 1, TLS: true, ClientAuth: true})
	config, err := cluster.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	settings := NewSettings("recsys", cluster.Addresses()...)
	settings.Timeout = 2 * time.Second
	secure := settings
	secure.TLS = config
	openStore(t, newKeyspace(t, secure), StoreOptions{})

	expectParts(t, connectError(t, settings), cluster.Addresses()[0], "tls.enabled: true")
	strange := settings
	strange.TLS = &tls.Config{}
	expectParts(t, connectError(t, strange), cluster.Addresses()[0], "tls.root_cas_file")

	plain := sharedNode(t)
	plain.TLS = &tls.Config{}
	expectParts(t, connectError(t, plain), plain.Addresses[0], "tls.enabled: false")
}

func TestAnExpiredCertificateIsTold(t *testing.T) {
	cluster := ownCluster(t, servers.CassandraOptions{Nodes: 1, TLS: true, NotAfter: time.Now().Add(30 * time.Minute)})
	config, err := cluster.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.Time = func() time.Time { return time.Now().Add(time.Hour) }
	settings := NewSettings("recsys", cluster.Addresses()...)
	settings.TLS = config
	expectParts(t, connectError(t, settings), cluster.Addresses()[0], "expired", "renew")
}
