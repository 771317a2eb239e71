//go:build cluster

package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/recsys-benthos/recsys-benthos/tests/servers"
)

// One real Kafka for all tests that need no special one.
var realKafka = sync.OnceValues(func() (*servers.Kafka, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	kafka, err := servers.StartKafka(ctx, servers.KafkaOptions{Properties: map[string]string{
		// Members of the new protocol learn of a rebalance by their heartbeat.
		"group.consumer.min.heartbeat.interval.ms": "100",
		"group.consumer.heartbeat.interval.ms":     "200",
	}})
	if err == nil {
		afterTests = append(afterTests, func() { kafka.Close() })
	}
	return kafka, err
})

// realBrokers returns the address of a real Kafka with the topics.
func realBrokers(t *testing.T, topics map[string]int32) string {
	t.Helper()
	servers.ForTest(t)
	kafka, err := realKafka()
	if err != nil {
		t.Fatal(err)
	}
	createTopics(t, newClient(t, kafka.Addresses()[0]), topics)
	return kafka.Addresses()[0]
}

func createTopics(t *testing.T, client *kgo.Client, topics map[string]int32) {
	t.Helper()
	admin := kadm.NewClient(client)
	for topic, partitions := range topics {
		_, _ = admin.DeleteTopic(testContext(t), topic)
		until(t, "topic "+topic, func() bool {
			_, err := admin.CreateTopic(testContext(t), partitions, -1, nil, topic)
			return err == nil
		})
	}
}

func TestRealKafkaSharesPartitionsByEitherProtocol(t *testing.T) {
	const partitions, perPartition = 4, 5000
	for _, protocol := range []string{classicProtocol, consumerProtocol} {
		t.Run(protocol, func(t *testing.T) {
			topic := "shared-" + protocol
			addr := realBrokers(t, map[string]int32{topic: partitions})
			for p := range partitions {
				produce(t, addr, topic, int32(p), numbered(p, 0, perPartition)...)
			}
			yaml := "seed_brokers: [$ADDR]\ntopics: [" + topic + "]\nconsumer_group: g-" + protocol + "\ngroup_protocol: " + protocol + "\ncommit_period: 200ms\nheartbeat_interval: 500ms\nsession_timeout: 6s\nbatching: {count: 50}\n"
			seen := newSeen(partitions)
			ctx, stop := context.WithCancel(testContext(t))
			var running sync.WaitGroup
			consume := func(ctx context.Context, member int) *input {
				i := startInput(t, addr, yaml)
				running.Go(func() {
					for {
						r, err := tryRead(ctx, i)
						if err != nil {
							return
						}
						running.Go(func() {
							time.Sleep(20 * time.Millisecond)
							seen.add(member, r)
							_ = r.ack(ctx, nil)
						})
					}
				})
				return i
			}
			consume(ctx, 1)
			until(t, "the first member's start", func() bool { return seen.total() > 500 })
			secondCtx, leave := context.WithCancel(ctx)
			second := consume(secondCtx, 2)
			until(t, "the second member's share", func() bool { return seen.of(2) > 500 })
			leave()
			bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			if err := second.Close(bounded); err != nil {
				t.Fatal(err)
			}
			until(t, "the whole backlog", func() bool { return seen.distinct() == partitions*perPartition })
			stop()
			running.Wait()
			t.Logf("%d duplicates of %d", seen.total()-seen.distinct(), seen.distinct())
			if n := seen.total() - seen.distinct(); n > 2*partitions*50 {
				t.Errorf("%d duplicates, more than was in flight", n)
			}
			if len(seen.disorder) > 0 {
				t.Errorf("out of order: %v", seen.disorder)
			}
		})
	}
}

func TestRealKafkaKeepsTheOrderThroughTransactions(t *testing.T) {
	const partitions, perPartition = 4, 20_000
	addr := realBrokers(t, map[string]int32{"events": partitions, "out": 3})
	for p := range partitions {
		produce(t, addr, "events", int32(p), numbered(p, 0, perPartition)...)
	}
	total := func() (sum int64) {
		for p := range int32(partitions) {
			sum += max(committed(t, addr, "g", "events", p), 0)
		}
		return sum
	}
	ctx, stop := context.WithCancel(testContext(t))
	var running sync.WaitGroup
	start := func(ctx context.Context, id string) *copier {
		c := &copier{
			input: startInput(t, addr, strings.Replace(transactionYAML, "id: copy", "id: "+id, 1)),
			out:   startOutput(t, addr, copyYAML),
		}
		running.Go(func() { c.run(ctx) })
		return c
	}
	start(ctx, "one")
	until(t, "the first member's start", func() bool { return total() > 5000 })
	secondCtx, leave := context.WithCancel(ctx)
	second := start(secondCtx, "two")
	until(t, "progress with two", func() bool { return total() > 40_000 })
	leave()
	closeNow(t, second.input)
	until(t, "the whole backlog", func() bool { return total() == partitions*perPartition })
	stop()
	running.Wait()
	checkOnce(t, committedValues(t, addr, "out"), partitions, perPartition)
}

