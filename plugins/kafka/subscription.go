package kafka

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Fields that say what an input reads, from where, and with whom.
const (
	fieldTopics           = "topics"
	fieldRegexpTopics     = "regexp_topics"
	fieldRegexpInclude    = "regexp_topics_include"
	fieldRegexpExclude    = "regexp_topics_exclude"
	fieldConsumerGroup    = "consumer_group"
	fieldGroupProtocol    = "group_protocol"
	fieldInstanceID       = "instance_id"
	fieldRackID           = "rack_id"
	fieldStartOffset      = "start_offset"
	fieldStartTimestamp   = "start_timestamp"
	fieldCommitPeriod     = "commit_period"
	fieldSessionTimeout   = "session_timeout"
	fieldRebalanceTimeout = "rebalance_timeout"
	fieldHeartbeat        = "heartbeat_interval"
)

const (
	classicProtocol  = "classic"
	consumerProtocol = "consumer"
)

func subscriptionFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewStringListField(fieldTopics).
			Description("Topics to read. An item may hold several, separated by commas. Without a consumer group, an item may name partitions of a topic, and the offset to start at: `events:0`, `events:0-3`, `events:0:1500`.").
			Example([]string{"events"}).Example([]string{"events:0:1500"}).Default([]any{}),
		service.NewBoolField(fieldRegexpTopics).
			Description("Whether the items of `topics` are regular expressions; then all matching topics are read, those created later too.").
			Default(false).Advanced(),
		service.NewStringListField(fieldRegexpInclude).
			Description("Regular expressions of topics to read, instead of `topics`. Topics that are created later are read too.").
			Default([]any{}).Example([]string{"events_.*"}).Advanced(),
		service.NewStringListField(fieldRegexpExclude).
			Description("Regular expressions of topics to leave out of those that match.").
			Default([]any{}).Advanced(),
		service.NewStringField(fieldConsumerGroup).
			Description("The consumer group. Without one all partitions are read from `start_offset` at each start, and nothing is committed.").
			Default(""),
		service.NewStringAnnotatedEnumField(fieldGroupProtocol, map[string]string{
			classicProtocol:  "Members share the partitions out among themselves, cooperatively: those that stay where they are go on being read.",
			consumerProtocol: "The broker shares them out (KIP-848), where it can (Kafka 4.0); elsewhere as `classic`. Session and heartbeat are then the broker's settings `group.consumer.session.timeout.ms` and `group.consumer.heartbeat.interval.ms`, and the fields here have no effect.",
		}).Description("How the group shares out partitions.").Default(classicProtocol).Advanced(),
		service.NewStringField(fieldInstanceID).
			Description("Makes this process a static member of the group: when it restarts within `session_timeout` it keeps its partitions. It must be unique within the group.").
			Default("").Advanced(),
		service.NewStringField(fieldRackID).
			Description("The rack of this process, to read from the closest replica.").
			Default("").Advanced(),
		service.NewStringAnnotatedEnumField(fieldStartOffset, map[string]string{
			"earliest":  "At the first record there is.",
			"latest":    "At what is written from now on.",
			"committed": "Nowhere: a partition without an offset of the group is an error, and is not read.",
		}).
			Description("Where to start in a partition of which the group has no offset, and where a follower starts.").
			Default("earliest").Advanced(),
		service.NewStringField(fieldStartTimestamp).
			Description("Instead of `start_offset`: start at the first record written at this time or later, by the records' timestamps. RFC 3339, or milliseconds since 1970. An offset of the group, where there is one, goes before it.").
			Default("").Example("2026-01-31T06:00:00Z").Advanced(),
		service.NewDurationField(fieldCommitPeriod).
			Description("How often acknowledged offsets are committed. They are committed as well when a partition is given up and at shutdown.").
			Default("5s").Advanced(),
		service.NewDurationField(fieldSessionTimeout).
			Description("After this time without a heartbeat the group gives the partitions of this process to others. The broker's settings `group.min.session.timeout.ms` (6s unless changed) and `group.max.session.timeout.ms` bound it.").Default("1m").Advanced(),
		service.NewDurationField(fieldRebalanceTimeout).
			Description("How long members may take to give up partitions, including the wait for batches in flight.").Default("45s").Advanced(),
		service.NewDurationField(fieldHeartbeat).
			Description("The time between heartbeats to the group; at most a third of `session_timeout`.").Default("3s").Advanced(),
	}
}

