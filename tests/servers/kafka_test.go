//go:build cluster

package servers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func TestKafkaOfThreeKeepsRecordsWhenLeaderAndControllerAreKilled(t *testing.T) {
	ctx := testContext(t)
	k := started(t, StartKafka, KafkaOptions{Nodes: 3})
	cl := kafkaClient(t, k, kgo.DefaultProduceTopic("events"))
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 3, nil, "events"); err != nil {
		t.Fatal(err)
	}
	produce(ctx, t, cl, 0, 100)
	leader := must[*Node](t)(k.Leader(ctx, "events", 0))
	measure(t, "killing the leader", func() {
		check(t, leader.Kill())
		produce(ctx, t, cl, 100, 200)
	})
	if leader.Running() || leader.Pid() != 0 || leader.RSS() != 0 {
		t.Errorf("%s is killed but has pid %d", leader.Name, leader.Pid())
	}
	measure(t, "restarting it", func() { check(t, leader.Start(ctx)) })
	controller := must[*Node](t)(k.Controller(ctx))
	check(t, controller.Kill())
	produce(ctx, t, cl, 200, 300)
	if next := must[*Node](t)(k.Controller(ctx)); next == controller {
		t.Errorf("%s is killed and still the controller", next.Name)
	}
	check(t, controller.Start(ctx))
	consume(ctx, t, k, 300)
}

func TestKafkaOfThreeGoesOnBesideAPausedNode(t *testing.T) {
	ctx := testContext(t)
	k := started(t, StartKafka, KafkaOptions{Nodes: 3})
	cl := kafkaClient(t, k, kgo.DefaultProduceTopic("events"))
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 3, nil, "events"); err != nil {
		t.Fatal(err)
	}
	leader := must[*Node](t)(k.Leader(ctx, "events", 0))
	check(t, leader.Pause())
	if next := must[*Node](t)(k.Leader(ctx, "events", 0)); next == leader || !leader.Running() {
		t.Errorf("%s is paused; the leader is %s", leader.Name, next.Name)
	}
	produce(ctx, t, cl, 0, 100)
	check(t, leader.Resume())
	check(t, leader.Start(ctx)) // waits only
	consume(ctx, t, k, 100)
}

func TestKafkaStartsAgainAfterAllNodesWereDown(t *testing.T) {
	ctx := testContext(t)
	k := started(t, StartKafka, KafkaOptions{})
	cl := kafkaClient(t, k, kgo.DefaultProduceTopic("events"))
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, -1, nil, "events"); err != nil {
		t.Fatal(err)
	}
	produce(ctx, t, cl, 0, 100)
	check(t, k.Nodes[0].Stop(ctx))
	check(t, k.Start(ctx))
	check(t, k.Nodes[0].Kill())
	check(t, k.Start(ctx))
	consume(ctx, t, k, 100)
}

func TestKafkaSpeaksTheConsumerProtocolOfKIP848(t *testing.T) {
	ctx := testContext(t)
	k := started(t, StartKafka, KafkaOptions{})
	cl := kafkaClient(t, k)
	features := must[kadm.BrokerApiVersions](t)(firstVersions(ctx, cl))
	if _, ok := features.KeyMaxVersion(68); !ok { // ConsumerGroupHeartbeat
		t.Error("the broker does not know ConsumerGroupHeartbeat")
	}
}

func TestKafkaLogsClientsIn(t *testing.T) {
	for _, useTLS := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %t", useTLS), func(t *testing.T) {
			k := started(t, StartKafka, KafkaOptions{SASL: true, TLS: useTLS})
			for password, want := range map[string]bool{k.Password: true, "wrong": false} {
				for _, mechanism := range []sasl.Mechanism{
					plain.Auth{User: k.Username, Pass: password}.AsMechanism(),
					scram.Auth{User: k.Username, Pass: password}.AsSha256Mechanism(),
					scram.Auth{User: k.Username, Pass: password}.AsSha512Mechanism(),
				} {
					err := kafkaClient(t, k, kgo.SASL(mechanism)).Ping(testContext(t))
					if (err == nil) != want {
						t.Errorf("%s with password %q: %v", mechanism.Name(), password, err)
					}
				}
			}
		})
	}
}

func TestKafkaDemandsCertificatesOfClients(t *testing.T) {
	k := started(t, StartKafka, KafkaOptions{TLS: true, ClientAuth: true})
	check(t, kafkaClient(t, k).Ping(testContext(t)))
	conf := must[*tls.Config](t)(k.TLSConfig())
	conf.Certificates = nil
	if err := kafkaClient(t, k, kgo.DialTLSConfig(conf)).Ping(testContext(t)); err == nil {
		t.Error("a client without certificate is let in")
	}
}

func TestKafkaShowsACertificateThatHasExpired(t *testing.T) {
	k := started(t, StartKafka, KafkaOptions{TLS: true, NotAfter: time.Now().Add(-time.Hour)})
	err := kafkaClient(t, k).Ping(testContext(t))
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("got %v, want an expired certificate", err)
	}
}

func TestKafkaDeniesOthersWithAnAuthorizer(t *testing.T) {
	k := started(t, StartKafka, KafkaOptions{SASL: true, Properties: map[string]string{
		"authorizer.class.name":                       "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"listener.name.client.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required user_recsys="recsys-secret" user_guest="guest-secret";`,
	}})
	create := func(user, password string) error {
		cl := kafkaClient(t, k, kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
		_, err := kadm.NewClient(cl).CreateTopic(testContext(t), 1, 1, nil, "events")
		return err
	}
	if err := create("guest", "guest-secret"); err == nil {
		t.Error("the guest made a topic")
	}
	check(t, create(k.Username, k.Password))
}

func firstVersions(ctx context.Context, cl *kgo.Client) (kadm.BrokerApiVersions, error) {
	all, err := kadm.NewClient(cl).ApiVersions(ctx)
	if err != nil {
		return kadm.BrokerApiVersions{}, err
	}
	for _, v := range all {
		return v, v.Err
	}
	return kadm.BrokerApiVersions{}, errors.New("no broker answered")
}

func kafkaClient(t *testing.T, k *Kafka, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	conf := must[*tls.Config](t)(k.TLSConfig())
	if conf != nil {
		opts = append([]kgo.Opt{kgo.DialTLSConfig(conf)}, opts...)
	}
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Addresses()...)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce writes the numbers from one up to, not with, another, each acknowledged.
func produce(ctx context.Context, t *testing.T, cl *kgo.Client, from, to int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, kgo.StringRecord(fmt.Sprint(i)))
	}
	check(t, cl.ProduceSync(ctx, records...).FirstErr())
}

// consume reads the numbers up to, not with, n.
func consume(ctx context.Context, t *testing.T, k *Kafka, n int) {
	t.Helper()
	cl := kafkaClient(t, k, kgo.ConsumeTopics("events"))
	for i := 0; i < n; {
		fetches := cl.PollFetches(ctx)
		check(t, ctx.Err())
		for _, r := range fetches.Records() {
			if string(r.Value) != fmt.Sprint(i) {
				t.Fatalf("record %d is %s", i, r.Value)
			}
			i++
		}
	}
}