func TestRealKafkaKeepsAStaticMembersPartitions(t *testing.T) {
	addr := realBrokers(t, map[string]int32{"static": 2})
	const yaml = "seed_brokers: [$ADDR]\ntopics: [static]\nconsumer_group: static\ninstance_id: one\nsession_timeout: 20s\n"
	produce(t, addr, "static", 0, "0-0")
	first := startInput(t, addr, yaml)
	mustAck(t, readBatch(t, first), nil)
	// A static member leaves no request behind: the group waits for it.
	first.client.CloseAllowingRebalance()
	produce(t, addr, "static", 0, "0-1")
	begin := time.Now()
	again := startInput(t, addr, yaml)
	for {
		r := readBatch(t, again)
		mustAck(t, r, nil)
		if slices.Contains(r.values, "0-1") {
			break
		}
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the partitions came back after %v", took)
	}
}

func TestRealKafkaRefusesOnlyTheLargeRecord(t *testing.T) {
	addr := realBrokers(t, map[string]int32{"limited": 1})
	setTopicLimit(t, addr, "limited", "20000")
	o := startOutput(t, addr, "seed_brokers: [$ADDR]\ntopic: limited\ncompression: none\n")
	batch := values(append(numbers(0, 2000), strings.Repeat("x", 30_000)))
	index := batch.Index()
	failed := failures(t, batch, index, o.WriteBatch(testContext(t), batch))
	if len(failed) != 1 || failed[2000] == nil {
		t.Fatalf("%d failed, want the last one", len(failed))
	}
	setTopicLimit(t, addr, "limited", "5000") // lowered after the output learned it
	batch = values(append(numbers(2000, 4000), strings.Repeat("x", 10_000)))
	index = batch.Index()
	failed = failures(t, batch, index, o.WriteBatch(testContext(t), batch))
	if len(failed) != 1 || failed[2000] == nil {
		t.Fatalf("after the limit was lowered: %d failed, want the last one", len(failed))
	}
	for n, r := range readTopic(t, addr, "limited", 4000) {
		if string(r.Value) != fmt.Sprint(n) {
			t.Fatalf("record %d is %.20s", n, r.Value)
		}
	}
}

func TestRealKafkaTombstonesGoBothWays(t *testing.T) {
	addr := realBrokers(t, map[string]int32{"factors": 1, "copies": 1})
	client := newClient(t, addr)
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "factors", Key: []byte("7")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	i := startInput(t, addr, "seed_brokers: [$ADDR]\ntopics: [factors]\n")
	o := startOutput(t, addr, "seed_brokers: [$ADDR]\ntopic: copies\nkey: ${! @kafka_key }\n")
	r := readBatch(t, i)
	mustAck(t, r, o.WriteBatch(testContext(t), r.batch))
	if got := readTopic(t, addr, "copies", 1)[0]; got.Value != nil || string(got.Key) != "7" {
		t.Errorf("copied key %q, value %q", got.Key, got.Value)
	}
}

// securedKafka starts a Kafka with SASL and TLS, and returns its fields.
func securedKafka(t *testing.T, notAfter time.Time) (*servers.Kafka, func(mechanism, password string) string) {
	t.Helper()
	servers.ForTest(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	kafka, err := servers.StartKafka(ctx, servers.KafkaOptions{SASL: true, TLS: true, NotAfter: notAfter})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kafka.Close() })
	return kafka, func(mechanism, password string) string {
		return fmt.Sprintf("seed_brokers: [%s]\ntls: {enabled: true, root_cas_file: %s}\nsasl: [{mechanism: %s, username: %s, password: %q}]\n",
			kafka.Addresses()[0], kafka.CAFile, mechanism, kafka.Username, password)
	}
}