// subscriptionLints are cases of a lint rule for subscriptionFields.
const subscriptionLints = `
  this.topics.or([]).length() == 0 && this.regexp_topics_include.or([]).length() == 0 => "field topics must name at least one topic",
  this.topics.or([]).length() > 0 && this.regexp_topics_include.or([]).length() > 0 => "fields topics and regexp_topics_include exclude each other: remove one",
  this.consumer_group.or("") == "" && this.start_offset.or("") == "committed" => "field start_offset: committed needs a consumer_group",
  this.start_timestamp.or("") != "" && this.start_offset.or("") != "" => "fields start_timestamp and start_offset exclude each other: remove one",`

// subscription is what an input reads, from where, and with whom.
type subscription struct {
	topics           []string
	partitions       map[string]map[int32]kgo.Offset // of items such as events:0
	topicPatterns    []*regexp.Regexp
	excluded         []*regexp.Regexp
	start            kgo.Offset
	fromEnd          bool // start_offset: latest
	fromTime         bool // start_timestamp
	group            string
	serverSide       bool // group_protocol: consumer
	rebalanceTimeout time.Duration
}

// parseTopics reads what to read. It needs the group and the start.
func (c *inputConfig) parseTopics(conf *service.ParsedConfig) error {
	items, err := conf.FieldStringList(fieldTopics)
	if err != nil {
		return err
	}
	include, err := conf.FieldStringList(fieldRegexpInclude)
	if err != nil {
		return err
	}
	exclude, err := conf.FieldStringList(fieldRegexpExclude)
	if err != nil {
		return err
	}
	regexpTopics, err := conf.FieldBool(fieldRegexpTopics)
	if err != nil {
		return err
	}
	field := fieldTopics
	switch {
	case len(items) > 0 && len(include) > 0:
		return fmt.Errorf("fields %s and %s exclude each other: remove one", fieldTopics, fieldRegexpInclude)
	case len(include) > 0:
		field = fieldRegexpInclude
	case regexpTopics:
		include = items
	case len(exclude) > 0:
		return fmt.Errorf("field %s: needs %s", fieldRegexpExclude, fieldRegexpInclude)
	}
	if len(include) > 0 {
		return c.parsePatterns(field, include, exclude)
	}
	return c.parseNames(splitList(items))
}

func (c *inputConfig) parsePatterns(field string, include, exclude []string) error {
	var err error
	if c.topicPatterns, err = compile(field, include); err != nil {
		return err
	}
	if c.excluded, err = compile(fieldRegexpExclude, exclude); err != nil {
		return err
	}
	c.opts = append(c.opts, kgo.ConsumeRegex(), kgo.ConsumeTopics(include...))
	if len(exclude) > 0 {
		c.opts = append(c.opts, kgo.ConsumeExcludeTopics(exclude...))
	}
	return nil
}