func TestRealKafkaTakesTLSAndPasswords(t *testing.T) {
	kafka, fields := securedKafka(t, time.Time{})
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		connection := fields(mechanism, kafka.Password)
		topic := "secured-" + mechanism
		c, err := parseOutput(parse(t, outputSpec(), "", connection+"topic: "+topic+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		client := newClient(t, "", c.connection.opts...)
		createTopics(t, client, map[string]int32{topic: 1})
		o := startOutput(t, "", connection+"topic: "+topic+"\n")
		if err := o.WriteBatch(testContext(t), values([]string{"secret"})); err != nil {
			t.Fatal(err)
		}
		i := startInput(t, "", connection+"topics: ["+topic+"]\n")
		if r := readBatch(t, i); r.values[0] != "secret" {
			t.Errorf("%s: read %q", mechanism, r.values)
		}
	}
	for name, test := range map[string]struct{ yaml, want string }{
		"a wrong password": {fields("SCRAM-SHA-512", "wrong"), "wrong user name or password; check username, password and mechanism in field sasl"},
		"no TLS":           {fmt.Sprintf("seed_brokers: [%s]\n", kafka.Addresses()[0]), "the broker speaks TLS and this client does not"},
		"an unknown CA":    {fmt.Sprintf("seed_brokers: [%s]\ntls: {enabled: true}\n", kafka.Addresses()[0]), "certificate signed by unknown authority"},
		"an unknown host":  {"seed_brokers: ['no-such-host.invalid:9092']\n", "no such host"},
		"nothing there":    {"seed_brokers: ['127.0.0.1:1']\n", "connection refused"},
	} {
		t.Run(name, func(t *testing.T) { checkConnectSays(t, test.yaml, test.want) })
	}
}

func TestRealKafkasExpiredCertificateIsNamed(t *testing.T) {
	end := time.Now().Add(40 * time.Second)
	kafka, fields := securedKafka(t, end)
	if time.Now().Before(end) {
		checkConnectSays(t, fields("PLAIN", kafka.Password), "")
	}
	until(t, "the end of the certificate", func() bool { return time.Now().After(end) })
	checkConnectSays(t, fields("PLAIN", kafka.Password), "certificate has expired or is not yet valid: it holds from")
}

// checkConnectSays fails if the one line about a connection that does not come
// about lacks want. An empty want means that it does come about.
func checkConnectSays(t *testing.T, yaml, want string) {
	t.Helper()
	c, err := parseOutput(parse(t, outputSpec(), "", yaml+"topic: t\n"))
	if err != nil {
		t.Fatal(err)
	}
	var log testLog
	o := newOutput(c, log.resources())
	t.Cleanup(func() { o.Close(context.Background()) })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	err = o.Connect(ctx)
	if want == "" {
		if err != nil {
			t.Fatalf("not connected: %v; log: %s", err, log.text.String())
		}
		return
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("connected, or gave up: %v", err)
	}
	text := log.text.String()
	t.Log(text)
	if !strings.Contains(text, want) {
		t.Errorf("the log lacks %q", want)
	}
	if n := strings.Count(text, "\n"); n != 1 {
		t.Errorf("%d lines, want one", n)
	}
}

func TestRealKafkaGetsTheTopicsItLacks(t *testing.T) {
	addr := realBrokers(t, nil)
	yaml := func(partitions int, rest string) string {
		return fmt.Sprintf("seed_brokers: [%s]\ntopics:\n  - {name: made, partitions: %d, replication_factor: 1, retention: 1h%s}\n", addr, partitions, rest)
	}
	setup := func(yaml string, dryRun bool) (lines []string) {
		t.Helper()
		c, err := ParseCluster(yaml)
		if err != nil {
			t.Fatal(err)
		}
		if err := SetupTopics(testContext(t), c, dryRun, func(line string) { lines = append(lines, line) }); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	check := func(yaml string, session time.Duration) string {
		t.Helper()
		c, err := ParseCluster(yaml)
		if err != nil {
			t.Fatal(err)
		}
		problems, err := CheckTopics(testContext(t), c, session)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(problems)
	}
	if text := check(yaml(2, ""), 0); !strings.Contains(text, "there is no such topic") {
		t.Errorf("before: %s", text)
	}
	for _, dryRun := range []bool{true, false} {
		if lines := setup(yaml(2, ""), dryRun); len(lines) != 1 || !strings.Contains(lines[0], "topic made: 2 partitions") {
			t.Errorf("dry run %v: %q", dryRun, lines)
		}
	}
	until(t, "the topic", func() bool { return check(yaml(2, ""), 10*time.Second) == "[]" })
	if lines := setup(yaml(2, ""), false); len(lines) != 0 {
		t.Errorf("again: %q", lines)
	}
	for name, c := range map[string]struct {
		yaml    string
		session time.Duration
		want    string
	}{
		"too few partitions":  {yaml(4, ""), 0, "has 2 partitions, want 4"},
		"grown partitions":    {yaml(1, ""), 0, "if it grew under keyed records"},
		"another clean-up":    {yaml(2, ", compact: true"), 0, "cleanup.policy is delete, want compact"},
		"another limit":       {yaml(2, ", config: {max.message.bytes: '77777'}"), 0, "want 77777"},
		"too short a session": {yaml(2, ""), 100 * time.Millisecond, "group.min.session.timeout.ms is 1s"},
	} {
		if text := check(c.yaml, c.session); !strings.Contains(text, c.want) {
			t.Errorf("%s: %s", name, text)
		}
	}
}