func compile(field string, expressions []string) ([]*regexp.Regexp, error) {
	var patterns []*regexp.Regexp
	for _, expression := range expressions {
		pattern, err := regexp.Compile(expression)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", field, err)
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

// matches says whether the expressions select topic.
func (s *subscription) matches(topic string) bool {
	is := func(pattern *regexp.Regexp) bool { return pattern.MatchString(topic) }
	return slices.ContainsFunc(s.topicPatterns, is) && !slices.ContainsFunc(s.excluded, is)
}

// parseNames reads topic names, some of them with partitions and offsets.
func (c *inputConfig) parseNames(items []string) error {
	if len(items) == 0 {
		return fmt.Errorf("field %s: name at least one topic", fieldTopics)
	}
	var whole []string
	for _, item := range items {
		topic, rest, split := strings.Cut(item, ":")
		if reason := invalidTopic(topic); reason != "" {
			return fmt.Errorf("field %s: %s", fieldTopics, reason)
		}
		if !slices.Contains(c.topics, topic) {
			c.topics = append(c.topics, topic)
		}
		if !split {
			whole = append(whole, topic)
			continue
		}
		if c.group != "" {
			return fmt.Errorf("field %s: %q names partitions, which a consumer group shares out by itself; remove %s, or name the topic alone", fieldTopics, item, fieldConsumerGroup)
		}
		if err := c.addPartitions(topic, rest); err != nil {
			return fmt.Errorf("field %s: %q: %w", fieldTopics, item, err)
		}
	}
	for _, topic := range whole {
		if c.partitions[topic] != nil {
			return fmt.Errorf("field %s: %q is named both as a whole and by partitions", fieldTopics, topic)
		}
	}
	if len(whole) > 0 {
		c.opts = append(c.opts, kgo.ConsumeTopics(whole...))
	}
	if c.partitions != nil {
		c.opts = append(c.opts, kgo.ConsumePartitions(c.partitions))
	}
	return nil
}

var errPartitions = errors.New("write topic:partition, topic:first-last or topic:partition:offset")

// addPartitions reads what follows the topic: 0, 0-3, 0:1500 or 0-3:1500.
func (c *inputConfig) addPartitions(topic, text string) error {
	text, offsetText, hasOffset := strings.Cut(text, ":")
	firstText, lastText, isRange := strings.Cut(text, "-")
	if !isRange {
		lastText = firstText
	}
	first, err := strconv.ParseInt(firstText, 10, 32)
	if err != nil || first < 0 {
		return errPartitions
	}
	last, err := strconv.ParseInt(lastText, 10, 32)
	if err != nil || last < first || last-first > 100_000 {
		return errPartitions
	}
	offset := c.start
	if hasOffset {
		at, err := strconv.ParseInt(offsetText, 10, 64)
		if err != nil || at < 0 {
			return errPartitions
		}
		offset = kgo.NewOffset().At(at)
	}
	if c.partitions == nil {
		c.partitions = map[string]map[int32]kgo.Offset{}
	}
	if c.partitions[topic] == nil {
		c.partitions[topic] = map[int32]kgo.Offset{}
	}
	for id := first; id <= last; id++ {
		c.partitions[topic][int32(id)] = offset
	}
	return nil
}

func (c *inputConfig) parseStart(conf *service.ParsedConfig) error {
	start, err := conf.FieldString(fieldStartOffset)
	if err != nil {
		return err
	}
	timestamp, err := conf.FieldString(fieldStartTimestamp)
	if err != nil {
		return err
	}
	c.start = kgo.NewOffset().AtStart()
	switch {
	case timestamp != "":
		ms, err := parseTime(timestamp)
		if err != nil {
			return fmt.Errorf("field %s: %w", fieldStartTimestamp, err)
		}
		c.fromTime = true
		c.start = kgo.NewOffset().AfterMilli(ms)
	case start == "latest":
		c.fromEnd = true
		c.start = kgo.NewOffset().AtEnd()
	case start == "committed" && c.group == "":
		return fmt.Errorf("field %s: committed needs a %s", fieldStartOffset, fieldConsumerGroup)
	case start == "committed":
		c.start = kgo.NewOffset().AtCommitted()
	}
	// An offset that is gone (its records were deleted) goes on at the first
	// record there is, whatever start_offset says: what exists is not lost.
	c.opts = append(c.opts, kgo.ConsumeStartOffset(c.start), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	return nil
}

// parseTime reads a time and returns it in Unix milliseconds.
func parseTime(text string) (int64, error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 {
		return ms, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, fmt.Errorf("%q is no time; write 2026-01-31T06:00:00Z, or milliseconds since 1970", text)
	}
	return at.UnixMilli(), nil
}

func (c *inputConfig) parseGroup(conf *service.ParsedConfig) error {
	var err error
	if c.group, err = conf.FieldString(fieldConsumerGroup); err != nil || c.group == "" {
		return err
	}
	protocol, err := conf.FieldString(fieldGroupProtocol)
	if err != nil {
		return err
	}
	c.serverSide = protocol == consumerProtocol
	instance, err := conf.FieldString(fieldInstanceID)
	if err != nil {
		return err
	}
	if instance != "" {
		c.opts = append(c.opts, kgo.InstanceID(instance))
	}
	c.opts = append(c.opts, kgo.ConsumerGroup(c.group))
	return c.parseTimeouts(conf)
}

func (c *inputConfig) parseTimeouts(conf *service.ParsedConfig) error {
	session, err := conf.FieldDuration(fieldSessionTimeout)
	if err != nil {
		return err
	}
	heartbeat, err := conf.FieldDuration(fieldHeartbeat)
	if err != nil {
		return err
	}
	if c.rebalanceTimeout, err = conf.FieldDuration(fieldRebalanceTimeout); err != nil {
		return err
	}
	if heartbeat >= session {
		return fmt.Errorf("field %s: must be below %s, at most a third of it", fieldHeartbeat, fieldSessionTimeout)
	}
	c.opts = append(c.opts,
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(heartbeat),
		kgo.RebalanceTimeout(c.rebalanceTimeout))
	return nil
}

// parseCommits reads how offsets are committed, where no transaction does it.
func (c *inputConfig) parseCommits(conf *service.ParsedConfig) error {
	if c.group == "" {
		return nil
	}
	period, err := conf.FieldDuration(fieldCommitPeriod)
	if err != nil {
		return err
	}
	if period < minCommitPeriod {
		return fmt.Errorf("field %s: must be at least %v", fieldCommitPeriod, minCommitPeriod)
	}
	c.opts = append(c.opts, kgo.AutoCommitMarks(), kgo.AutoCommitInterval(period), kgo.BlockRebalanceOnPoll())
	return nil
}
